"""How it goes."""

from __future__ import annotations

from pydantic import Field

from control_room.model.word import JsonObject, Word


class Slo(Word):
    """The success figures over a window; rates are 0 to 1, None while nothing was measured."""

    window_hours: int
    runs: JsonObject = Field(default_factory=dict)
    success_rate: float | None = None
    success_rate_platform: float | None = None
    mean_execution_ms: float | None = None
    mean_wait_ms: float | None = None
    lineage_coverage: float | None = None
    callback_delivery: float | None = None
    targets: dict[str, float] = Field(default_factory=dict)


class Health(Word):
    status: str
    runners: list[JsonObject] = Field(default_factory=list)
