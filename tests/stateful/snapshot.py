"""All that the queue and the outbox hold of the runs of one play, as plain values that can be compared.

What may change without a fault is left out: when a runner was last seen, who asked for what (audit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.doors import Doors

Row = dict[str, Any]

QUERY = """
select jsonb_build_object(
    'runs', (select coalesce(jsonb_agg(to_jsonb(r) order by r.id), '[]')
             from queue.runs r where r.id > %(mark)s),
    'tasks', (select coalesce(jsonb_agg(to_jsonb(t) order by t.id), '[]')
              from queue.task_runs t where t.run_id > %(mark)s),
    'live', (select coalesce(jsonb_agg(to_jsonb(a) order by a.id), '[]') from queue.live_attempts a),
    'past', (select coalesce(jsonb_agg(to_jsonb(a) order by a.id, a.finished_at), '[]')
             from queue.past_attempts a where a.run_id > %(mark)s),
    'repairs', (select coalesce(jsonb_agg(to_jsonb(x) order by x.run_id, x.number), '[]')
                from queue.repairs x where x.run_id > %(mark)s),
    'slots', (select jsonb_object_agg(s.tenant_id, s.running)
              from queue.slots s where s.tenant_id = any (%(tenants)s)),
    'lanes', (select coalesce(jsonb_object_agg(l.job_id, l.max_runs), '{}')
              from queue.lanes l where l.max_runs is not null),
    'limits', (select jsonb_object_agg(l.tenant_id, l.max_running)
               from tenancy.limits l where l.tenant_id = any (%(tenants)s)),
    'events', (select coalesce(jsonb_agg(to_jsonb(e) order by e.run_id, e.seq), '[]')
               from callback.events e where e.run_id > %(mark)s),
    'deliveries', (select coalesce(jsonb_agg(
                       to_jsonb(d) || jsonb_build_object('type', e.type, 'run_id', e.run_id)
                       order by d.id), '[]')
                   from callback.deliveries d
                   join callback.events e on e.tenant_id = d.tenant_id and e.id = d.event_id
                   where e.run_id > %(mark)s),
    'logs', (select coalesce(jsonb_agg(to_jsonb(l) order by l.run_id, l.seq), '[]')
             from queue.logs l where l.run_id > %(mark)s)
)
"""


@dataclass(frozen=True)
class Snapshot:
    """One moment of the database; rows are as `to_jsonb` gives them, in the order of their ids."""

    runs: list[Row]
    tasks: list[Row]
    live: list[Row]
    past: list[Row]
    repairs: list[Row]
    slots: dict[str, int]
    lanes: dict[str, int]  # how many runs of a job may be under way
    limits: dict[str, int]
    events: list[Row]
    deliveries: list[Row]
    logs: list[Row]

    def running(self, tenant: str) -> int:
        return sum(row["tenant_id"] == tenant and row["state"] == "RUNNING" for row in self.live)


def take(doors: Doors, mark: int, tenants: Sequence[str]) -> Snapshot:
    """Of runs with an id above `mark`: those of this play."""
    return Snapshot(**doors.ask(QUERY, {"mark": mark, "tenants": list(tenants)}))
