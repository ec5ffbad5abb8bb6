"""What will happen, drawn from a seed: which runs are asked for, which faults come, and when.

The same seed gives the same plan. When its parts meet is up to the machine, so a plan that found something
finds it again often, not always.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.store.failpoint import VERBS
from tests.crash.cable import AIMS
from tests.crash.receiver import MOODS

#: Tenants and how many attempts of each may run at once.
TENANTS: Mapping[str, int] = {"one": 1, "two": 2, "three": 3, "ten": 10}
FINISHED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELED")
SIGN = {"sign": True}

WRITE_ROWS = """
import csv, time
print("::progress 30 begun", flush=True)
time.sleep({seconds})
with open("/job/outputs/rows.csv", "w") as out:
    w = csv.writer(out)
    w.writerow(["n"])
    w.writerows([(1,), (2,), (3,)])
"""


@dataclass(frozen=True)
class Order:
    """A run that is asked for, once, under its key; and how it may end."""

    key: str
    tenant: str
    kind: str
    states: tuple[str, ...]
    after: float  # seconds after the order before it
    body: Mapping[str, Any]
    attempts: int | None = None  # how many tries it takes; None: as many as it takes
    cancel_after: float | None = None
    table: str | None = None  # of the gold layer, to which it appends 1, 2, 3


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, `after` seconds after the one before it."""

    after: float
    kind: str
    runner: int
    seconds: float = 0.0
    what: str = ""


@dataclass(frozen=True)
class Plan:
    """All that will happen."""

    seed: int
    orders: Sequence[Order] = field(repr=False)
    faults: Sequence[Fault] = field(repr=False)


def draw(seed: int, *, faults: int, orders: int, seconds: float, runners: int, sandbox: bool) -> Plan:
    """A plan of about `seconds`."""
    rng = random.Random(f"plan {seed}")
    kinds = {
        "kill": 60,
        "freeze": 12,
        "stop": 8,
        "backends": 12,
        "cable": 16,
        "crash": 5,
        "mood": 8,
        "clock": 6,
        "idler": 8,
    }
    pace = seconds / faults
    return Plan(
        seed,
        [_order(rng, seed, n, seconds / orders, sandbox=sandbox) for n in range(orders)],
        [_fault(rng, kinds, pace, runners) for _ in range(faults)],
    )


def failpoints(rng: random.Random) -> str:
    """Where a runner will die, freeze or lose an answer by itself; "" for most of them."""
    if rng.random() < 0.5:
        return ""
    point = f"{rng.choice(sorted(VERBS - {'farewell', 'claim_uploads', 'judge_uploads', 'sweep_artifacts', 'confirm_removals', 'claim_events', 'report_findings', 'granted', 'over'}))}.{rng.choice(('before', 'after'))}"
    action = rng.choice(("kill", "kill", "kill", "stop", "cut", f"sleep-{rng.uniform(0.2, 1.5):.1f}"))
    return f"{point}={action}@{rng.randint(1, 4)}"


def _fault(rng: random.Random, kinds: Mapping[str, int], pace: float, runners: int) -> Fault:
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    what = ""
    match kind:
        case "cable":
            what = f"{rng.choice(('cut', 'stall', 'deafen'))} {rng.choice(sorted(AIMS))}"
        case "backends":
            what = rng.choice(("one", "all"))
        case "idler":
            what = rng.choice(("slots", "live_attempts", "runs", "task_runs"))
        case "mood":
            what = rng.choice(MOODS)
        case "clock":
            what = rng.choice(("600", "-600", "0"))
    return Fault(rng.uniform(0.3, 1.7) * pace, kind, rng.randrange(runners), rng.uniform(0.1, 2.5), what)


def _order(rng: random.Random, seed: int, n: int, pace: float, *, sandbox: bool) -> Order:
    key = f"{seed}-{n}"
    tenant = rng.choices(list(TENANTS), [min(limit, 6) for limit in TENANTS.values()])[0]
    kinds = {
        "plain": 30,
        "quick": 20,
        "retried": 8,
        "failing": 6,
        "refused": 4,
        "overdue": 4,
        "canceled": 8,
        "graph": 6,
        "laned": 6,
        "told": 8,
        "gone": 2,
    }
    if sandbox:
        kinds["sandbox"] = 5
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    after = rng.uniform(0.2, 1.8) * pace
    sleep = {"sleep_ms": rng.randint(20, 800)}
    table = None
    cancel_after = None
    attempts: int | None = 1
    states: tuple[str, ...] = ("SUCCEEDED",)
    body: dict[str, Any] = scripted([{"progress": 20}, {"log": f"run {key}"}, sleep, SIGN, _seen(key)])
    match kind:
        case "quick":
            body = scripted([SIGN, _seen(key)])
        case "retried":
            body = scripted([{"exit": 3, "until": 1}, sleep, SIGN, _seen(key)], max_retries=1)
            attempts = 2
        case "failing":
            body = scripted([sleep, {"exit": 3}], max_retries=1)
            attempts, states = 2, ("FAILED",)
        case "refused":
            body = scripted([sleep, {"fail": {"code": "INVALID_CODE", "message": "no"}}], max_retries=3)
            states = ("FAILED",)
        case "overdue":
            body = scripted([{"hang": True}], timeout_seconds=1, max_retries=0)
            states = ("TIMED_OUT",)
        case "canceled":
            body = scripted([{"sleep_ms": rng.randint(300, 1500)}, SIGN, _seen(key)])
            states, cancel_after = ("SUCCEEDED", "CANCELED"), rng.uniform(0, 2)
        case "graph":
            body = {"params": {"nap": sleep["sleep_ms"]}}
        case "laned":
            body = {}
        case "told":
            body = scripted(
                [step for p in (10, 40, 70) for step in ({"progress": p}, {"sleep_ms": 150})]
                + [SIGN, _seen(key)]
            )
        case "sandbox":
            table = f"t{n}"
            attempts = None
            body = {
                "job_type": "spark_etl",
                "spec": "write three rows",
                "code": {"files": {"job.py": WRITE_ROWS.format(seconds=round(rng.uniform(0, 0.8), 2))}},
                "outputs": [{"name": "rows", "table": table, "layer": "gold", "mode": "append"}],
                "max_retries": 10,
            }
    return Order(key, tenant, kind, states, after, body, attempts, cancel_after, table)


def scripted(script: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {
        "job_type": "code_validation",
        "spec": "play the script",
        "code": {"files": {"job.py": "pass"}},
        "params": {"script": script},
        **fields,
    }


def _seen(key: str) -> dict[str, Any]:
    """A sighting in the lineage: as an output of the attempt it is published by its settle, once."""
    namespace = "chaos"
    return {
        "lineage": [
            {
                "eventType": "COMPLETE",
                "eventTime": "2026-01-01T00:00:00Z",
                "producer": "https://github.com/OpenLineage",
                "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
                "run": {"runId": "00000000-0000-4000-8000-000000000001"},
                "job": {"namespace": namespace, "name": f"job {key}"},
                "inputs": [{"namespace": namespace, "name": "source"}],
                "outputs": [{"namespace": namespace, "name": f"target {key}"}],
            }
        ]
    }
