"""schedule.next_fire beside a walk over every minute, and beside cronsim."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import psycopg

from dev.stack.testbed import Database
from tests.integration.schedule.wall import Case, cases, debian, definition, near_a_turn


def answers(database: Database, asked: list[Case]) -> list[datetime | None]:
    with psycopg.connect(database.superuser) as connection:
        connection.execute("set timezone = 'UTC'")
        rows = connection.execute(
            "select schedule.next_fire(c, z, a) from unnest(%s::text[], %s::text[], %s::timestamptz[]) x (c, z, a)",
            [[it.cron for it in asked], [it.zone for it in asked], [it.after for it in asked]],
        ).fetchall()
    return [row[0] for row in rows]


def test_the_next_time_is_that_of_debian_s_cron_and_of_the_rule_where_clocks_are_turned(
    database: Database, is_long: bool
) -> None:
    asked = list(itertools.islice(cases(seed=20261126), 200_000 if is_long else 5_000))
    said = answers(database, asked)

    walked = compared = 0
    wrong = []
    for case, answer in zip(asked, said, strict=True):
        if answer is not None and near_a_turn(case, answer):
            soon = case.after + timedelta(days=2)
            expected = definition(case, min(answer, soon)) or (answer if answer > soon else None)
            walked += 1
        else:
            expected = debian(case)
            compared += 1
        if answer != expected:
            wrong.append((case, answer, expected))

    assert wrong[:5] == []
    assert walked > len(asked) / 4
    assert compared > len(asked) / 4
