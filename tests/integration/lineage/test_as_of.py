"""What the graph was: every question as of a time is answered as a replay in plain Python answers it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors

DATASETS = [f"d{n}" for n in range(14)]
JOBS = ["j0", "j1", "j2"]
Flow = tuple[str, str, str]  # source, target, job
Moment = tuple[datetime, frozenset[Flow]]


@pytest.fixture
def doors(database: Database) -> Iterator[Doors]:
    with Doors(database) as opened:
        yield opened


@pytest.fixture
def tenant(database: Database) -> Tenant:
    return database.add_tenant("acme")


def node(name: str) -> str:
    return f"dataset:db:{name}"


def event(flow: Flow, sighting: int) -> dict[str, Any]:
    source, target, job = flow
    return {
        "eventTime": f"2026-01-01T00:00:00.{sighting:06}Z",
        "producer": "p",
        "schemaURL": "s",
        "job": {"namespace": "ns", "name": job},
        "inputs": [{"namespace": "db", "name": source}],
        "outputs": [{"namespace": "db", "name": target}],
    }


def live(doors: Doors, tenant: Tenant, turns: int) -> list[Moment]:
    """Flows come, are seen again and are retired; what was live at each moment, by the database's clock."""
    flows: set[Flow] = set()
    told: list[Moment] = []
    for sighting in range(turns):
        if flows and random.random() < 0.3:
            source, target, job = random.choice(sorted(flows))
            whole = random.random() < 0.2
            body = {"job": f"job:ns:{job}", "reason": "wrong"}
            if not whole:
                body |= {"source": node(source), "target": node(target)}
            doors.call(tenant, "retire_lineage", body, role="admin")
            flows = {f for f in flows if f[2] != job or not (whole or f[:2] == (source, target))}
        else:
            source, target = random.sample(DATASETS, 2)
            flows.add((source, target, random.choice(JOBS)))
            # seen for the first time, again, or again after it was retired
            doors.call(tenant, "lineage_ingest", [event(flow, sighting) for flow in sorted(flows)])
        [[now]] = doors.clock.execute("select clock_timestamp()").fetchall()
        told.append((now, frozenset(flows)))
    return told


def reached(flows: frozenset[Flow], start: str, direction: str, depth: int) -> set[str]:
    """Breadth first, up and down apart: who feeds a consumer of ours is not ours."""
    seen = {start}
    for way in ("upstream", "downstream"):
        if direction in (way, "both"):
            front, there = {start}, {start}
            for _ in range(depth):
                front = {
                    (s if way == "upstream" else t)
                    for s, t, _ in flows
                    if (t if way == "upstream" else s) in front
                } - there
                there |= front
            seen |= there
    return seen


def shortest(flows: frozenset[Flow], source: str, target: str) -> int | None:
    front, seen, hops = {source}, {source}, 0
    while front and target not in seen:
        front = {t for s, t, _ in flows if s in front} - seen
        seen |= front
        hops += 1
    return hops if target in seen else None


def test_every_answer_as_of_a_time_is_what_a_replay_says(doors: Doors, tenant: Tenant, is_long: bool) -> None:
    seed = random.randrange(10**6)
    random.seed(seed)
    told = live(doors, tenant, 400 if is_long else 150)
    known = {name for _, flows in told for flow in flows for name in flow[:2]}
    probes = 10_000 if is_long else 200
    for _ in range(probes):
        at, flows = random.choice(told)
        start, other = random.choice(sorted(known)), random.choice(sorted(known))
        direction, depth = random.choice(["upstream", "downstream", "both"]), random.randrange(6)
        there = graph(doors, tenant, (node(start), direction, depth, at))
        assert there == reached(flows, start, direction, depth), (seed, at, start, direction, depth)

        way = doors.call(
            tenant, "lineage_path", {"source": node(start), "target": node(other), "as_of": at.isoformat()}
        )
        assert way["hops"] == shortest(flows, start, other), (seed, at, start, other)
        assert way["path"] == [] or (way["path"][0], way["path"][-1]) == (node(start), node(other))

    for _ in range(probes // 20):
        (before, was), (after, became) = sorted(random.sample(told, 2))
        start = random.choice(sorted(known))
        diff = doors.call(
            tenant,
            "lineage_diff",
            {"node": node(start), "from": before.isoformat(), "to": after.isoformat(), "depth": 100},
        )
        around = reached(was, start, "both", 100) | reached(became, start, "both", 100)
        ours = [{f for f in flows if {f[0], f[1]} <= around} for flows in (was, became)]
        assert (named(diff["added"]), named(diff["removed"])) == (ours[1] - ours[0], ours[0] - ours[1]), seed


def graph(doors: Doors, tenant: Tenant, asked: tuple[str, str, int, datetime]) -> set[str]:
    """The datasets round a node: its id, direction, depth, time."""
    said = doors.read(tenant, "select public.lineage_graph(%s, %s, %s, %s, '{dataset}')", asked)
    return {item["id"].removeprefix("dataset:db:") for item in said["graph"]}


def named(changes: list[dict[str, Any]]) -> set[Flow]:
    return {
        (
            change["source"].removeprefix("dataset:db:"),
            change["target"].removeprefix("dataset:db:"),
            change["job"].removeprefix("job:ns:"),
        )
        for change in changes
    }
