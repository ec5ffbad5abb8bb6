"""What the database offers: exposed schemas, routines, relations, roles and their settings.

Read on a second, privileged connection, because the authenticator (NOINHERIT) sees next to nothing in
the catalogs; read again on `NOTIFY pgrst` and whenever that connection had to be made anew.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg

from dev.gateway import errors

log = logging.getLogger("gateway.catalog")

Returns = Literal["void", "scalar", "composite"]
Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Param:
    """An IN parameter. `name` is empty for an unnamed one; `type` is as `format_type` writes it."""

    name: str
    type: str
    required: bool
    variadic: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `base` is the type's own name without modifiers, domains resolved."""

    name: str
    type: str
    base: str
    default: str | None


@dataclass(frozen=True, slots=True)
class Routine:
    """A function that may be called over HTTP. `settings` are those that bind the whole transaction."""

    schema: str
    name: str
    params: tuple[Param, ...]
    returns: Returns
    returns_set: bool
    returns_type: str
    volatile: bool
    settings: Settings
    columns: tuple[Column, ...]

    @property
    def takes_body(self) -> str | None:
        """The type of the single unnamed parameter that takes the whole body, or None."""
        if len(self.params) == 1 and not self.params[0].name:
            kind = self.params[0].type
            return kind if kind in ("json", "jsonb", "text", "xml", "bytea") else None
        return None

    def matches(self, names: frozenset[str]) -> bool:
        """Named arguments: all that are required are there, and nothing unknown is."""
        known = {param.name for param in self.params}
        return names <= known and all(param.name in names for param in self.params if param.required)


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view. `key` holds the primary key's columns, empty for views."""

    schema: str
    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """One reading of the schema; never changed, but replaced. `texts` keeps generated SQL by its shape."""

    schemas: tuple[str, ...]
    extra_search_path: tuple[str, ...]
    pre_request: bytes | None
    roles: Mapping[str, Settings]
    routines: Mapping[tuple[str, str], tuple[Routine, ...]]
    relations: Mapping[tuple[str, str], Relation]
    max_rows: int
    texts: dict[object, Any] = field(default_factory=dict)


# As on hosted projects, where the database does not say otherwise.
_MAX_ROWS = 1000
_STATEMENT_TIMEOUT = "8s"


def quote(name: str) -> str:
    """An SQL identifier, always quoted."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    return f"{quote(schema)}.{quote(name)}"


class Librarian:
    """Keeps the catalog up to date while `run` is running."""

    def __init__(self, admin_url: str, authenticator: str, on_change: Callable[[], None]) -> None:
        self._admin_url = admin_url
        self._authenticator = authenticator
        self._on_change = on_change
        self._catalog: Catalog | None = None
        self._reading = asyncio.Event()
        self._reading.set()

    @property
    def catalog(self) -> Catalog:
        """The newest reading. Raises `errors.Refusal` (503) while there is none."""
        if self._catalog is None:
            raise errors.no_catalog()
        return self._catalog

    @property
    def ready(self) -> bool:
        return self._catalog is not None

    async def settled(self) -> Catalog:
        """The catalog after any reading that is under way, for those who missed something in this one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._reading.wait()
        return self.catalog

    async def run(self) -> None:
        """Read, listen, read again; for ever, through losses of the connection."""
        delay = 0.1
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._admin_url, autocommit=True, application_name="gateway-catalog"
                )
                async with connection:
                    await connection.execute("listen pgrst")
                    while True:
                        await self._read(connection)
                        delay = 0.1
                        async for _ in connection.notifies(stop_after=1):
                            self._reading.clear()
            except psycopg.Error as error:
                log.warning("catalog connection lost: %s", str(error).strip())
            finally:
                self._reading.set()
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2.0)

    async def _read(self, connection: psycopg.AsyncConnection) -> None:
        self._reading.clear()
        try:
            async with connection.transaction():
                await connection.execute("set local search_path = ''")
                self._catalog = await read(connection, self._authenticator)
            self._on_change()
        finally:
            self._reading.set()


async def read(connection: psycopg.AsyncConnection, authenticator: str) -> Catalog:
    """One reading. `connection` must be privileged and its search_path empty, so that types are qualified."""

    async def rows(query: str, *params: object) -> list[tuple[Any, ...]]:
        cursor = await connection.execute(query.encode(), params)
        return await cursor.fetchall()

    own = dict(_pairs((await rows(_ROLE_SETTINGS, authenticator))[0][0]))
    of_database = dict(_pairs((await rows(_DATABASE_SETTINGS))[0][0]))
    pgrst = {
        name: value for name, value in (of_database | own).items() if name.startswith("pgrst.") and value
    }
    schemas = _names(pgrst.get("pgrst.db_schemas", "public"))
    pre_request = pgrst.get("pgrst.db_pre_request")
    limit = pgrst.get("pgrst.db_max_rows", "")
    # a session of the authenticator has its settings already; where it has no timeout, hosted's counts
    usual = () if "statement_timeout" in own else (("statement_timeout", _STATEMENT_TIMEOUT),)
    roles = {
        name: usual + _pairs(settings) for name, settings in await rows(_ROLES, authenticator, authenticator)
    }

    routines: dict[tuple[str, str], tuple[Routine, ...]] = {}
    for row in await rows(_ROUTINES, list(schemas)):
        routine = _routine(row)
        key = (routine.schema, routine.name)
        routines[key] = (*routines.get(key, ()), routine)
    relations = {
        (schema, name): Relation(schema, name, {c.name: c for c in _columns(columns)}, tuple(key))
        for schema, name, columns, key in await rows(_RELATIONS, list(schemas))
    }
    return Catalog(
        schemas=schemas,
        extra_search_path=_names(pgrst.get("pgrst.db_extra_search_path", "public, extensions")),
        pre_request=None if pre_request is None else f"select {_function(pre_request)}()".encode(),
        roles=roles,
        routines=routines,
        relations=relations,
        max_rows=int(limit) if limit.isdecimal() else _MAX_ROWS,
    )


def _pairs(settings: list[str] | None) -> Settings:
    """`["statement_timeout=5s"]`, as Postgres keeps role settings, as pairs."""
    return tuple((name, value) for name, _, value in (entry.partition("=") for entry in settings or []))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip().strip('"') for name in text.split(",") if name.strip())


def _function(text: str) -> str:
    schema, _, name = text.rpartition(".")
    return qualified(schema, name) if schema else quote(name)


def _columns(columns: list[dict[str, Any]] | None) -> tuple[Column, ...]:
    return tuple(Column(c["name"], c["type"], c["base"], c["default"]) for c in columns or [])


# Function settings that PostgREST makes count for the whole transaction (`db-hoisted-tx-settings`).
_HOISTED = ("statement_timeout", "plan_filter.statement_cost_limit", "default_transaction_isolation")


def _routine(row: tuple[Any, ...]) -> Routine:
    (
        schema,
        name,
        names,
        types,
        modes,
        defaults,
        returns_type,
        composite,
        returns_set,
        volatile,
        config,
        columns,
    ) = row
    labels = names or [""] * len(types)
    taken = [
        (label, kind, mode)
        for label, kind, mode in zip(labels, types, modes, strict=True)
        if mode in ("i", "b", "v")
    ]
    first_default = len(taken) - defaults
    params = tuple(
        Param(label, kind, required=position < first_default and mode != "v", variadic=mode == "v")
        for position, (label, kind, mode) in enumerate(taken)
    )
    outputs = tuple(
        Column(label, kind, kind, None)
        for label, kind, mode in zip(labels, types, modes, strict=True)
        if mode in ("o", "b", "t")
    )
    returns: Returns = "composite" if composite or outputs else "scalar"
    if returns_type == "void":
        returns = "void"
    return Routine(
        schema=schema,
        name=name,
        params=params,
        returns=returns,
        returns_set=returns_set,
        returns_type=returns_type,
        volatile=volatile,
        settings=tuple(pair for pair in _pairs(config) if pair[0] in _HOISTED),
        columns=outputs or _columns(columns),
    )


_ROLE_SETTINGS = """
select array_agg(entry order by specific) from (
    select unnest(s.setconfig) as entry, s.setdatabase <> 0 as specific
    from pg_catalog.pg_db_role_setting s
    join pg_catalog.pg_roles r on r.oid = s.setrole
    where r.rolname = %s
      and s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
) settings
"""

_DATABASE_SETTINGS = """
select (
    select s.setconfig from pg_catalog.pg_db_role_setting s
    where s.setrole = 0
      and s.setdatabase = (select oid from pg_catalog.pg_database where datname = current_database())
)
"""

# Roles that a token may name: granted to the authenticator, never a superuser, never the owner of all.
# Of their settings only those that an ordinary role may set, or the authenticator was granted.
_ROLES = """
select r.rolname, (
    select array_agg(entry order by specific) from (
        select unnest(s.setconfig) as entry, s.setdatabase <> 0 as specific
        from pg_catalog.pg_db_role_setting s
        where s.setrole = r.oid
          and s.setdatabase in (
              0, (select oid from pg_catalog.pg_database where datname = current_database())
          )
    ) settings
    left join pg_catalog.pg_settings known on known.name = split_part(entry, '=', 1)
    where split_part(entry, '=', 1) not in ('role', 'session_authorization')
      and (known.context is null or known.context = 'user'
           or has_parameter_privilege(%s, split_part(entry, '=', 1), 'set'))
)
from pg_catalog.pg_auth_members m
join pg_catalog.pg_roles r on r.oid = m.roleid
join pg_catalog.pg_roles a on a.oid = m.member
where a.rolname = %s and not r.rolsuper and r.rolname not in ('none', 'postgres', a.rolname)
"""

_COLUMN = """
jsonb_build_object(
    'name', c.attname,
    'type', pg_catalog.format_type(c.atttypid, c.atttypmod),
    'base', coalesce(nullif(base.typname, t.typname), t.typname),
    'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid)
)
"""

_RELATIONS = f"""
select n.nspname, r.relname,
    (
        select jsonb_agg({_COLUMN} order by c.attnum)
        from pg_catalog.pg_attribute c
        join pg_catalog.pg_type t on t.oid = c.atttypid
        left join pg_catalog.pg_type base on base.oid = t.typbasetype
        left join pg_catalog.pg_attrdef d on d.adrelid = c.attrelid and d.adnum = c.attnum
        where c.attrelid = r.oid and c.attnum > 0 and not c.attisdropped
    ),
    array(
        select a.attname::text
        from pg_catalog.pg_index i
        join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
        where i.indrelid = r.oid and i.indisprimary
    )
from pg_catalog.pg_class r
join pg_catalog.pg_namespace n on n.oid = r.relnamespace
where r.relkind in ('r', 'v', 'm', 'f', 'p') and n.nspname = any(%s)
"""  # noqa: S608 - only text of this module goes in

_ROUTINES = f"""
select n.nspname, p.proname, p.proargnames,
    array(
        select pg_catalog.format_type(u.type, null)
        from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality u(type, at)
        order by u.at
    ),
    coalesce(p.proargmodes::text[], array_fill('i'::text, array[p.pronargs::int])),
    p.pronargdefaults::int,
    pg_catalog.format_type(p.prorettype, null),
    coalesce(baset.typtype, t.typtype) = 'c',
    p.proretset,
    p.provolatile = 'v',
    p.proconfig,
    (
        select jsonb_agg({_COLUMN} order by c.attnum)
        from pg_catalog.pg_attribute c
        join pg_catalog.pg_type t on t.oid = c.atttypid
        left join pg_catalog.pg_type base on base.oid = t.typbasetype
        left join pg_catalog.pg_attrdef d on d.adrelid = c.attrelid and d.adnum = c.attnum
        where c.attrelid = coalesce(nullif(baset.typrelid, 0), t.typrelid)
          and c.attrelid <> 0 and c.attnum > 0 and not c.attisdropped
    )
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_type t on t.oid = p.prorettype
left join pg_catalog.pg_type baset on baset.oid = t.typbasetype
where p.prokind = 'f' and n.nspname = any(%s) and t.typname not in ('trigger', 'event_trigger')
order by 1, 2, p.oid
"""  # noqa: S608 - only text of this module goes in


def authenticator_of(conninfo: str) -> str:
    """The login role that a connection string names."""
    return str(psycopg.conninfo.conninfo_to_dict(conninfo).get("user") or "authenticator")


def strict_object(text: bytes) -> object:
    """Decode JSON as Postgres would: no NaN, no Infinity. Raises ValueError."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)
