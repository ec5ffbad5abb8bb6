"""Two neighbours in one house: what one of them asks must never show a word of the other's.

North has one of everything and each thing says SENTINEL (`sql_tests/sentinel.psql`); south has the same, and says
HARBOUR. South's members do the asking. They know some of north's numbers, as somebody may who has guessed them.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
import psycopg
from psycopg import sql

from tests.acceptance.doors.conftest import CLONE, Doors, opened

SQL = CLONE / "sql_tests"
#: Where the numbers and names of things are, by the parameter that takes them.
KINDS: Mapping[str, tuple[str, str]] = {
    "run_id": ("queue.runs", "id"),
    "job_id": ("job.jobs", "id"),
    "backfill_id": ("queue.backfills", "id"),
    "attempt_id": ("queue.attempts", "id"),
    "artifact_id": ("artifact.artifacts", "id"),
    "endpoint_id": ("callback.endpoints", "id"),
    "delivery_id": ("callback.deliveries", "id"),
    "network_id": ("callback.allowed_networks", "id"),
    "expectation_id": ("catalog.expectations", "id"),
    "entry_id": ("catalog.entries", "id"),
    "token_id": ("tenancy.access_tokens", "id"),
    "trust_id": ("tenancy.trusts", "id"),
    "invitation_id": ("tenancy.invitations", "id"),
}
#: What else fields are called by; the words are south's own.
NAMES: Mapping[str, tuple[str, ...]] = {
    "table": ("harbour", "harbour_sums", "none"),
    "layer": ("gold", "silver", "x"),
    "name": ("main.gold", "main.gold.harbour", "HARBOUR job", "harbour.csv"),
    "nodeId": ("dataset:n:out", "dataset:control-room://south:gold.harbour", "job:n:HARBOUR"),
    "source": ("dataset:n:in", "gold.harbour"),
    "target": ("dataset:n:out", "gold.harbour", "HARBOUR"),
    "job_type": ("spark_etl", "kb_catalog"),
    "in": ("main", "main.gold"),
    "collection": ("harbour",),
    "tenant": ("drift",),
    "user_id": ("south.guest", "nobody"),
}


@dataclass(frozen=True)
class House:
    """A running stack, and what is known of both tenants in it."""

    doors: Doors
    tenants: Mapping[str, str]
    #: by parameter: what south has, and what north has
    ours: Mapping[str, tuple[Any, ...]]
    theirs: Mapping[str, tuple[Any, ...]]
    #: words that are nobody's but north's
    secrets: tuple[str, ...] = field(repr=False)
    attempt_tokens: tuple[str, ...] = field(repr=False)

    ROLES = ("viewer", "operator", "admin")

    def token(self, role: str) -> str:
        now = int(time.time())
        who = f"south.{role}"
        claims = {
            "aud": "authenticated",
            "role": role,
            "tenant_id": self.tenants["south"],
            "sub": who,
            "user_id": who,
        }
        secret = self.doors.environment["CONTROL_ROOM_JWT_SECRET"]
        return jwt.encode(claims | {"iat": now, "exp": now + 7200}, secret, algorithm="HS256")

    def leaked(self, answer: str, asked: str) -> list[str]:
        """North's words in an answer; what the question said itself is no leak."""
        low, said = answer.lower(), asked.lower()
        return [word for word in self.secrets if word in low and word not in said]

    def functions(self) -> list[tuple[str, list[tuple[str, str]], list[str]]]:
        """Of each function of the people's door its arguments (name, type) and the fields that its room reads."""
        with psycopg.connect(self.doors.environment["DATABASE_URL"]) as clock:
            rows = clock.execute(
                r"""
                select p.proname, coalesce((select json_agg(json_build_array(coalesce(p.proargnames[o], ''), format_type(t, null)) order by o)
                                            from unnest(p.proargtypes) with ordinality x (t, o)), '[]'),
                       coalesce((select json_agg(distinct m[1])
                                 from pg_proc q,
                                      regexp_matches(q.prosrc, '(?:\mp|\$1) *(?:->>?|\?|,) *(array\[[^]]*\]|''[a-z_]+'')', 'g') w,
                                      regexp_matches(w[1], '''([a-z_]+)''', 'g') m
                                 where q.proname = p.proname and q.pronamespace in ('public'::regnamespace, 'door'::regnamespace)), '[]')
                from pg_proc p
                where p.pronamespace = 'public'::regnamespace and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
                order by p.proname, p.oid
                """
            ).fetchall()
        return [(name, [tuple(one) for one in arguments], fields) for name, arguments, fields in rows]


@contextmanager
def inhabited() -> Iterator[House]:
    """A stack with both tenants in it; taken down at the end."""
    with opened() as doors:
        database = doors.environment["DATABASE_URL"]
        _move_in(database)
        with psycopg.connect(database, autocommit=True) as clock:
            tenants = {
                slug: str(one) for slug, one in clock.execute("select slug::text, id from tenancy.tenants")
            }
            known = {slug: _things(clock, tenants[slug]) for slug in ("north", "south")}
            secrets = _secrets(clock, tenants["north"])
        for role in House.ROLES:
            doors.platform("platform_add_member", tenant="drift", user_id=f"drift.{role}", role=role)
        doors.platform("platform_add_member", tenant="south", user_id="south.guest", role="viewer")
        doors.platform("platform_set_rate", tenant="south", per_minute=10_000_000, per_minute_each=10_000_000)
        doors.platform("platform_set_rate", per_minute_strangers=10_000_000)
        token = jwt.encode(
            {
                "aud": "authenticated",
                "role": "operator",
                "tenant_id": tenants["south"],
                "sub": "south.operator",
                "exp": int(time.time()) + 600,
            },
            doors.environment["CONTROL_ROOM_JWT_SECRET"],
            algorithm="HS256",
        )
        submitted = doors.ask(
            "POST", "/jobs/run", token, json={"job_type": "kb_catalog", "spec": "catalogue the harbour"}
        )
        assert submitted.status_code == 202, submitted.text
        attempt = doors.claim(int(submitted.json()["run_id"]))
        yield House(doors, tenants, known["south"], known["north"], secrets, (attempt["token"],))


def _move_in(database: str) -> None:
    """What pgTAP's files begin with, here to stay: both tenants, each with everything, and no trace of the tests' own words."""
    furnish = (SQL / "sentinel.psql").read_text()
    south = furnish.replace("north", "south").replace("SENTINEL", "HARBOUR").replace("sentinel", "harbour")
    script = f"""
        begin;
        {(SQL / "fixtures.psql").read_text()}
        {south}
        update queue.live_attempts set ready_at = 'infinity';
        {furnish}
        select tests.as('platform', $$ public.platform_create_tenant('{{"slug": "drift"}}') $$);
        drop schema tests cascade;
        commit;
    """
    run = subprocess.run(
        ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def _things(clock: psycopg.Connection[Any], tenant: str) -> dict[str, tuple[Any, ...]]:
    found = {}
    for parameter, (table, column) in KINDS.items():
        query = sql.SQL("select {column} from {table} where tenant_id = %s order by 1 limit 8").format(
            column=sql.Identifier(column), table=sql.Identifier(*table.split("."))
        )
        values = [one if isinstance(one, int) else str(one) for (one,) in clock.execute(query, [tenant])]
        assert values, f"{table} has nothing of the tenant"
        found[parameter] = tuple(values)
    return found


def _secrets(clock: psycopg.Connection[Any], tenant: str) -> tuple[str, ...]:
    """The sentinel, who north's people are, and every UUID that is north's."""
    columns = clock.execute(
        "select c.oid::regclass::text, quote_ident(a.attname) from pg_class c join pg_attribute a on a.attrelid = c.oid"
        " where c.relkind in ('r', 'p') and not c.relispartition and a.atttypid = 'uuid'::regtype and a.attname in ('id', 'tenant_id')"
        " and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id')"
        " and c.relnamespace::regnamespace::text !~ '^pg_'"
    ).fetchall()
    found = {tenant}
    for table, column in columns:
        found |= {
            str(one)
            for (one,) in clock.execute(f"select {column} from {table} where tenant_id = %s", [tenant])
        }
    return ("sentinel", "north.", "_north", *sorted(found))
