"""Whether owners, grants, policies and triggers of a database are those that its migrations say: what a
restore, a button of a dashboard or a hand loses in silence.

The migrations' own text is the list, for each thing of theirs is a stanza, and no later one takes it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

Database = psycopg.Connection[dict[str, Any]]

_EXECUTE = re.compile(r"^\s*grant execute on function ([^;]+?\)) to ([\w, ]+);", re.MULTILINE)
_SELECT = re.compile(r"^\s*grant select on ([\w.,\s]+?) to ([\w, ]+);", re.MULTILINE)
_USAGE = re.compile(r"^\s*grant usage on schema ([\w, ]+?) to ([\w, ]+);", re.MULTILINE)
_SIGNATURE = re.compile(r"\w+\.\w+\([^)]*\)")
_POLICY = re.compile(r'^\s*create policy "([^"]+)" on (\S+)', re.MULTILINE)
_TRIGGER = re.compile(r"^\s*create (?:constraint )?trigger (\w+) [^;]*? on (\w+\.\w+)", re.MULTILINE)
#: Whoever asks the token hook; checked with that.
HOOKED = "supabase_auth_admin"
#: Who becomes whom: what people are by their token, and what a runner is to publish.
CHAIN = (
    *(("viewer", "authenticator"), ("operator", "authenticator"), ("admin", "authenticator")),
    *(("authenticated", "viewer"), ("viewer", "operator"), ("operator", "admin"), ("loader", "runner")),
)
BOUND = (
    "viewer",
    "operator",
    "admin",
    "runner",
    "scaler",
    "loader",
    "anon",
    "authenticated",
    "authenticator",
)


@dataclass(frozen=True)
class Told:
    """What migrations grant and make: (thing, role) or (name, table)."""

    functions: Sequence[tuple[str, str]]
    tables: Sequence[tuple[str, str]]
    schemas: Sequence[tuple[str, str]]
    policies: Sequence[tuple[str, str]]
    triggers: Sequence[tuple[str, str]]


def told(text: str) -> Told:
    """What the text of migrations says."""

    def each(found: list[tuple[str, str]], names: re.Pattern[str]) -> list[tuple[str, str]]:
        return [
            (name, role)
            for things, roles in found
            for name in names.findall(things)
            for role in map(str.strip, roles.split(","))
            if role != HOOKED
        ]

    return Told(
        each(_EXECUTE.findall(text), _SIGNATURE),
        each(_SELECT.findall(text), re.compile(r"\w+\.\w+")),
        each(_USAGE.findall(text), re.compile(r"\w+")),
        [(name, table) for name, table in _POLICY.findall(text) if table != "storage.objects"],
        _TRIGGER.findall(text),
    )


def lost(db: Database, said: Told) -> Iterator[str]:
    """What should be there and is not, and what a role may not that should."""
    asked: tuple[tuple[Sequence[tuple[str, str]], LiteralString, str], ...] = (
        (
            said.functions,
            "coalesce(has_function_privilege(b, to_regprocedure(a)::oid, 'execute'), false)",
            "{b} may not call {a}",
        ),
        (
            said.tables,
            "coalesce(has_table_privilege(b, to_regclass(a)::oid, 'select'), false)",
            "{b} may not read {a}",
        ),
        (
            said.schemas,
            "coalesce(has_schema_privilege(b, to_regnamespace(a)::oid, 'usage'), false)",
            "{b} may not enter {a}",
        ),
        (
            said.policies,
            "exists (select from pg_policy where polname = a and polrelid = to_regclass(b)::oid)",
            "{b} has no policy «{a}»",
        ),
        (
            said.triggers,
            "exists (select from pg_trigger where tgname = a and tgrelid = to_regclass(b)::oid)",
            "{b} has no trigger {a}",
        ),
    )
    for pairs, holds, words in asked:
        query = sql.SQL(
            "select distinct a, b from unnest(%s::text[], %s::text[]) x (a, b) where not {} order by 1, 2"
        ).format(sql.SQL(holds))
        rows = db.execute(query, [[a for a, _ in pairs], [b for _, b in pairs]])
        for it in rows:
            yield words.format(**it)


def given(db: Database, rooms: Sequence[str], said: Told) -> Iterator[str]:
    """What strangers may, by name or as everybody, that no migration grants them."""
    rows = db.execute(
        """
        select 'call ' || p.oid::regprocedure::text as what
        from pg_proc p
        where (p.pronamespace = any (%(rooms)s::regnamespace[])
               or p.pronamespace = 'public'::regnamespace and p.proowner = 'app_owner'::regrole)
          and has_function_privilege('anon', p.oid, 'execute')
          and not exists (select from unnest(%(functions)s::text[]) f where to_regprocedure(f)::oid = p.oid)
        union all
        select lower(a.privilege_type) || ' ' || c.oid::regclass::text
        from pg_class c, aclexplode(c.relacl) a
        where c.relnamespace = any (%(rooms)s::regnamespace[]) and a.grantee in (0, 'anon'::regrole)
          and (a.privilege_type <> 'SELECT'
               or not exists (select from unnest(%(tables)s::text[]) f where to_regclass(f)::oid = c.oid))
        order by 1
        """,
        {
            "rooms": [*rooms],
            "functions": [thing for thing, role in said.functions if role == "anon"],
            "tables": [thing for thing, role in said.tables if role == "anon"],
        },
    )
    for it in rows:
        yield it["what"]


def strayed(db: Database, rooms: Sequence[str]) -> Iterator[str]:
    """What of ours belongs to somebody else: forced row security and definers stand on their owners."""
    rows = db.execute(
        """
        select c.oid::regclass::text || ' to ' || c.relowner::regrole::text as what
        from pg_class c
        where c.relnamespace = any (%(rooms)s::regnamespace[]) and c.relkind in ('r', 'p', 'v', 'm')
          and c.relowner <> all (array['app_owner', 'app_system']::regrole[])
        union all
        select p.oid::regprocedure::text || ' to ' || p.proowner::regrole::text
        from pg_proc p
        where p.pronamespace = any (%(rooms)s::regnamespace[])
          and p.proowner <> all (array['app_owner', 'app_system']::regrole[])
        order by 1
        """,
        {"rooms": [*rooms]},
    )
    for it in rows:
        yield it["what"]


def strong(db: Database) -> Iterator[str]:
    """Roles of ours that row security does not hold."""
    rows = db.execute(
        "select rolname from pg_roles where (rolsuper or rolbypassrls) and rolname = any (%s) order by 1",
        [[*BOUND]],
    )
    for it in rows:
        yield it["rolname"]


def unchained(db: Database) -> Iterator[tuple[str, str]]:
    """Links of the chain that are not there: (role, whom it should be granted to)."""
    rows = db.execute(
        "select a, b from unnest(%s::text[], %s::text[]) x (a, b)"
        " where not exists (select from pg_auth_members m"
        "                   where m.roleid = to_regrole(a)::oid and m.member = to_regrole(b)::oid)",
        [[a for a, _ in CHAIN], [b for _, b in CHAIN]],
    )
    for it in rows:
        yield it["a"], it["b"]
