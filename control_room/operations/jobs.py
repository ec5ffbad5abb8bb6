"""Jobs: definitions, versioned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from control_room.model import Applied, Backfill, Clock, Job, Page, Paused
from control_room.operation import Operation, Request, exchange, fetch, query


def create(definition: Mapping[str, Any]) -> Operation[Job]:
    return (yield from fetch(Job, Request("POST", "/jobs", body=definition)))


def update(job_id: int, changes: Mapping[str, Any]) -> Operation[Job]:
    """Makes the next version; runs keep the version that they ran."""
    return (yield from fetch(Job, Request("PATCH", f"/jobs/{job_id}", body=changes)))


def apply(jobs: Sequence[Mapping[str, Any]], **how: Any) -> Operation[Applied]:
    """What is so already stays; so asking twice is the same as once."""
    body = {"jobs": list(jobs), **{name: it for name, it in how.items() if it}}
    return (yield from fetch(Applied, Request("POST", "/jobs/apply", body=body, repeatable=True)))


def get(job_id: int) -> Operation[Job]:
    return (yield from fetch(Job, Request("GET", f"/jobs/{job_id}", repeatable=True)))


def list_(
    name: str | None = None, limit: int | None = None, cursor: str | int | None = None
) -> Operation[Page[Job]]:
    asked = query(name=name, limit=limit, cursor=cursor)
    return (yield from fetch(Page[Job], Request("GET", "/jobs", query=asked, repeatable=True)))


def delete(job_id: int) -> Operation[None]:
    yield from exchange(Request("DELETE", f"/jobs/{job_id}"))


def pause(job_id: int) -> Operation[Paused]:
    return (yield from fetch(Paused, Request("POST", f"/jobs/{job_id}/pause", repeatable=True)))


def resume(job_id: int) -> Operation[Paused]:
    return (yield from fetch(Paused, Request("POST", f"/jobs/{job_id}/resume", repeatable=True)))


def schedule(job_id: int, count: int | None = None) -> Operation[Clock]:
    asked = query(count=count)
    return (yield from fetch(Clock, Request("GET", f"/jobs/{job_id}/schedule", query=asked, repeatable=True)))


def backfill(job_id: int, parameter: str, **asked: Any) -> Operation[Backfill]:
    """One run for each value: values or range, params, max_concurrent. Asked twice, each is run once."""
    body = {"parameter": parameter, **{name: it for name, it in asked.items() if it is not None}}
    return (
        yield from fetch(Backfill, Request("POST", f"/jobs/{job_id}/backfill", body=body, repeatable=True))
    )


def backfills(
    job_id: int, limit: int | None = None, cursor: str | int | None = None
) -> Operation[Page[Backfill]]:
    asked = query(limit=limit, cursor=cursor)
    request = Request("GET", f"/jobs/{job_id}/backfills", query=asked, repeatable=True)
    return (yield from fetch(Page[Backfill], request))


def get_backfill(job_id: int, backfill_id: int) -> Operation[Backfill]:
    request = Request("GET", f"/jobs/{job_id}/backfills/{backfill_id}", repeatable=True)
    return (yield from fetch(Backfill, request))


def cancel_backfill(job_id: int, backfill_id: int) -> Operation[Backfill]:
    request = Request("POST", f"/jobs/{job_id}/backfills/{backfill_id}/cancel", body={}, repeatable=True)
    return (yield from fetch(Backfill, request))
