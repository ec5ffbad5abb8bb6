"""Verbs that meet wait for each other in one order: Postgres never has to break a ring.

Jobs that start jobs, each in a lane, of two tenants; people who submit, cancel and repair, runners who claim, renew,
report, settle in batches, give back and tick, all at once over the same few runs. What is counted is what Postgres
counts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors, Item, Refused
from tests.integration.queue.crowd import OFFERS

WORK: Item = {
    "job_type": "spark_etl",
    "spec": "Nothing to do.",
    "code": {"files": {"job.py": "pass"}},
    "max_retries": 1,
}
ENOUGH = 30  # runs under way, of a tenant; more would only wait


@dataclass
class Field:
    """Where they meet: the tenants with their jobs, and the runs of which they speak."""

    database: Database
    jobs: dict[Tenant, list[int]]  # those that start others
    runs: list[tuple[Tenant, int]] = field(default_factory=list)
    rings: list[str] = field(default_factory=list)
    until: float = 0.0

    @property
    def tenants(self) -> list[Tenant]:
        return [*self.jobs]

    def pick(self, chance: random.Random) -> tuple[Tenant, int] | None:
        """One of the latest, which is where others are as well."""
        return chance.choice(self.runs[-12:]) if self.runs else None


def lay_out(database: Database, doors: Doors) -> Field:
    """Two leaves in lanes of two places; trunks that start both, in either order, in lanes as well."""
    jobs = {}
    for tenant in (database.add_tenant("north"), database.add_tenant("south")):

        def job(name: str, tasks: list[Item], places: int, whose: Tenant = tenant) -> int:
            definition = {"name": name, "tasks": tasks, "max_concurrent_runs": places}
            made: int = doors.call(whose, "create_job", definition)["job_id"]
            return made

        def starts(key: str, job_id: int, *after: str) -> Item:
            return {
                "task_key": key,
                "run_job": {"job_id": job_id},
                "depends_on": [*after],
                "run_if": "ALL_DONE",
            }

        first = WORK | {"task_key": "first"}
        one = job("leaf one", [first, WORK | {"task_key": "second"}], 2)
        two = job("leaf two", [first], 2)
        branch = job("branch", [first, starts("two", two, "first"), starts("one", one, "first")], 3)
        jobs[tenant] = [
            job("trunk one", [first, starts("one", one, "first"), starts("branch", branch, "first")], 4),
            job("trunk two", [first, WORK | {"task_key": "beside"}, starts("two", two, "first"), starts("one", one, "beside")], 4),
            job("trunk three", [starts("branch", branch), starts("one", one)], 4),
        ]  # fmt: skip
    doors.set("update tenancy.limits set max_running = 40")
    # a ring is found at once, so that there is time for the next
    doors.set(
        "do $$ begin execute 'alter database ' || quote_ident(current_database()) || ' set deadlock_timeout = 20'; end $$"
    )
    return Field(database, jobs)


def submit(doors: Doors, place: Field, tenant: Tenant, chance: random.Random) -> None:
    under_way = "select count(*) from queue.runs where tenant_id = %s and finished_at is null"
    if doors.ask(under_way, [tenant.tenant_id]) > ENOUGH:
        time.sleep(0.01)
        return
    jobs = chance.choices(place.jobs[tenant], k=3)
    body = [{"job_id": it, "idempotency_key": f"key {chance.randrange(10_000)}"} for it in jobs]
    made = [it["run_id"] for it in doors.call(tenant, "submit_runs", body)]
    place.runs.extend((tenant, it) for it in made)
    if chance.random() < 0.5:
        doors.call(tenant, "cancel_run", {"run_id": chance.choice(made)})


def meddle(doors: Doors, place: Field, _: Tenant, chance: random.Random) -> None:
    """Cancels or repairs a run, at the top or one that was started by it."""
    time.sleep(0.005)
    if (picked := place.pick(chance)) is None:
        return
    tenant, run = picked
    if chance.random() < 0.5:
        run = doors.ask(
            "select coalesce(max(id), %(run)s) from queue.runs where root_run_id = %(run)s", {"run": run}
        )
    if chance.random() < 0.6:
        doors.call(tenant, "cancel_run", {"run_id": run})
    else:
        latest = doors.ask("select max(id) from queue.repairs where run_id = %s", [run])
        doors.call(tenant, "repair_run", {"run_id": run} | ({"latest_repair_id": latest} if latest else {}))


@dataclass
class Runner:
    """Holds what it claimed for a while, and does a bit of everything with it, twice at a time as a runner does."""

    instance: str
    held: list[Item] = field(default_factory=list)

    def work(self, doors: Doors, _: Field, __: Tenant, chance: random.Random) -> None:
        self.held.extend(doors.claim(self.instance, OFFERS, 10))
        chance.shuffle(self.held)
        some = self.held[: chance.randrange(1, 8)]
        keys = [{"attempt_id": it["attempt_id"], "lease": it["lease"]} for it in some]
        if not keys:
            time.sleep(0.002)
            return
        if chance.random() < 0.2:
            doors.release(self.instance, keys)
        else:
            states = ["SUCCEEDED", "SUCCEEDED", "FAILED", "CANCELED"]
            doors.settle(
                self.instance,
                [
                    it | {"outcome": {"state": chance.choice(states), "retryable": True, "retry_after_ms": 0}}
                    for it in keys
                ],
            )
        del self.held[: len(some)]

    def attend(self, doors: Doors, _: Field, __: Tenant, chance: random.Random) -> None:
        held = [*self.held]
        chance.shuffle(held)
        keys = [{"attempt_id": it["attempt_id"], "lease": it["lease"]} for it in held]
        match chance.randrange(4):
            case 0 if keys:
                doors.renew(self.instance, [it | {"percent": chance.randrange(100)} for it in keys])
            case 1 if keys:
                doors.report(
                    [it | {"percent": chance.randrange(100), "logs": [{"line": "a"}]} for it in keys]
                )
            case 2:
                # as if time had passed: the oldest leases run out
                doors.set(
                    "update queue.live_attempts set lease_expires_at = clock_timestamp() where id in (select id from queue.live_attempts where state = 'RUNNING' order by id limit 2 for update skip locked)"
                )
                doors.tick(self.instance)
            case _:
                doors.tick(self.instance)


Move = Callable[[Doors, Field, Tenant, random.Random], None]


def play(place: Field, move: Move, tenant: Tenant, seed: int) -> int:
    chance = random.Random(seed)
    moves = 0
    with Doors(place.database) as doors:
        while time.monotonic() < place.until:
            moves += 1
            try:
                with suppress(Refused):
                    move(doors, place, tenant, chance)
            except psycopg.errors.DeadlockDetected as ring:
                place.rings.append(f"{ring.diag.message_detail}\n{ring.diag.context}")
    return moves


def finish(doors: Doors, runners: list[Runner]) -> None:
    """What is left succeeds. The tick has no part in it: places are passed on by who ends a run."""
    for it in runners:
        doors.release(it.instance, [{"attempt_id": a["attempt_id"], "lease": a["lease"]} for a in it.held])
    # what the last tick took from a runner that we know no more of
    doors.set("update queue.live_attempts set lease_expires_at = clock_timestamp() where state = 'RUNNING'")
    doors.tick(runners[0].instance)
    instance = runners[0].instance
    while claimed := doors.claim(instance, OFFERS, 100):
        outcome = {"state": "SUCCEEDED"}
        doors.settle(
            instance,
            [{"attempt_id": it["attempt_id"], "lease": it["lease"], "outcome": outcome} for it in claimed],
        )


def test_verbs_that_meet_never_wait_in_a_ring(database: Database, doors: Doors, is_long: bool) -> None:
    place = lay_out(database, doors)
    runners = [Runner(f"00000000-0000-4000-8000-{n:012}") for n in range(3)]
    for it in runners:
        doors.register(it.instance, OFFERS)
    moves: list[Move] = [submit, meddle, submit, meddle]
    for runner in runners:
        moves += [runner.work, runner.attend]
    place.until = time.monotonic() + (120 if is_long else 6)
    with ThreadPoolExecutor(len(moves)) as pool:
        played = [pool.submit(play, place, it, place.tenants[n % 2], n) for n, it in enumerate(moves)]
        done = [it.result() for it in played]

    assert place.rings == []
    assert doors.ask("select deadlocks from pg_stat_database where datname = current_database()") == 0
    assert min(done) > 10
    assert (
        doors.ask(
            "select count(*) from queue.runs where parent_run_id is not null and finished_at is not null"
        )
        > 0
    )

    finish(doors, runners)

    assert doors.ask("select count(*) from queue.runs where finished_at is null") == 0
    assert doors.ask("select count(*) from queue.news") == 0
    assert doors.ask("select max(running) from queue.slots") == 0
    ends = "select sum(1 + repair_count) from queue.runs"
    assert doors.ask("select count(*) from callback.events where type <> 'run.progress'") == doors.ask(ends)
