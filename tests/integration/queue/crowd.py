"""A database in which a thousand tenants have worked for a while and wait for more, loaded in bulk.

Foreign keys are not asked (session_replication_role), since what is loaded is right by its making; everything
else is as the doors would have left it. Ids are dense: run, task run and attempt of one piece have one number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from tests.doors import Doors

INSTANCE = "00000000-0000-4000-8000-0000000000aa"
OFFERS = ("spark_etl/duckdb", "spark_etl/spark", "kb_catalog/default")


@dataclass(frozen=True)
class Crowd:
    """How much of everything; past runs come first, then those that wait."""

    tenants: int = 1_000
    past: int = 100_000
    queued: int = 100_000
    lines: int = 20_000  # of one run's log: that of the first past run; a hundred others have 200 each

    @property
    def first_queued(self) -> int:
        return self.past + 1


STEPS: tuple[LiteralString, ...] = (
    "set session_replication_role = replica",
    "set work_mem = '64MB'",
    """
    create temporary table crowd as
    select n, gen_random_uuid() as tenant_id, 'crowd_' || n as slug from generate_series(1, %(tenants)s) n
    """,
    "insert into tenancy.tenants (id, slug, name) select tenant_id, slug, slug from crowd",
    "insert into tenancy.limits (tenant_id) select tenant_id from crowd on conflict do nothing",
    "insert into queue.slots (tenant_id) select tenant_id from crowd on conflict do nothing",
    """
    insert into tenancy.members (tenant_id, user_id, role)
    select tenant_id, 'operator of ' || slug, 'operator' from crowd
    """,
    """
    create temporary table piece as
    select i, i <= %(past)s as is_past, c.tenant_id, '2026-01-01'::timestamptz + i * interval '1 second' as at
    from generate_series(1, %(past)s + %(queued)s) i join crowd c on c.n = i %% %(tenants)s + 1
    """,
    """
    insert into queue.runs (tenant_id, id, name, job_type, state, termination_code, created_by, created_at, started_at,
                            finished_at, event_seq, idempotency_key)
    overriding system value
    select tenant_id, i, 'crowd', 'spark_etl', case when is_past then 'SUCCEEDED' else 'QUEUED' end::queue.state,
           case when is_past then 'SUCCESS' end, 'crowd', at, case when is_past then at end,
           case when is_past then at + interval '1 second' end, is_past::integer, 'key ' || i
    from piece
    """,
    """
    insert into queue.task_runs (tenant_id, id, run_id, task_key, job_type, engine, state, termination_code, max_retries,
                                 timeout_seconds, started_at, finished_at)
    overriding system value
    select tenant_id, i, i, 'execute', 'spark_etl', 'duckdb',
           case when is_past then 'SUCCEEDED' else 'QUEUED' end::queue.state, case when is_past then 'SUCCESS' end,
           3, 600, case when is_past then at end, case when is_past then at + interval '1 second' end
    from piece
    """,
    """
    insert into queue.payloads (tenant_id, task_run_id, spec, code, params, inputs, outputs, secrets)
    select tenant_id, i, 'Nothing to do.', '{"files": {"job.py": "pass"}}', '{}', '[]', '[]', '[]'
    from piece where not is_past
    """,
    """
    insert into queue.live_attempts (tenant_id, id, run_id, task_run_id, requires, queued_at, ready_at)
    overriding system value
    select tenant_id, i, i, i, 'spark_etl/duckdb', at, at from piece where not is_past
    """,
    """
    insert into queue.past_attempts (tenant_id, id, run_id, task_run_id, number, requires, priority, state, queued_at,
                                     ready_at, lease, lost, runner, claimed_at, finished_at, termination_code)
    select tenant_id, i, i, i, 1, 'spark_etl/duckdb', 0, 'SUCCEEDED', at, at, 1, 0, gen_random_uuid(), at,
           at + interval '1 second', 'SUCCESS'
    from piece where is_past
    """,
    """
    insert into callback.endpoints (tenant_id, url, created_by)
    select tenant_id, 'https://receiver.example/hook', 'crowd' from crowd
    """,
    """
    insert into callback.events (tenant_id, id, run_id, seq, type, at, data)
    select tenant_id, 'evt_' || i, i, 1, 'run.completed', at, '{}' from piece where is_past
    """,
    # one in fifty is still owed
    """
    insert into callback.deliveries (tenant_id, event_id, endpoint_id, url, state, tries, next_at, finished_at)
    select p.tenant_id, 'evt_' || p.i, e.id, e.url,
           case when p.i %% 50 = 0 then 'PENDING' else 'DELIVERED' end::callback.delivery_state,
           (p.i %% 50 <> 0)::integer, p.at, case when p.i %% 50 <> 0 then p.at end
    from piece p join callback.endpoints e on e.tenant_id = p.tenant_id where p.is_past
    """,
    """
    insert into queue.logs (tenant_id, run_id, seq, at, attempt_id, task_run_id, stream, line)
    select p.tenant_id, p.i, n, p.at, p.i, p.i, 'stdout', 'line ' || n
    from piece p cross join generate_series(1, %(lines)s) n where p.i = 1 or (p.i <= 101 and n <= 200)
    """,
    """
    select setval(pg_get_serial_sequence(t, 'id'), %(past)s + %(queued)s + 1)
    from unnest(array['queue.runs', 'queue.task_runs', 'queue.live_attempts']) t
    """,
    "set session_replication_role = origin",
    "drop table crowd, piece",
    "reset work_mem",
)


def gather(doors: Doors, crowd: Crowd, *, analyzed: bool = True) -> None:
    """Loads the crowd; `analyzed` with the statistics that autovacuum would have made within a minute."""
    amounts = {
        "tenants": crowd.tenants,
        "past": crowd.past,
        "queued": crowd.queued,
        "lines": crowd.lines,
    }
    with doors.clock.transaction():
        for step in STEPS:
            doors.clock.execute(step, amounts)
    if analyzed:
        doors.set("analyze")


def claims_of(doors: Doors, run_id: int) -> str:
    """The claims of the operator whose tenant the run is of."""
    claims: str = doors.ask(
        """
        select jsonb_build_object('tenant_id', m.tenant_id, 'user_id', m.user_id, 'role', m.role)::text
        from queue.runs r join tenancy.members m on m.tenant_id = r.tenant_id where r.id = %s
        """,
        [run_id],
    )
    return claims
