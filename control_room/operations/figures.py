"""How the system is, and how well it does."""

from __future__ import annotations

from control_room.model import Health, Slo
from control_room.operation import Operation, Request, fetch, query


def slo(window_hours: int | None = None) -> Operation[Slo]:
    asked = query(window_hours=window_hours)
    return (yield from fetch(Slo, Request("GET", "/slo", query=asked, repeatable=True)))


def health() -> Operation[Health]:
    """Public: needs no token."""
    return (yield from fetch(Health, Request("GET", "/health", repeatable=True)))
