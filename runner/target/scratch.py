"""A dry run: files are applied to a throw-away copy of the target's schema, and what they did is looked at.

    pg_dump --schema-only of the target → a database of its own → the files → what is gone, what is narrower

The copy is made on the target's own server (or where CONTROL_ROOM_TARGET_<NAME>_SCRATCH_URL says) by the
target's own role, holds no rows, and is dropped whatever happens; one that a killed runner left is dropped by
the next run.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from runner.model.migration import File, Finding, Level, Shape, Table, Terms
from runner.target import migration, narrowing, shape
from runner.target.directory import Target
from runner.target.migration import StatementFailed

PREFIX = "control_room_scratch_"
DUMP_SECONDS = 240.0
_PROGRAMS = ("pg_dump", "pg_restore")
#: Nothing that names a role, a disk or another server: the copy is the target's role's own.
DUMP = (
    "--format=custom",
    "--schema-only",
    "--no-owner",
    "--no-privileges",
    "--no-publications",
    "--no-subscriptions",
    "--no-tablespaces",
    "--no-security-labels",
    "--lock-wait-timeout=10000",
    f"--exclude-schema={shape.LEDGER_SCHEMA}",
)


class Unfit(Exception):
    """No copy can be made here; the text says why, and the mend."""


class Scratch:
    """Makes the copy and tries the files in it."""

    def __init__(self, target: Target, terms: Terms, folder: Path) -> None:
        self._target = target
        self._terms = terms
        self._folder = folder

    async def rehearse(self, keeper: AsyncConnection[Any], files: Sequence[File]) -> list[Finding]:
        """What the files do to the schema, as findings. Raises Unfit when there can be no copy."""
        async with self._copy(keeper) as (database, complaints):
            connection = await self._target.open(database, scratch=True)
            try:
                before = await shape.read(connection)
                try:
                    for group in migration.groups(files, one_transaction=self._terms.one_transaction):
                        await self._try(connection, group)
                except StatementFailed as error:
                    lacking = (
                        f"; the copy lacks {len(complaints)} objects: {complaints[0]}" if complaints else ""
                    )
                    found = error.finding("dry-run-failed")
                    return [
                        Finding(
                            found.rule,
                            found.level,
                            f"{found.message}{lacking}",
                            found.path,
                            found.line,
                            final=True,
                        )
                    ]
                after = await shape.read(connection)
            finally:
                await connection.close()
        found_ = effects(before, after, files)
        if complaints:
            said = f"the copy lacks {len(complaints)} objects of the target: {complaints[0]}"
            found_.append(Finding("incomplete-copy", Level.WARNING, said, files[0].name))
        return found_

    async def _try(self, connection: AsyncConnection[Any], files: Sequence[File]) -> None:
        whole = files[0].whole
        at = (files[0].name, 1)
        try:
            await connection.execute(
                "select pg_catalog.set_config('statement_timeout', %s, false)",
                [str(self._terms.statement_timeout_ms)],
            )
            if whole:
                await connection.execute("begin")
            for file in files:
                for statement in file.statements:
                    at = (file.name, statement.line)
                    await migration.send(connection, statement.text)
            if whole:
                await connection.execute("commit")
        except psycopg.Error as error:
            raise StatementFailed(*at, error) from error

    @asynccontextmanager
    async def _copy(self, keeper: AsyncConnection[Any]) -> AsyncIterator[tuple[str, list[str]]]:
        dump, restore = await programs(keeper.info.server_version // 10_000)
        # the advisory lock of the target is held: what else has this prefix was left by a killed run
        mine = (
            PREFIX
            + hashlib.sha256(
                f"{keeper.info.host}:{keeper.info.port}/{keeper.info.dbname}".encode()
            ).hexdigest()[:12]
        )
        name = f"{mine}_a{self._terms.attempt_id}_l{self._terms.lease}"
        admin = await self._target.open(scratch=True)
        try:
            await _drop(admin, f"{mine}%")
            try:
                await admin.execute(
                    sql.SQL("create database {} template template0").format(sql.Identifier(name))
                )
            except psycopg.errors.InsufficientPrivilege as error:
                raise Unfit(
                    "the target's role may make no database for it: alter role … createdb, or name another "
                    "server in CONTROL_ROOM_TARGET_<NAME>_SCRATCH_URL"
                ) from error
            try:
                archive = self._folder / "schema.dump"
                code, said = await _run(
                    (dump, *DUMP, f"--file={archive}"),
                    self._target.process_environment(scratch=False),
                )  # fmt: skip
                if code != 0:
                    raise Unfit(
                        f"pg_dump cannot read the target's schema: {(said or ['it did not say why'])[0]}"
                    )
                _, said = await _run(
                    (restore, "--no-owner", "--no-privileges", f"--dbname={name}", str(archive)),
                    self._target.process_environment(scratch=True, database=name),
                )
                archive.unlink()
                yield name, said
            finally:
                await asyncio.shield(_drop(admin, name))
        finally:
            await admin.close()


def effects(before: Shape, after: Shape, files: Sequence[File]) -> list[Finding]:
    """What is gone or narrower: by oid and attnum, so that a new name is not taken for a loss."""
    found: list[Finding] = []
    last = files[-1]
    tables = {table.identity: table for table in after.tables}
    for old in before.tables:
        if old.kind in ("view",):
            continue
        new = tables.get(old.identity)
        if new is None:
            found.append(_lost("drop-table", f"{old.full_name} is gone afterwards", old.full_name, last))
            continue
        found += _columns(old, new, last)
    return found


def _columns(old: Table, new: Table, last: File) -> list[Finding]:
    found: list[Finding] = []
    kept = dict(zip(new.positions, new.columns, strict=True))
    for position, column in zip(old.positions, old.columns, strict=True):
        about = f"{old.full_name}.{column.name}"
        now = kept.get(position)
        if now is None:
            found.append(_lost("drop-column", f"{about} is gone afterwards", about, last))
        elif now.type != column.type and not narrowing.is_wider(column.type, now.type):
            said = f"{about} was {column.type} and becomes {now.type}, which does not hold every value"
            found.append(_lost("narrow-type", said, about, last))
    return found


def _lost(rule: str, message: str, about: str, file: File) -> Finding:
    return Finding(rule, Level.ERROR, message, file.name, about=about)


async def programs(server: int) -> tuple[str, str]:
    """pg_dump and pg_restore of at least the server's major. Raises Unfit."""
    candidates = await asyncio.to_thread(_folders)
    for folder in candidates:
        found = tuple(str(folder / name) for name in _PROGRAMS)
        if all(os.access(each, os.X_OK) for each in found):
            code, said = await _run((found[0], "--version"), {}, output=True)
            match = re.search(r"(\d+)", said[0]) if code == 0 and said else None
            if match and int(match[1]) >= server:
                return found[0], found[1]
    raise Unfit(
        f"there is no pg_dump of Postgres {server} or later on the runner's PATH: "
        f"install postgresql-client-{server}"
    )


def _folders() -> list[Path]:
    """Where they may be: Debian's own folders, which /usr/bin/pg_dump only wraps, then all of the path."""
    versions = [each for each in Path("/usr/lib/postgresql").glob("*/bin") if each.parent.name.isdigit()]
    return [*sorted(versions, key=lambda each: int(each.parent.name)), *map(Path, os.get_exec_path())]


async def _run(
    argv: Sequence[str], environment: dict[str, str], *, output: bool = False
) -> tuple[int, list[str]]:
    """Exit code, and what it said that matters."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", **environment},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(DUMP_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        return -1, [f"it took longer than {DUMP_SECONDS:g} s"]
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    lines = said.decode("utf-8", "replace").splitlines()
    if output:
        return process.returncode or 0, lines
    wanted = [line.partition("error: ")[2][:300] for line in lines if "error: " in line]
    return process.returncode or 0, wanted


async def _drop(admin: AsyncConnection[Any], pattern: str) -> None:
    rows = await admin.execute(
        "select datname from pg_catalog.pg_database where datname like %s and datname like %s",
        [PREFIX.replace("_", r"\_") + "%", pattern.replace("_", r"\_")],
    )
    for (name,) in await rows.fetchall():
        with contextlib.suppress(psycopg.Error):
            await admin.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )
