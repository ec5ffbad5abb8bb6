"""No more runs of a job are under way than it allows, while many submit, settle and cancel at once."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors, Refused
from tests.integration.queue.crowd import OFFERS

SUBMITTERS = 4
RUNNERS = 4
RUNS = 60  # of each submitter
PLACES = 3
TASK = {"job_type": "spark_etl", "spec": "Nothing to do.", "code": {"files": {"job.py": "pass"}}}

# each moment at which a run began or was let in: how many of its job were under way then
WATCH_THE_LANE = """
create table public.excess (job_id bigint, under_way bigint);
grant insert on public.excess to public;
create function public.note_excess() returns trigger language plpgsql security definer as $$
begin
    if new.finished_at is null and new.waits_since is null then
        insert into public.excess
        select new.job_id, count(*) from queue.runs r
        where r.job_id = new.job_id and r.finished_at is null and r.waits_since is null
        group by r.job_id having count(*) > (select l.max_runs from queue.lanes l where l.job_id = new.job_id);
    end if;
    return null;
end
$$;
create constraint trigger note_excess after insert or update on queue.runs
deferrable initially deferred for each row execute function public.note_excess();
"""


def job(doors: Doors, tenant: Tenant, name: str, places: int) -> int:
    definition = {"name": name, "tasks": [TASK], "max_concurrent_runs": places}
    made: int = doors.call(tenant, "create_job", definition)["job_id"]
    return made


def submit(database: Database, tenant: Tenant, jobs: list[int]) -> list[int]:
    """Every tenth is asked to stop as soon as it is there."""
    made = []
    with Doors(database) as doors:
        for n, job_id in zip(range(RUNS), itertools.cycle(jobs), strict=False):
            made.append(doors.call(tenant, "run_job", {"job_id": job_id})["run_id"])
            if n % 10 == 0:
                with suppress(Refused):  # it may have ended already
                    doors.call(tenant, "cancel_run", {"run_id": made[-1]})
    return made


def carry_out(database: Database, instance: str, done: threading.Event) -> None:
    with Doors(database) as doors:
        while not done.is_set():
            claimed = doors.claim(instance, OFFERS, 4)
            for it in claimed:
                state = {"state": "FAILED", "termination_code": "USER_CODE_FAILED"}
                outcome = state if it["run_id"] % 7 == 0 else {"state": "SUCCEEDED"}
                doors.settle(
                    instance, [{"attempt_id": it["attempt_id"], "lease": it["lease"], "outcome": outcome}]
                )
            if not claimed:
                done.wait(0.01)


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_lane_holds_what_it_may_and_loses_nobody(database: Database, doors: Doors, lanes: int) -> None:
    tenant = database.add_tenant("acme")
    jobs = [job(doors, tenant, f"lane {n}", PLACES) for n in range(lanes)]
    doors.platform("platform_set_limits", {"tenant": "acme", "max_running": 100})
    doors.set(WATCH_THE_LANE)
    instances = [f"00000000-0000-4000-8000-{n:012}" for n in range(RUNNERS)]
    for instance in instances:
        doors.register(instance, OFFERS)
    done = threading.Event()
    with ThreadPoolExecutor(SUBMITTERS + RUNNERS) as pool:
        workers = [pool.submit(carry_out, database, it, done) for it in instances]
        try:
            people = [pool.submit(submit, database, tenant, jobs) for _ in range(SUBMITTERS)]
            made = [run for it in people for run in it.result(timeout=120)]
            for _ in range(2_000):
                if doors.ask("select count(*) from queue.runs where finished_at is null") == 0:
                    break
                threading.Event().wait(0.01)
        finally:
            done.set()
        for worker in workers:
            worker.result()

    assert len(set(made)) == SUBMITTERS * RUNS
    assert doors.ask("select count(*) from public.excess") == 0
    # nobody was left to the tick, and each ended once
    assert doors.ask("select count(*) from queue.runs where finished_at is null") == 0
    assert doors.ask("select count(*) from callback.events") == len(made)
    waited = "select count(*) from queue.runs where started_at > created_at + interval '10 ms'"
    assert doors.ask(waited) > 0
