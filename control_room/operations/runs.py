"""Runs: submit, look, wait, cancel."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from control_room.errors import NotInTime
from control_room.model import Event, LogLine, Page, Repair, Run, RunSummary, State, Submitted
from control_room.operation import Operation, Pause, Request, exchange, fetch, query

#: Looks at a run that is waited for: often at first, so that short runs feel short.
_FIRST_LOOK, _LONGEST_LOOK = 0.15, 1.0


def submit(submission: Mapping[str, Any]) -> Operation[Submitted]:
    """POST /jobs/run. A key is made where none is given: sent twice, it is still one run."""
    body = {"idempotency_key": f"client-{uuid.uuid4()}", **submission}
    return (yield from fetch(Submitted, Request("POST", "/jobs/run", body=body, repeatable=True)))


def get(run_id: int) -> Operation[Run]:
    return (yield from fetch(Run, Request("GET", f"/runs/{run_id}", repeatable=True)))


def list_(
    state: State | None = None,
    job_id: int | None = None,
    job_type: str | None = None,
    limit: int | None = None,
    cursor: str | int | None = None,
) -> Operation[Page[RunSummary]]:
    asked = query(state=state, job_id=job_id, job_type=job_type, limit=limit, cursor=cursor)
    return (yield from fetch(Page[RunSummary], Request("GET", "/runs", query=asked, repeatable=True)))


def cancel(run_id: int) -> Operation[Run]:
    """What waits ends at once, what runs is stopped. Asking twice is the same as once."""
    yield from exchange(Request("POST", f"/runs/{run_id}/cancel", body={}, repeatable=True))
    return (yield from get(run_id))


def repair(run_id: int, **asked: Any) -> Operation[Repair]:
    """tasks, dependents, params. Names the latest repair, so that of two who repair at once one is told."""
    seen = (yield from get(run_id)).latest_repair_id
    body = {"latest_repair_id": seen, **asked}
    body = {name: it for name, it in body.items() if it is not None}
    return (yield from fetch(Repair, Request("POST", f"/runs/{run_id}/repair", body=body)))


def rerun(run_id: int, from_task: str | None = None) -> Operation[Submitted]:
    """A new run of the same version; what is not after `from_task` and succeeded is taken over."""
    body = {"idempotency_key": f"client-{uuid.uuid4()}"} | ({"from_task": from_task} if from_task else {})
    return (yield from fetch(Submitted, Request("POST", f"/runs/{run_id}/rerun", body=body, repeatable=True)))


def wait(
    run_id: int, timeout: float | None = None, on_change: Callable[[Run], None] | None = None
) -> Operation[Run]:
    """Looks until the run has ended; `on_change` sees each look. Raises NotInTime after `timeout` seconds."""
    began = time.monotonic()
    pause = _FIRST_LOOK
    while True:
        run = yield from get(run_id)
        if on_change is not None:
            on_change(run)
        if run.final:
            return run
        if timeout is not None and time.monotonic() - began + pause > timeout:
            raise NotInTime(
                f"run {run_id} is still {run.state} after {timeout:g} s",
                f"it goes on without you: control-room runs show {run_id} --follow",
            )
        yield Pause(pause)
        pause = min(pause * 1.2, _LONGEST_LOOK)


def logs(
    run_id: int, after: int = 0, limit: int | None = None, task_key: str | None = None
) -> Operation[list[LogLine]]:
    """The lines that are there now; without `limit` all of them."""
    asked = query(after=after or None, limit=limit, task_key=task_key)
    response = yield from exchange(Request("GET", f"/runs/{run_id}/logs", query=asked, repeatable=True))
    return [LogLine.model_validate_json(line) for line in response.text.splitlines() if line.strip()]


def events(run_id: int, after: int = 0, limit: int | None = None) -> Operation[Page[Event]]:
    asked = query(after=after or None, limit=limit)
    return (
        yield from fetch(Page[Event], Request("GET", f"/runs/{run_id}/events", query=asked, repeatable=True))
    )
