"""Jobs: definitions, versioned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from control_room.model import Applied, Backfill, Clock, Job, Page, Paused
from control_room.talk import Ask, Talk, ask_word, exchange, query


def create(definition: Mapping[str, Any]) -> Talk[Job]:
    return (yield from ask_word(Job, Ask("POST", "/jobs", body=definition)))


def update(job_id: int, changes: Mapping[str, Any]) -> Talk[Job]:
    """Makes the next version; runs keep the version that they ran."""
    return (yield from ask_word(Job, Ask("PATCH", f"/jobs/{job_id}", body=changes)))


def apply(jobs: Sequence[Mapping[str, Any]], **how: Any) -> Talk[Applied]:
    """What is so already stays; so asking twice is the same as once."""
    body = {"jobs": list(jobs), **{name: it for name, it in how.items() if it}}
    return (yield from ask_word(Applied, Ask("POST", "/jobs/apply", body=body, repeatable=True)))


def get(job_id: int) -> Talk[Job]:
    return (yield from ask_word(Job, Ask("GET", f"/jobs/{job_id}", repeatable=True)))


def list_(
    name: str | None = None, limit: int | None = None, cursor: str | int | None = None
) -> Talk[Page[Job]]:
    asked = query(name=name, limit=limit, cursor=cursor)
    return (yield from ask_word(Page[Job], Ask("GET", "/jobs", query=asked, repeatable=True)))


def delete(job_id: int) -> Talk[None]:
    yield from exchange(Ask("DELETE", f"/jobs/{job_id}"))


def pause(job_id: int) -> Talk[Paused]:
    return (yield from ask_word(Paused, Ask("POST", f"/jobs/{job_id}/pause", repeatable=True)))


def resume(job_id: int) -> Talk[Paused]:
    return (yield from ask_word(Paused, Ask("POST", f"/jobs/{job_id}/resume", repeatable=True)))


def schedule(job_id: int, count: int | None = None) -> Talk[Clock]:
    asked = query(count=count)
    return (yield from ask_word(Clock, Ask("GET", f"/jobs/{job_id}/schedule", query=asked, repeatable=True)))


def backfill(job_id: int, parameter: str, **asked: Any) -> Talk[Backfill]:
    """One run for each value: values or range, params, max_concurrent. Asked twice, each is run once."""
    body = {"parameter": parameter, **{name: it for name, it in asked.items() if it is not None}}
    return (
        yield from ask_word(Backfill, Ask("POST", f"/jobs/{job_id}/backfill", body=body, repeatable=True))
    )


def backfills(job_id: int, limit: int | None = None, cursor: str | int | None = None) -> Talk[Page[Backfill]]:
    asked = query(limit=limit, cursor=cursor)
    ask = Ask("GET", f"/jobs/{job_id}/backfills", query=asked, repeatable=True)
    return (yield from ask_word(Page[Backfill], ask))


def get_backfill(job_id: int, backfill_id: int) -> Talk[Backfill]:
    ask = Ask("GET", f"/jobs/{job_id}/backfills/{backfill_id}", repeatable=True)
    return (yield from ask_word(Backfill, ask))


def cancel_backfill(job_id: int, backfill_id: int) -> Talk[Backfill]:
    ask = Ask("POST", f"/jobs/{job_id}/backfills/{backfill_id}/cancel", body={}, repeatable=True)
    return (yield from ask_word(Backfill, ask))
