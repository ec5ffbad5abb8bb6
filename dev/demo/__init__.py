"""`scripts/demo`: the main job from an empty machine to a verified callback, on the people's own client.

`stage` is the screen, `receiver` the webhook receiver, `surroundings` the stack below, `story` what happens.
"""
