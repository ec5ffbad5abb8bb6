"""The command line `control-room`."""

from control_room.cli.main import main

__all__ = ["main"]
