"""Admins who change who is in at once: one is always left, who was lowered lowers nobody, and nobody waits in a ring."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors, Refused

# who changes a member takes his time, so that others come meanwhile
TAKE_TIME = """
create function public.take_time() returns trigger language plpgsql as $$ begin perform pg_sleep(0.005); return null; end $$;
create trigger take_time after insert or update or delete on tenancy.members for each row execute function public.take_time();
"""
PEOPLE = [f"admin {n}" for n in range(5)]
ADMINS = "select count(*) from tenancy.members where role = 'admin'"
WAITING = (
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)


@pytest.fixture
def acme(tenant_factory: Callable[..., Tenant]) -> Tenant:
    return tenant_factory("acme")


@pytest.fixture
def doors(database: Database, acme: Tenant) -> Iterator[Doors]:
    """The platform has put the tenant into the hands of five admins."""
    with Doors(database) as opened:
        opened.set("delete from tenancy.members")
        for who in PEOPLE:
            opened.platform("platform_add_member", {"tenant": "acme", "user_id": who, "role": "admin"})
        # a ring is found at once, so that there is time for the next
        opened.set(
            "do $$ begin execute 'alter database ' || quote_ident(current_database()) || ' set deadlock_timeout = 20'; end $$"
        )
        yield opened


def claims(acme: Tenant, who: str) -> str:
    return json.dumps({"sub": who, "user_id": who, "tenant_id": acme.tenant_id, "role": "admin"})


def say(doors: Doors, acme: Tenant, who: str, function: str, body: dict[str, Any]) -> Any:
    return doors._call(doors.people, claims(acme, who), "admin", function, body)


def accept(doors: Doors, who: str, token: str) -> None:
    vouched = json.dumps({"role": "anon", "assertion": {"user_id": who}})
    doors._call(doors.people, vouched, "anon", "accept_invitation", {"token": token})


def meddle(doors: Doors, acme: Tenant, me: str, chance: random.Random) -> None:
    """Lowers, removes, raises or brings back one of the others, or himself."""
    other = chance.choice(PEOPLE)
    match chance.randrange(6):
        case 0 | 1:
            say(doors, acme, me, "set_member_role", {"user_id": other, "role": "viewer"})
        case 2 | 3:
            say(doors, acme, me, "remove_member", {"user_id": other})
        case 4:
            say(doors, acme, me, "set_member_role", {"user_id": other, "role": "admin"})
        case _:
            made = say(doors, acme, me, "create_invitation", {"user_id": other, "role": "admin"})
            accept(doors, other, made["token"])


def rejoin(doors: Doors, acme: Tenant, _: str, chance: random.Random) -> None:
    """Somebody who is in accepts what invites him once more, while others put him out."""
    who = chance.choice(PEOPLE)
    if made := doors.ask(
        "select coalesce(max(user_id), '') from tenancy.members where role = 'admin' and user_id <> %s", [who]
    ):
        row = json.dumps({"user_id": who})
        token = f"crin_{chance.random()}"
        doors.set(
            "insert into tenancy.invitations (tenant_id, user_id, role, hash, created_by, expires_at)"
            " values (%s, %s::jsonb ->> 'user_id', 'admin', sha256(convert_to(%s, 'UTF8')), %s, now() + interval '1 hour')",
            [acme.tenant_id, row, token, made],
        )
        accept(doors, who, token)


Move = Callable[[Doors, Tenant, str, random.Random], None]


def play(database: Database, acme: Tenant, mover: tuple[Move, str], until: float, rings: list[str]) -> int:
    move, me = mover
    chance = random.Random(me)
    moves = 0
    with Doors(database) as doors:
        while time.monotonic() < until:
            moves += 1
            try:
                with suppress(Refused):
                    move(doors, acme, me, chance)
            except psycopg.errors.DeadlockDetected as ring:
                rings.append(f"{ring.diag.message_detail}\n{ring.diag.context}")
    return moves


def test_an_admin_is_left_and_nobody_waits_in_a_ring(
    database: Database, acme: Tenant, doors: Doors, is_long: bool
) -> None:
    doors.set(TAKE_TIME)
    until = time.monotonic() + (60 if is_long else 2)
    rings: list[str] = []
    movers: list[tuple[Move, str]] = [*((meddle, who) for who in PEOPLE), (rejoin, "x"), (rejoin, "y")]
    with ThreadPoolExecutor(len(movers)) as pool:
        played = [pool.submit(play, database, acme, mover, until, rings) for mover in movers]
        done = [it.result() for it in played]

    assert rings == []
    assert min(done) > 5
    # without an admin nobody could have made another: had there been none at any time, there would be none now
    assert doors.ask(ADMINS) > 0


def change(
    database: Database, acme: Tenant, who: str, function: str, body: dict[str, Any]
) -> psycopg.Connection[Any]:
    """What `who` did, and has not committed yet."""
    connection = psycopg.connect(database.authenticator)
    connection.execute(
        "select set_config('request.jwt.claims', %s, true), set_config('role', 'admin', true)",
        [claims(acme, who)],
    )
    connection.execute(f"select public.{function}(%s)", [Jsonb(body)])
    return connection


def waiting(doors: Doors, answer: Future[Any]) -> None:
    while not doors.ask(WAITING):
        assert not answer.done(), answer.result()


@pytest.mark.parametrize(
    ("function", "code"), [("set_member_role", "ROLE_INSUFFICIENT"), ("remove_member", "MEMBERSHIP_MISSING")]
)
def test_who_is_lowered_or_removed_while_he_waits_changes_nobody(
    database: Database, acme: Tenant, doors: Doors, function: str, code: str
) -> None:
    one, other, *_ = PEOPLE
    body = {"user_id": one, "role": "viewer"}
    first = {"user_id": other} | ({"role": "viewer"} if function == "set_member_role" else {})
    with ThreadPoolExecutor(1) as pool:
        with change(database, acme, one, function, first):
            late = pool.submit(say, doors, acme, other, "set_member_role", body)
            with Doors(database) as watch:
                waiting(watch, late)
        with pytest.raises(Refused) as refused:
            late.result()

    assert refused.value.code == code
    assert doors.ask("select role from tenancy.members where user_id = %s", [one]) == "admin"
