"""Applies that meet each other, people and the clock: one after the other, each of them whole, and nobody waits in a ring."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors, Refused

WORK = {"task_key": "t", "job_type": "spark_etl", "spec": "Nothing.", "code": {"files": {"job.py": "pass"}}}
#: What a source's files hold, by turns; `trunk` starts `leaf`, and the clock starts both.
NAMES = ("leaf", "trunk", "branch", "twig", "bark")
#: Each job that bears the source, and which apply it is of. One statement: what is seen is one moment's.
SEEN = """
select coalesce(jsonb_object_agg(j.name, w.definition #>> '{tags,generation}'), '{}')
from job.jobs j join job.versions w on w.tenant_id = j.tenant_id and w.job_id = j.id and w.version = j.current_version
where j.deleted_at is null and w.definition #>> '{tags,control-room/source}' = 'files'
"""
#: Two that come at once are both answered: by what they wanted, or by one of these.
ANSWERS = {"JOB_NAME_TAKEN", "JOB_NOT_FOUND", "JOB_OWNED", "JOB_IN_USE", "JOB_HAS_NO_CLOCK"}


def definition(name: str, generation: str) -> dict[str, Any]:
    tasks: list[Any] = [WORK]
    if name == "trunk":
        tasks = [WORK, {"task_key": "leaf", "run_job": {"job": "leaf"}, "depends_on": ["t"]}]
    clock = {"schedule": {"cron": "0 5 * * *", "missed": "once"}} if name in ("leaf", "trunk") else {}
    return {
        "name": name,
        "tasks": tasks,
        "tags": {"generation": generation},
        "max_concurrent_runs": 3,
        **clock,
    }


PATIENCE = 60.0
Move = Callable[[Doors, "Field", random.Random], None]


@dataclass
class Field:
    """Where they meet."""

    database: Database
    tenant: Tenant
    moves: list[Move]
    until: float
    said: Counter[str] = field(default_factory=Counter)
    rings: list[str] = field(default_factory=list)
    halves: list[dict[str, str]] = field(default_factory=list)
    wanted: dict[str, set[str]] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """The time is, and everybody has had his say a few times, however busy the machine is."""
        now = time.monotonic()
        everybody = min(self.said[move.__name__] for move in self.moves) > 3
        return now > self.until + PATIENCE or (now > self.until and everybody)


def apply(doors: Doors, place: Field, chance: random.Random) -> None:
    """The files of this moment, all of them, in any order."""
    names = ["leaf", "trunk", *chance.sample(NAMES[2:], chance.randrange(4))]
    chance.shuffle(names)
    generation = f"{chance.random()}"
    place.wanted[generation] = {*names}
    jobs = [definition(name, generation) for name in names]
    doors.call(place.tenant, "apply_jobs", {"jobs": jobs, "source": "files", "prune": True, "adopt": True})


def foretell(doors: Doors, place: Field, chance: random.Random) -> None:
    jobs = [definition(name, "never") for name in chance.sample(NAMES, 5)]
    doors.call(
        place.tenant,
        "apply_jobs",
        {"jobs": jobs, "source": "files", "prune": True, "adopt": True, "dry_run": True},
    )


def meddle(doors: Doors, place: Field, chance: random.Random) -> None:
    """By hand: a job of a name that files may bring, or one thing at one job of theirs."""
    name = chance.choice(NAMES[2:])
    match chance.randrange(3):
        case 0:
            doors.call(place.tenant, "create_job", definition(name, "by hand"))
            own = doors.call(place.tenant, "create_job", definition(f"own {chance.random()}", "by hand"))
            doors.call(place.tenant, "delete_job", {"job_id": own["job_id"]})
        case 1:
            job_id = one_of(doors, chance)
            doors.call(place.tenant, "update_job", {"job_id": job_id, "priority": chance.randrange(5)})
        case _:
            job_id = one_of(doors, chance)
            doors.call(place.tenant, chance.choice(["pause_job", "resume_job"]), {"job_id": job_id})


def run(doors: Doors, place: Field, chance: random.Random) -> None:
    if doors.ask("select count(*) from queue.runs where finished_at is null") > 30:
        time.sleep(0.01)
        return
    doors.call(place.tenant, "run_job", {"job_id": one_of(doors, chance)})


def fire(doors: Doors, place: Field, chance: random.Random) -> None:
    doors.set(
        "update schedule.triggers set next_fire_at = now() where job_id in (select job_id from schedule.triggers for update skip locked)"
    )
    doors.runner.execute("select worker.fire(20)")
    time.sleep(0.01)


def look(doors: Doors, place: Field, chance: random.Random) -> None:
    seen = doors.ask(SEEN)
    if len({*seen.values()}) > 1 or (seen and {*seen} != place.wanted[next(iter(seen.values()))]):
        place.halves.append(seen)
    time.sleep(0.005)


def one_of(doors: Doors, chance: random.Random) -> int:
    found: int = doors.ask(
        "select coalesce((select id from job.jobs where deleted_at is null order by random() limit 1), 0)"
    )
    return found


def play(place: Field, move: Move, seed: int) -> None:
    chance = random.Random(seed)
    with Doors(place.database) as doors:
        while not place.over:
            try:
                move(doors, place, chance)
                place.said[move.__name__] += 1
            except Refused as refused:
                place.said[refused.code] += 1
            except psycopg.errors.DeadlockDetected as ring:
                place.rings.append(f"{ring.diag.message_detail}\n{ring.diag.context}")


@pytest.fixture
def doors(database: Database) -> Iterator[Doors]:
    with Doors(database) as opened:
        # a ring is found at once, so that there is time for the next
        opened.set(
            "do $$ begin execute 'alter database ' || quote_ident(current_database()) || ' set deadlock_timeout = 20'; end $$"
        )
        yield opened


def test_applies_that_meet_are_each_of_them_whole(database: Database, doors: Doors, is_long: bool) -> None:
    tenant = database.add_tenant("acme")
    moves: list[Move] = [apply, apply, foretell, meddle, meddle, run, fire, look]
    place = Field(database, tenant, moves, time.monotonic() + (60 if is_long else 2.5))
    with ThreadPoolExecutor(len(moves)) as pool:
        for done in [pool.submit(play, place, move, n) for n, move in enumerate(moves)]:
            done.result()

    assert place.rings == []
    assert place.halves == []
    assert {code for code in place.said if code.isupper()} <= ANSWERS
    assert min(place.said[move.__name__] for move in moves) > 3
    (names,) = {frozenset(place.wanted[g]) for g in doors.ask(SEEN).values()}
    assert {*doors.ask(SEEN)} == names
    versions = "select count(*) from job.versions group by tenant_id, job_id, version having count(*) > 1"
    assert doors.clock.execute(versions).fetchall() == []


def test_two_who_create_a_job_of_one_name_are_both_answered(database: Database, doors: Doors) -> None:
    tenant = database.add_tenant("acme")
    doors.set(
        "create function public.take_time() returns trigger language plpgsql as $$ begin perform pg_sleep(0.3); return null; end $$;"
    )
    doors.set(
        "create trigger take_time after insert on job.jobs for each row execute function public.take_time()"
    )

    def create(_: int) -> str:
        with Doors(database) as mine:
            try:
                mine.call(tenant, "create_job", definition("leaf", "by hand"))
            except Refused as refused:
                return refused.code
        return "made"

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(create, range(2)))

    assert said == ["JOB_NAME_TAKEN", "made"]
