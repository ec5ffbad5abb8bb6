"""What an attempt finds when it starts: code, parameters, artifact inputs as files, table inputs as CSV, and
so what is read from targets: past the sandbox, which has neither their keys nor a way there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath

from runner.jobtype import bundle
from runner.model import reading as readings
from runner.model.attempt import Attempt, Input
from runner.model.errors import Permanent, Retryable, StaleLease, StoreRefused, StoreUnavailable
from runner.model.reading import Reading
from runner.model.termination import TerminationCode
from runner.model.workspace import PACKED_CODE, Workspace
from runner.store.base import Store
from runner.target.loader import Loader
from runner.target.source import Source
from runner.target.sources import Sources
from runner.transfer.door import Door

log = logging.getLogger(__name__)

#: The name under which the door hands out code that was submitted as an artifact.
CODE_INPUT = ".code"
MAX_TABLE_BYTES = 1024**3
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}){0,8}")


class Intake:
    """Lays a workspace out."""

    def __init__(self, store: Store, loader: Loader, door: Door, sources: Sources | None = None) -> None:
        self._store = store
        self._loader = loader
        self._door = door
        self._sources = sources

    def named(self, attempt: Attempt) -> Attempt:
        """The attempt with the dataset behind each URI, known without reading a byte of it. Raises
        Permanent(NOT_GRANTED, EXECUTOR_UNAVAILABLE, INPUT_UNAVAILABLE)."""
        if not any(each.uri for each in attempt.inputs):
            return attempt
        return replace(attempt, inputs=tuple(self._named(attempt, each) for each in attempt.inputs))

    async def lay_out(
        self,
        attempt: Attempt,
        workspace: Workspace,
        *,
        packed: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Write everything the job type may rely on (see `model.workspace`). `packed`: code that came as an
        artifact stays as it is. `say` takes lines for the attempt's log.

        Raises Permanent or Retryable (INVALID_CODE, INPUT_UNAVAILABLE), or StaleLease.
        """
        await self._write_code(attempt, workspace, packed=packed)
        (workspace.root / "params.json").write_text(json.dumps(attempt.params))
        for each in attempt.inputs:
            await self._stage(attempt, each, workspace, say)

    async def granted(self, attempt: Attempt, kinds: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """What the attempt's tenant may use now, by kind. Raises Retryable or StaleLease."""
        try:
            return {kind: await self._store.granted(attempt.key, kind) for kind in kinds}
        except StoreUnavailable as error:
            raise Retryable(
                TerminationCode.EXECUTOR_UNAVAILABLE, "the database went away while it was asked for grants"
            ) from error
        except StoreRefused as error:
            if error.code == "STALE_LEASE":
                raise StaleLease from error
            raise

    async def _write_code(self, attempt: Attempt, workspace: Workspace, *, packed: bool) -> None:
        if attempt.code is None:
            return
        if attempt.code.files is not None:
            write_files(attempt.code.files, workspace.root)
            return
        if packed:
            await self._fetch_code(attempt, workspace.root / PACKED_CODE)
            return
        fetched = workspace.kept / "code"
        await self._fetch_code(attempt, fetched)
        files = await asyncio.to_thread(bundle.unpack, fetched)
        write_files(files, workspace.root)

    async def _fetch_code(self, attempt: Attempt, target: Path) -> None:
        measured = await self._door.fetch_input(attempt, CODE_INPUT, target)
        judged = attempt.code.sha256 if attempt.code is not None else None
        if judged is not None and judged != measured.sha256:
            raise Permanent(TerminationCode.INVALID_CODE, "the code is not the code that was validated")

    async def _stage(
        self, attempt: Attempt, each: Input, workspace: Workspace, say: Callable[[str], None]
    ) -> None:
        if not _NAME.fullmatch(each.name):
            raise Permanent(TerminationCode.INPUT_UNAVAILABLE, f"{each.name[:64]!r} is no name of an input")
        if each.artifact_id is not None:
            await self._door.fetch_input(attempt, each.name, workspace.inputs / each.name)
        elif each.table is not None:
            await self._stage_table(attempt, each, workspace)
        else:
            await self._read(attempt, each, workspace, say)

    def _named(self, attempt: Attempt, each: Input) -> Input:
        if not each.uri:
            return each
        source, asked = self._source(attempt, each)
        return replace(each, dataset=source.dataset(asked.name))

    def _source(self, attempt: Attempt, each: Input) -> tuple[Source, Reading]:
        asked = readings.of(each)
        if asked.target not in attempt.targets:
            raise Permanent(
                TerminationCode.NOT_GRANTED,
                f"the tenant was not, or is no longer, granted the target {asked.target[:64]}",
            )
        if self._sources is None:
            raise Permanent(TerminationCode.INPUT_UNAVAILABLE, f"input {each.name}: nothing is read here")
        return self._sources.find(asked), asked

    async def _read(
        self, attempt: Attempt, each: Input, workspace: Workspace, say: Callable[[str], None]
    ) -> None:
        source, asked = self._source(attempt, each)
        after = None
        if asked.after is not None:
            with _asked_of(f"input {each.name}"):
                after = await self._store.high_water(attempt.key, each.name)
        file = workspace.staged_tables / f"{each.name}.csv"
        extract = await source.read(asked, after, file, MAX_TABLE_BYTES)
        columns = [asdict(column) for column in extract.columns]
        file.with_suffix(".json").write_text(json.dumps(columns))
        since = f", {asked.watermark} from {after - asked.overlap:%Y-%m-%d %H:%M:%S}" if after else ""
        note = f"; {extract.note}" if extract.note else ""
        say(f"input {each.name}: {extract.rows} rows of {each.uri}{since}{note}")

    async def _stage_table(self, attempt: Attempt, each: Input, workspace: Workspace) -> None:
        with _asked_of(f"table input {each.name} ({each.table})"):
            staged = await self._store.open_input(attempt.key, each.name)
        (workspace.staged_tables / f"{each.name}.json").write_text(json.dumps(list(staged.columns)))
        await self._loader.unload(
            each.name,
            staged.table,
            [column["name"] for column in staged.columns],
            workspace.staged_tables / f"{each.name}.csv",
            MAX_TABLE_BYTES,
            rows=staged.rows,
        )


@contextmanager
def _asked_of(what: str) -> Iterator[None]:
    """What the store says of an input, as an attempt ends of it. Raises Retryable, StaleLease, Permanent."""
    try:
        yield
    except StoreUnavailable as error:
        raise Retryable(TerminationCode.INPUT_UNAVAILABLE, "the database went away while reading") from error
    except StoreRefused as error:
        if error.code == "STALE_LEASE":
            raise StaleLease from error
        raise Permanent(TerminationCode.INPUT_UNAVAILABLE, f"{what}: {error.message[:500]}") from error


def write_files(files: dict[str, str], root: Path) -> None:
    """Write the files of a submission. Raises Permanent(INVALID_CODE) for a name that leads elsewhere."""
    for name, text in files.items():
        if not _FILE.fullmatch(name) or ".." in PurePosixPath(name).parts:
            raise Permanent(TerminationCode.INVALID_CODE, f"{name[:128]!r} is no name of a file of code")
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_text(text, encoding="utf-8")
        except (IsADirectoryError, NotADirectoryError, UnicodeEncodeError) as error:
            raise Permanent(TerminationCode.INVALID_CODE, f"{name[:128]!r} cannot be written") from error
