"""What the benchmarks share: a stack of their own, a load generator, one JSON line at the end."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TENANT = "bench"


def arguments(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a smoke run: short, figures mean little")
    return parser


def say(text: str) -> None:
    print(text, flush=True)


@dataclass(frozen=True)
class Stack:
    """A running stack: its `scripts/stack env` and a token of an operator."""

    env: Mapping[str, str]
    token: str

    @property
    def claims(self) -> dict[str, object]:
        import jwt

        claims: dict[str, object] = jwt.decode(self.token, options={"verify_signature": False})
        return claims


def _stack(name: str, *args: str, env: Mapping[str, str] | None = None, must: bool = True) -> str:
    done = subprocess.run(
        [str(ROOT / "scripts" / "stack"), *args, "--name", name],
        check=False, capture_output=True, text=True, env={**os.environ, **(env or {})},
    )  # fmt: skip
    if done.returncode and must:
        sys.exit(
            f"error: scripts/stack {' '.join(args)} failed: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


@contextlib.contextmanager
def stack(name: str, *, services: str, env: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A stack of the benchmark's own, emptied before and stopped after."""
    # an older one may be there, of other migrations: reset mends that
    _stack(name, "up", "--services", "postgres", env=env, must=False)
    try:
        _stack(name, "reset")
        _stack(name, "up", "--services", services, env=env)
        words = shlex.split(_stack(name, "env"))
        exported = dict(word.split("=", 1) for word in words if "=" in word)
        _stack(name, "tenant", TENANT)
        token = _stack(name, "token", "--tenant", TENANT, "--role", "operator", "--ttl", "86400").strip()
        yield Stack(exported, token)
    finally:
        _stack(name, "down")


@dataclass(frozen=True)
class Load:
    rps: float
    p50_ms: float
    p99_ms: float
    errors: int


def wrk(
    url: str, headers: Mapping[str, str], body: str, connections: int, seconds: float, folder: Path
) -> Load:
    """POSTs `body` over `connections` keep-alive connections. Loopback only."""
    program = shutil.which("wrk")
    if program is None:
        installed = subprocess.run(
            ["apt-get", "install", "-y", "-q", "wrk"], check=False, capture_output=True, text=True
        )
        program = shutil.which("wrk")
        if program is None:
            sys.exit(
                f"error: wrk is missing and could not be installed; apt-get install wrk ({installed.stderr[-200:]})"
            )
    if not re.match(r"https?://(127\.0\.0\.1|localhost|\[::1\])[:/]", url):
        sys.exit("error: load goes to loopback only")
    script = folder / "post.lua"
    lines = [f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers.items()]
    script.write_text("\n".join(['wrk.method = "POST"', f"wrk.body = {json.dumps(body)}", *lines]))
    done = subprocess.run(
        [program, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "-s", str(script), url],
        check=True, capture_output=True, text=True, timeout=seconds + 60,
    )  # fmt: skip
    out = done.stdout
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}

    def quantile(q: str) -> float:
        found = re.search(rf"^\s*{q}%\s+([\d.]+)(us|ms|s|m)", out, re.MULTILINE)
        return float(found[1]) * unit[found[2]] if found else float("nan")

    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return Load(float(rate[1]) if rate else 0.0, quantile("50"), quantile("99"), int(bad[1]) if bad else 0)


def pgbench(
    dsn: str, script: str, defines: Mapping[str, str], clients: int, seconds: float, folder: Path
) -> Load:
    """The same call without any door: throughput and latency of a pgbench script."""
    program = shutil.which("pgbench") or next(
        iter(sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/pgbench")), reverse=True)), None
    )
    if program is None:
        sys.exit("error: pgbench is missing; apt-get install postgresql-contrib")
    file = folder / "call.sql"
    file.write_text(script)
    for old in folder.glob("pgbench_log.*"):
        old.unlink()
    done = subprocess.run(
        [program, dsn, "-n", "-f", str(file), "-c", str(clients), "-j", "1", "-T", str(max(1, round(seconds))),
         "-l", "--log-prefix", str(folder / "pgbench_log"), *[x for k, v in defines.items() for x in ("-D", f"{k}={v}")]],
        check=True, capture_output=True, text=True, timeout=seconds + 60,
    )  # fmt: skip
    took = sorted(
        int(line.split()[2]) / 1000
        for log in folder.glob("pgbench_log.*")
        for line in log.read_text().splitlines()
    )
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    return Load(float(rate[1]) if rate else 0.0, took[len(took) // 2], took[int(len(took) * 0.99)], 0)


def median(values: list[float]) -> float:
    return round(statistics.median(values), 3)


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * q))], 3)


def report(
    bench: str,
    ours: Mapping[str, float],
    peers: Mapping[str, Mapping[str, float]],
    settings: Mapping[str, object],
) -> None:
    """The last line: one JSON object with a ratio for every metric that a peer shares."""
    ratios = {
        f"{metric}_vs_{peer}": round(ours[metric] / value, 4)
        for peer, metrics in peers.items()
        for metric, value in metrics.items()
        if metric in ours and value
    }
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[2], 2),
    }
    print(
        json.dumps(
            {
                "bench": bench,
                "machine": machine,
                "settings": settings,
                "ours": ours,
                "peers": peers,
                "ratios": ratios,
            }
        )
    )
