"""The audit's chain under many hands, and at its size."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors

WRITERS = 6
MILLION_SECONDS = 20


@pytest.fixture
def doors(database: Database) -> Iterator[Doors]:
    with Doors(database) as opened:
        yield opened


@pytest.fixture
def tenant(database: Database) -> Tenant:
    return database.add_tenant("acme")


def _append(connection: psycopg.Connection, tenant: Tenant, what: str) -> None:
    """What a door does, without a door's work around it."""
    connection.execute("set local role app_system")
    connection.execute("select audit.append(%s, 'a.b', 'x', %s)", [tenant.tenant_id, what])


def _verified(doors: Doors, tenant: Tenant) -> tuple[bool, int]:
    """Whether the whole chain holds, page by page, and over how many entries."""
    since, entries = 0, 0
    while True:
        page = doors.call(tenant, "audit_verify", {"since": since}, role="admin")
        entries += page["entries"]
        if not page["ok"] or page["next"] is None:
            return page["ok"], entries
        since = page["next"]


def test_whatever_order_writers_commit_in_each_entry_is_sealed_once(
    database: Database, doors: Doors, tenant: Tenant
) -> None:
    done = threading.Event()

    def write(writer: int) -> None:
        with psycopg.connect(database.superuser) as connection:
            for turn in range(40):
                with connection.transaction(force_rollback=(turn % 7 == writer)):
                    _append(connection, tenant, f"{writer}/{turn}")
                    time.sleep(0.002 * ((turn + writer) % 4))  # ids are given long before some commit

    def seal() -> int:
        sealed = 0
        with psycopg.connect(database.runner, autocommit=True) as connection:
            while not done.is_set():
                [(count,)] = connection.execute("select worker.seal()")
                sealed += count
        return sealed

    with ThreadPoolExecutor(WRITERS + 3) as pool:
        sealers = [pool.submit(seal) for _ in range(3)]
        for writer in [pool.submit(write, number) for number in range(WRITERS)]:
            writer.result()
        done.set()
        sealed = sum(each.result() for each in sealers)
    [(rest,)] = doors.runner.execute("select worker.seal()")

    [(entries,)] = doors.clock.execute("select count(*) from audit.entries")
    [(twice,)] = doors.clock.execute(
        "select count(*) - count(distinct i) from audit.seals, unnest(entry_ids) i"
    )
    [(ours,)] = doors.clock.execute(
        "select count(*) from audit.entries where tenant_id = %s", [tenant.tenant_id]
    )
    assert (sealed + rest, twice) == (entries, 0)
    assert _verified(doors, tenant) == (True, ours)


def test_a_transaction_that_stays_open_holds_no_sealing_up(
    database: Database, doors: Doors, tenant: Tenant
) -> None:
    with psycopg.connect(database.superuser) as slow:
        _append(slow, tenant, "slow")
        with doors.clock.transaction():
            _append(doors.clock, tenant, "quick")
        doors.runner.execute("select worker.seal()")
        [(waiting,)] = doors.clock.execute("select count(*) from audit.unsealed")

        assert waiting == 0
        slow.commit()

    doors.runner.execute("select worker.seal()")
    [(last,)] = doors.clock.execute(
        "select e.object_id from audit.seals s join audit.entries e on e.id = any (s.entry_ids)"
        " order by s.sealed_at desc limit 1"
    )
    assert last == "slow"
    assert _verified(doors, tenant)[0]


def test_a_long_chain_is_verified_in_time(doors: Doors, tenant: Tenant, is_long: bool) -> None:
    """A million entries in 20 s of the server's work; every day a twentieth of it, in that share of the time."""
    entries = 1_000_000 if is_long else 50_000
    with doors.clock.transaction():
        doors.clock.execute(
            "with e as (insert into audit.entries (tenant_id, user_id, role, action, object_type, object_id,"
            " details, door, ip, user_agent, request_id) select %s, 'u' || n %% 100, 'operator', 'run.submit',"
            " 'run', n::text, jsonb_build_object('name', 'run ' || n, 'job_type', 'spark_etl'), 'edge',"
            " '203.0.113.9', 'control-room/0.1', gen_random_uuid()::text from generate_series(1, %s) n"
            " returning id, tenant_id) insert into audit.unsealed select * from e",
            [tenant.tenant_id, entries],
        )
    doors.clock.execute("analyze audit.entries")
    seals = 0
    while True:
        # seals as a busy day makes them
        with doors.clock.transaction():
            doors.clock.execute("set local role app_system")
            [(sealed,)] = doors.clock.execute("select audit.seal(1000)")
        if not sealed:
            break
        seals += 1

    began = _worked(doors)
    ok, verified = _verified(doors, tenant)
    seconds = _worked(doors) - began

    print(f"{verified} entries in {seals} seals verified in {seconds:.1f} s")
    assert ok
    assert verified >= entries
    assert seconds < MILLION_SECONDS * entries / 1_000_000


def _worked(doors: Doors) -> float:
    """Processor seconds of the people's session: what others do on this machine does not count."""
    stat = Path("/proc", str(doors.people.info.backend_pid), "stat").read_text()
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
