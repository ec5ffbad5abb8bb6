"""One attempt from its workspace to its outcome, with a fake job type, scripted work and a fake door."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runner.dispatch.handover import Handover
from runner.dispatch.intake import Intake
from runner.dispatch.lifecycle import Capability, Lifecycle
from runner.dispatch.vault import Vault
from runner.dispatch.workspaces import Workspaces, _remove
from runner.executor.base import Reporter
from runner.executor.scripted import ScriptedExecutor
from runner.jobtype import harvest
from runner.jobtype.base import ArtifactFile, Collected, Column, Command, Exit, Readiness, TableFile
from runner.model.attempt import Attempt, Code, Input, TaskImage
from runner.model.errors import Permanent, Retryable, StaleLease
from runner.model.outcome import (
    Outcome,
    PermanentFailure,
    RetryableFailure,
    StoredArtifact,
    Succeeded,
    Usage,
    failed,
)
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace
from runner.store.memory import MemoryStore, Row
from runner.target.loader import Loader
from runner.transfer.door import Door, Measured, measure

AWS_KEY = "AKIA" + "IOSFODNN7EXAMPLE"


@dataclass
class FakeType:
    """Collects what a test tells it to; remembers what it saw."""

    name: str = "code_validation"
    takes_packed_code: bool = False
    tables: tuple[TableFile, ...] = ()
    failure: Permanent | Retryable | None = None
    verdict: Permanent | None = None
    seen: dict[str, str] = field(default_factory=dict)
    collected_with: list[int] = field(default_factory=list)
    root: Path | None = None

    def readiness(self) -> tuple[Readiness, ...]:
        return (Readiness("default"),)

    def prepare(self, attempt: Attempt, workspace: Workspace) -> Command:
        self.root = workspace.root
        self.seen = {
            str(path.relative_to(workspace.root)): path.read_text()
            for path in sorted(workspace.root.rglob("*"))
            if path.is_file()
        }
        return Command(argv=("true",))

    def collect(self, attempt: Attempt, workspace: Workspace, exit: Exit) -> Collected:
        self.collected_with.append(exit.code)
        if self.failure:
            raise self.failure
        found = harvest.find(workspace.root, "outputs", max_bytes=attempt.max_artifact_bytes)
        artifacts = tuple(
            ArtifactFile(name=each.path.removeprefix("outputs/"), path=each.path) for each in found
        )
        return Collected(
            artifacts=artifacts,
            tables=self.tables,
            lineage=({"eventType": "COMPLETE"},),
            values={"files": len(artifacts)},
            failure=self.verdict,
        )


class FakeDoor(Door):
    """Keeps uploads in memory, gives inputs from a dictionary."""

    def __init__(self, inputs: dict[str, bytes] | None = None) -> None:
        super().__init__("http://127.0.0.1:1")
        self.inputs = inputs or {}
        self.stored: dict[str, tuple[str, bytes]] = {}

    async def fetch_input(self, attempt: Attempt, name: str, target: Path) -> Measured:
        target.write_bytes(self.inputs[name])  # noqa: ASYNC240 - tiny files
        return measure(target)

    async def store(
        self,
        attempt: Attempt,
        path: Path,
        measured: Measured,
        *,
        name: str,
        kind: str,
        content_type: str | None = None,
    ) -> StoredArtifact:
        self.stored[name] = (kind, path.read_bytes())  # noqa: ASYNC240 - tiny files
        return StoredArtifact(name, 1, measured.size, measured.sha256)


class FakeLoader(Loader):
    """Counts lines."""

    def __init__(self) -> None:
        super().__init__("")
        self.loaded: dict[str, str] = {}

    async def load(self, name: str, staging: str, columns: Sequence[Column], source: Path) -> int:
        self.loaded[staging] = source.read_text()  # noqa: ASYNC240 - tiny files
        return len(source.read_text().splitlines()) - 1  # noqa: ASYNC240 - tiny files


class Silent:
    """A reporter that says nothing."""

    stop = None

    def progress(self, percent: int, message: str) -> None: ...
    def log(self, stream: str, line: str) -> None: ...
    def usage(self, usage: Usage) -> None: ...
    def external_id(self, identifier: str) -> None: ...


class Chatty(ScriptedExecutor):
    """Scripted work whose log was longer than the database takes."""

    async def run(self, attempt: Attempt, workspace: Workspace, reporter: Reporter) -> Outcome:
        (workspace.kept / "log").write_text("everything that was said\n")
        return await super().run(attempt, workspace, reporter)


class Returning(ScriptedExecutor):
    """Returns the failure of a command, as the process executor does."""

    async def run(self, attempt: Attempt, workspace: Workspace, reporter: Reporter) -> Outcome:
        usage = Usage(exit_code=3)
        return RetryableFailure(code=TerminationCode.USER_CODE_FAILED, message="exit code 3", usage=usage)


@dataclass
class Shop:
    """One capability."""

    folder: Path
    job_type: FakeType = field(default_factory=FakeType)
    door: FakeDoor = field(default_factory=FakeDoor)
    loader: FakeLoader = field(default_factory=FakeLoader)
    store: MemoryStore = field(default_factory=MemoryStore)
    executor: ScriptedExecutor = field(default_factory=ScriptedExecutor)

    async def work(self, *script: dict[str, Any], **changes: Any) -> Outcome:
        attempt = Attempt(
            attempt_id=41, lease=3, number=1, run_id=9, task_run_id=8, task_key="execute", tenant_id="t",
            tenant_slug="acme", job_type="code_validation", engine="default",
            requires="code_validation/default", timeout_seconds=60, params={"script": list(script)},
            code=Code(files={"job.py": "pass"}),
        )  # fmt: skip
        attempt = replace(attempt, **changes)
        self.store.rows[41] = Row(attempt, running=True)
        shop = Lifecycle(
            {"code_validation/default": Capability(self.executor, self.job_type)},
            Workspaces(self.folder, None),
            Vault({"TOKEN": "hunter-2-hunter"}),
            Intake(self.store, self.loader, self.door),
            Handover(self.store, self.loader, self.door),
        )
        try:
            return await shop.work(attempt, Silent())
        except (Permanent, Retryable) as failure:
            return failed(failure)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


async def test_the_job_type_finds_code_parameters_and_inputs(shop: Shop) -> None:
    shop.door.inputs = {"sales": b"a,b\n"}
    await shop.work(
        code=Code(files={"job.py": "print()", "lib/words.py": "x = 1"}),
        inputs=(Input(name="sales", artifact_id="a-1"),),
        params={"day": 1},
    )

    assert shop.job_type.seen == {
        "inputs/sales": "a,b\n",
        "job.py": "print()",
        "lib/words.py": "x = 1",
        "params.json": '{"day": 1}',
    }


async def test_files_become_artifacts(shop: Shop) -> None:
    outcome = await shop.work({"write": {"outputs/a.txt": "one", "outputs/sub/b.txt": "two"}})

    assert isinstance(outcome, Succeeded)
    assert shop.door.stored == {"a.txt": ("data", b"one"), "sub/b.txt": ("data", b"two")}
    assert [each.sha256 for each in outcome.artifacts] == [
        hashlib.sha256(text).hexdigest() for text in (b"one", b"two")
    ]
    assert outcome.lineage == ({"eventType": "COMPLETE"},)


async def test_nothing_of_the_workspace_is_left(shop: Shop) -> None:
    for script in ([], [{"exit": 1}], [{"crash": True}]):
        with contextlib.suppress(RuntimeError):
            await shop.work(*script)
        assert shop.job_type.root is not None
        assert not shop.job_type.root.parent.exists()


def table(**changes: Any) -> TableFile:
    first = TableFile(
        name="t",
        path=".control-room/tables/t.csv",
        columns=(Column("id", "bigint"),),
        layer="gold",
        table="things",
    )
    return replace(first, **changes)


async def test_tables_are_loaded_to_staging(shop: Shop) -> None:
    shop.job_type.tables = (table(rows=2),)
    outcome = await shop.work({"write": {".control-room/tables/t.csv": "id\n1\n2\n"}})

    assert isinstance(outcome, Succeeded)
    assert shop.loader.loaded == {"staging.o41_3_t": "id\n1\n2\n"}
    assert [(each.staging, each.layer, each.table, each.mode, each.rows) for each in outcome.tables] == [
        ("staging.o41_3_t", "gold", "things", "overwrite", 2)
    ]


@pytest.mark.parametrize(
    ("files", "tables", "code"),
    [
        ({"outputs/a.txt": f"key {AWS_KEY}"}, (), TerminationCode.SECRET_IN_OUTPUT),
        ({"outputs/a.txt": "it is hunter-2-hunter"}, (), TerminationCode.SECRET_IN_OUTPUT),
        ({"outputs/a.txt": "x" * 101}, (), TerminationCode.OUTPUT_TOO_LARGE),
        ({}, (table(),), TerminationCode.OUTPUT_INVALID),
        ({".control-room/tables/t.csv": "id\n1\n"}, (table(rows=7),), TerminationCode.OUTPUT_INVALID),
        ({}, (table(path="../../etc/passwd"),), TerminationCode.OUTPUT_INVALID),
    ],
    ids=[
        "form of a secret",
        "granted secret",
        "too large",
        "not written",
        "other rows",
        "path that leads out",
    ],
)
async def test_a_bad_output_fails_for_good_and_nothing_is_uploaded(
    shop: Shop, files: dict[str, str], tables: tuple[TableFile, ...], code: TerminationCode
) -> None:
    shop.job_type.tables = tables
    outcome = await shop.work(
        {"write": {"outputs/good.txt": "fine", **files}}, max_artifact_bytes=100, secrets=("TOKEN",)
    )

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is code
    assert "hunter" not in outcome.message
    assert AWS_KEY not in outcome.message
    assert shop.door.stored == {}


async def test_a_lost_lease_while_loading_is_stale(shop: Shop) -> None:
    shop.job_type.tables = (table(),)
    really = shop.store.open_output

    async def open_output(*arguments: Any) -> str:
        shop.store.rows[41].running = False
        return await really(*arguments)

    shop.store.open_output = open_output  # type: ignore[method-assign]  # the lease is lost at this very moment
    with pytest.raises(StaleLease):
        await shop.work({"write": {".control-room/tables/t.csv": "id\n1\n"}})


async def test_a_failed_command_is_explained_by_its_job_type(shop: Shop) -> None:
    shop.job_type.failure = Permanent(TerminationCode.INVALID_CODE, "line 3: no such column")
    shop.executor = Returning()
    returned = await shop.work()

    assert isinstance(returned, PermanentFailure)
    assert (returned.code, returned.usage.exit_code) == (TerminationCode.INVALID_CODE, 3)
    assert shop.job_type.collected_with == [3]


async def test_work_that_is_done_may_have_found_a_failure_and_keeps_its_report(shop: Shop) -> None:
    shop.job_type.verdict = Permanent(TerminationCode.VALIDATION_FAILED, "2 errors")
    shop.job_type.tables = (table(),)
    outcome = await shop.work({"write": {"outputs/report": "why"}})

    assert isinstance(outcome, PermanentFailure)
    assert (outcome.code, outcome.message) == (TerminationCode.VALIDATION_FAILED, "2 errors")
    assert [each.artifact_id for each in outcome.artifacts] == ["report"]
    assert outcome.values == {"files": 1}
    assert shop.loader.loaded == {}, "nothing that failed is published"


async def test_packed_code_is_left_to_a_job_type_that_asks_for_it(shop: Shop) -> None:
    shop.door.inputs = {".code": b"anything at all"}
    shop.job_type.takes_packed_code = True
    await shop.work(code=Code(artifact_id="a-1"))

    assert shop.job_type.seen == {
        ".control-room/code": "anything at all",
        "params.json": json.dumps({"script": []}),
    }


async def test_a_truncated_log_becomes_an_artifact(shop: Shop) -> None:
    shop.executor = Chatty()
    outcome = await shop.work()

    assert isinstance(outcome, Succeeded)
    assert shop.door.stored == {"log": ("log", b"everything that was said\n")}


@pytest.mark.parametrize(
    "name",
    ["../job.py", "/etc/cron.d/x", "a/../../x", ".control-room/request.json", "a//b", "", "a\0b", "-x"],
)
async def test_code_cannot_be_written_elsewhere(shop: Shop, name: str) -> None:
    outcome = await shop.work(code=Code(files={name: "x"}))

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.INVALID_CODE


def zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"print('one file')", {"job.py": "print('one file')"}),
        (zipped({"job.py": b"x", "lib/y.py": b"y"}), {"job.py": "x", "lib/y.py": "y"}),
    ],
)
async def test_code_may_be_an_artifact(shop: Shop, content: bytes, seen: dict[str, str]) -> None:
    shop.door.inputs = {".code": content}
    await shop.work(code=Code(artifact_id="a-1"))

    assert shop.job_type.seen == {"params.json": json.dumps({"script": []}), **seen}


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        zipped({"../x.py": b"x"}),
        zipped({"x.bin": b"\xff"}),
        zipped({f"{i}.py": b"" for i in range(300)}),
    ],
)
async def test_code_that_is_no_code_is_refused(shop: Shop, content: bytes) -> None:
    shop.door.inputs = {".code": content}
    outcome = await shop.work(code=Code(artifact_id="a-1"))

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.INVALID_CODE


async def test_an_image_that_is_granted_no_more_is_refused_before_anything_is_laid_out(shop: Shop) -> None:
    outcome = await shop.work(image=TaskImage("ghcr.io/acme/etl:1", granted=False))

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.NOT_GRANTED
    assert "ghcr.io/acme/etl:1" in outcome.message
    assert shop.job_type.root is None


async def test_what_is_not_offered_is_refused(shop: Shop) -> None:
    outcome = await shop.work(requires="spark_etl/spark")

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.EXECUTOR_UNAVAILABLE


def test_a_workspace_full_of_traps_is_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("stays")
    place = tmp_path / "place"
    place.mkdir()
    here = os.open(place, os.O_RDONLY)
    for _ in range(1500):  # deeper than Python recurses
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.symlink(outside, "link", dir_fd=here)
    os.close(here)
    _remove(place)

    assert not place.exists()
    assert outside.read_text() == "stays"


def test_workspaces_of_dead_runners_are_swept(tmp_path: Path) -> None:
    (tmp_path / "runner-999999999-1" / "a1-l1" / "job").mkdir(parents=True)
    (tmp_path / "etc").mkdir()

    assert Workspaces(tmp_path, None).sweep() == 1
    assert [each.name for each in tmp_path.iterdir()] == ["etc"]
