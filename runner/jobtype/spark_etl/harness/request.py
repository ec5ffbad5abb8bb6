"""What the runner asks of the harness: `/job/.control-room/request.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from runner.lineage.openlineage import Dataset, Job

SIDE_CHANNEL = ".control-room"


@dataclass(frozen=True)
class Input:
    """`kind` "file": already at inputs/<name>; "table": CSV and columns in the side channel, to become
    Parquet."""

    name: str
    kind: Literal["file", "table"]


@dataclass(frozen=True)
class Output:
    """`table`: this output is turned into CSV and loaded; otherwise it stays a file."""

    name: str
    table: bool


@dataclass(frozen=True)
class Cluster:
    """Executors in sandboxes of their own, and the word by which they and the driver know one another."""

    executors: int
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Request:
    """One attempt, as the harness sees it. `root` is /job."""

    root: Path
    engine: str
    entry: str
    job: Job
    files: str  # the namespace of files that are neither an input nor a declared output
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    datasets_in: Mapping[str, Dataset]
    datasets_out: Mapping[str, Dataset]
    memory_bytes: int
    cpus: int
    cluster: Cluster | None = None

    @property
    def side_channel(self) -> Path:
        return self.root / SIDE_CHANNEL

    @property
    def scratch(self) -> Path:
        """Room for what engines spill: on disk, because the tmpfs at /tmp counts as memory."""
        return self.side_channel / "scratch"


def read(root: Path) -> Request:
    """The request of the workspace at `root`."""
    form: dict[str, Any] = json.loads((root / SIDE_CHANNEL / "request.json").read_text("utf-8"))
    namespaces = form["namespaces"]
    return Request(
        root=root,
        engine=form["engine"],
        entry=form["entry"],
        job=Job(namespaces["job"], form["job_name"], int(form["run_id"]), int(form["attempt"])),
        files=namespaces["file"],
        inputs=tuple(Input(each["name"], each["kind"]) for each in form["inputs"]),
        outputs=tuple(Output(each["name"], bool(each.get("table"))) for each in form["outputs"]),
        datasets_in={n: Dataset(d["namespace"], d["name"]) for n, d in form["inputs_lineage"].items()},
        datasets_out={n: Dataset(d["namespace"], d["name"]) for n, d in form["outputs_lineage"].items()},
        memory_bytes=int(form["memory_bytes"]),
        cpus=int(form["cpus"]),
        cluster=Cluster(**form["cluster"]) if "cluster" in form else None,
    )


def heap_mib(request: Request) -> int:
    """A JVM's share of a sandbox's memory."""
    return max(512, int(request.memory_bytes * 0.45) // 2**20)
