"""A runner that was stopped in the middle of a COPY holds a lock; the others must go on reaping."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg.types.json import Jsonb

from dev.stack.testbed import Database, Tenant

STALE = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
SUBMISSION = {"job_type": "spark_etl", "spec": "Count the rows.", "code": {"files": {"job.py": "print(1)"}}}


def test_a_lock_of_a_stale_runner_does_not_stop_the_reaper(
    database: Database, tenant_factory: Callable[..., Tenant]
) -> None:
    tenant = tenant_factory("acme")
    with (
        psycopg.connect(database.superuser, autocommit=True) as admin,
        psycopg.connect(database.runner) as stale,
        psycopg.connect(database.runner, autocommit=True, options="-c statement_timeout=5s") as other,
    ):
        with admin.transaction():
            admin.execute("select set_config('request.jwt.claims', %s, true)", [tenant.claims("operator")])
            admin.execute("set local role operator")
            admin.execute("select public.run_job(%s)", [Jsonb(SUBMISSION)])
        row = stale.execute("select worker.claim_attempts(%s, '{spark_etl/duckdb}', 1)", [STALE]).fetchone()
        assert row is not None
        claim = row[0]
        opened = stale.execute(
            "select worker.open_output(%s, %s, 'out', %s)",
            [claim["attempt_id"], claim["lease"], Jsonb([{"name": "a", "type": "text"}])],
        ).fetchone()
        assert opened is not None
        stale.commit()
        stale.execute("set role loader")
        # a COPY that never ends holds the same lock
        stale.execute(f"lock table {opened[0]} in row exclusive mode")
        admin.execute("update queue.live_attempts set lease_expires_at = now() - interval '1 second'")

        ticked = other.execute("select worker.tick(%s)", [OTHER]).fetchone()
        assert ticked is not None
        assert ticked[0]["reaped"] == 1
        left = "select count(*) from pg_class where relnamespace = 'staging'::regnamespace and relkind = 'r'"
        assert admin.execute(left).fetchone() == (1,)

        stale.rollback()
        other.execute("select worker.tick(%s)", [OTHER])
        assert admin.execute(left).fetchone() == (0,)
