"""What is read from somebody else's Postgres: one snapshot, from where a table has got to, and nothing that
commits late is passed over.
"""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import AsyncConnection

from dev.stack.testbed import Cluster, Database
from runner.model.errors import Permanent
from runner.model.reading import Reading
from runner.target.directory import Target
from runner.target.postgres_source import PostgresSource
from runner.target.source import Extract

MOMENT = "timestamp '2026-03-01 12:00:00'"


@dataclass
class Shop:
    """A database with a table as Odoo makes them, and its reader."""

    url: str
    folder: Path

    async def extract(self, high: datetime | None = None, max_bytes: int = 1024**2, **said: Any) -> Extract:
        wanted: dict[str, Any] = {"kind": "postgres", "target": "shop", "name": "public.partner"}
        reading = Reading(**{**wanted, "overlap": timedelta(), **said})
        source = PostgresSource(Target("shop", self.url, self.url))
        return await source.read(reading, high, self.folder / "read.csv", max_bytes)

    async def read(self, high: datetime | None = None, **said: Any) -> list[dict[str, str]]:
        await self.extract(high, **said)
        with (self.folder / "read.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    async def ids(self, high: datetime | None = None, **said: Any) -> list[int]:
        rows = await self.read(high, **{"after": "bronze.partner", **said})
        return sorted(int(row["id"]) for row in rows)


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[Database]:
    with cluster.database() as made, psycopg.connect(made.superuser, autocommit=True) as connection:
        connection.execute("drop role if exists shop_reader")
        connection.execute("create role shop_reader login password 'reader'")
        yield made
        connection.execute("drop owned by shop_reader")
        connection.execute("drop role shop_reader")


@pytest.fixture
async def session(place: Database) -> AsyncIterator[AsyncConnection[Any]]:
    async with await AsyncConnection.connect(place.superuser, autocommit=True) as connection:
        await connection.execute("drop table if exists public.partner cascade")
        await connection.execute(
            "create table public.partner (id serial primary key, name text, write_date timestamp default now())"
        )
        await connection.execute("grant select on public.partner to shop_reader")
        yield connection


@pytest.fixture
def shop(place: Database, session: AsyncConnection[Any], tmp_path: Path) -> Shop:
    return Shop(place.superuser, tmp_path)


async def add(session: AsyncConnection[Any], *minutes: int) -> None:
    for each in minutes:
        statement = (
            f"insert into public.partner (write_date) values ({MOMENT} + {each} * interval '1 minute')"
        )
        await session.execute(statement.encode())


async def test_types_are_kept_or_are_text(shop: Shop, session: AsyncConnection[Any]) -> None:
    await session.execute(
        "create table public.odd (a numeric(10,2), b varchar(9), c timestamp(3), d timestamptz, e int[], f json, "
        "g inet, h bytea, i boolean)"
    )
    await session.execute(
        """insert into public.odd values (1.50, 'x', '2026-01-02 03:04:05.678', '2026-01-02 03:04:05+02', '{1,2}',
           '{"a": 1}', '10.0.0.1', '\\xff', true), (null, '', null, null, null, null, null, null, null)"""
    )
    extract = await shop.extract(name="odd")

    assert [each.type for each in extract.columns] == [
        "numeric(10,2)", "text", "timestamp", "timestamptz", "jsonb", "jsonb", "text", "bytea", "boolean",
    ]  # fmt: skip
    lines = (shop.folder / "read.csv").read_text().splitlines()
    assert lines[1] == (
        '1.50,x,2026-01-02 03:04:05.678,2026-01-02 01:04:05+00,"[1, 2]","{""a"": 1}",10.0.0.1/32,\\xff,t'
    )
    assert lines[2] == ',"",,,,,,,'
    await session.execute("drop table public.odd")


async def test_reading_on_begins_at_the_watermark_less_the_overlap(
    shop: Shop, session: AsyncConnection[Any]
) -> None:
    await add(session, 0, 1, 2, 3)
    await session.execute("insert into public.partner (write_date) values (null)")
    high = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)

    assert await shop.ids() == [1, 2, 3, 4, 5]  # what has no time is read once
    assert await shop.ids(high) == [3, 4]
    assert await shop.ids(high, overlap=timedelta(minutes=1)) == [2, 3, 4]
    assert len(await shop.read()) == 5


async def test_what_commits_late_is_not_passed_over(
    shop: Shop, session: AsyncConnection[Any], place: Database
) -> None:
    await session.execute("insert into public.partner default values")
    (row,) = await shop.read(after="bronze.partner")
    async with await AsyncConnection.connect(place.superuser) as slow:
        await slow.execute("insert into public.partner default values")  # id 2, as of now
        await session.execute("insert into public.partner default values")  # id 3: later, and committed
        high = datetime.fromisoformat(row["write_date"]).replace(tzinfo=UTC)

        assert await shop.ids(high) == [1]  # 3 is newer than a transaction that is open: it waits
        await slow.commit()

    assert await shop.ids(high) == [1, 2, 3]


async def test_a_session_that_does_not_see_the_others_says_so(
    shop: Shop, session: AsyncConnection[Any]
) -> None:
    parts = urlsplit(shop.url)
    shop.url = urlunsplit(parts._replace(netloc=f"shop_reader:reader@{parts.netloc.rpartition('@')[2]}"))
    await add(session, 0)
    extract = await shop.extract(after="bronze.partner")

    assert extract.rows == 1
    assert "open transactions cannot be seen" in extract.note


async def test_a_large_beginning_is_read_in_parts_that_always_get_on(
    shop: Shop, session: AsyncConnection[Any]
) -> None:
    await add(session, 0, 1, 1, 1, 1, 2, 3)
    said: dict[str, Any] = {"limit": 2, "overlap": timedelta(hours=1)}

    assert await shop.ids(**said) == [1, 2, 3, 4, 5]  # with all that have the time of the last
    assert await shop.ids(datetime(2026, 3, 1, 12, 1, tzinfo=UTC), **said) == [1, 2, 3, 4, 5, 6, 7]
    assert await shop.ids(datetime(2026, 3, 1, 12, 3, tzinfo=UTC), **said) == [1, 2, 3, 4, 5, 6, 7]


async def test_reading_writes_nothing(shop: Shop, session: AsyncConnection[Any]) -> None:
    await session.execute(
        "create function public.meddle() returns integer language sql volatile as "
        "'insert into public.partner default values returning id'"
    )
    await session.execute("create view public.trap as select public.meddle() as id")

    with pytest.raises(Permanent, match="read-only transaction"):
        await shop.extract(name="trap")
    await session.execute("drop function public.meddle cascade")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"name": "public.gone"}, "there is no such table"),
        ({"fields": ("gone",)}, "it has no column gone"),
        ({"after": "bronze.x", "watermark": "name"}, "name is no column of times"),
        ({"after": "bronze.x", "watermark": "gone"}, "it has no column gone"),
    ],
)
async def test_what_cannot_be_read_is_said(shop: Shop, said: dict[str, Any], words: str) -> None:
    with pytest.raises(Permanent, match=words):
        await shop.extract(**said)


async def test_more_than_an_input_may_have_is_refused(shop: Shop, session: AsyncConnection[Any]) -> None:
    await add(session, *range(9))

    with pytest.raises(Permanent, match="larger than 20 bytes"):
        await shop.extract(max_bytes=20)


def test_a_table_is_named_as_openlineage_names_it() -> None:
    source = PostgresSource(Target("erp", "postgresql://u:p@DB.acme.example/live", ""))

    assert source.dataset("res_partner") == ("postgres://db.acme.example:5432", "live.public.res_partner")
