"""What each hot statement looks at where 100,000 attempts of 1,000 tenants wait behind a deep history.

No table that grows is read from end to end, the index meant for it is used, and what is looked at goes with
what is asked for, not with what is there; planned for the very call and once for all calls alike. Pages are
those of a transaction that also writes, in a session that knows nothing yet; they are bounded so that no
small multiple of the crowd fits in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, LiteralString

import pytest

from dev.stack.testbed import Database
from tests.doors import Doors
from tests.integration.queue.crowd import INSTANCE, OFFERS, Crowd, claims_of, gather
from tests.integration.queue.plans import BIG, Watcher, Work

SUBMISSION = {"job_type": "spark_etl", "spec": "Nothing to do.", "code": {"files": {"job.py": "pass"}}}
LOGGED = 1  # the run whose log is long


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
def watcher(crowded: Doors, request: pytest.FixtureRequest) -> Iterator[Watcher]:
    with Watcher(crowded.database, request.param) as opened:
        yield opened


def claim(watcher: Watcher, limit: int) -> tuple[Work, list[dict[str, Any]]]:
    work = watcher.see("runner", "select worker.claim_attempts(%s, %s, %s)", [INSTANCE, [*OFFERS], limit])
    return work, [{"attempt_id": it["attempt_id"], "lease": it["lease"]} for it in work.answer]


def looked_only_at(work: Work, bounds: dict[str, int], indexes: str, pages: int) -> None:
    """`bounds` are rows of the tables that grow; of one that is not named nothing is looked at. An attempt is
    looked at once more than it is changed: attempts are locked in their order first."""
    looked = {table: work.rows(table) for table in BIG if work.rows(table)}

    assert work.sequential == set()
    assert {table: rows for table, rows in looked.items() if rows > bounds.get(table, 0)} == {}
    assert set(indexes.split()) <= work.indexes
    assert work.pages <= pages


def test_a_claim_looks_at_what_it_takes(watcher: Watcher) -> None:
    work, claimed = claim(watcher, 50)

    assert len(claimed) == 50
    looked_only_at(
        work,
        {"live_attempts": 250, "task_runs": 150, "runs": 100, "payloads": 50},
        "slots_by_turn live_attempts_ready live_attempts_pkey task_runs_pkey runs_pkey payloads_pkey",
        pages=9_000,
    )


def test_a_claim_that_finds_nothing_looks_at_little(watcher: Watcher) -> None:
    """A thousand tenants wait for something that this runner does not offer: one or two probes for each."""
    statement: LiteralString = "select worker.claim_attempts(%s, '{code_validation/default}', 50)"
    work = watcher.see("runner", statement, [INSTANCE])

    assert work.answer == []
    # the tenants' random keys lie differently in each database: 10,600 to 12,200 pages were seen
    looked_only_at(work, {"live_attempts": 2_500}, "live_attempts_ready", pages=14_000)


def test_a_glance_looks_at_one_attempt(watcher: Watcher) -> None:
    work = watcher.see("runner", "select worker.anything_waits()")

    assert work.answer == [True]
    # in whatever order they lie: of those that wait the first one is enough
    assert work.rows("live_attempts") <= 1
    assert work.pages <= 1_000


def test_a_heartbeat_looks_at_what_it_renews(watcher: Watcher) -> None:
    _, claimed = claim(watcher, 50)
    items = json.dumps([it | {"percent": 5} for it in claimed])
    work = watcher.see("runner", "select worker.renew_leases(%s, %s)", [INSTANCE, items])

    assert all(it["held"] for it in work.answer[0])
    looked_only_at(
        work, {"live_attempts": 150, "task_runs": 50}, "live_attempts_pkey task_runs_pkey", pages=3_000
    )


def test_a_report_looks_at_one_attempt(watcher: Watcher) -> None:
    _, (item,) = claim(watcher, 1)
    items = json.dumps([item | {"percent": 5, "logs": [{"line": "a"}, {"line": "b"}]}])
    work = watcher.see("runner", "select worker.report(%s)", [items])

    looked_only_at(work, {"live_attempts": 3, "task_runs": 2, "runs": 2}, "live_attempts_pkey", pages=2_000)


def test_a_settle_looks_at_what_it_ends(watcher: Watcher) -> None:
    _, claimed = claim(watcher, 20)
    items = json.dumps([it | {"outcome": {"state": "SUCCEEDED"}} for it in claimed])
    work = watcher.see("runner", "select worker.settle_attempts(%s, %s)", [INSTANCE, items])

    assert all(it["settled"] for it in work.answer[0])
    looked_only_at(
        work,
        {"live_attempts": 40, "task_runs": 60, "runs": 80},
        "live_attempts_pkey task_runs_pkey runs_pkey slots_pkey",
        pages=3_000,
    )


def test_a_retry_looks_at_what_it_retries(watcher: Watcher) -> None:
    _, claimed = claim(watcher, 5)
    items = json.dumps([it | {"outcome": {"state": "FAILED", "retryable": True}} for it in claimed])
    work = watcher.see("runner", "select worker.settle_attempts(%s, %s)", [INSTANCE, items])

    assert [it["run_state"] for it in work.answer[0]] == ["RUNNING"] * 5
    looked_only_at(
        work, {"live_attempts": 10, "task_runs": 20, "runs": 10}, "live_attempts_pkey", pages=2_000
    )


def test_a_tick_looks_at_the_leases_that_ran_out(watcher: Watcher, crowded: Doors) -> None:
    _, claimed = claim(watcher, 10)
    crowded.set(
        "update queue.live_attempts set lease_expires_at = clock_timestamp() - interval '1 second'"
        " where id = any (%s)",
        [[it["attempt_id"] for it in claimed]],
    )
    work = watcher.see("runner", "select worker.tick(%s)", [INSTANCE])

    assert work.answer[0]["reaped"] == 10
    assert {it.index for it in work.scans if it.table == "live_attempts"} >= {"live_attempts_leased"}
    # how many wait is counted to a thousand, in whatever order they lie
    assert work.rows("live_attempts") <= 1_500
    assert work.rows("task_runs") <= 20
    # artifacts are kept, so there are more of them every day: they are the tidying's business
    assert "versions" not in {it.table for it in work.scans}
    assert work.pages <= 2_000


def test_a_claim_of_deliveries_looks_at_what_it_takes(watcher: Watcher) -> None:
    work = watcher.see("runner", "select worker.claim_deliveries(%s, 20)", [INSTANCE])
    claimed = work.answer
    items = [
        {**{name: it[name] for name in ("tenant_id", "delivery_id", "lease")}, "result": "delivered"}
        for it in claimed
    ]
    settled = watcher.see("runner", "select worker.settle_deliveries(%s)", [json.dumps(items)])

    assert len(claimed) == 20
    # a thousand endpoints wait: one step through the index for each, however much waits for it
    looked_only_at(
        work,
        {"deliveries": 1_200, "events": 20, "runs": 20},  # of each the run, for its trace
        "deliveries_due deliveries_under_way events_pkey runs_pkey",
        pages=20_000,
    )
    looked_only_at(settled, {"deliveries": 60}, "deliveries_pkey", pages=2_000)


def test_a_known_idempotency_key_is_looked_up_once(watcher: Watcher, crowded: Doors, crowd: Crowd) -> None:
    run = crowd.first_queued + 100
    body = json.dumps(SUBMISSION | {"idempotency_key": f"key {run}"})
    work = watcher.see("operator", "select public.run_job(%s)", [body], claims=claims_of(crowded, run))

    assert work.answer[0]["run_id"] == run
    looked_only_at(work, {"runs": 1}, "runs_are_idempotent", pages=2_000)


def test_a_submission_looks_at_nothing_that_grows(watcher: Watcher, crowded: Doors, crowd: Crowd) -> None:
    claims = claims_of(crowded, crowd.first_queued)
    work = watcher.see("operator", "select public.run_job(%s)", [json.dumps(SUBMISSION)], claims=claims)

    # the rows that its own foreign keys point to
    looked_only_at(work, {"runs": 1, "task_runs": 2}, "members_by_user", pages=2_000)


@pytest.mark.parametrize("deep", [False, True])
def test_a_page_of_runs_costs_the_same_at_any_depth(
    watcher: Watcher, crowded: Doors, crowd: Crowd, deep: bool
) -> None:
    claims = claims_of(crowded, crowd.first_queued)
    body = {"limit": 20} | ({"cursor": str(crowd.past // 2)} if deep else {})
    work = watcher.see("operator", "select public.list_runs(%s)", [json.dumps(body)], claims=claims)

    assert len(work.answer[0]["items"]) == 20
    looked_only_at(
        work, {"runs": 20, "task_runs": 20}, "runs_pkey task_runs_run_id_tenant_id_task_key_key", pages=2_000
    )


def test_a_page_of_a_long_log_looks_at_its_lines(watcher: Watcher, crowded: Doors, crowd: Crowd) -> None:
    body = json.dumps({"run_id": LOGGED, "after": crowd.lines // 2, "limit": 100})
    work = watcher.see("operator", "select public.run_logs(%s)", [body], claims=claims_of(crowded, LOGGED))

    assert [it["seq"] - crowd.lines // 2 for it in work.answer[0]["items"]] == [*range(1, 101)]
    looked_only_at(work, {"logs": 100, "runs": 1, "task_runs": 101}, "logs_pkey", pages=2_000)


def test_the_events_of_a_run_are_looked_up_by_their_numbers(watcher: Watcher, crowded: Doors) -> None:
    body = json.dumps({"run_id": LOGGED})
    work = watcher.see("operator", "select public.run_events(%s)", [body], claims=claims_of(crowded, LOGGED))

    looked_only_at(work, {"events": 1, "runs": 1}, "events_run_id_tenant_id_seq_key", pages=2_000)


def test_a_run_is_read_by_what_belongs_to_it(watcher: Watcher, crowded: Doors) -> None:
    body = json.dumps({"run_id": LOGGED})
    work = watcher.see("operator", "select public.get_run(%s)", [body], claims=claims_of(crowded, LOGGED))

    looked_only_at(
        work,
        {"runs": 2, "task_runs": 8, "past_attempts": 2, "live_attempts": 2, "payloads": 2},
        "runs_pkey task_runs_run_id_tenant_id_task_key_key",
        pages=2_000,
    )


def test_a_cancel_looks_at_one_run(
    watcher: Watcher, crowded: Doors, crowd: Crowd, request: pytest.FixtureRequest
) -> None:
    # of the newest: claims begin with the oldest of whichever tenants come first
    run = crowd.past + crowd.queued - ("generic" in request.node.name)
    body = json.dumps({"run_id": run})
    work = watcher.see("operator", "select public.cancel_run(%s)", [body], claims=claims_of(crowded, run))

    assert work.answer[0]["state"] == "CANCELED"
    looked_only_at(
        # most of the pages are the catalog's, of the tables and indexes that it writes to; a scan of the runs has 5,000
        work,
        {"live_attempts": 10, "task_runs": 20, "runs": 20},
        "live_attempts_of_run runs_pkey",
        pages=2_500,
    )


@pytest.mark.parametrize("vacuumed", [False, True])
def test_plans_made_while_all_was_empty_still_serve(database: Database, doors: Doors, vacuumed: bool) -> None:
    """The sessions of a runner are older than the first crowd; there are no statistics yet, or those of an idle night."""
    tenant = database.add_tenant("acme")
    if vacuumed:
        doors.set("vacuum analyze")
    doors.register(INSTANCE, OFFERS)
    with Watcher(database) as watcher:
        for _ in range(7):  # from the sixth call on a plan may be kept
            doors.call(tenant, "run_job", SUBMISSION)
            _, claimed = claim(watcher, 50)
            renew_and_settle(watcher, claimed)
        gather(doors, Crowd(tenants=100, past=10_000, queued=10_000, lines=100), analyzed=False)
        claiming, claimed = claim(watcher, 50)
        renewing, settling = renew_and_settle(watcher, claimed)

    assert len(claimed) == 50
    looked_only_at(
        claiming, {"live_attempts": 250, "task_runs": 150, "runs": 100, "payloads": 50}, "", pages=9_000
    )
    looked_only_at(renewing, {"live_attempts": 150, "task_runs": 50}, "", pages=3_000)
    looked_only_at(settling, {"live_attempts": 100, "task_runs": 150, "runs": 200}, "", pages=9_000)


def renew_and_settle(watcher: Watcher, claimed: list[dict[str, Any]]) -> tuple[Work, Work]:
    renewal = json.dumps([it | {"percent": 5} for it in claimed])
    outcome = json.dumps([it | {"outcome": {"state": "SUCCEEDED"}} for it in claimed])
    return (
        watcher.see("runner", "select worker.renew_leases(%s, %s)", [INSTANCE, renewal]),
        watcher.see("runner", "select worker.settle_attempts(%s, %s)", [INSTANCE, outcome]),
    )


def test_a_step_of_a_graph_looks_at_what_it_moves(database: Database, doors: Doors) -> None:
    """Of 1,000 tasks in a row, and of sessions that met the tables empty: three rows of tasks a step."""
    tenant = database.add_tenant("acme")
    doors.register(INSTANCE, OFFERS)
    tasks = [
        SUBMISSION | {"task_key": f"t{n}", "depends_on": [f"t{n - 1}"] if n else []} for n in range(1_000)
    ]
    with Watcher(database) as watcher:
        doors.call(tenant, "run_job", {"tasks": tasks})
        for _ in range(3):
            _, claimed = claim(watcher, 1)
            items = json.dumps([it | {"outcome": {"state": "SUCCEEDED"}} for it in claimed])
            work = watcher.see("runner", "select worker.settle_attempts(%s, %s)", [INSTANCE, items])

        assert [it["run_state"] for it in work.answer[0]] == ["RUNNING"]
        assert work.rows("task_runs") <= 12
        assert work.pages <= 400
