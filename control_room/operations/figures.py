"""How the system is, and how well it does."""

from __future__ import annotations

from control_room.model import Health, Slo
from control_room.talk import Ask, Talk, ask_word, query


def slo(window_hours: int | None = None) -> Talk[Slo]:
    asked = query(window_hours=window_hours)
    return (yield from ask_word(Slo, Ask("GET", "/slo", query=asked, repeatable=True)))


def health() -> Talk[Health]:
    """Public: needs no token."""
    return (yield from ask_word(Health, Ask("GET", "/health", repeatable=True)))
