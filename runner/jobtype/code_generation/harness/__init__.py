"""What runs inside the sandbox: the way to the model, and the Continue CLI beside it.

Travels with the workspace and is imported as `control_room_generation`; knows nothing of the runner but
`/job/.control-room/request.json`, `continue.json` and `model.sock`.
"""
