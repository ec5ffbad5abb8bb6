"""Control Room for people: a typed client over HTTP, blocking and awaiting, and a command line."""

from control_room.async_client import AsyncClient
from control_room.client import Client
from control_room.errors import (
    ApiError,
    ArtifactRefused,
    ControlRoomError,
    NotInTime,
    TransferDamaged,
    Unreachable,
)

__all__ = [
    "ApiError",
    "ArtifactRefused",
    "AsyncClient",
    "Client",
    "ControlRoomError",
    "NotInTime",
    "TransferDamaged",
    "Unreachable",
]
