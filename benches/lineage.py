"""Walking the lineage graph under row security, beside Marquez's query and a recursive CTE with paths."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import psycopg

from benches.yardstick import Stack, arguments, median, quantile, report, say, stack

LAYERS = 25
#: A peer that needs longer than this for one question is given up; the figure says so.
PATIENCE_MS = 30_000

# Ten tenants, each with layers of datasets that read from one to three layers below; of all edges that ever were, three in
# thirteen are retired. Hubs come by the square: a few datasets of each layer are read by hundreds.
FILL = """
set session_replication_role = replica;
select setseed(0.4);
insert into lineage.datasets (tenant_id, namespace, name)
select t.id, 'bench', format('l%s.d%s', l, n) from tenancy.tenants t, generate_series(1, {layers}) l, generate_series(1, {width}) n;
insert into lineage.jobs (tenant_id, namespace, name) select d.tenant_id, 'bench', 'makes ' || d.name from lineage.datasets d where d.namespace = 'bench';
create temporary table place as
select d.tenant_id, d.id, split_part(substr(d.name, 2), '.', 1)::integer as layer, split_part(d.name, '.d', 2)::integer as n, j.id as job
from lineage.datasets d join lineage.jobs j on j.tenant_id = d.tenant_id and j.namespace = 'bench' and j.name = 'makes ' || d.name where d.namespace = 'bench';
create unique index on place (tenant_id, layer, n);
create temporary table drawn as
select p.tenant_id, p.id as dst, p.job, greatest(1, p.layer - 1 - floor(random() ^ 3 * 3)::integer) as layer,
       1 + floor(case when random() < 0.15 then random() ^ 2 else random() end * {width})::integer as n, random() < 3.0 / 13 as gone, random() as age
from place p, generate_series(1, {degree}) where p.layer > 1 and random() < {share};
insert into lineage.edges (tenant_id, src, dst, job_id, method, created_at, deleted_at, deleted_by, deleted_reason)
select distinct on (d.tenant_id, d.dst, s.id) d.tenant_id, s.id, d.dst, d.job, 'event', now() - interval '300 days' * d.age,
       case when d.gone then now() - interval '300 days' * d.age * random() end, case when d.gone then 'bench' end, case when d.gone then 'old' end
from drawn d join place s on s.tenant_id = d.tenant_id and s.layer = d.layer and s.n = d.n
order by d.tenant_id, d.dst, s.id;
insert into lineage.job_io (tenant_id, job_id, dataset_id, direction)
select tenant_id, job_id, src, 'in' from lineage.edges union select tenant_id, job_id, dst, 'out' from lineage.edges order by 1, 2, 3, 4;
set session_replication_role = origin;
"""
# What is loaded goes into bare tables, and their indices are built once: kept up row by row, they were nine tenths of the wait.
# (So the load itself sees to it that nothing is said twice.)
INDICES = """
select format('drop index %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid) from pg_index i
where i.indrelid in ('lineage.datasets'::regclass, 'lineage.jobs'::regclass, 'lineage.edges'::regclass, 'lineage.job_io'::regclass)
  and not exists (select from pg_constraint c where c.conindid = i.indexrelid)"""
WALK = "select cardinality(lineage.walk(array[%s]::bigint[], 'upstream', %s, {as_of}, 1000000))"
GRAPH = "select octet_length(public.lineage_graph('dataset:bench:' || %s, 'upstream', %s, null, null, 20000)::text)"
# what users write who have not met a graph with two ways to one place
PATHS = """
with recursive up (node, path, depth) as (
    select %s::bigint, array[]::bigint[], 0
    union all
    select e.src, u.path || u.node, u.depth + 1 from up u
    join lineage.edges e on e.tenant_id = %s and e.dst = u.node and e.deleted_at is null and e.src <> all (u.path) where u.depth < %s
)
select count(distinct node) from up"""
# LineageDao.getLineage: inputs and outputs of every job as arrays, joined to themselves where they overlap
MARQUEZ = """
with recursive job_io as (
    select o.job_id, coalesce(array_agg(o.dataset_id) filter (where o.direction = 'in'), '{}') as inputs, coalesce(array_agg(o.dataset_id) filter (where o.direction = 'out'), '{}') as outputs
    from lineage.job_io o where o.tenant_id = %s group by o.job_id
), lineage (job_id, inputs, outputs, depth) as (
    select j.job_id, j.inputs, j.outputs, 1 from job_io j where j.outputs && array[%s]::bigint[]
    union
    select j.job_id, j.inputs, j.outputs, l.depth + 1 from job_io j, lineage l where j.job_id <> l.job_id and j.outputs && l.inputs and l.depth < %s
)
select count(distinct job_id) from lineage"""

Ask = Callable[[], object]


def fill(up: Stack, tenants: int, width: int, degree: int, share: float) -> None:
    with psycopg.connect(up.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("set role service_role")
        for i in range(1, tenants):
            connection.execute(
                "select public.platform_create_tenant(%s)",
                [json.dumps({"slug": f"bench_{i}", "name": f"{i}"})],
            )
        connection.execute("reset role")
        connection.execute("set maintenance_work_mem = '256MB'")
        connection.execute("set work_mem = '256MB'")
        indices = connection.execute(INDICES).fetchall()
        load = FILL.format(layers=LAYERS, width=width, degree=degree, share=share).split(";")
        for statement in [drop for drop, _ in indices] + load + [make for _, make in indices]:
            if statement.strip():
                connection.execute(statement)
        connection.execute("vacuum analyze")


def member(up: Stack) -> psycopg.Connection[Any]:
    """Speaks as an ordinary user: row security on, claims as PostgREST sets them."""
    connection = psycopg.connect(up.env["DATABASE_URL"], autocommit=True)
    connection.prepare_threshold = 2
    connection.execute("select set_config('request.jwt.claims', %s, false)", [json.dumps(dict(up.claims))])
    connection.execute("set role operator")
    return connection


def timed(ask: Ask) -> float:
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--starts", type=int, default=60, help="datasets of the top layers that are asked about"
    )
    asked = parser.parse_args()
    width, tenants = (100, 3) if asked.quick else (1000, 10)
    repeat, starts = (1, 8) if asked.quick else (asked.repeat, asked.starts)
    with stack("bench-lineage", services="postgres,gateway") as up:
        began = time.perf_counter()
        fill(up, tenants, width, degree=6, share=0.91)
        tenant = str(up.claims["tenant_id"])
        with psycopg.connect(up.env["DATABASE_URL"]) as owner:
            live, gone, mine = owner.execute(
                "select count(*) filter (where deleted_at is null), count(deleted_at), count(*) filter (where tenant_id = %s) from lineage.edges",
                [tenant],
            ).fetchone() or (0, 0, 0)
            tops = owner.execute(
                "select id, name from lineage.datasets where tenant_id = %s and name ~ '^l2[2-5]\\.' order by id",
                [tenant],
            ).fetchall()
        say(f"{live} live edges, {gone} retired, {mine} of one tenant ({time.perf_counter() - began:.0f} s)")
        random.seed(4)
        chosen: list[tuple[int, str]] = random.sample(tops, starts)
        ours, peers, sizes = questions(up, tenant, chosen, repeat)
    figures = {name: median(values) for name, values in ours.items()}
    for hops in (5, 10):
        figures[f"as_of_{hops}_hops"] = round(
            figures[f"p50_as_of_{hops}_hops_ms"] / figures[f"p50_{hops}_hops_ms"], 3
        )
    figures["http_5_hops"] = round(figures["p50_http_5_hops_ms"] / figures["p50_graph_5_hops_ms"], 3)
    report(
        "lineage",
        figures,
        {peer: {name: median(values) for name, values in metrics.items()} for peer, metrics in peers.items()},
        {
            "repeat": repeat,
            "starts": starts,
            "live_edges": live,
            "retired_edges": gone,
            "tenants": tenants,
            "nodes": sizes,
            "peer_patience_ms": PATIENCE_MS,
            "goals": {
                "p95_5_hops_ms": 15,
                "p95_10_hops_ms": 150,
                "as_of_5_hops": 1.3,
                "as_of_10_hops": 1.3,
                "http_5_hops": 2,
            },
        },
    )


def questions(
    up: Stack, tenant: str, chosen: Sequence[tuple[int, str]], repeat: int
) -> tuple[dict[str, list[float]], dict[str, dict[str, list[float]]], dict[str, int]]:
    ours: dict[str, list[float]] = {}
    peers: dict[str, dict[str, list[float]]] = {"marquez": {}, "path_cte": {}}
    sizes: dict[str, int] = {}
    headers = {"apikey": up.env["SUPABASE_ANON_KEY"], "Authorization": f"Bearer {up.token}"}
    http = httpx.Client(base_url=f"{up.env['SUPABASE_URL']}/rest/v1/rpc/", headers=headers, timeout=60)

    def keep(into: dict[str, list[float]], name: str, waits: list[float], whose: str = "") -> None:
        for q in (50, 95):
            into.setdefault(f"p{q}_{name}_ms", []).append(quantile(waits, q / 100))
        say(
            f"  {f'{whose} {name}'.strip():26} p50 {into[f'p50_{name}_ms'][-1]:9.2f}   p95 {into[f'p95_{name}_ms'][-1]:9.2f} ms"
        )

    with member(up) as connection:

        def count(statement: str, *values: object) -> int:
            row = connection.execute(statement, values).fetchone()  # type: ignore[call-overload]  # one of the above
            return int(row[0]) if row else 0

        def over_http(name: str) -> None:
            body = {"node": f"dataset:bench:{name}", "direction": "upstream", "depth": 5, "max_nodes": 20000}
            http.post("lineage_graph", json=body).raise_for_status()

        for turn in range(repeat):
            say(f"round {turn + 1} of {repeat}")
            for hops in (3, 5, 10):
                live = WALK.format(as_of="null")
                then = WALK.format(as_of="now()")
                reached = [count(live, at, hops) for at, _ in chosen]  # also warms
                sizes[f"{hops}_hops"] = sorted(reached)[len(reached) // 2]
                waits: dict[str, list[float]] = {live: [], then: []}
                for at, _ in chosen:  # in turns, so that both have the same weather
                    for statement in (live, then):
                        waits[statement].append(timed(lambda: count(statement, at, hops)))  # noqa: B023
                keep(ours, f"{hops}_hops", waits[live])
                keep(ours, f"as_of_{hops}_hops", waits[then])
            graphs: tuple[list[float], list[float]] = ([], [])
            for _, name in chosen[:20]:
                graphs[0].append(timed(lambda: count(GRAPH, name, 5)))  # noqa: B023
                graphs[1].append(timed(lambda: over_http(name)))  # noqa: B023
            keep(ours, "graph_5_hops", graphs[0])
            keep(ours, "http_5_hops", graphs[1])
            connection.execute(f"set statement_timeout = {PATIENCE_MS}")
            for hops in (3, 5, 10):
                for peer, statement, values in (
                    ("path_cte", PATHS, lambda at: (at, tenant, hops)),  # noqa: B023
                    ("marquez", MARQUEZ, lambda at: (tenant, at, hops)),  # noqa: B023
                ):
                    took: list[float] = []
                    for at, _ in chosen[: 5 if hops < 10 else 1]:
                        try:
                            took.append(timed(lambda: count(statement, *values(at))))  # noqa: B023
                        except psycopg.errors.QueryCanceled:
                            took.append(float(PATIENCE_MS))
                            break
                    keep(peers[peer], f"{hops}_hops", took, peer)
            connection.execute("reset statement_timeout")
    return ours, peers, sizes


if __name__ == "__main__":
    main()
