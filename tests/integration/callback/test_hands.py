"""Many hands at the same endpoints: no deadlock, no bound broken, nothing missed by who catches up."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors, Refused
from tests.integration.callback.storm import EMIT

ENDPOINTS = 4
MOST = 3
URLS = [f"http://receiver-{n}.example/" for n in range(ENDPOINTS)]
# what waits hours waits nothing here, and endpoints are disabled at once when they fail
HURRIED = """
    update callback.settings set pauses = array_fill('1 millisecond'::interval, array[9]), breaker_failures = 3,
        breaker_pause = '1 millisecond', breaker_pause_most = '5 milliseconds', lease_seconds = 16,
        retry_after_least = '1 millisecond', retry_after_most = '2 milliseconds', disable_after = '300 milliseconds'
"""


class Hands:
    """Threads that do their part until told to stop; what they fear is kept."""

    def __init__(self, database: Database, seconds: float) -> None:
        self.database = database
        self.end = time.monotonic() + seconds
        self.errors: list[str] = []
        self.done: Counter[str] = Counter()
        self.threads: list[threading.Thread] = []

    def add(self, name: str, part: Callable[[Doors, random.Random], None]) -> None:
        def work() -> None:
            rng = random.Random(name)
            with Doors(self.database) as doors:
                while time.monotonic() < self.end:
                    try:
                        part(doors, rng)
                        self.done[name.split(maxsplit=1)[0]] += 1
                    except Refused as refused:
                        self.done[refused.code] += 1
                    except psycopg.Error as error:
                        self.errors.append(f"{name}: {error.sqlstate} {error}")

        self.threads.append(threading.Thread(target=work, name=name))

    def work(self) -> None:
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def tenant(database: Database) -> Tenant:
    made = database.add_tenant("hands")
    with Doors(database) as doors:
        doors.set(HURRIED)
        for number, url in enumerate(URLS):
            doors.call(
                made,
                "create_endpoint",
                {"url": url, "max_concurrency": MOST, "ordered": number == 0, "merge_progress": number == 1},
                role="admin",
            )
    return made


def claim(doors: Doors, instance: str, limit: int) -> list[dict[str, Any]]:
    rows = doors.runner.execute("select worker.claim_deliveries(%s, %s)", [instance, limit]).fetchall()
    return [row[0] for row in rows]


def settle(doors: Doors, claimed: list[dict[str, Any]], result: Callable[[], dict[str, Any]]) -> None:
    items = [{k: it[k] for k in ("tenant_id", "delivery_id", "lease")} | result() for it in claimed]
    doors.runner.execute("select worker.settle_deliveries(%s)", [json.dumps(items)])


def emit(doors: Doors, tenant: Tenant, url: str, count: int) -> list[int]:
    with doors.clock.transaction():
        row = doors.clock.execute(EMIT, {"tenant": tenant.tenant_id, "count": count, "url": url}).fetchone()
        assert row is not None
        runs: list[int] = row[0]
        doors.clock.execute(
            "select callback.announce(array_fill(%s::uuid, array[cardinality(%s::bigint[])]), %s::bigint[])",
            [tenant.tenant_id, runs, runs],
        )
    return runs


def test_nobody_waits_in_a_circle_and_no_bound_is_broken(
    database: Database, tenant: Tenant, is_long: bool
) -> None:
    hands = Hands(database, 60 if is_long else 6)
    seen: list[int] = []
    read: list[str] = []
    cursor = ["0.0"]

    def send(doors: Doors, rng: random.Random) -> None:
        claimed = claim(doors, str(uuid.uuid4()), rng.randint(1, 12))
        rng.shuffle(claimed)
        if claimed:
            settle(doors, claimed, lambda: rng.choices(
                [{"result": "delivered"}, {"result": "failed", "status": 500},
                 {"result": "failed", "status": 429, "retry_after_seconds": 1}, {"result": "gone", "status": 410}],
                [70, 20, 8, 2])[0])  # fmt: skip

    def endpoint(doors: Doors, url: str) -> str:
        return str(doors.call(tenant, "get_endpoint", {"url": url}, role="admin")["endpoint_id"])

    def govern(doors: Doors, rng: random.Random) -> None:
        it = endpoint(doors, rng.choice(URLS))
        doors.call(
            tenant, "update_endpoint", {"endpoint_id": it, "enabled": rng.random() < 0.9}, role="admin"
        )
        if rng.random() < 0.2:
            doors.call(tenant, "rotate_endpoint", {"endpoint_id": it}, role="admin")

    def again(doors: Doors, rng: random.Random) -> None:
        doors.call(tenant, "replay_deliveries", {"missing": True} if rng.random() < 0.5 else {})
        rows = doors.call(tenant, "list_deliveries", {"limit": 50})["items"]
        if rows:  # in the first moments nothing was sent yet
            doors.call(tenant, "redeliver_delivery", {"delivery_id": rng.choice(rows)["delivery_id"]})

    def clock(doors: Doors, rng: random.Random) -> None:
        doors.set(
            "update callback.deliveries set lease_expires_at = now() where id in (select id from callback.deliveries where state = 'RUNNING' limit 1 for update skip locked)"
        )
        doors.tick(str(uuid.uuid4()))
        time.sleep(0.02)

    def watch(doors: Doors, rng: random.Random) -> None:
        seen.append(
            doors.ask(
                "select coalesce(max(n), 0) from (select count(*) as n from callback.deliveries where state = 'RUNNING' group by endpoint_id) x"
            )
        )
        time.sleep(0.003)

    def catch_up(doors: Doors, rng: random.Random) -> None:
        page = doors.call(tenant, "list_events", {"after": cursor[0], "limit": 20}, role="viewer")
        read.extend(item["event_id"] for item in page["items"])
        cursor[0] = page["next"]

    for number in range(3):
        hands.add(f"send {number}", send)
    for number in range(2):
        hands.add(
            f"emit {number}",
            lambda doors, rng: emit(doors, tenant, rng.choice(URLS), rng.randint(1, 4)) and None,
        )
    hands.add("govern", govern)
    hands.add("again", again)
    hands.add("clock", clock)
    hands.add("watch", watch)
    hands.add("catch-up", catch_up)
    hands.work()

    assert hands.errors == []
    assert min(hands.done[part] for part in ("send", "emit", "govern", "again", "clock", "catch-up")) > 0
    assert 0 < max(seen) <= MOST

    # and when the hands rest, all of it ends
    with Doors(database) as doors:
        doors.set(
            "update callback.deliveries set lease_expires_at = clock_timestamp() where state = 'RUNNING'"
        )
        doors.set("update callback.endpoints set max_concurrency = 100")  # the bound has been seen to hold
        for _ in range(10_000):
            doors.tick(str(uuid.uuid4()))
            doors.set(
                "update callback.endpoints set open_until = null, openings = 0 where openings > 0 or open_until is not null"
            )
            doors.set(
                "update callback.deliveries set next_at = clock_timestamp() where state = 'PENDING' and next_at > clock_timestamp()"
            )
            claimed = claim(doors, str(uuid.uuid4()), 200)
            if not claimed:
                break
            settle(doors, claimed, lambda: {"result": "delivered"})
        assert doors.ask("select count(*) from callback.deliveries where finished_at is null") == 0
        while (page := doors.call(tenant, "list_events", {"after": cursor[0]}, role="viewer"))["items"]:
            read.extend(item["event_id"] for item in page["items"])
            cursor[0] = page["next"]
        everything = doors.ask("select array_agg(id) from callback.events")

    assert len(read) == len(set(read))
    assert set(read) == set(everything)


def test_an_event_that_commits_late_is_not_missed(database: Database, tenant: Tenant) -> None:
    with Doors(database) as early, Doors(database) as late:
        with late.clock.transaction():
            slow = emit(late, tenant, URLS[0], 1)  # a savepoint of the open transaction
            fast = emit(early, tenant, URLS[0], 1)
            page = early.call(tenant, "list_events", {}, role="viewer")
            meanwhile = [item["run_id"] for item in page["items"]]
        after = early.call(tenant, "list_events", {"after": page["next"]}, role="viewer")

    assert meanwhile == []
    assert [item["run_id"] for item in after["items"]] == [*slow, *fast]


def test_of_an_ordered_endpoint_each_run_is_told_in_order(database: Database, tenant: Tenant) -> None:
    """Two senders, failures and lost senders; what the receiver takes of a run is in the order of its events."""
    told: dict[int, list[int]] = {}
    with Doors(database) as doors:
        doors.set("update callback.settings set disable_after = '1 day'")
        runs = [
            doors.call(tenant, "run_job", {"job_type": "spark_etl", "spec": "Tell how far it is.", "code": {"files": {"job.py": "1"}},
                                           "callbacks": {"on_progress": URLS[0]}})["run_id"]
            for _ in range(5)
        ]  # fmt: skip
        instance = str(uuid.uuid4())
        doors.register(instance, ["spark_etl/duckdb"])
        attempts = doors.claim(instance, ["spark_etl/duckdb"], 5)
        for percent in range(1, 21):
            doors.report(
                [{"attempt_id": a["attempt_id"], "lease": a["lease"], "percent": percent} for a in attempts]
            )
        rng = random.Random(1)
        for _ in range(3000):
            doors.set("update callback.endpoints set open_until = null, openings = 0")
            claimed = claim(doors, str(uuid.uuid4()), 3)
            for it in claimed:
                body = json.loads(it["body"])["data"]
                lost = rng.random() < 0.05
                ok = rng.random() < 0.7
                if ok:  # the receiver took it, whether or not the sender lives to say so
                    told.setdefault(body["run_id"], []).append(body["seq"])
                if lost:
                    doors.set(
                        "update callback.deliveries set lease_expires_at = clock_timestamp() where id = %s",
                        [it["delivery_id"]],
                    )
                    doors.tick(instance)
                else:
                    settle(doors, [it], lambda ok=ok: {"result": "delivered" if ok else "failed"})
            if doors.ask("select count(*) from callback.deliveries where finished_at is null") == 0:
                break

    assert sorted(told) == sorted(runs)
    for seqs in told.values():
        assert seqs == sorted(seqs)  # twice is allowed, back is not
        assert set(seqs) == set(range(1, 21))
