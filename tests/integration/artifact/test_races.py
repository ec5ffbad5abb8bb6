"""Many who register, judge, delete and sweep at once: the quota holds, the count is right, no content is lost."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors, Refused

MANY = 8


@pytest.fixture
def acme(tenant_factory: Callable[..., Tenant]) -> Tenant:
    return tenant_factory("acme")


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(acts)) as crowd:
        return [act.result() for act in [crowd.submit(act) for act in acts]]


def rows(database: Database, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.superuser, autocommit=True) as connection:
        cursor = connection.execute(query, values)
        return cursor.fetchall() if cursor.description else []


def test_who_register_at_once_count_each_other(database: Database, acme: Tenant) -> None:
    database.platform("platform_set_limits", {"tenant": "acme", "max_stored_bytes": 45})

    def register(n: int) -> str:
        with Doors(database) as doors:
            try:
                return str(
                    doors.call(acme, "create_artifact", {"name": f"a{n}", "kind": "data", "size": 10})[
                        "state"
                    ]
                )
            except Refused as refused:
                return refused.code

    told = at_once(*(lambda n=n: register(n) for n in range(MANY)))

    assert sorted(told) == ["ARTIFACT_QUOTA_EXCEEDED"] * 4 + ["PENDING"] * 4


def test_who_is_about_to_have_a_content_keeps_it(database: Database, acme: Tenant) -> None:
    """A registration by digest that has not committed yet is waited for by nobody, and nobody takes the bytes away."""
    digest = hashlib.sha256(b"x").hexdigest()
    with Doors(database) as doors:
        made = doors.call(
            acme, "create_artifact", {"name": "first", "kind": "data", "size": 1, "sha256": digest}
        )
        path = [acme.tenant_id, made["artifact_id"], digest]
        rows(database, "select artifact.judge(%s, %s, 1, 'READY', 1, %s, null)", *path)
        rows(
            database,
            "insert into storage.objects (bucket_id, name) select 'artifacts', path from artifact.contents",
        )
        doors.call(acme, "delete_artifact", {"artifact_id": made["artifact_id"]}, role="admin")
        rows(database, "update artifact.upkeep set deleted_grace = '0', every = '0'")
        with psycopg.connect(database.authenticator) as slow:
            slow.execute(
                "select set_config('request.jwt.claims', %s, true), set_config('role', 'operator', true)",
                [acme.claims("operator")],
            )
            form = {"name": "second", "kind": "data", "size": 1, "sha256": digest}
            told = slow.execute("select public.create_artifact(%s)", [Jsonb(form)]).fetchone()
            assert told is not None
            assert told[0]["state"] == "READY"
            with psycopg.connect(database.runner, autocommit=True) as runner:
                runner.execute("select worker.sweep_artifacts(100)")
            slow.commit()

    assert rows(database, "select gone_at, gone_reason from artifact.contents") == [(None, None)]


def test_whatever_meets_the_count_is_right_and_no_content_is_lost(database: Database, acme: Tenant) -> None:
    """Few digests, many names: registering, judging, moving aliases, deleting, letting go and walking meet all the time."""
    database.platform("platform_set_limits", {"tenant": "acme", "artifact_retention_days": 1})
    digests = [hashlib.sha256(bytes([n])).hexdigest() for n in range(4)]
    rows(database, "update artifact.upkeep set grace = '1 hour', deleted_grace = '0', every = '0'")

    def person(seed: int) -> None:
        chance = random.Random(seed)
        with Doors(database) as doors, psycopg.connect(database.runner, autocommit=True) as runner:
            for n in range(25):
                digest = chance.choice(digests)
                form = {"name": f"n{chance.randrange(6)}", "kind": "data", "size": 10}
                made = doors.call(acme, "create_artifact", form | ({"sha256": digest} if n % 2 else {}))
                if made["state"] == "PENDING":
                    doors.call(
                        acme,
                        "complete_artifact",
                        {"artifact_id": made["artifact_id"], "version": made["version"]},
                    )
                claimed = runner.execute(
                    "select c from worker.claim_uploads(gen_random_uuid(), 3) c"
                ).fetchall()
                items = []
                for (item,) in claimed:
                    # Storage has the bytes before anybody says so
                    rows(
                        database,
                        "insert into storage.objects (bucket_id, name) values ('artifacts', %s) on conflict do nothing",
                        item["path"],
                    )
                    items.append(
                        item
                        | {
                            "verdict": chance.choice(["READY", "READY", "READY", "REFUSED"]),
                            "sha256": item["sha256"] or chance.choice(digests),
                        }
                    )
                runner.execute("select worker.judge_uploads(%s)", [Jsonb(items)])
                if n % 5 == 4:
                    try:
                        doors.call(
                            acme, "delete_artifact", {"artifact_id": made["artifact_id"]}, role="admin"
                        )
                    except Refused as refused:
                        if refused.code != "ARTIFACT_NOT_FOUND":  # somebody else was first
                            raise

    def sweeper() -> None:
        with psycopg.connect(database.runner, autocommit=True) as runner:
            for _ in range(60):
                swept = runner.execute("select worker.sweep_artifacts(50)").fetchone()
                assert swept is not None
                if swept[0]["removals"]:
                    token = swept[0]["removals"]["token"]
                    with psycopg.connect(database.superuser, autocommit=True) as storage:
                        storage.execute("set storage.allow_delete_query = 'true'")
                        storage.execute(
                            "delete from storage.objects o using artifact.removals r where r.token_hash = sha256(convert_to(%s, 'UTF8'))"
                            " and o.bucket_id = r.bucket and o.name = r.path",
                            [token],
                        )
                    runner.execute("select worker.confirm_removals(%s)", [swept[0]["removals"]["claim"]])

    at_once(*(lambda seed=seed: person(seed) for seed in range(4)), sweeper, sweeper)

    held, counted = rows(
        database,
        "select coalesce((select sum(size) from artifact.contents where gone_at is null), 0) + coalesce((select sum(size) from artifact.versions where state = 'PENDING'), 0),"
        " coalesce((select bytes from artifact.usage), 0) + coalesce((select sum(bytes) from artifact.moves), 0)",
    )[0]
    assert held == counted
    # every content that is kept has its object, and every READY version of a living name has a content that is kept
    assert (
        rows(
            database,
            "select path from artifact.contents c where gone_at is null and not exists (select from storage.objects o where o.name = c.path)",
        )
        == []
    )
    wanted = (
        "select a.name, v.version from artifact.versions v join artifact.artifacts a on a.id = v.artifact_id join artifact.contents c on c.sha256 = v.content"
        " where v.state = 'READY' and a.deleted_at is null and c.gone_at is not null"
    )
    assert rows(database, wanted) == []
    assert rows(database, "select deadlocks from pg_stat_database where datname = current_database()") == [
        (0,)
    ]
