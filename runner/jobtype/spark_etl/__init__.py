"""spark_etl: ordinary PySpark, on DuckDB (engine `duckdb`, through sqlframe) or on Spark itself (engine `spark`).

The harness runs inside the sandbox (`control_room_harness`, read-only); it and the runner speak through the
side channel of the workspace. What it wrote is hostile when it comes back: lineage is rebuilt by
`runner.lineage.sanitiser`, columns are checked by the database, files go through `runner.jobtype.harvest`.

What becomes of outputs/:
    a declared output with a table     is loaded into its layer; its files are no artifacts
    any other file                     is an artifact named as it lies below outputs/; Spark's own markers
                                       (_SUCCESS, *.crc) are left out
    a folder with one Parquet part     is one artifact, <name>.parquet
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.jobtype import harvest
from runner.jobtype.base import ArtifactFile, Collected, Column, Exit, Place, Readiness, TableFile
from runner.lineage.openlineage import Dataset, Job
from runner.lineage.sanitiser import Allowed, sanitise
from runner.model.attempt import Attempt
from runner.model.command import GIB, MIB, Bind, Command, Limits
from runner.model.errors import Permanent
from runner.model.termination import TerminationCode
from runner.model.workspace import SIDE_CHANNEL, Workspace

ENGINES = ("duckdb", "spark")
LIBRARY = "/opt/control-room"
JAVA_HOMES = ("/usr/lib/jvm/java-17-openjdk-amd64", "/usr/lib/jvm/java-17-openjdk-arm64", "/usr/lib/jvm/default-java")
MAX_SIDE_FILE = 32 * MIB
LIMITS = {
    "duckdb": Limits(memory_bytes=1 * GIB),
    # 400 MiB end in an out-of-memory kill, 750 MiB are the peak of a small job: facts of Spark 4.3
    "spark": Limits(memory_bytes=5 * GIB // 2, pids=1024, tmp_bytes=256 * MIB),
}
_HERE = Path(__file__).resolve().parent
_LINEAGE = _HERE.parent.parent / "lineage"
_KINDS = {".md": "report", ".html": "report", ".pdf": "report", ".sql": "sql", ".ipynb": "notebook", ".svg": "diagram"}
_CONTENT_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".md": "text/markdown",
    ".html": "text/html",
    ".parquet": "application/vnd.apache.parquet",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


class SparkEtl:
    """See `runner.jobtype.base.JobType`."""

    name = "spark_etl"

    def __init__(self, place: Place) -> None:
        self._engines = place.engines

    def readiness(self) -> tuple[Readiness, ...]:
        """An engine is ready when its interpreter is there (and Java, for Spark)."""
        return tuple(Readiness(engine, self._missing(engine)) for engine in ENGINES)

    def _missing(self, engine: str) -> str:
        if self._engines is None:
            return "CONTROL_ROOM_ENGINES is not set: scripts/setup --engines duckdb builds one"
        if not os.access(self._engines / engine / "bin" / "python", os.X_OK):
            return f"there is no engine in {self._engines / engine}: scripts/setup --engines {engine} builds it"
        if engine == "spark" and _java() is None:
            return "Java 17 is missing: apt-get install openjdk-17-jre-headless"
        return ""

    def prepare(self, attempt: Attempt, workspace: Workspace) -> Command:
        """Writes the request and says how the harness is started."""
        assert self._engines is not None, "offered without an engine"
        limits = LIMITS[attempt.engine]
        names = _Names(attempt)
        request = {
            "engine": attempt.engine,
            "entry": _entry(workspace.root),
            "run_id": attempt.run_id,
            "attempt": attempt.number,
            "job_name": names.job.name,
            "namespaces": {"job": names.job.namespace, "file": names.files},
            "inputs": [{"name": i.name, "kind": "table" if i.table else "file"} for i in attempt.inputs],
            "outputs": [{"name": o.name, "table": o.table, "layer": o.layer, "kind": o.kind} for o in attempt.outputs],
            "inputs_lineage": {name: dataset.form() for name, dataset in names.inputs.items()},
            "outputs_lineage": {name: dataset.form() for name, dataset in names.outputs.items()},
            "memory_bytes": limits.memory_bytes,
            "cpus": max(1, int(limits.cpus)),
        }
        (workspace.side_channel / "request.json").write_text(json.dumps(request), "utf-8")
        engine = self._engines / attempt.engine
        python = engine / "bin" / "python"
        environment = {"PYTHONPATH": LIBRARY, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        binds = [Bind(_library(workspace), LIBRARY), Bind(engine, str(engine)), *_interpreter(python)]
        path = f"{engine}/bin:/usr/local/bin:/usr/bin:/bin"
        if attempt.engine == "spark":
            java = _java()
            assert java is not None, "offered without Java"
            environment |= {"JAVA_HOME": str(java)}
            binds += [
                Bind(Path("/etc/java-17-openjdk"), "/etc/java-17-openjdk", optional=True),
                Bind(Path("/etc/hosts"), "/etc/hosts", optional=True),
                Bind(Path("/etc/passwd"), "/etc/passwd", optional=True),
            ]
        return Command(
            argv=(str(python), "-m", "control_room_harness"),
            binds=tuple(binds),
            environment=environment,
            path=path,
            limits=limits,
        )

    def collect(self, attempt: Attempt, workspace: Workspace, exit: Exit) -> Collected:
        """Artifacts always; tables and lineage when the job succeeded."""
        problems = _side_json(workspace, f"{SIDE_CHANNEL}/problems.json")
        if exit.code == 0 and isinstance(problems, list) and problems:
            raise Permanent(TerminationCode.OUTPUT_INVALID, "; ".join(str(each)[:300] for each in problems[:5]))
        if exit.code == 70 and not _has(workspace, f"{SIDE_CHANNEL}/lineage.ndjson"):
            raise Permanent(TerminationCode.INPUT_UNAVAILABLE, "the engine could not be prepared; the log says why")
        names = _Names(attempt)
        artifacts = tuple(_artifacts(attempt, workspace))
        if exit.code != 0:
            return Collected(artifacts=artifacts)
        tables = tuple(_tables(attempt, workspace))
        renamed = {
            Dataset(names.files, artifact.path): Dataset(names.job.namespace, f"artifact/{names.stem}/{artifact.name}")
            for artifact in artifacts
        }
        found = sanitise(
            _events(workspace),
            allowed=Allowed(
                inputs=frozenset(names.inputs.values()),
                outputs=frozenset(names.outputs.values()),
                files=names.files,
                renamed=renamed,
            ),
            job=names.job,
            engine=attempt.engine,
            now=datetime.now(UTC),
        )
        values: dict[str, Any] = {"lineage_dropped": found.dropped} if found.dropped else {}
        return Collected(artifacts=artifacts, tables=tables, lineage=tuple(found.events), values=values)


@dataclass(frozen=True, slots=True)
class _Names:
    """The datasets of one attempt, as lineage calls them."""

    attempt: Attempt

    @property
    def namespace(self) -> str:
        return f"control-room://{self.attempt.tenant_slug}"

    @property
    def files(self) -> str:
        return f"{self.namespace}/run/{self.attempt.run_id}"

    @property
    def stem(self) -> str:
        """What the database puts before the name of an artifact of this run."""
        attempt = self.attempt
        return f"jobs/{attempt.name}" if attempt.job_id is not None else f"runs/{attempt.run_id}"

    @property
    def job(self) -> Job:
        attempt = self.attempt
        name = attempt.name or attempt.job_type
        if attempt.task_key != "execute":
            name = f"{name}.{attempt.task_key}"
        return Job(self.namespace, name, attempt.run_id, attempt.number)

    @property
    def inputs(self) -> dict[str, Dataset]:
        return {
            each.name: Dataset(self.namespace, each.table or f"artifact/{each.artifact_name or each.name}")
            for each in self.attempt.inputs
        }

    @property
    def outputs(self) -> dict[str, Dataset]:
        """Tables by their layer; a declared file by the artifact it becomes."""
        return {
            each.name: Dataset(
                self.namespace, f"{each.layer}.{each.table}" if each.table else f"artifact/{self.stem}/{each.name}"
            )
            for each in self.attempt.outputs
        }


def _entry(root: Path) -> str:
    if (root / "job.py").is_file():
        return "job.py"
    found = sorted(
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if not path.relative_to(root).parts[0].startswith((".", "inputs", "outputs"))
    )
    if len(found) == 1:
        return found[0]
    raise Permanent(
        TerminationCode.INVALID_CODE,
        "there is no job.py" + (f" among {', '.join(found[:10])}" if found else " and no other .py file"),
    )


def _library(workspace: Workspace) -> Path:
    """The harness where everyone may read it: the clone may lie below a home that is closed to the sandbox's user.

    Made once per runner, in its own directory, which goes when the runner goes.
    """
    place = workspace.root.parent.parent / "library"
    if not place.is_dir():
        fresh = Path(tempfile.mkdtemp(dir=place.parent))
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_HERE / "harness", fresh / "control_room_harness", ignore=ignore)
        shutil.copytree(_LINEAGE, fresh / "runner" / "lineage", ignore=ignore)
        (fresh / "runner" / "__init__.py").write_text("")
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        try:
            fresh.rename(place)
        except OSError:  # another attempt was quicker
            shutil.rmtree(fresh)
    return place


def _interpreter(python: Path) -> Iterable[Bind]:
    """The base interpreter of the engine, when it does not lie below /usr, which every sandbox sees."""
    base = python.resolve().parent.parent
    return () if base.is_relative_to("/usr") else (Bind(base, str(base)),)


def _java() -> Path | None:
    return next((Path(home) for home in JAVA_HOMES if (Path(home) / "bin" / "java").exists()), None)


def _has(workspace: Workspace, path: str) -> bool:
    return (workspace.root / path).is_file()


def _side_json(workspace: Workspace, path: str) -> Any:
    try:
        return json.loads(harvest.read_bytes(workspace.root, path, max_bytes=MAX_SIDE_FILE))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def _events(workspace: Workspace) -> Iterable[object]:
    try:
        text = harvest.read_bytes(workspace.root, f"{SIDE_CHANNEL}/lineage.ndjson", max_bytes=MAX_SIDE_FILE)
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            yield None


def _tables(attempt: Attempt, workspace: Workspace) -> Iterable[TableFile]:
    for output in attempt.outputs:
        if output.table is None:
            continue
        base = f"{SIDE_CHANNEL}/tables/{output.name}"
        columns = _side_json(workspace, f"{base}.json")
        if not isinstance(columns, list) or not columns or not _has(workspace, f"{base}.csv"):
            raise Permanent(TerminationCode.OUTPUT_INVALID, f"the job wrote no table to outputs/{output.name}")
        yield TableFile(
            name=output.name,
            path=f"{base}.csv",
            columns=tuple(Column(str(c.get("name")), str(c.get("type"))) for c in columns if isinstance(c, dict)),
            layer=str(output.layer),
            table=output.table,
            mode=output.mode or "overwrite",
        )


def _artifacts(attempt: Attempt, workspace: Workspace) -> Iterable[ArtifactFile]:
    declared = {output.name: output for output in attempt.outputs}
    tables = tuple(output.name for output in attempt.outputs if output.table)
    files = [
        found
        for found in harvest.find(workspace.root, "outputs")
        if not _is_marker(found.path) and not _below(found.path, tables)
    ]
    parts: dict[str, list[str]] = {}
    for found in files:
        pieces = found.path.split("/")
        if len(pieces) == 3 and pieces[2].startswith("part-"):
            parts.setdefault(pieces[1], []).append(found.path)
    for found in files:
        pieces = found.path.split("/")
        name = "/".join(pieces[1:])
        suffix = Path(found.path).suffix
        if len(pieces) == 3 and len(parts.get(pieces[1], ())) == 1 and pieces[2].startswith("part-"):
            name = pieces[1] if Path(pieces[1]).suffix else f"{pieces[1]}{suffix}"
        output = declared.get(pieces[1]) or declared.get(Path(pieces[1]).stem)
        yield ArtifactFile(
            name=name,
            path=found.path,
            kind=(output.kind if output and output.kind else _KINDS.get(suffix, "data")),
            content_type=_CONTENT_TYPES.get(suffix),
        )


def _is_marker(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name.startswith(("_", ".")) or name.endswith(".crc")


def _below(path: str, outputs: Iterable[str]) -> bool:
    """Whether the file belongs to a table output: outputs/<name>, outputs/<name>.<suffix> or below them."""
    top = path.split("/")[1]
    return any(top == name or top.startswith(f"{name}.") for name in outputs)
