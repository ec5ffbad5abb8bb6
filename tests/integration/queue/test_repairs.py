"""Of many who repair a run at once one does; the run ends once for each time it was repaired."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors, Refused
from tests.integration.queue.crowd import INSTANCE, OFFERS

AT_ONCE = 8
TASK = {
    "job_type": "spark_etl",
    "spec": "Nothing to do.",
    "code": {"files": {"job.py": "pass"}},
    "max_retries": 0,
}


def fail_all(doors: Doors) -> int:
    claimed = doors.claim(INSTANCE, OFFERS, 100)
    outcome = {"state": "FAILED", "termination_code": "USER_CODE_FAILED"}
    held = [{"attempt_id": it["attempt_id"], "lease": it["lease"], "outcome": outcome} for it in claimed]
    assert all(it["settled"] for it in doors.settle(INSTANCE, held))
    return len(held)


def repair(
    database: Database, tenant: Tenant, run_id: int, latest: int | None, ready: threading.Barrier
) -> str:
    with Doors(database) as doors:
        ready.wait(timeout=60)
        try:
            body = {"run_id": run_id} | ({"latest_repair_id": latest} if latest else {})
            return str(doors.call(tenant, "repair_run", body)["repair_id"])
        except Refused as error:
            return error.code


def test_of_eight_who_repair_at_once_one_does(database: Database, doors: Doors) -> None:
    tenant = database.add_tenant("acme")
    doors.register(INSTANCE, OFFERS)
    run_id = doors.call(tenant, "run_job", TASK)["run_id"]
    assert fail_all(doors) == 1
    latest = None
    for _ in range(3):
        ready = threading.Barrier(AT_ONCE)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            racers = [pool.submit(repair, database, tenant, run_id, latest, ready) for _ in range(AT_ONCE)]
            said = [it.result() for it in racers]
        done = [it for it in said if it != "REPAIR_CONFLICT"]

        assert len(done) == 1
        latest = int(done[0])
        # one attempt, not eight
        assert fail_all(doors) == 1
        assert fail_all(doors) == 0

    run = doors.call(tenant, "get_run", {"run_id": run_id})
    assert (run["state"], run["repair_count"], len(run["repair_history"])) == ("FAILED", 3, 3)
    assert [it["number"] for it in run["tasks"][0]["attempts"]] == [1, 2, 3, 4]
    assert doors.ask("select array_agg(repair order by seq) from callback.events") == [0, 1, 2, 3]
    assert doors.ask("select max(running) from queue.slots") == 0


def test_a_late_outcome_of_before_a_repair_changes_nothing(database: Database, doors: Doors) -> None:
    """The lease of an attempt that was lost for good does not fit what the repair made of its task."""
    tenant = database.add_tenant("acme")
    doors.register(INSTANCE, OFFERS)
    doors.set("update queue.settings set max_lost = 0")
    run_id = doors.call(tenant, "run_job", TASK)["run_id"]
    (old,) = doors.claim(INSTANCE, OFFERS, 1)
    doors.set("update queue.live_attempts set lease_expires_at = clock_timestamp() - interval '1 second'")
    doors.tick(INSTANCE)
    doors.call(tenant, "repair_run", {"run_id": run_id})
    (new,) = doors.claim(INSTANCE, OFFERS, 1)
    stale = {"attempt_id": old["attempt_id"], "lease": old["lease"], "outcome": {"state": "SUCCEEDED"}}
    (said,) = doors.settle(INSTANCE, [stale])

    assert (said["settled"], new["number"]) == (False, 2)
    assert doors.call(tenant, "get_run", {"run_id": run_id})["state"] == "RUNNING"
