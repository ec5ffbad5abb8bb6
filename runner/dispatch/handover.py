"""What an attempt leaves behind, on its way out: files become artifacts, tables go to staging.

Nothing is visible before the settle: artifact versions stay PENDING and staging tables belong to (attempt,
lease). Each file is taken out of the workspace first, measured, looked at for secrets, and only then
announced and uploaded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.dispatch import entries
from runner.jobtype import harvest, naming
from runner.jobtype.base import Exit, JobType
from runner.lineage import openlineage
from runner.lineage.openlineage import JsonObject
from runner.model.attempt import Attempt
from runner.model.collected import ArtifactFile, Collected, Column, Entry, TableFile
from runner.model.errors import Failure, Permanent, Retryable, StaleLease, StoreRefused, StoreUnavailable
from runner.model.outcome import (
    Outcome,
    PermanentFailure,
    RetryableFailure,
    StagedEntries,
    StagedTable,
    StoredArtifact,
    Succeeded,
    failed,
)
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace
from runner.store.base import Store
from runner.target.loader import Loader
from runner.transfer import door, scanner
from runner.transfer.door import Door, Measured

log = logging.getLogger(__name__)

UPLOADS_AT_ONCE = 4
LOG_ARTIFACT = "log"


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A file that has left the workspace and may be uploaded."""

    file: ArtifactFile
    path: Path
    measured: Measured


class Handover:
    """Publishes what a job type collected."""

    def __init__(self, store: Store, loader: Loader, door: Door) -> None:
        self._store = store
        self._loader = loader
        self._door = door

    async def complete(
        self, attempt: Attempt, job_type: JobType, workspace: Workspace, outcome: Outcome
    ) -> Outcome:
        """The final outcome of work that ended by itself: with its artifacts, tables and lineage, or its
        failure."""
        match outcome:
            case Succeeded():
                return await self._publish(attempt, job_type, workspace, outcome)
            case PermanentFailure() | RetryableFailure():
                if outcome.code is TerminationCode.USER_CODE_FAILED and outcome.usage.exit_code is not None:
                    return await self._explain(attempt, job_type, workspace, outcome, outcome.usage.exit_code)
                return outcome
            case _:
                return outcome

    async def _publish(
        self, attempt: Attempt, job_type: JobType, workspace: Workspace, outcome: Succeeded
    ) -> Outcome:
        collected = await asyncio.to_thread(job_type.collect, attempt, workspace, Exit(0))
        return await self.deliver(attempt, workspace, collected, outcome)

    async def deliver(
        self, attempt: Attempt, workspace: Workspace, collected: Collected, outcome: Succeeded
    ) -> Outcome:
        """The final outcome of work that was done, with what it left behind. Raises Failure, StaleLease."""
        parcels = await self._pack(attempt, workspace, (*collected.artifacts, *self._whole_log(workspace)))
        if collected.failure is not None:
            return replace(
                failed(collected.failure, outcome.usage),
                artifacts=await self._upload(attempt, parcels),
                values=collected.values,
            )
        tables = await self._load(attempt, workspace, collected.tables)
        staged, values = await self._load_entries(attempt, workspace, collected.entries)
        artifacts = await self._upload(attempt, parcels)
        return replace(
            outcome,
            artifacts=artifacts,
            tables=tables,
            entries=staged,
            lineage=naming.with_code(
                attempt, (*_told(outcome.lineage, collected.lineage), *collected.lineage)
            ),
            catalog=(*outcome.catalog, *collected.catalog),
            values={**outcome.values, **collected.values, **values},
        )

    async def _explain(
        self,
        attempt: Attempt,
        job_type: JobType,
        workspace: Workspace,
        outcome: PermanentFailure | RetryableFailure,
        code: int,
    ) -> Outcome:
        """A failed command may still say what was wrong, and leave a report."""
        collected = Collected()
        try:
            collected = await asyncio.to_thread(job_type.collect, attempt, workspace, Exit(code))
        except Failure as failure:
            outcome = failed(failure, outcome.usage)
        try:
            parcels = await self._pack(
                attempt, workspace, (*collected.artifacts, *self._whole_log(workspace))
            )
            return replace(outcome, artifacts=await self._upload(attempt, parcels))
        except Failure as failure:
            # The attempt has failed already; that its report cannot be kept does not change why.
            log.warning(
                "report_not_kept", extra={"attempt_id": attempt.attempt_id, "reason": failure.message}
            )
            return outcome

    def _whole_log(self, workspace: Workspace) -> Iterable[ArtifactFile]:
        """The log on disk, which is there only when the one in the database was truncated."""
        if (workspace.kept / LOG_ARTIFACT).exists():
            yield ArtifactFile(
                name=LOG_ARTIFACT,
                path=LOG_ARTIFACT,
                kind="log",
                content_type="text/plain; charset=utf-8",
                kept=True,
            )

    async def _pack(
        self, attempt: Attempt, workspace: Workspace, files: tuple[ArtifactFile, ...]
    ) -> list[_Parcel]:
        return [await asyncio.to_thread(_pack_one, attempt, workspace, file) for file in files]

    async def _upload(self, attempt: Attempt, parcels: list[_Parcel]) -> tuple[StoredArtifact, ...]:
        turns = asyncio.Semaphore(UPLOADS_AT_ONCE)

        async def one(parcel: _Parcel) -> StoredArtifact:
            async with turns:
                return await self._door.store(
                    attempt,
                    parcel.path,
                    parcel.measured,
                    name=parcel.file.name,
                    kind=parcel.file.kind,
                    content_type=parcel.file.content_type,
                )

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(parcel)) for parcel in parcels]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first is as good a reason as any
        return tuple(task.result() for task in tasks)

    async def _load(
        self, attempt: Attempt, workspace: Workspace, tables: tuple[TableFile, ...]
    ) -> tuple[StagedTable, ...]:
        staged: list[StagedTable] = []
        for table in tables:
            path = await asyncio.to_thread(_take_table, workspace, table)
            staging = await self._open_output(attempt, table.name, table.columns)
            rows = await self._loader.load(table.name, staging, table.columns, path)
            if table.rows is not None and rows != table.rows:
                raise Permanent(
                    TerminationCode.OUTPUT_INVALID,
                    f"table output {table.name} has {rows} rows where {table.rows} were announced",
                )
            staged.append(StagedTable(table.name, staging, table.layer, table.table, table.mode, rows))
        return tuple(staged)

    async def _load_entries(
        self, attempt: Attempt, workspace: Workspace, found: tuple[Entry, ...]
    ) -> tuple[StagedEntries | None, dict[str, Any]]:
        """Entries in staging, and what the run's values say of them."""
        if not found:
            return None, {}
        kept = await asyncio.to_thread(entries.without_secrets, found, workspace.secrets.values())
        path = workspace.kept / "entries.csv"
        await asyncio.to_thread(entries.write, kept, path)
        staging = await self._open_output(attempt, entries.NAME, entries.COLUMNS)
        rows = await self._loader.load(entries.NAME, staging, entries.COLUMNS, path)
        return StagedEntries(staging, rows), entries.summary(kept)

    async def _open_output(self, attempt: Attempt, name: str, columns: Sequence[Column]) -> str:
        try:
            return await self._store.open_output(attempt.key, name, columns)
        except StoreUnavailable as error:
            raise Retryable(TerminationCode.PUBLISH_FAILED, "the database went away while loading") from error
        except StoreRefused as error:
            if error.code == "STALE_LEASE":
                raise StaleLease from error
            raise Permanent(
                TerminationCode.OUTPUT_INVALID, f"table output {name}: {error.message[:500]}"
            ) from error


def _told(by_executor: Sequence[JsonObject], by_work: Sequence[JsonObject]) -> tuple[JsonObject, ...]:
    """What an executor tells of itself, where it has carried the work elsewhere: a hop, whose datasets are
    the work's."""
    hops = [each for each in by_executor if "run" not in each]
    return (*(each for each in by_executor if "run" in each), *openlineage.through(hops, by_work))


def _pack_one(attempt: Attempt, workspace: Workspace, file: ArtifactFile) -> _Parcel:
    """Take, measure and scan one file. Raises Permanent (OUTPUT_INVALID, OUTPUT_TOO_LARGE,
    SECRET_IN_OUTPUT)."""
    path = workspace.kept / file.path
    if not file.kept:
        path = _take(workspace, file.path, attempt.max_artifact_bytes)
    findings = scanner.scan(path, workspace.secrets.values(), text=file.kind in scanner.TEXTS)
    if findings:
        said = ", ".join(f"line {each.line}: {each.rule}" for each in findings[:5])
        raise Permanent(
            TerminationCode.SECRET_IN_OUTPUT, f"output {file.name} holds what looks like a secret ({said})"
        )
    return _Parcel(file, path, door.measure(path))


def _take_table(workspace: Workspace, table: TableFile) -> Path:
    return _take(workspace, table.path, None)


def _take(workspace: Workspace, path: str, max_bytes: int | None) -> Path:
    try:
        return harvest.take(workspace.root, path, workspace.kept, max_bytes=max_bytes)
    except FileNotFoundError:
        raise Permanent(TerminationCode.OUTPUT_INVALID, f"{path} was not written") from None
