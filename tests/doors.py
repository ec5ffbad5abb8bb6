"""The doors of one database, opened by the very roles that open them in production.

People come through `authenticator` with claims, the worker through `runner`, and the superuser is the clock:
it moves moments into the past instead of waiting for them. Each call is a transaction of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, LiteralString, Self

import psycopg
from psycopg import sql

from dev.stack.testbed import Database, Tenant
from dev.stack.tokens import Role

Item = dict[str, Any]


class Refused(Exception):
    """A door said no, with a code of docs/errors.md."""

    def __init__(self, code: str, body: Item) -> None:
        super().__init__(code)
        self.code = code
        self.body = body


class Doors:
    """Three open connections; a context manager."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._open = ExitStack()
        self.people = self._connect(database.authenticator)
        self.runner = self._connect(database.runner)
        self.clock = self._connect(database.superuser)

    def _connect(self, dsn: str) -> psycopg.Connection:
        return self._open.enter_context(psycopg.connect(dsn, autocommit=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    # people

    def call(self, tenant: Tenant, function: str, body: Any, *, role: Role = "operator") -> Any:
        """`public.<function>(body)` as a member of the tenant; raises Refused."""
        return self._call(self.people, tenant.claims(role), role, function, body)

    def platform(self, function: str, body: Item) -> Any:
        """The same as the platform's operator."""
        return self._call(self.people, '{"role": "service_role"}', "service_role", function, body)

    def read(
        self, tenant: Tenant, query: LiteralString, arguments: Sequence[Any], role: Role = "viewer"
    ) -> Any:
        """The one value of a query, as a member of the tenant."""
        return self._as(self.people, tenant.claims(role), role, query, arguments)

    @classmethod
    def _call(cls, connection: psycopg.Connection, claims: str, role: str, function: str, body: Any) -> Any:
        statement = sql.SQL("select public.{}(%s::jsonb)").format(sql.Identifier(function))
        return cls._as(connection, claims, role, statement, [json.dumps(body)])

    @staticmethod
    def _as(
        connection: psycopg.Connection,
        claims: str,
        role: str,
        statement: LiteralString | sql.Composed,
        arguments: Sequence[Any],
    ) -> Any:
        try:
            with connection.transaction():
                connection.execute(
                    "select set_config('request.jwt.claims', %s, true), set_config('role', %s, true)",
                    [claims, role],
                )
                row = connection.execute(statement, arguments).fetchone()
        except psycopg.Error as error:
            if error.sqlstate != "PGRST":
                raise
            said = json.loads(error.diag.message_primary or "{}")
            raise Refused(said["code"], said) from error
        assert row is not None
        return row[0]

    # the worker

    def register(self, instance: str, offers: Sequence[str]) -> Item:
        said: Item = self._verb(
            "select worker.register(%s)",
            {"name": instance, "instance": instance, "offers": list(offers), "capacity": 100},
        )
        return said

    def claim(self, instance: str, offers: Sequence[str], limit: int) -> list[Item]:
        rows = self.runner.execute(
            "select worker.claim_attempts(%s, %s, %s)", [instance, list(offers), limit]
        ).fetchall()
        return [row[0] for row in rows]

    def renew(self, instance: str, items: Sequence[Item]) -> list[Item]:
        said: list[Item] = self._verb("select worker.renew_leases(%s, %s)", instance, list(items))
        return said

    def report(self, items: Sequence[Item]) -> list[Item]:
        said: list[Item] = self._verb("select worker.report(%s)", list(items))
        return said

    def settle(self, instance: str, items: Sequence[Item]) -> list[Item]:
        said: list[Item] = self._verb("select worker.settle_attempts(%s, %s)", instance, list(items))
        return said

    def release(self, instance: str, items: Sequence[Item]) -> list[Item]:
        said: list[Item] = self._verb("select worker.release_attempts(%s, %s)", instance, list(items))
        return said

    def tick(self, instance: str) -> Item:
        said: Item = self._verb("select worker.tick(%s)", instance)
        return said

    def _verb(self, statement: LiteralString, *arguments: Any) -> Any:
        plain = [json.dumps(it) if isinstance(it, dict | list) else it for it in arguments]
        row = self.runner.execute(statement, plain).fetchone()
        assert row is not None
        return row[0]

    # the clock, and whoever else is above the rules

    def set(self, statement: LiteralString, arguments: Sequence[Any] = ()) -> None:
        self.clock.execute(statement, arguments)

    def ask(self, statement: LiteralString, arguments: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """The one value of a query."""
        row = self.clock.execute(statement, arguments).fetchone()
        assert row is not None
        return row[0]
