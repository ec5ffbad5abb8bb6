"""`spark_etl`: the user's ordinary PySpark job, on the small engine (duckdb) or on real Spark.

The harness that runs inside the sandbox travels with the workspace, in `.control-room/library`, so every
executor can start it, whatever it can see of this machine; only the engine's environment is bound. What the
harness leaves behind was written by code we do not trust and is read as such (`results`).
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from runner.jobtype import naming
from runner.jobtype.base import Collected, Command, Exit, Limits, Place, Readiness, Workspace
from runner.jobtype.spark_etl import environment, library, results
from runner.model.attempt import Attempt
from runner.model.command import GIB, MIB, Crew
from runner.model.errors import Permanent
from runner.model.termination import TerminationCode
from runner.model.workspace import JOB, SIDE_CHANNEL

ENGINES = ("duckdb", "spark")
#: file_bytes bounds a single file, and so a table's CSV; disk_bytes bounds the job directory as a whole.
LIMITS = {
    "duckdb": Limits(memory_bytes=1 * GIB, pids=256, file_bytes=512 * MIB),
    "spark": Limits(memory_bytes=5 * GIB // 2, pids=1024, file_bytes=512 * MIB, disk_bytes=4 * GIB),
}
#: Where the driver of many executors listens (harness/cluster.py), and where they print.
MASTER_PORT = 7077
EXECUTOR_LOGS = f"{SIDE_CHANNEL}/executors/*/*/*/std*"
#: What Spark's worker writes below the command of an executor, before this has said anything.
_RULE = "=" * 40


class SparkEtl:
    """See `jobtype.base.JobType`."""

    name = "spark_etl"
    takes_packed_code = False

    def __init__(self, place: Place) -> None:
        self._place = place

    def readiness(self) -> tuple[Readiness, ...]:
        """An engine is ready when its interpreter is there and the sandbox's user may run it."""
        return tuple(Readiness(engine, environment.reason(self._place, engine)) for engine in ENGINES)

    def prepare(self, attempt: Attempt, workspace: Workspace) -> Command:
        """Write the harness and its request; say how to start it. Raises Permanent(INVALID_CODE)."""
        if attempt.engine not in ENGINES or (self._place.engines is None and not self._place.image):
            raise Permanent(TerminationCode.INVALID_CODE, f"there is no engine {attempt.engine[:64]!r}")
        limits = LIMITS[attempt.engine]
        request = {
            "engine": attempt.engine,
            "entry": _entry(workspace.root),
            **naming.request(attempt),
            "memory_bytes": limits.memory_bytes,
            "cpus": max(1, int(limits.cpus)),
        }
        crew = None
        if attempt.executors:
            # They and the driver know one another by a word that nobody else in the network knows.
            request["cluster"] = {"executors": attempt.executors, "secret": secrets.token_hex(32)}
            crew = self._crew(attempt)
        workspace.side_channel.mkdir(exist_ok=True)
        (workspace.side_channel / "request.json").write_text(json.dumps(request), "utf-8")
        library.lay_out(workspace.side_channel / library.FOLDER)
        found = environment.find(self._place, attempt.engine)
        return Command(
            argv=(found.python, "-B", "-P", "-s", "-m", library.MODULE),
            binds=found.binds,
            environment={
                "PYTHONPATH": f"{JOB}/{SIDE_CHANNEL}/{library.FOLDER}",
                **found.variables,
            },
            limits=limits,
            crew=crew,
        )

    def _crew(self, attempt: Attempt) -> Crew:
        if attempt.engine != "spark":
            raise Permanent(
                TerminationCode.INVALID_CODE, f"the engine {attempt.engine[:64]} has no executors"
            )
        python = environment.find(self._place, attempt.engine).python
        argv = (python, "-B", "-P", "-s", "-m", f"{library.MODULE}.executor")
        return Crew(
            count=attempt.executors,
            called="executor",
            argv=argv,
            port=MASTER_PORT,
            logs=EXECUTOR_LOGS,
            begins=_RULE,
        )

    def collect(self, attempt: Attempt, workspace: Workspace, exit: Exit) -> Collected:
        """Artifacts, tables and lineage of an attempt that ended. Raises Permanent or Retryable."""
        if exit.code != 0:
            results.explain(workspace, exit.code)
            return Collected()
        return results.collect(attempt, workspace)


def _entry(root: Path) -> str:
    """job.py, else the only Python file beside it."""
    if (root / "job.py").is_file():
        return "job.py"
    scripts = sorted(path.name for path in root.glob("*.py"))
    if len(scripts) == 1:
        return scripts[0]
    found = "no Python file" if not scripts else f"{len(scripts)} Python files"
    raise Permanent(
        TerminationCode.INVALID_CODE, f"the code has no job.py and {found} that could stand for it"
    )
