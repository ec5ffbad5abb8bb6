"""One tenant's rows, out of a project and into another one.

A tenant is what bears its id: every table of our schemas has `tenant_id`, so the list of tables is read off
the catalog and no table can be forgotten. Rows keep their ids, which is why they only fit into a project
where those ids are free. What is of the moment or of the place stays behind (`LEFT_BEHIND`).

Works as `postgres`, as a migration does: a member of the owners for the length of one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

Connection = psycopg.Connection[Any]

SCHEMAS = (
    "tenancy",
    "artifact",
    "job",
    "queue",
    "lineage",
    "schedule",
    "catalog",
    "callback",
    "audit",
    "worker",
)
LAYERS = ("bronze", "silver", "gold")
# counters of what runs now, work under way, requests of this minute, objects of the old Storage
LEFT_BEHIND = frozenset(
    {
        "queue.live_attempts",
        "queue.news",
        "queue.slots",
        "worker.outside",
        "tenancy.knocks",
        "tenancy.spent_assertions",
        "artifact.removals",
    }
)


class ArchiveError(Exception):
    """Why a tenant cannot be taken out or in; `mend` says what to do."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}; {mend}")
        self.mend = mend


@dataclass(frozen=True)
class Tenant:
    tenant_id: str
    slug: str


@dataclass(frozen=True)
class LayerTable:
    """A table of a layer: which, and the columns it was made with."""

    layer: str
    name: str
    columns: list[dict[str, str]]


@contextmanager
def snapshot(dsn: str) -> Iterator[Connection]:
    """A transaction that sees one moment, changes nothing, and may read everything."""
    with _opened(dsn) as connection:
        connection.execute("begin isolation level repeatable read")
        _become_owner(connection)
        yield connection
        # takes the membership back as well
        connection.execute("rollback")


@contextmanager
def intake(dsn: str) -> Iterator[Connection]:
    """A transaction that takes all of a tenant in, or nothing."""
    with _opened(dsn) as connection, connection.transaction():
        _become_owner(connection)
        yield connection
        connection.execute("revoke app_owner, app_system from postgres")


@contextmanager
def _opened(dsn: str) -> Iterator[Connection]:
    try:
        with psycopg.connect(dsn, autocommit=True, row_factory=tuple_row) as connection:
            yield connection
    except psycopg.Error as error:
        raise ArchiveError(
            f"the database said: {str(error).strip()}", "nothing was changed; look at the URL and its role"
        ) from error


def _become_owner(connection: Connection) -> None:
    connection.execute("grant app_owner, app_system to postgres")
    connection.execute("set local timezone = 'UTC'")
    connection.execute("set local statement_timeout = 0")


def find(connection: Connection, slug: str) -> Tenant:
    row = connection.execute("select id::text, slug from tenancy.tenants where slug = %s", [slug]).fetchone()
    if row is None:
        raise ArchiveError(f"there is no tenant {slug!r}", "name one of tenancy.tenants by its slug")
    return Tenant(*row)


def unfinished(connection: Connection, tenant: Tenant) -> int:
    """Runs that have not ended: taken out, they would go on in two projects."""
    query = "select count(*) from queue.runs where tenant_id = %s and finished_at is null"
    row = connection.execute(query, [tenant.tenant_id]).fetchone()
    assert row is not None
    return int(row[0])


def schema_version(connection: Connection) -> str:
    """The newest migration, by Supabase's history, or by ours in a project with one of its own."""
    row = connection.execute("select to_regclass('supabase_migrations.control_room') is not null").fetchone()
    assert row is not None
    history = sql.Identifier("supabase_migrations", "control_room" if row[0] else "schema_migrations")
    row = connection.execute(sql.SQL("select max(version) from {}").format(history)).fetchone()
    assert row is not None
    return str(row[0])


def tables(connection: Connection) -> list[str]:
    """Tables with rows of tenants, those that others point to first."""
    rows = connection.execute(
        """
        select n.nspname || '.' || c.relname,
               array(select distinct f.confrelid::regclass::text from pg_constraint f
                     where f.conrelid = c.oid and f.contype = 'f' and f.confrelid <> c.oid)
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
        where n.nspname = any(%s) and c.relkind in ('r', 'p') and not c.relispartition
        """,
        [[*SCHEMAS]],
    ).fetchall()
    graph = {name: {it for it in pointed if it != "tenancy.tenants"} for name, pointed in rows}
    order = TopologicalSorter({name: graph[name] & graph.keys() for name in sorted(graph)}).static_order()
    return [name for name in order if name not in LEFT_BEHIND]


def columns(connection: Connection, table: str) -> list[str]:
    """What is kept of a table: not what it works out itself, and no transaction of the old cluster."""
    rows = connection.execute(
        """
        select a.attname from pg_attribute a
        where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
          and a.atttypid <> 'xid8'::regtype
        order by a.attnum
        """,
        [table],
    ).fetchall()
    return [name for (name,) in rows]


def rows(connection: Connection, table: str, tenant: Tenant, key: str = "tenant_id") -> Iterator[str]:
    """The tenant's rows as JSON, one after the other, in an order that is always the same."""
    kept = [
        sql.SQL("{}, {}").format(sql.Literal(it), sql.Identifier(it)) for it in columns(connection, table)
    ]
    # a row has more columns than a function takes arguments
    parts = [kept[start : start + 40] for start in range(0, len(kept), 40)]
    made = sql.SQL(" || ").join(
        sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(part)) for part in parts
    )
    query = sql.SQL("select ({made})::text as line from {table} where {key} = {tenant} order by line").format(
        made=made, table=_table(table), key=sql.Identifier(key), tenant=sql.Literal(tenant.tenant_id)
    )
    with connection.cursor(name="archive") as cursor:
        cursor.itersize = 2000
        for (line,) in cursor.execute(query):
            yield line


def layer_tables(connection: Connection, tenant: Tenant) -> list[LayerTable]:
    found = connection.execute(
        """
        select l.layer, c.relname, catalog.columns_of(c.oid::regclass)
        from unnest(%s::text[]) l (layer)
        join pg_namespace n on n.nspname = catalog.schema_of(%s, l.layer)
        join pg_class c on c.relnamespace = n.oid and c.relkind = 'r'
        order by 1, 2
        """,
        [[*LAYERS], tenant.slug],
    ).fetchall()
    return [LayerTable(*row) for row in found]


def layer_table(tenant: Tenant, table: LayerTable) -> str:
    return f"{table.layer}_{tenant.slug}.{table.name}"


def objects(connection: Connection, tenant: Tenant) -> list[dict[str, Any]]:
    """What lies in Storage for the tenant: the contents whose bytes are there."""
    found = connection.execute(
        """
        select to_jsonb(c) from artifact.contents c
        where c.tenant_id = %s and c.gone_at is null order by c.sha256
        """,
        [tenant.tenant_id],
    ).fetchall()
    return [row for (row,) in found]


# ---------------------------------------------------------------------------------------------- and in


def open_tenant(connection: Connection, row: str) -> Tenant:
    """The tenant's own row, its counter and its layers; raises ArchiveError where one is there already."""
    told = json.loads(row)
    tenant = Tenant(told["id"], told["slug"])
    known = connection.execute(
        "select from tenancy.tenants where id = %s or slug = %s", [tenant.tenant_id, tenant.slug]
    ).fetchone()
    if known is not None:
        raise ArchiveError(f"the project has a tenant {tenant.slug!r}", "take it in where there is none")
    _fill(connection, "tenancy.tenants", [row])
    connection.execute("insert into queue.slots (tenant_id) values (%s)", [tenant.tenant_id])
    connection.execute("set local role app_system")
    connection.execute("select catalog.open_layers(%s)", [tenant.slug])
    connection.execute("reset role")
    return tenant


def fill(connection: Connection, table: str, lines: Iterable[str]) -> int:
    """Puts rows in as they were; raises ArchiveError where their ids are not free."""
    try:
        return _fill(connection, table, lines)
    except psycopg.errors.UniqueViolation as error:
        raise ArchiveError(
            f"ids of {table} are taken in this project ({error.diag.constraint_name})",
            "take the tenant in where nothing has run yet",
        ) from error


def make_layer_table(connection: Connection, tenant: Tenant, table: LayerTable) -> None:
    """As a publication would make it, with the policies of its class: the assets are there already."""
    connection.execute("set local role app_system")
    connection.execute(
        "select catalog.make_table(%s, %s, %s, %s, %s)",
        [
            *(tenant.tenant_id, f"{table.layer}_{tenant.slug}", table.layer, table.name),
            json.dumps(table.columns),
        ],
    )
    connection.execute("reset role")


def advance(connection: Connection, names: Iterable[str]) -> None:
    """New ids begin after those that came."""
    query = """
        select setval(s::regclass, m)
        from (select pg_get_serial_sequence({name}, {text}) s, max({column}) m from {table}) x
        where m > coalesce((select last_value from pg_sequences
                            where format('%I.%I', schemaname, sequencename) = s), 0)
    """
    for table in names:
        identities = connection.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attidentity <> ''", [table]
        ).fetchall()
        for (column,) in identities:
            parts = {"name": sql.Literal(table), "text": sql.Literal(column)}
            connection.execute(
                sql.SQL(query).format(**parts, column=sql.Identifier(column), table=_table(table))
            )


def _fill(connection: Connection, table: str, lines: Iterable[str]) -> int:
    connection.execute("create temp table if not exists arriving (line jsonb) on commit drop")
    connection.execute("truncate arriving")
    with connection.cursor() as cursor, cursor.copy("copy arriving from stdin") as copy:
        for line in lines:
            copy.write_row([line])
    # one statement, so that rows may point to each other
    names = [sql.Identifier(it) for it in columns(connection, table)]
    done = connection.execute(
        sql.SQL(
            "insert into {table} ({names}) overriding system value select {values}"
            " from arriving a cross join lateral jsonb_populate_record(null::{table}, a.line) r"
        ).format(
            table=_table(table),
            names=sql.SQL(", ").join(names),
            values=sql.SQL(", ").join(sql.SQL("r.{}").format(it) for it in names),
        )
    )
    return done.rowcount


def _table(name: str) -> sql.Identifier:
    schema, _, table = name.partition(".")
    return sql.Identifier(schema, table)
