"""How the system is, and how well it does."""

from __future__ import annotations

from control_room.model import Health, Slo
from control_room.talk import Ask, Talk, ask_json, query


def slo(window_hours: int | None = None) -> Talk[Slo]:
    asked = query(window_hours=window_hours)
    return Slo.model_validate((yield from ask_json(Ask("GET", "/slo", query=asked, repeatable=True))))


def health() -> Talk[Health]:
    """Public: needs no token."""
    return Health.model_validate((yield from ask_json(Ask("GET", "/health", repeatable=True))))
