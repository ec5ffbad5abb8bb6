"""What a database looks like, by its catalogs: tables, columns, what views read, every other definition.

Only schemas that are the role's own, and `public`; nothing that belongs to an extension; never the ledger's.
"""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from runner.model.migration import Column, Shape, Table

LEDGER_SCHEMA = "control_room"

_TERMS = {
    "{schemas}": f"""n.nspname !~ '^pg_' and n.nspname not in ('information_schema', '{LEDGER_SCHEMA}')
    and (n.nspname = 'public' or pg_has_role(n.nspowner, 'USAGE'))""",
    "{own}": """not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid
                and e.deptype = 'e')""",
    "{own function}": """not exists (select from pg_depend e where e.classid = 'pg_proc'::regclass
                           and e.objid = p.oid and e.deptype = 'e')""",
}


def _filled(text: str) -> bytes:
    for term, meaning in _TERMS.items():
        text = text.replace(term, meaning)
    return text.encode()


_TABLES = _filled("""
select c.oid::int8, n.nspname, c.relname, c.relkind::text, obj_description(c.oid, 'pg_class'),
       case when c.reltuples >= 0 and c.relkind not in ('v', 'f') then c.reltuples::int8 end
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't' and {schemas} and {own}
order by n.nspname, c.relname
""")
_COLUMNS = _filled("""
select c.oid::int8, a.attnum::int4, a.attname, format_type(a.atttypid, a.atttypmod), not a.attnotnull,
       col_description(c.oid, a.attnum)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't' and {schemas}
order by c.oid, a.attnum
""")
# what the rule behind a view depends on is what the view reads
_READS = _filled("""
select distinct r.ev_class::int8, sn.nspname || '.' || s.relname
from pg_rewrite r
join pg_class c on c.oid = r.ev_class and c.relkind in ('v', 'm')
join pg_namespace n on n.oid = c.relnamespace
join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
    and d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class and d.deptype = 'n'
join pg_class s on s.oid = d.refobjid and s.relkind in ('r', 'p', 'v', 'm', 'f')
join pg_namespace sn on sn.oid = s.relnamespace
where {schemas}
order by 1, 2
""")
_DIGESTS = _filled("""
with c as (
    select c.oid, c.relkind, n.nspname || '.' || c.relname as name, c.relrowsecurity, c.relforcerowsecurity
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't' and {schemas} and {own}
)
select 'row security ' || c.name, c.relrowsecurity::text || c.relforcerowsecurity::text
from c where c.relkind in ('r', 'p')
union all
select 'view ' || c.name, pg_get_viewdef(c.oid) from c where c.relkind in ('v', 'm')
union all
select 'constraint ' || c.name || '.' || x.conname, pg_get_constraintdef(x.oid)
from c join pg_constraint x on x.conrelid = c.oid
union all
select 'index ' || c.name || '.' || i.indexrelid::regclass::text,
       pg_get_indexdef(i.indexrelid) || i.indisvalid::text
from c join pg_index i on i.indrelid = c.oid
union all
select 'trigger ' || c.name || '.' || t.tgname, pg_get_triggerdef(t.oid) || t.tgenabled::text
from c join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
union all
select 'policy ' || c.name || '.' || p.polname,
       p.polcmd::text || coalesce(pg_get_expr(p.polqual, p.polrelid), '')
       || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
from c join pg_policy p on p.polrelid = c.oid
union all
select 'default ' || c.name || '.' || d.adnum, pg_get_expr(d.adbin, d.adrelid)
from c join pg_attrdef d on d.adrelid = c.oid
union all
select 'function ' || p.oid::regprocedure::text, pg_get_functiondef(p.oid)
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where p.prokind in ('f', 'p') and {schemas}
  and {own function}
union all
select 'type ' || n.nspname || '.' || t.typname, string_agg(e.enumlabel, ',' order by e.enumsortorder)
from pg_type t join pg_namespace n on n.oid = t.typnamespace
join pg_enum e on e.enumtypid = t.oid
where {schemas} group by 1
""")
KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "f": "foreign table"}


async def read(connection: AsyncConnection[Any]) -> Shape:
    """The shape as this session sees it, inside its transaction where it has one."""
    # definitions are printed with names as short as the path allows: none, so that they are the same for all
    saved = await _value(connection, "select pg_catalog.current_setting('search_path')")
    inside = connection.info.transaction_status == 2  # INTRANS: then the change ends with it
    await connection.execute("select pg_catalog.set_config('search_path', '', %s)", [inside])
    try:
        columns: dict[int, list[tuple[int, Column]]] = {}
        for oid, number, name, type_, nullable, comment in await _rows(connection, _COLUMNS):
            columns.setdefault(oid, []).append((number, Column(name, type_, nullable, comment)))
        reads: dict[int, list[str]] = {}
        for oid, source in await _rows(connection, _READS):
            reads.setdefault(oid, []).append(source)
        tables = tuple(
            Table(
                schema=schema,
                name=name,
                kind=KINDS[kind],
                identity=oid,
                columns=tuple(column for _, column in columns.get(oid, ())),
                positions=tuple(number for number, _ in columns.get(oid, ())),
                comment=comment,
                rows=rows,
                reads=tuple(reads.get(oid, ())),
            )
            for oid, schema, name, kind, comment, rows in await _rows(connection, _TABLES)
        )
        definitions = dict(await _rows(connection, _DIGESTS))
        host, database = await _place(connection)
        return Shape(host, database, tables, definitions)
    finally:
        if connection.info.transaction_status in (0, 2):
            await connection.execute("select pg_catalog.set_config('search_path', %s, %s)", [saved, inside])


async def _place(connection: AsyncConnection[Any]) -> tuple[str, str]:
    """Host and port as lineage names them, and the database. A socket is this machine."""
    info = connection.info
    host = info.host if info.host and not info.host.startswith("/") else "localhost"
    return f"{host.lower()}:{info.port}", info.dbname


async def _rows(connection: AsyncConnection[Any], statement: bytes) -> list[tuple[Any, ...]]:
    return await (await connection.execute(statement)).fetchall()


async def _value(connection: AsyncConnection[Any], statement: str) -> Any:
    row = await (await connection.execute(statement.encode())).fetchone()
    return row[0] if row else None
