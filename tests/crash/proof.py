"""The proof: what was asked for is what happened, once. A fresh process reads it from the database alone.

    python -m tests.crash.proof DSN LEDGER.json

LEDGER.json holds what only the world outside knows: what was asked for, and which event ids the receiver saw.
Prints {"broken": {law: [examples]}, "counts": {…}}; exits 1 where a law is broken. Each law is a query for
what breaks it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

EXAMPLES = 5

#: What the ledger says, as tables; and three readings of what the database holds.
ASKED = """
create temporary table asked as select * from jsonb_to_recordset(%s)
as x (key text, tenant text, kind text, states text[], attempts integer, run_id bigint)
"""
SEEN = "create temporary table seen as select distinct jsonb_array_elements_text(%s) as id"
READINGS = """
create temporary view run as
select r.*, a.kind, a.states, a.attempts as tries from asked a
join tenancy.tenants n on n.slug = a.tenant
join queue.runs r on r.tenant_id = n.id and r.idempotency_key = a.key;

create temporary view ending as  -- the last attempt of each task that ran
select distinct on (p.tenant_id, p.task_run_id) p.* from queue.past_attempts p
order by p.tenant_id, p.task_run_id, p.number desc;

create temporary view holding as  -- from each claim to the step that ended it
select s.tenant_id, s.attempt_id, s.lease, s.runner, s.at as claimed_at, e.at as ended_at, e.lost > s.lost as lost
from witness.steps s
left join lateral (select x.* from witness.steps x where x.attempt_id = s.attempt_id and x.n > s.n order by x.n limit 1) e on true
where s.became = 'RUNNING';
"""

#: A sweep over moments: how many are held at once after each of them.
OVERLAP = """
select * from (
    select m.tenant_id, m.at, sum(m.step) over (partition by m.tenant_id order by m.at, m.step) as held
    from (select tenant_id, {start} as at, 1 as step from {held} where {start} is not null
          union all select tenant_id, {end}, -1 from {held} where {start} is not null and {end} is not null) m) o
join tenancy.limits l on l.tenant_id = o.tenant_id
where o.held > l.max_running
"""

LAWS = {
    # nothing is lost
    "what was asked for is a run, once": """
        select a.key, a.run_id, array_agg(r.id) from asked a
        left join tenancy.tenants n on n.slug = a.tenant
        left join queue.runs r on r.tenant_id = n.id and r.idempotency_key = a.key
        group by a.key, a.run_id having count(r.id) <> 1 or min(r.id) <> a.run_id""",
    "no run was not asked for": """
        select r.id, r.idempotency_key from queue.runs r
        where not exists (select from asked a where a.key = r.idempotency_key)
          and 1 <> (select count(*) from schedule.fires f where f.tenant_id = r.tenant_id and f.run_id = r.id)""",
    "a job starts once for each time": """
        select f.job_id, f.scheduled_at, f.run_id, r.state from schedule.fires f
        left join queue.runs r on r.tenant_id = f.tenant_id and r.id = f.run_id
        where r.state is distinct from 'SUCCEEDED'
           or 1 < (select count(*) from schedule.fires x where x.job_id = f.job_id and abs(extract(epoch from x.scheduled_at - f.scheduled_at)) < 0.9)""",
    "every run is on record once": """
        select r.id, count(e.id) from queue.runs r
        left join audit.entries e on e.tenant_id = r.tenant_id and e.action = 'run.submit' and e.object_id = r.id::text
        group by r.id having count(e.id) <> 1""",
    "the record holds": """
        select n.slug, v from tenancy.tenants n cross join lateral audit.verify(n.id) v where not (v ->> 'ok')::boolean
        union all select 'waits for its seal', to_jsonb(u) from audit.unsealed u""",
    "every run ended as it may": """
        select id, kind, state, termination_code, termination_message from run
        where state::text <> all (states) or finished_at is null""",
    "every task ended with its run": """
        select r.id, t.task_key, t.state from run r join queue.task_runs t on t.run_id = r.id and t.tenant_id = r.tenant_id
        where t.finished_at is null or t.finished_at > r.finished_at + interval '1 millisecond'""",
    "nothing waits and nothing runs": "select id, run_id, state, lease, ready_at from queue.live_attempts",
    # nothing happens twice
    "an attempt is in history once": "select id, count(*) from queue.past_attempts group by id having count(*) > 1",
    "attempts of a task are numbered from one without a gap": """
        select task_run_id, array_agg(number order by number) from queue.past_attempts
        group by task_run_id having min(number) <> 1 or max(number) <> count(*) or count(distinct number) <> count(*)""",
    "a task ends as its last attempt did": """
        select t.run_id, t.id, t.state, e.state, t.termination_code, e.termination_code
        from queue.task_runs t left join ending e on e.tenant_id = t.tenant_id and e.task_run_id = t.id
        where case when e.id is null then t.state not in ('SKIPPED', 'CANCELED')
                   else t.state::text <> case e.state::text when 'LOST' then 'FAILED' else e.state::text end
                        or t.termination_code <> e.termination_code end""",
    "every try but the last failed": """
        select p.id, p.run_id, p.number, p.state from queue.past_attempts p join ending e using (tenant_id, task_run_id)
        where p.number < e.number and p.state <> 'FAILED'""",
    "a run takes as many tries as it must": """
        select r.id, r.kind, r.tries, count(p.id) from run r left join queue.past_attempts p on p.tenant_id = r.tenant_id and p.run_id = r.id
        where r.tries is not null and r.kind <> 'graph' group by r.id, r.kind, r.tries having count(p.id) <> r.tries""",
    "the runner is never at fault": "select id, run_id, message from queue.past_attempts where termination_code = 'INTERNAL_ERROR'",
    # fencing
    "every step follows from the one before": """
        select s.attempt_id, s.n, b.became, s.was, s.became, b.lease, s.lease from witness.steps s
        left join lateral (select x.* from witness.steps x where x.attempt_id = s.attempt_id and x.n < s.n order by x.n desc limit 1) b on true
        where s.was <> coalesce(b.became, '')
           -- (after a crash the leases go on in a new epoch)
           or case when b.n is null then s.lease <> 0 when s.became = 'RUNNING' then s.lease <= b.lease else s.lease <> b.lease end
           or (s.was, s.became) not in (('', 'QUEUED'), ('QUEUED', 'RUNNING'), ('RUNNING', 'QUEUED'), ('RUNNING', ''), ('QUEUED', ''))""",
    "an attempt is born once and ends once": """
        select attempt_id from witness.steps group by attempt_id
        having count(*) filter (where was = '') <> 1 or count(*) filter (where became = '') <> 1""",
    "history tells the last lease and the losses": """
        select p.id, p.lease, max(s.lease), p.lost, max(s.lost) from queue.past_attempts p join witness.steps s on s.attempt_id = p.id
        group by p.id, p.lease, p.lost having p.lease <> max(s.lease) or p.lost <> max(s.lost)""",
    "who holds the lease says what came of it": """
        select t.run_id, t.output_values, e.id, e.lease from queue.task_runs t join ending e on e.tenant_id = t.tenant_id and e.task_run_id = t.id
        where t.output_values ? 'signed' and t.output_values -> 'signed' <> jsonb_build_object('attempt_id', e.id, 'lease', e.lease)""",
    # outputs, published by the settle: once for each run that succeeded, never for another
    "what a run saw is in the lineage once": """
        select r.id, r.kind, r.state, count(e.id) from run r
        left join lineage.events e on e.tenant_id = r.tenant_id and e.run_id = r.id
        where r.kind in ('plain', 'quick', 'retried', 'canceled', 'told')
        group by r.id, r.kind, r.state having count(e.id) <> (r.state = 'SUCCEEDED')::integer""",
    "an edge of the lineage was observed once": """
        select run_id, edge_id, count(*) from lineage.observations where run_id in (select id from run where kind <> 'sandbox')
        group by run_id, edge_id having count(*) > 1""",
    # the limit
    "no tenant ran more than its limit": OVERLAP.format(start="claimed_at", end="ended_at", held="holding"),
    "history shows no tenant beyond its limit": OVERLAP.format(
        start="claimed_at", end="finished_at", held="queue.past_attempts"
    ),
    "runs of a job keep to their lane": """
        select * from (
            select m.job_id, m.at, sum(m.step) over (partition by m.job_id order by m.at, m.step) as under_way
            from (select r.job_id, r.started_at as at, 1 as step from queue.runs r join queue.lanes l on l.job_id = r.job_id and l.tenant_id = r.tenant_id
                  union all
                  select r.job_id, r.finished_at, -1 from queue.runs r join queue.lanes l on l.job_id = r.job_id and l.tenant_id = r.tenant_id) m) o
        join queue.lanes l on l.job_id = o.job_id
        where o.under_way > l.max_runs""",
    "no slot leaked": """
        select s.tenant_id, s.running from queue.slots s
        where s.running <> (select count(*) from queue.live_attempts a where a.tenant_id = s.tenant_id and a.state = 'RUNNING') or s.running <> 0""",
    # the feed
    "every run is announced once, as it ended": """
        select r.id, r.state, array_agg(e.type) from run r
        left join callback.events e on e.tenant_id = r.tenant_id and e.run_id = r.id and e.type in ('run.completed', 'run.failed')
        group by r.id, r.state
        having count(e.id) <> 1 or min(e.type) <> case r.state when 'SUCCEEDED' then 'run.completed' else 'run.failed' end
            or min(e.data ->> 'state') <> r.state::text""",
    "the feed of a run has no gap and ends with its end": """
        select r.id, r.event_seq, array_agg(e.seq order by e.seq) from run r
        left join callback.events e on e.tenant_id = r.tenant_id and e.run_id = r.id
        group by r.id, r.event_seq
        having count(e.seq) <> r.event_seq or min(e.seq) <> 1 or max(e.seq) <> r.event_seq
            or (array_agg(e.type order by e.seq desc))[1] not in ('run.completed', 'run.failed')""",
    "the log of a run has no gap": """
        select r.id, r.log_seq, count(l.seq) from run r left join queue.logs l on l.tenant_id = r.tenant_id and l.run_id = r.id
        group by r.id, r.log_seq having count(l.seq) <> r.log_seq or max(l.seq) <> r.log_seq""",
    # the outbox
    "an event is owed to each endpoint that wants it, once": """
        select e.id, e.type from callback.events e cross join callback.endpoints n
        where n.tenant_id = e.tenant_id and (e.type = any (n.events) or exists (
            select from callback.subscriptions s where s.tenant_id = e.tenant_id and s.run_id = e.run_id and s.type = e.type and s.endpoint_id = n.id))
          and 1 <> (select count(*) from callback.deliveries d where d.tenant_id = e.tenant_id and d.event_id = e.id and d.endpoint_id = n.id)""",
    "every delivery ended": """
        select id, event_id, state, tries, next_at, last_error from callback.deliveries where state not in ('DELIVERED', 'DEAD', 'GONE')""",
    "what was delivered was seen": """
        select d.id, d.event_id, d.state, d.tries, d.last_error from callback.deliveries d
        where d.state <> 'GONE' and d.event_id not in (select id from seen)""",
    "what was seen had happened": "select id from seen where id not in (select id from callback.events)",
    # nothing stays behind
    "no table of the staging is left": """
        select relname from pg_class where relnamespace = 'staging'::regnamespace and relkind = 'r'""",
    "no transaction is left open": """
        select pid, application_name, state, query from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null""",
}

COUNTS = """
select jsonb_build_object(
    'runs', (select jsonb_object_agg(state, n) from (select state, count(*) as n from run group by state) x),
    'attempts', (select count(*) from queue.past_attempts),
    'claims', (select count(*) from holding),
    'leases_lost', (select count(*) from holding where lost),
    'events', (select count(*) from callback.events),
    'deliveries', (select jsonb_object_agg(state, n) from (select state, count(*) as n from callback.deliveries group by state) x),
    'tries', (select sum(tries) from callback.deliveries),
    'busiest', (select max(lease) from queue.past_attempts))
"""


def examine(dsn: str, ledger: dict[str, Any]) -> dict[str, Any]:
    """What is broken, by law, with examples; and how much of everything there was."""
    broken: dict[str, list[str]] = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(ASKED, [json.dumps(ledger["orders"])])
        connection.execute(SEEN, [json.dumps(ledger["seen"])])
        connection.execute(READINGS)
        for law, query in LAWS.items():
            if rows := connection.execute(query.encode()).fetchall():
                broken[law] = [f"{len(rows)} of them", *map(str, rows[:EXAMPLES])]
        if wrong := _wrong_tables(connection, ledger["orders"]):
            broken["a table holds what its run wrote, once"] = wrong
        counts = connection.execute(COUNTS.encode()).fetchone()
    assert counts is not None
    return {"broken": broken, "counts": counts[0]}


def _wrong_tables(connection: psycopg.Connection[Any], orders: list[dict[str, Any]]) -> list[str]:
    wrong = []
    for order in orders:
        if order["table"] is None:
            continue
        place = sql.Identifier(f"gold_{order['tenant']}", order["table"])
        try:
            rows = connection.execute(sql.SQL("select n::int from {} order by 1").format(place)).fetchall()
        except psycopg.errors.UndefinedTable:
            rows = []
        if [n for (n,) in rows] != [1, 2, 3]:
            wrong.append(f"run {order['run_id']} {order['key']}: {rows}")
    return wrong


def main() -> int:
    dsn, ledger = sys.argv[1:]
    found = examine(dsn, json.loads(Path(ledger).read_text()))
    json.dump(found, sys.stdout, default=str)
    return 1 if found["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
