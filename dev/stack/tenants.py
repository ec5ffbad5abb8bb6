"""Tenants and members of the local stack, made through the platform operator's own RPCs."""

from __future__ import annotations

import json

import psycopg
from psycopg import sql

from dev.stack.errors import StackError
from dev.stack.postgres import Server
from dev.stack.tokens import Role


def call(server: Server, function: str, argument: dict[str, object], database: str = "postgres") -> object:
    """Calls `public.<function>(jsonb)` as service_role, as the Data API would.

    Raises StackError with the product's own message and hint where it refuses.
    """
    with server.connect(database=database) as connection, connection.transaction():
        connection.execute("select set_config('request.jwt.claims', '{\"role\": \"service_role\"}', true)")
        connection.execute("set local role service_role")
        statement = sql.SQL("select public.{}(%s::jsonb)").format(sql.Identifier(function))
        try:
            row = connection.execute(statement, [json.dumps(argument)]).fetchone()
        except psycopg.Error as error:
            raise _refusal(error) from error
    return row[0] if row else None


def create(server: Server, slug: str, title: str) -> str:
    """Makes the tenant, unless it is there, and returns its id."""
    try:
        call(server, "platform_create_tenant", {"slug": slug, "name": title})
    except StackError as error:
        if not str(error).startswith("TENANT_EXISTS"):
            raise
    return tenant_id(server, slug)


def tenant_id(server: Server, slug: str) -> str:
    with server.connect() as connection:
        try:
            row = connection.execute("select id from tenancy.tenants where slug = %s", [slug]).fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise StackError(
                "the database has no tenants yet: its migrations were not applied", "run scripts/stack up"
            ) from error
    if row is None:
        raise StackError(f"there is no tenant {slug!r}", f"run scripts/stack tenant {slug}")
    return str(row[0])


def add_member(server: Server, slug: str, user_id: str, role: Role) -> None:
    call(server, "platform_add_member", {"tenant": slug, "user_id": user_id, "role": role})


def _refusal(error: psycopg.Error) -> StackError:
    """The product speaks PostgREST's `PGRST` state, whose message is the JSON body of the answer."""
    message = error.diag.message_primary or str(error)
    if error.sqlstate == "PGRST":
        body = json.loads(message)
        details = f" ({body['details']})" if body.get("details") else ""
        what = f"{body['code']}: {body['message'].rstrip('.')}{details}"
        return StackError(what, body.get("hint") or "see docs/errors.md")
    if isinstance(error, psycopg.errors.UndefinedFunction):
        return StackError(message, "run scripts/stack up to apply the migrations")
    return StackError(message, error.diag.message_hint or "see scripts/stack logs postgres")
