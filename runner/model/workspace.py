"""A workspace: the directory of one attempt, which the sandbox sees as /job.

Before `prepare` of the job type is called the dispatcher has laid out:

    job.py …                        the files of `code` (relative names, folders allowed)
    params.json                     the parameters, `{}` when there are none
    inputs/<name>                   each artifact input, as one file
    outputs/                        empty
    .control-room/                  the side channel between harness and runner
    .control-room/code              code that came as an artifact, if the job type unpacks it itself
    .control-room/inputs/<name>.csv, <name>.json      each table input: CSV with header, and its columns
    .control-room/tables/           empty

CSV is Postgres' own: comma, double quotes, a header line, NULL is the unquoted empty string and the empty
string is `""`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.model.command import Command

JOB = "/job"
SIDE_CHANNEL = ".control-room"
#: Code that came as an artifact, for job types that unpack it inside the sandbox.
PACKED_CODE = f"{SIDE_CHANNEL}/code"


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths of one attempt on the runner's disk. `root` becomes /job and belongs to the sandbox's user;
    `kept` is the runner's own: results are moved there once nothing runs any more.

    `command` and `secrets` (name to value) are filled in by the dispatcher after `prepare`, for the executor.
    """

    root: Path
    kept: Path
    command: Command | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def inputs(self) -> Path:
        """Becomes /job/inputs."""
        return self.root / "inputs"

    @property
    def outputs(self) -> Path:
        """Becomes /job/outputs."""
        return self.root / "outputs"

    @property
    def side_channel(self) -> Path:
        """Becomes /job/.control-room."""
        return self.root / SIDE_CHANNEL

    @property
    def staged_tables(self) -> Path:
        """Table inputs before the harness has turned them into Parquet."""
        return self.side_channel / "inputs"

    @property
    def table_outputs(self) -> Path:
        """Table outputs after the harness has turned them into CSV."""
        return self.side_channel / "tables"
