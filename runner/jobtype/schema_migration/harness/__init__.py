"""Reads SQL files inside the sandbox: a parser in C, fed by strangers, is nothing for the runner itself.

    request.json → grammar (statements, with their lines) → dangers (what needs an allowance) → plan.json

Nothing of the SQL is run here. Needs postgast, and only that.
"""
