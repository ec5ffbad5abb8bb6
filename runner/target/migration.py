"""Applies SQL files to a target, each exactly once, whatever dies on the way.

    one run per target at a time    an advisory lock of the target's database, for as long as the run works
    exactly once                    the ledger's row is written in the transaction of the file itself, under a
                                    lock of the ledger that no statement of the file can let go
    outside of a transaction        the row says `begun` before and `applied` after; what stands in the file
                                    may be done twice, and an index that a crash left invalid is made anew

Files run as the target's own role, one statement at a time by the extended protocol: nothing in a text can
end the transaction around it. The guards of a session are set anew for each.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import AsyncConnection, generators, sql
from psycopg.pq import ExecStatus, TransactionStatus

from runner.model.errors import Retryable
from runner.model.migration import Done, Entry, File, Finding, Level, Plan, Shape, Terms, refusals
from runner.model.termination import TerminationCode
from runner.target import shape
from runner.target.directory import Target
from runner.target.ledger import Ledger

Say = Callable[[str], None]
Session = AsyncConnection[Any]

_LOCK = int.from_bytes(hashlib.sha256(b"control room: schema migration").digest()[:8], "big", signed=True)
#: States of the server that pass by themselves.
_PASSING = ("55P03", "40P01", "40001", "57P01", "57P02", "57P03", "53300")


class StatementFailed(Exception):
    """A statement of a file was refused by the database."""

    def __init__(self, file: str, line: int, error: psycopg.Error | str) -> None:
        self.state = error.sqlstate if isinstance(error, psycopg.Error) else None
        said = error if isinstance(error, str) else (error.diag.message_primary or "the connection was lost")
        super().__init__(f"{said} ({self.state})" if self.state else said)
        self.file = file
        self.line = line

    def finding(self, rule: str) -> Finding:
        """As the report has it."""
        return Finding(rule, Level.ERROR, str(self), self.file, self.line, final=True)


@dataclass(frozen=True, slots=True)
class Standing:
    """How files and ledger compare: what is done, what is to be done, what does not fit."""

    already: tuple[Entry, ...]
    pending: tuple[File, ...]
    findings: tuple[Finding, ...]
    before: Shape
    next_position: int


class Migration:
    """One plan and one target."""

    def __init__(self, target: Target, plan: Plan, terms: Terms, say: Say) -> None:
        self._target = target
        self._plan = plan
        self._terms = terms
        self._say = say
        self._ledger = Ledger(terms)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A session that keeps every other run away from this target. Raises Retryable, Permanent."""
        keeper = await self._target.open()
        try:
            got = await _value(keeper, "select pg_catalog.pg_try_advisory_lock(%s)", _LOCK)
            if not got:
                self._say("waits for another run to be done with this target")
                await keeper.execute("select pg_catalog.pg_advisory_lock(%s)", [_LOCK])
            yield keeper
        finally:
            await keeper.close()

    async def standing(self, keeper: AsyncConnection[Any]) -> Standing:
        """Compare files with the ledger, and the schema with what the last run left."""
        entries = await self._ledger.entries(keeper)
        before = await shape.read(keeper)
        findings = list(_drift(self._plan, entries))
        last = max(entries.values(), key=lambda each: each.position, default=None)
        if last and last.schema_after and last.schema_after != before.sha256:
            said = f"somebody else has changed the schema since {last.file} was applied at {last.applied_at}"
            findings.append(Finding("schema-drift", Level.WARNING, said, last.file))
        if await _value(keeper, "select rolsuper from pg_catalog.pg_roles where rolname = current_user"):
            said = "the target's role is a superuser: give the runner one that may only change this schema"
            findings.append(Finding("superuser", Level.WARNING, said, self._plan.files[0].name))
        done = {name for name, each in entries.items() if each.ended}
        return Standing(
            already=tuple(entries[f.name] for f in self._plan.files if f.name in done),
            pending=tuple(f for f in self._plan.files if f.name not in done),
            findings=tuple(findings),
            before=before,
            next_position=last.position + 1 if last else 1,
        )

    async def apply(self, keeper: AsyncConnection[Any], standing: Standing) -> Done:
        """Apply what is pending. What keeps from it is in the findings of the answer, and then nothing of the
        transaction it stopped has happened. Raises Retryable, Permanent."""
        applied: list[Entry] = []
        findings: list[Finding] = []
        if standing.pending:
            await self._ledger.make(keeper)
        before = standing.before
        position = standing.next_position
        for group in groups(standing.pending, one_transaction=self._terms.one_transaction):
            work = self._whole if group[0].whole else self._apart
            try:
                made, found, after = await work(group, before, position)
            except StatementFailed as error:
                if error.state in _PASSING or error.state is None:
                    raise Retryable(
                        TerminationCode.USER_CODE_FAILED, f"{error.file}, line {error.line}: {error}"
                    ) from error
                findings.append(error.finding("apply-failed"))
                break
            findings += found
            if refusals(found, self._terms):
                break
            applied += made
            before = after
            position += len(group)
        names = {each.file for each in applied}
        return Done(
            applied=tuple(applied),
            already=standing.already,
            pending=tuple(each.name for each in standing.pending if each.name not in names),
            findings=tuple(findings),
            before=standing.before.sha256,
            shape=await shape.read(keeper),
        )

    # -- a group in one transaction

    async def _whole(
        self, files: Sequence[File], before: Shape, position: int
    ) -> tuple[list[Entry], list[Finding], Shape]:
        connection = await self._target.open()
        at = (files[0].name, 1)
        try:
            await self._guard(connection)
            identity = await _value(connection, "select current_user")
            await connection.execute("begin")
            # no statement inside can let go of this, and a second writer waits here and then sees our rows
            await self._ledger.lock(connection)
            known = await self._ledger.entries(connection)
            entries: list[Entry] = []
            first = before
            for number, file in enumerate(files):
                if file.name in known:
                    raise Retryable(
                        TerminationCode.EXECUTOR_UNAVAILABLE,
                        f"{file.name} was applied by another run meanwhile",
                    )
                ledger = await self._ledger.digest(connection)
                began = time.monotonic()
                for statement in file.statements:
                    at = (file.name, statement.line)
                    await send(connection, statement.text)
                    if connection.info.transaction_status is not TransactionStatus.INTRANS:
                        raise StatementFailed(
                            file.name, statement.line, "the statement has left the transaction"
                        )
                await connection.execute("set constraints all immediate")
                if await self._ledger.digest(connection) != ledger:
                    found = Finding(
                        "ledger", Level.ERROR, "the file has changed the ledger", file.name, final=True
                    )
                    return [], [found], first
                if await _value(connection, "select current_user") != identity:
                    found = Finding(
                        "other-role", Level.ERROR, "the file has changed the role", file.name, final=True
                    )
                    return [], [found], first
                after = await shape.read(connection)
                milliseconds = round((time.monotonic() - began) * 1000)
                entry = await self._enter(connection, file, position + number, milliseconds, (before, after))
                entries.append(entry)
                self._say(f"{file.name}: {len(file.statements)} statements, {milliseconds} ms")
                before = after
            hidden = await self._hidden_deletes(connection, files, first)
            if refusals(hidden, self._terms):
                return [], hidden, first
            at = (files[-1].name, files[-1].statements[-1].line if files[-1].statements else 1)
            await connection.execute("commit")
            return entries, hidden, before
        except psycopg.Error as error:
            raise StatementFailed(*at, error) from error
        finally:
            # closing takes back what was not committed
            await connection.close()

    async def _hidden_deletes(
        self, connection: AsyncConnection[Any], files: Sequence[File], first: Shape
    ) -> list[Finding]:
        """Rows that went although no statement says so: by a function, a trigger, a cascade."""
        said = {name for file in files for name in file.deletes}
        known = {table.identity: table.full_name for table in first.tables}
        rows = await connection.execute(
            """
            select relid::pg_catalog.int8, n_tup_del from pg_catalog.pg_stat_xact_user_tables
            where n_tup_del > 0
            """
        )
        return [
            Finding(
                "hidden-delete",
                Level.ERROR,
                f"{count} rows of {known[oid]} were deleted, which no statement of the files says",
                files[-1].name,
                about=known[oid],
            )
            for oid, count in await rows.fetchall()
            if oid in known and known[oid] not in said
        ]

    # -- a file outside of a transaction

    async def _apart(
        self, files: Sequence[File], before: Shape, position: int
    ) -> tuple[list[Entry], list[Finding], Shape]:
        (file,) = files
        connection = await self._target.open()
        at = (file.name, 1)
        try:
            await self._guard(connection)
            await self._ledger.begin(connection, file, position, before)
            began = time.monotonic()
            for name in file.builds:
                await _drop_if_invalid(connection, name)
            for statement in file.statements:
                at = (file.name, statement.line)
                await send(connection, statement.text)
            after = await shape.read(connection)
            milliseconds = round((time.monotonic() - began) * 1000)
            entry = await self._enter(connection, file, position, milliseconds, (before, after))
            self._say(
                f"{file.name}: {len(file.statements)} statements outside of a transaction, {milliseconds} ms"
            )
            return [entry], [], after
        except psycopg.Error as error:
            raise StatementFailed(*at, error) from error
        finally:
            await connection.close()

    async def _enter(
        self,
        connection: AsyncConnection[Any],
        file: File,
        position: int,
        milliseconds: int,
        shapes: tuple[Shape, Shape],
    ) -> Entry:
        before, after = shapes
        entry = await self._ledger.end(
            connection, file, position, milliseconds=milliseconds, before=before, after=after
        )
        if entry is None:
            raise StatementFailed(file.name, 1, "the ledger has another file of this name")
        return entry

    async def _guard(self, connection: AsyncConnection[Any]) -> None:
        for name, value in (
            ("lock_timeout", self._terms.lock_timeout_ms),
            ("statement_timeout", self._terms.statement_timeout_ms),
            ("idle_in_transaction_session_timeout", 60_000),
        ):
            await connection.execute("select pg_catalog.set_config(%s, %s, false)", [name, str(value)])
        connection.add_notice_handler(lambda diag: self._say(f"{diag.severity}: {diag.message_primary}"))


def groups(files: Sequence[File], *, one_transaction: bool) -> list[list[File]]:
    """Neighbours that share a transaction; a file that was marked stands by itself."""
    found: list[list[File]] = []
    for file in files:
        if one_transaction and file.whole and found and found[-1][0].whole:
            found[-1].append(file)
        else:
            found.append([file])
    return found


async def send(connection: AsyncConnection[Any], statement: str) -> None:
    """One statement by the extended protocol, which takes no second one. Rows that it gives are let go."""
    async with connection.lock:
        connection.pgconn.send_query_params(statement.encode(), None)
        results = await connection.wait(generators.execute(connection.pgconn))
    for result in results:
        if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY):
            raise psycopg.errors.error_from_result(result, encoding="utf-8")


def _drift(plan: Plan, entries: dict[str, Entry]) -> list[Finding]:
    """Where files and ledger do not agree: changed, missing, out of order."""
    found: list[Finding] = []
    places = {file.name: number for number, file in enumerate(plan.files)}
    newest = max(
        (places[name] for name, each in entries.items() if name in places and each.ended), default=-1
    )
    for file in plan.files:
        entry = entries.get(file.name)
        if entry is not None and entry.sha256 != file.sha256:
            said = f"it was applied at {entry.applied_at} by run {entry.run_id} and has been changed since"
            found.append(Finding("changed-file", Level.ERROR, said, file.name, about=file.name))
        if entry is None and places[file.name] < newest:
            said = f"it was never applied, and {plan.files[newest].name}, which comes after it, was"
            found.append(Finding("out-of-order", Level.ERROR, said, file.name, about=file.name))
    for name, entry in entries.items():
        if name not in places:
            said = f"it was applied at {entry.applied_at} by run {entry.run_id} and is not among the files"
            found.append(Finding("missing-file", Level.WARNING, said, name, about=name))
    return found


async def _drop_if_invalid(connection: AsyncConnection[Any], name: str) -> None:
    """What `create index concurrently` leaves when it is killed counts as existing, and serves nobody."""
    schema, _, index = name.partition(".")
    row = await connection.execute(
        """
        select from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = %s and c.relname = %s and not i.indisvalid
        """,
        [schema, index],
    )
    if await row.fetchone() is not None:
        await connection.execute(
            sql.SQL("drop index concurrently if exists {}").format(sql.Identifier(schema, index))
        )


def relevant(plan: Plan, pending: Sequence[File]) -> Plan:
    """The plan without findings about files that were applied long ago, and about what the pending ones both
    make and destroy."""
    names = {each.name for each in pending}
    found = (each for each in plan.findings if each.path in names and each.made_by not in names)
    return replace(plan, findings=tuple(found))


async def _value(connection: AsyncConnection[Any], statement: str, *arguments: Any) -> Any:
    row = await (await connection.execute(statement.encode(), arguments or None)).fetchone()
    return row[0] if row else None
