"""A model that says what a script tells it to: small, public, and OpenAI-compatible where clients look.

For tests and demonstrations of what speaks to a model: `python -m dev.model --script FILE`.
"""
