"""What holds after every move, whatever the move was. Each law is a function; its name says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.stateful.model import FINAL, MAX_LOST, Model
from tests.stateful.snapshot import Row, Snapshot

TERMINAL = ("run.completed", "run.failed")
CALLBACK_OF = {"on_complete": "run.completed", "on_fail": "run.failed", "on_progress": "run.progress"}


# -------------------------------------------------------------------------------- laws of one moment


def slots_are_what_runs(now: Snapshot) -> None:
    assert now.slots == {tenant: now.running(tenant) for tenant in now.slots}


def a_run_has_one_terminal_event_for_each_time_it_ended(now: Snapshot) -> None:
    told = Counter(event["run_id"] for event in now.events if event["type"] in TERMINAL)
    ended = {run["id"]: run["repair_count"] + (run["state"] in FINAL) for run in now.runs}
    assert dict(told) == {run: times for run, times in ended.items() if times}


def the_last_terminal_event_tells_the_state(now: Snapshot) -> None:
    ended = {run["id"] for run in now.runs if run["state"] in FINAL}
    said = {
        e["run_id"]: (e["type"], e["data"]["state"])
        for e in now.events
        if e["type"] in TERMINAL and e["run_id"] in ended
    }
    meant = {
        run["id"]: ("run.completed" if run["state"] == "SUCCEEDED" else "run.failed", run["state"])
        for run in now.runs
        if run["state"] in FINAL
    }
    assert said == meant


def a_repair_remembers_the_end_that_was_told(now: Snapshot) -> None:
    told: dict[int, list[str]] = {}
    for event in now.events:
        if event["type"] in TERMINAL:
            told.setdefault(event["run_id"], []).append(event["data"]["state"])
    for repair in now.repairs:
        assert repair["previous"]["state"] == told[repair["run_id"]][repair["number"] - 1]


def events_of_a_run_are_numbered_without_holes(now: Snapshot) -> None:
    for run in now.runs:
        numbers = [event["seq"] for event in now.events if event["run_id"] == run["id"]]
        assert numbers == [*range(1, run["event_seq"] + 1)]


def lines_of_a_run_are_numbered_without_holes(now: Snapshot) -> None:
    for run in now.runs:
        numbers = [line["seq"] for line in now.logs if line["run_id"] == run["id"]]
        assert numbers == [*range(1, run["log_seq"] + 1)]


def no_attempt_is_both_live_and_past(now: Snapshot) -> None:
    ids = [row["id"] for row in now.live] + [row["id"] for row in now.past]
    assert len(ids) == len(set(ids))


def attempts_of_a_task_count_up_by_one_within_its_retries(now: Snapshot) -> None:
    for task in now.tasks:
        past = [row["number"] for row in now.past if row["task_run_id"] == task["id"]]
        live = [row["number"] for row in now.live if row["task_run_id"] == task["id"]]
        assert past + live == [*range(1, len(past + live) + 1)]
        assert len(past + live) - task["first_number"] <= task["max_retries"]  # a repair gives them anew


def losses_have_their_own_budget(now: Snapshot) -> None:
    assert all(0 <= row["lost"] <= MAX_LOST for row in now.live + now.past)
    assert all(row["lost"] == MAX_LOST for row in now.past if row["state"] == "LOST")


def what_waits_or_runs_is_live_and_nothing_else(now: Snapshot) -> None:
    live = {row["task_run_id"]: row["state"] for row in now.live}
    assert live == {task["id"]: task["state"] for task in now.tasks if task["state"] in ("QUEUED", "RUNNING")}


def a_run_has_ended_iff_all_its_tasks_have(now: Snapshot) -> None:
    for run in now.runs:
        ended = all(task["state"] in FINAL for task in now.tasks if task["run_id"] == run["id"])
        assert ended == (run["state"] in FINAL)


def a_lane_holds_what_it_may_and_nobody_waits_beside_a_free_place(now: Snapshot) -> None:
    for job, places in now.lanes.items():
        runs = [run for run in now.runs if str(run["job_id"]) == job and run["state"] not in FINAL]
        waiting = [run for run in runs if run["waits_since"] is not None]
        assert len(runs) - len(waiting) <= places
        assert not waiting or len(runs) - len(waiting) == places


LAWS: tuple[Callable[[Snapshot], None], ...] = (
    slots_are_what_runs,
    a_run_has_one_terminal_event_for_each_time_it_ended,
    the_last_terminal_event_tells_the_state,
    a_repair_remembers_the_end_that_was_told,
    events_of_a_run_are_numbered_without_holes,
    lines_of_a_run_are_numbered_without_holes,
    no_attempt_is_both_live_and_past,
    attempts_of_a_task_count_up_by_one_within_its_retries,
    losses_have_their_own_budget,
    what_waits_or_runs_is_live_and_nothing_else,
    a_run_has_ended_iff_all_its_tasks_have,
    a_lane_holds_what_it_may_and_nobody_waits_beside_a_free_place,
)


# -------------------------------------------------------------------------------- laws of a change


def what_has_ended_changes_by_a_repair_alone(before: Snapshot, now: Snapshot) -> None:
    """And of a run that is repaired, only the tasks that the repair names."""
    assert (
        now.past[: len(before.past)] == before.past or _by_id(now.past).items() >= _by_id(before.past).items()
    )
    fresh = [row for row in now.repairs if row not in before.repairs]
    assert len(now.repairs) == len(before.repairs) + len(fresh)
    undone = {(row["run_id"], key) for row in fresh for key in row["task_keys"]}
    repaired = {row["run_id"] for row in fresh}
    for old, new in (
        ([row for row in before.runs if row["id"] not in repaired], now.runs),
        ([row for row in before.tasks if (row["run_id"], row["task_key"]) not in undone], now.tasks),
    ):
        ended = {row["id"]: row for row in old if row["state"] in FINAL}
        assert {key: row for key, row in _by_id(new).items() if key in ended} == ended


def what_was_told_stays_told(before: Snapshot, now: Snapshot) -> None:
    assert _by_id(now.events).items() >= _by_id(before.events).items()
    assert [line for line in now.logs if line in before.logs] == before.logs


def a_lease_only_grows(before: Snapshot, now: Snapshot) -> None:
    after = {row["id"]: row["lease"] for row in now.live + now.past}
    assert all(after[row["id"]] >= row["lease"] for row in before.live)
    claimed = {row["id"] for row in before.live if row["state"] == "QUEUED"}
    for row in now.live:
        if row["id"] in claimed and row["state"] == "RUNNING":
            assert row["lease"] == next(old["lease"] for old in before.live if old["id"] == row["id"]) + 1


def no_slot_beyond_the_limit_is_taken(before: Snapshot, now: Snapshot) -> None:
    """A limit that is lowered takes nothing away from what runs already."""
    for tenant, limit in now.limits.items():
        assert now.running(tenant) <= max(limit, before.running(tenant))


CHANGES: tuple[Callable[[Snapshot, Snapshot], None], ...] = (
    what_has_ended_changes_by_a_repair_alone,
    what_was_told_stays_told,
    a_lease_only_grows,
    no_slot_beyond_the_limit_is_taken,
)


# ---------------------------------------------------------------------------- agreement with the model


def runs_are_as_the_model_says(model: Model, now: Snapshot) -> None:
    assert {row["id"]: row["state"] for row in now.runs} == {run.id: run.state for run in model.runs.values()}


def tasks_are_as_the_model_says(model: Model, now: Snapshot) -> None:
    found = {
        (row["run_id"], row["task_key"]): (row["state"], row["percent"], row["progress_message"])
        for row in now.tasks
    }
    assert found == {
        (run.id, task.key): (task.state, task.percent, task.message)
        for run in model.runs.values()
        for task in run.tasks.values()
    }


def attempts_are_as_the_model_says(model: Model, now: Snapshot) -> None:
    keys = {row["id"]: (row["run_id"], row["task_key"]) for row in now.tasks}
    live = {
        keys[row["task_run_id"]]: (row["number"], row["lease"], row["lost"], row["state"], row["external_id"])
        for row in now.live
    }
    assert live == {
        (it.task.run.id, it.task.key): (
            it.number,
            it.lease,
            it.lost,
            "RUNNING" if it.running else "QUEUED",
            it.external_id,
        )
        for it in model.live()
    }
    past: dict[tuple[int, str], list[str]] = {}
    for row in sorted(now.past, key=lambda row: row["number"]):
        past.setdefault(keys[row["task_run_id"]], []).append(row["state"])
    assert past == {
        (run.id, task.key): task.past
        for run in model.runs.values()
        for task in run.tasks.values()
        if task.past
    }


def events_are_as_the_model_says(model: Model, now: Snapshot) -> None:
    for run in model.runs.values():
        assert [event["type"] for event in now.events if event["run_id"] == run.id] == run.events
        wanted = [it for it in run.events if it in run.callbacks]
        assert [row["type"] for row in now.deliveries if row["run_id"] == run.id] == wanted


def logs_are_as_the_model_says(model: Model, now: Snapshot) -> None:
    assert {row["id"]: row["log_seq"] for row in now.runs} == {r.id: r.log_seq for r in model.runs.values()}


AGREEMENTS: tuple[Callable[[Model, Snapshot], None], ...] = (
    runs_are_as_the_model_says,
    tasks_are_as_the_model_says,
    attempts_are_as_the_model_says,
    events_are_as_the_model_says,
    logs_are_as_the_model_says,
)


def _by_id(rows: list[Row]) -> dict[int | str, Row]:
    return {row["id"]: row for row in rows}
