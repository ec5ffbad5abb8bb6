"""OpenLineage events through the RPC: events a second, and what a deep graph costs a batch."""

from __future__ import annotations

import json
import random
import time
import uuid
from typing import Any

import psycopg

from benches.yardstick import Stack, arguments, median, quantile, report, say, stack

BATCH = 500
COLUMNS = 3
# history: datasets and edges of other jobs, loaded as they lie in the tables; one tenant has them all
DEPTH = """
set session_replication_role = replica;
insert into lineage.datasets (tenant_id, namespace, name) select '{tenant}', 'old', 'd' || n from generate_series(1, {edges} / 4) n;
insert into lineage.jobs (tenant_id, namespace, name) select '{tenant}', 'old', 'j' || n from generate_series(1, {edges} / 10) n;
insert into lineage.edges (tenant_id, src, dst, job_id, method)
select '{tenant}', d.low + n %% d.many, d.low + (n * 7 + n / d.many) %% d.many, j.low + n / 10, 'event'
from generate_series(0, {edges} - 1) n, (select min(id) as low, count(*) as many from lineage.datasets where namespace = 'old' and tenant_id = '{tenant}') d,
     (select min(id) as low from lineage.jobs where namespace = 'old' and tenant_id = '{tenant}') j
on conflict do nothing;
insert into lineage.observations (tenant_id, edge_id, event_id) select tenant_id, id, 1 from lineage.edges where tenant_id = '{tenant}';
set session_replication_role = origin;
vacuum analyze lineage.datasets; vacuum analyze lineage.jobs; vacuum analyze lineage.edges; vacuum analyze lineage.observations;
""".replace("%%", "%")


def dataset(name: str) -> dict[str, Any]:
    fields = [{"name": f"c{n}", "type": "int"} for n in range(5)]
    return {"namespace": "bench", "name": name, "facets": {"schema": {"fields": fields}}}


def event(n: int) -> dict[str, Any]:
    """Two inputs, an output with columns; of 3,000 jobs that are seen again and again, as in life."""
    job = random.randrange(3000)
    columns = {
        f"c{k}": {"inputFields": [{"namespace": "bench", "name": f"t{job}", "field": f"c{k}"}]}
        for k in range(COLUMNS)
    }
    output = dataset(f"t{job + 2}")
    output["facets"]["columnLineage"] = {"fields": columns}
    return {
        "eventTime": f"2026-01-01T00:00:{n % 60:02}Z",
        "eventType": random.choice(["START", "COMPLETE"]),
        "producer": "https://example.org/bench",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": str(uuid.UUID(int=random.getrandbits(128)))},
        "job": {"namespace": "bench", "name": f"j{job}"},
        "inputs": [dataset(f"t{job}"), dataset(f"t{job + 1}")],
        "outputs": [output],
    }


def member(up: Stack, tenant: str) -> psycopg.Connection[Any]:
    """As PostgREST speaks for an operator of the tenant."""
    connection = psycopg.connect(up.env["DATABASE_URL"], autocommit=True)
    connection.prepare_threshold = 2
    claims = {"user_id": "bench", "tenant_id": tenant, "role": "operator"}
    connection.execute("select set_config('request.jwt.claims', %s, false)", [json.dumps(claims)])
    connection.execute("set role operator")
    return connection


def tenant(up: Stack, slug: str, edges: int) -> str:
    with psycopg.connect(up.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("set role service_role")
        connection.execute(
            "select public.platform_create_tenant(%s)", [json.dumps({"slug": slug, "name": slug})]
        )
        member = {"tenant": slug, "user_id": "bench", "role": "operator"}
        connection.execute("select public.platform_add_member(%s)", [json.dumps(member)])
        connection.execute("reset role")
        row = connection.execute("select id::text from tenancy.tenants where slug = %s", [slug]).fetchone()
        assert row is not None
        for statement in DEPTH.format(tenant=row[0], edges=edges).split(";"):
            if statement.strip():
                connection.execute(statement)  # type: ignore[call-overload]  # literals of ours
        return str(row[0])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--batches", type=int, default=60, help="for each depth, in turns")
    asked = parser.parse_args()
    depths = {"shallow": 10_000, "deep": 50_000} if asked.quick else {"shallow": 100_000, "deep": 3_000_000}
    batches = 6 if asked.quick else asked.batches
    random.seed(4)
    figures: dict[str, list[float]] = {}
    with (
        stack("bench-ingest", services="postgres") as up,
        stack("bench-ingest-deep", services="postgres") as other,
    ):
        # two databases: how deep a graph lies is a matter of its tables, whoever's rows they hold
        doors = {}
        for name, at in (("shallow", up), ("deep", other)):
            began = time.perf_counter()
            doors[name] = member(at, tenant(at, "deep", depths[name]))
            say(f"{name}: {depths[name]} edges ({time.perf_counter() - began:.0f} s)")
        for turn in range(batches):
            body = json.dumps([event(n) for n in range(BATCH)])
            for name, door in doors.items():
                began = time.perf_counter()
                row = door.execute(
                    "select public.lineage_ingest(%s::jsonb) #>> '{summary,successful}'", [body]
                ).fetchone()
                took = time.perf_counter() - began
                if row is None or int(row[0]) != BATCH:
                    raise SystemExit(f"error: {row} of {BATCH} events were taken")
                if turn >= batches // 6:  # what is told of has been met by then
                    figures.setdefault(name, []).append(took * 1000)
    ours = {
        f"{name}_{what}_ms": quantile(waits, q)
        for name, waits in figures.items()
        for what, q in (("p50", 0.5), ("p95", 0.95))
    }
    ours["events_per_s"] = round(BATCH / (median(figures["shallow"]) / 1000))
    ours["deep_p95_vs_shallow"] = round(ours["deep_p95_ms"] / ours["shallow_p95_ms"], 3)
    for name, value in ours.items():
        say(f"  {name:22} {value:10.2f}")
    report(
        "ingest",
        ours,
        {},
        {
            "batch": BATCH,
            "batches": batches,
            "edges": depths,
            "goals": {"events_per_s": 1000, "deep_p95_vs_shallow": 1.5},
        },
    )


if __name__ == "__main__":
    main()
