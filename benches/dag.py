"""A chain of 40 no-op tasks and 40 side by side, every step durable, beside Prefect 3 in the same run."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benches.peers import environment, version
from benches.yardstick import Stack, arguments, median, report, say, stack

TASKS = 40
PATIENCE_SECONDS = 180.0

# What a newcomer would write: a flow in a process of its own (`serve`), its server on Postgres.
PREFECT_FLOWS = """\
import os
from prefect import flow, serve, task


@task
def step(before=None):
    return 1


@flow
def chain(n: int):
    last = None
    for _ in range(n):
        last = step(last)


@flow
def fan_out(n: int):
    for future in [step.submit() for _ in range(n)]:
        future.result()


if __name__ == "__main__":
    serve(chain.to_deployment("chain"), fan_out.to_deployment("fan-out"), limit=10, pause_on_shutdown=False)
"""


def graphs(n: int) -> dict[str, list[dict[str, Any]]]:
    """The tasks of both shapes."""

    def task(i: int, after: list[int]) -> dict[str, Any]:
        return {
            "task_key": f"t{i}",
            "job_type": "spark_etl",
            "spec": "do nothing",
            "code": {"files": {"job.py": "pass"}},
            "depends_on": [{"task_key": f"t{j}"} for j in after],
        }

    return {
        "chain": [task(i, [i - 1] if i else []) for i in range(n)],
        "fan_out": [task(i, []) for i in range(n)],
    }


class Ours:
    """Jobs made once, run over HTTP through the edge function."""

    def __init__(self, up: Stack, n: int) -> None:
        headers = {"apikey": up.env["SUPABASE_ANON_KEY"], "Authorization": f"Bearer {up.token}"}
        self._http = httpx.Client(base_url=f"{up.env['SUPABASE_URL']}/functions/v1/api/v1", headers=headers)
        self._jobs = {
            name: self._ask("POST", "/jobs", {"name": name, "tasks": tasks})["job_id"]
            for name, tasks in graphs(n).items()
        }

    def seconds(self, shape: str) -> float:
        """From before the request to the end that the database wrote down."""
        began = time.time()
        run = self._ask("POST", "/jobs/run", {"job_id": self._jobs[shape]})["run_id"]
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            time.sleep(0.2)  # seldom: watching costs the one who is watched
            said = self._ask("GET", f"/runs/{run}")
            if said["times"]["finished_at"]:
                if said["state"] != "SUCCEEDED":
                    raise SystemExit(f"error: run {run} ended {said['state']}: {said['termination_message']}")
                return datetime.fromisoformat(said["times"]["finished_at"]).timestamp() - began
        raise SystemExit(f"error: run {run} did not end within {PATIENCE_SECONDS:g} s")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._http.request(method, path, json=body)
        if answer.is_error:
            raise SystemExit(f"error: {method} {path}: {answer.status_code} {answer.text[:300]}")
        said: dict[str, Any] = answer.json()
        return said


class Prefect:
    """Its server, and a process that serves both flows."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/api", timeout=30)

    def ready(self) -> bool:
        """The server answers and both deployments are there."""
        try:
            return self._http.post("/deployments/count", json={}).json() == 2
        except (httpx.HTTPError, ValueError):
            return False

    def seconds(self, shape: str, n: int) -> float:
        """From before the request to the end that its server wrote down."""
        name = {"chain": "chain/chain", "fan_out": "fan-out/fan-out"}[shape]
        deployment = self._http.get(f"/deployments/name/{name}").raise_for_status().json()["id"]
        began = time.time()
        asked = {"parameters": {"n": n}, "state": {"type": "SCHEDULED"}}
        made = self._http.post(f"/deployments/{deployment}/create_flow_run", json=asked).raise_for_status()
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            time.sleep(0.2)
            run = self._http.get(f"/flow_runs/{made.json()['id']}").raise_for_status().json()
            if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                if run["state_type"] != "COMPLETED":
                    raise SystemExit(f"error: Prefect's flow ended {run['state_type']}")
                return datetime.fromisoformat(run["end_time"].replace("Z", "+00:00")).timestamp() - began
        raise SystemExit(f"error: Prefect's flow did not end within {PATIENCE_SECONDS:g} s")


@contextlib.contextmanager
def prefect(python: Path, database: str, folder: Path) -> Iterator[Prefect]:
    """Its server and its worker while the block lasts; loopback only, nothing sent home."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    env = {
        **os.environ,
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_API_DATABASE_CONNECTION_URL": database.replace("postgresql://", "postgresql+asyncpg://"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_UI_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    flows = folder / "flows.py"
    flows.write_text(PREFECT_FLOWS)
    log = (folder / "prefect.log").open("wb")
    processes: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        processes.append(
            subprocess.Popen(
                [str(python), *command], env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
        )

    try:
        start("-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui")
        there = Prefect(url)
        until = time.monotonic() + 120
        served = False
        while not (served and there.ready()):
            if time.monotonic() > until or any(it.poll() is not None for it in processes):
                raise SystemExit(
                    f"error: Prefect did not come up: {(folder / 'prefect.log').read_text()[-800:]}"
                )
            time.sleep(0.5)
            if not served:
                with contextlib.suppress(httpx.HTTPError):
                    served = httpx.get(f"{url}/api/health", timeout=2).is_success
                if served:
                    start(str(flows))
        yield there
    finally:
        for process in reversed(processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        log.close()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true", help="ours alone")
    asked = parser.parse_args()
    repeat = 1 if asked.quick else asked.repeat
    ours: dict[str, list[float]] = {"chain_s": [], "fan_out_s": []}
    theirs: dict[str, list[float]] = {"chain_s": [], "fan_out_s": []}
    settings: dict[str, object] = {"tasks": asked.tasks, "repeat": repeat, "goals": {"chain_s": 0.6}}
    env = {"CONTROL_ROOM_EXECUTOR_SPARK_ETL": "scripted", "CONTROL_ROOM_CAPACITY": "64"}
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        up = opened.enter_context(stack("bench-dag", services="postgres,gateway,functions,runner", env=env))
        us = Ours(up, asked.tasks)
        them = None
        if not asked.no_peer:
            python = environment("prefect", "prefect>=3.4,<4", "asyncpg>=0.29")
            settings["prefect"] = version(python, "prefect")
            database = f"prefect_{secrets.token_hex(4)}"
            with psycopg.connect(up.env["DATABASE_URL"], autocommit=True) as connection:
                connection.execute(f"create database {database}")
            dsn = up.env["DATABASE_URL"].rsplit("/", 1)[0] + f"/{database}"
            them = opened.enter_context(prefect(python, dsn, folder))
        for shape in ("chain", "fan_out"):  # plans are made, processes are warm
            us.seconds(shape)
            if them is not None:
                them.seconds(shape, asked.tasks)
        for turn in range(repeat):
            for shape in ("chain", "fan_out"):
                ours[f"{shape}_s"].append(us.seconds(shape))
                line = f"  {turn + 1}. {shape:8} ours {ours[f'{shape}_s'][-1]:7.3f} s"
                if them is not None:
                    theirs[f"{shape}_s"].append(them.seconds(shape, asked.tasks))
                    line += f"   Prefect {theirs[f'{shape}_s'][-1]:7.3f} s"
                say(line)
    peers = {"prefect": {k: median(v) for k, v in theirs.items()}} if theirs["chain_s"] else {}
    report("dag", {k: median(v) for k, v in ours.items()}, peers, settings)


if __name__ == "__main__":
    main()
