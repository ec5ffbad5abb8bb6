"""A bench on which jobs run as attempts do: prepare, the harness in a process of its own, collect."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dev.stack import state
from runner.executor import cgroup, sandbox
from runner.executor.process import ProcessExecutor
from runner.executor.sandbox import NoSandbox
from runner.jobtype.base import Collected, Exit, Place
from runner.jobtype.spark_etl import SparkEtl, environment
from runner.model.attempt import Attempt, Input, Output
from runner.model.outcome import Outcome, Usage
from runner.model.workspace import Workspace


@pytest.fixture(scope="session")
def engines() -> Path:
    """The folder of engine environments on this machine."""
    return Path(os.environ.get("CONTROL_ROOM_ENGINES") or state.home() / "engines")


@dataclass
class Ran:
    """What one job did."""

    code: int
    stdout: str
    stderr: str
    workspace: Workspace
    attempt: Attempt
    job_type: SparkEtl

    @property
    def outputs(self) -> Path:
        return self.workspace.outputs

    def collect(self) -> Collected:
        return self.job_type.collect(self.attempt, self.workspace, Exit(self.code))

    def events(self) -> list[dict[str, Any]]:
        """The events as the harness wrote them, not yet sanitised."""
        file = self.workspace.side_channel / "lineage.ndjson"
        return [json.loads(line) for line in file.read_text().splitlines()]

    def edges(self) -> set[tuple[str, str]]:
        """Dataset edges of the collected lineage, by name."""
        return {
            (source["name"], target["name"])
            for event in self.collect().lineage
            for source in event["inputs"]
            for target in event["outputs"]
        }

    def event_of(self, dataset: str) -> dict[str, Any]:
        """The one that says what was written; a declared input that nothing wrote from has an event of its own."""
        (event,) = [e for e in self.collect().lineage if dataset in [o["name"] for o in e["outputs"]]]
        return event

    def column_edges(self, dataset: str) -> dict[str, set[str]]:
        """column of `dataset` -> {"source.column", …}, all kinds."""
        event = self.event_of(dataset)
        fields = event["outputs"][0]["facets"]["columnLineage"]["fields"]
        return {
            name: {f"{source['name']}.{source['field']}" for source in entry["inputFields"]}
            for name, entry in fields.items()
        }

    def confidence(self, dataset: str) -> str:
        event = self.event_of(dataset)
        return str(event["run"]["facets"]["control_room"]["confidence"])


@dataclass
class Bench:
    """Runs jobs on one engine, unsandboxed: user code names its files by paths relative to /job."""

    engines: Path
    engine: str
    folder: Path
    _count: int = field(default=0)

    def lay_out(
        self,
        code: str | dict[str, str],
        *,
        files: dict[str, str | Path] | None = None,
        tables: dict[str, tuple[list[tuple[str, str]], str]] | None = None,
        outputs: tuple[Output, ...] = (),
    ) -> tuple[Attempt, Workspace]:
        """What the dispatcher has done when `prepare` is called. `tables`: name -> (columns, CSV)."""
        self._count += 1
        place = self.folder / str(self._count)
        workspace = Workspace(root=place / "job", kept=place / "kept")
        for each in (workspace.inputs, workspace.outputs, workspace.kept, workspace.table_outputs):
            each.mkdir(parents=True)
        workspace.staged_tables.mkdir(parents=True)
        place.chmod(0o711)
        for name, text in ({"job.py": code} if isinstance(code, str) else code).items():
            (workspace.root / name).write_text(textwrap.dedent(text))
        inputs = []
        for name, content in (files or {}).items():
            if isinstance(content, Path):
                shutil.copy(content, workspace.inputs / name)
            else:
                (workspace.inputs / name).write_text(content)
            inputs.append(Input(name, artifact_id=f"0000-{name}"))
        for name, (columns, csv) in (tables or {}).items():
            form = [{"name": c, "type": t} for c, t in columns]
            (workspace.staged_tables / f"{name}.json").write_text(json.dumps(form))
            (workspace.staged_tables / f"{name}.csv").write_text(csv)
            inputs.append(Input(name, table=f"silver.{name}"))
        return make_attempt(self.engine, tuple(inputs), outputs), workspace

    def run(self, code: str | dict[str, str], **laid_out: Any) -> Ran:
        """Run a job to its end."""
        attempt, workspace = self.lay_out(code, **laid_out)
        job_type = SparkEtl(Place(self.engines))
        command = job_type.prepare(attempt, workspace)
        here = self.engines / self.engine
        done = subprocess.run(
            [each.replace(environment.INSIDE, str(here)) for each in command.argv],
            cwd=workspace.root,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder),
                "LANG": "C.UTF-8",
                "TZ": "UTC",
                **{k: v.replace("/job/", f"{workspace.root}/") for k, v in command.environment.items()},
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return Ran(done.returncode, done.stdout, done.stderr, workspace, attempt, job_type)


def make_attempt(engine: str, inputs: tuple[Input, ...] = (), outputs: tuple[Output, ...] = ()) -> Attempt:
    return Attempt(
        attempt_id=41,
        lease=3,
        number=1,
        run_id=9,
        task_run_id=8,
        task_key="execute",
        tenant_id="0b9b7f0e-7a54-4e0a-9c0f-5d9d9f3f1a11",
        tenant_slug="acme",
        job_type="spark_etl",
        engine=engine,
        requires=f"spark_etl/{engine}",
        timeout_seconds=300,
        inputs=inputs,
        outputs=outputs,
    )


def ready(engines: Path, engine: str) -> None:
    """Skip, with the mend, when the engine is not on this machine."""
    if reason := environment.reason(Place(engines), engine):
        pytest.skip(reason)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder through which the sandbox's user gets; pytest's own are closed to others."""
    made = Path(tempfile.mkdtemp(prefix="spark-etl-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def duckdb(engines: Path, folder: Path) -> Bench:
    ready(engines, "duckdb")
    return Bench(engines, "duckdb", folder)


@pytest.fixture
def spark(engines: Path, folder: Path) -> Bench:
    ready(engines, "spark")
    return Bench(engines, "spark", folder)


class Listener:
    """A reporter that remembers."""

    stop = None

    def __init__(self) -> None:
        self.progressed: list[tuple[int, str]] = []
        self.lines: list[tuple[str, str]] = []

    def progress(self, percent: int, message: str) -> None:
        self.progressed.append((percent, message))

    def log(self, stream: str, line: str) -> None:
        self.lines.append((stream, line))

    def usage(self, usage: Usage) -> None:
        pass

    def external_id(self, identifier: str) -> None:
        pass


@dataclass
class Sandboxed:
    """Runs jobs as the runner does: the process executor, in a sandbox, as nobody, without a network."""

    executor: ProcessExecutor
    owner: tuple[int, int] | None

    def run(self, bench: Bench, code: str, **laid_out: Any) -> tuple[Outcome, Ran, Listener]:
        attempt, workspace = bench.lay_out(code, **laid_out)
        job_type = SparkEtl(Place(bench.engines))
        command = job_type.prepare(attempt, workspace)
        if self.owner:
            for folder, folders, files in os.walk(workspace.root):
                for name in (".", *folders, *files):
                    os.chown(Path(folder) / name, *self.owner)
        listener = Listener()
        prepared = Workspace(workspace.root, workspace.kept, command)
        outcome = asyncio.run(self.executor.run(attempt, prepared, listener))
        code_ = outcome.usage.exit_code if outcome.usage.exit_code is not None else -1
        ran = Ran(code_, "", "\n".join(line for _, line in listener.lines), workspace, attempt, job_type)
        return outcome, ran, listener


@pytest.fixture
def sandboxed(folder: Path) -> Sandboxed:
    made = asyncio.run(sandbox.probe(cgroup.detect(), folder))
    if isinstance(made, NoSandbox):
        pytest.skip(made.reason)
    return Sandboxed(ProcessExecutor(made), made.owner)


FLIGHTS = Path(__file__).parents[3] / "examples" / "flights"
FLIGHTS_OUTPUTS = (
    Output("bronze_flights", table="flights", layer="bronze"),
    Output("bronze_airports", table="airports", layer="bronze"),
    Output("silver_flights", table="flights", layer="silver"),
    Output("gold_delays", table="delays", layer="gold"),
    Output("report", kind="report"),
)


@pytest.fixture
def flights() -> Callable[[], dict[str, str]]:
    """A handful of flights and airports in the shapes of the public data."""
    airports = [
        ("ATL", 'W. B. ""Bill"" Hartsfield', "Atlanta", "GA", 33.64, -84.42),
        ("JFK", "John F Kennedy Intl", "New York", "NY", 40.63, -73.77),
        ("LEX", "Blue Grass", "Lexington", "KY", 38.03, -84.60),
    ]
    rows = [
        {
            "date": f"2001/01/{1 + i % 28:02d} {i % 24:02d}:{i % 60:02d}",
            "delay": -5 + 3 * (i % 30),
            "distance": 300 + i,
            "origin": ("JFK", "ATL")[i % 2],
            "destination": "LEX",
        }
        for i in range(120)
    ]
    csv = "iata,name,city,state,country,latitude,longitude\n" + "".join(
        f'{iata},"{name}",{city},{state},USA,{lat},{lon}\n' for iata, name, city, state, lat, lon in airports
    )
    return lambda: {"flights": json.dumps(rows), "airports": csv}
