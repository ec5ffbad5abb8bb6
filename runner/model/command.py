"""A command: what a job type wants executed, said without knowing by which executor.

Sizes are bytes. Paths named `target` are inside the sandbox, paths named `source` are on the runner's disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

GIB = 1024**3
MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Bind:
    """A read-only view of a file or directory of the runner's disk, put at `target` inside the sandbox.

    The source must be readable by everyone (the sandbox runs as an unprivileged user). `optional` binds are
    skipped when the source is absent.
    """

    source: Path
    target: str
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one attempt may use. Memory covers all processes and tmpfs pages; `disk_bytes` is all of /job."""

    memory_bytes: int = 1 * GIB
    cpus: float = 2.0
    pids: int = 256
    file_bytes: int = 64 * MIB
    tmp_bytes: int = 64 * MIB
    disk_bytes: int = 2 * GIB
    open_files: int = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Hands beside the command's own: `count` sandboxes more, each with the command's limits and environment,
    on the same /job. Each runs `argv`, which is told by CREW_CALLS the address of the command's sandbox and
    by CREW_NUMBER which of them it is, and ends when nobody listens at `port` there any more. `logs` finds,
    below /job, what they have printed: the first folder that `*` stands for says whose it is, of those who
    are `called` so; lines up to one that is `begins` are not theirs.
    """

    count: int
    called: str
    argv: tuple[str, ...]
    port: int
    logs: str
    begins: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start inside the sandbox, in /job.

    `environment` is added to what user code is promised (PATH HOME LANG TZ RUN_ID ATTEMPT TENANT_SLUG and the
    granted secrets); a harness that needs more (PYTHONPATH, JAVA_HOME …) removes it before user code runs.
    `path` is the value of PATH.
    """

    argv: tuple[str, ...]
    binds: tuple[Bind, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    path: str = "/usr/local/bin:/usr/bin:/bin"
    limits: Limits = field(default_factory=Limits)
    crew: Crew | None = None
