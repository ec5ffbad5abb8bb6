"""Why running work is told to stop before it has ended by itself."""

from __future__ import annotations

from enum import Enum


class Stop(Enum):
    """The order that custody gives. LOST allows no grace: somebody else may already do the same work."""

    CANCELED = "canceled"
    DEADLINE = "deadline"
    LOST = "lost"
    DRAIN = "drain"
