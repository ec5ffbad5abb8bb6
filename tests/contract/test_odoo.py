"""What is read from an Odoo, by each of its dialects: one suite for the public double and for a real Odoo.

The real one is an Odoo 19, which still speaks both: `scripts/test --with odoo`.
"""

from __future__ import annotations

import csv
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dev.odoo import server
from dev.odoo.server import Odoo
from runner.model.errors import Permanent, Retryable
from runner.model.reading import Reading
from runner.model.termination import TerminationCode
from runner.odoo import records
from runner.odoo.client import Client
from runner.odoo.site import Site, of_url
from runner.target.odoo_source import OdooSource
from runner.target.source import Extract
from tests.contract import odoo_double
from tests.contract.odoo_double import Double

HOUSES = [
    "double-18",
    "double-19",
    "double-20",
    pytest.param("real-18", marks=pytest.mark.needs("odoo")),
    pytest.param("real-19", marks=pytest.mark.needs("odoo")),
]
START = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)
MAX_BYTES = 1024**2


@dataclass
class House:
    """An Odoo with partners that a test makes; those of one test have a `ref` of their own."""

    site: Site
    create: Callable[..., int]
    change: Callable[..., None]
    folder: Path
    double: Double | None = None
    ref: str = field(default_factory=lambda: secrets.token_hex(8))

    def partner(self, name: str, at: datetime = START, **values: Any) -> int:
        return self.create(name=name, ref=self.ref, write_date=at, **values)

    def reading(self, **said: Any) -> Reading:
        wanted: dict[str, Any] = {
            "kind": "odoo", "target": "erp", "name": "res.partner", "fields": ("name",),
            "domain": (["ref", "=", self.ref],), "overlap": timedelta(),
        }  # fmt: skip
        return Reading(**{**wanted, **said})

    @property
    def csv(self) -> Path:
        return self.folder / "read.csv"

    async def read(self, high: datetime | None = None, **said: Any) -> list[dict[str, str]]:
        await self.extract(high, **said)
        with self.csv.open(newline="") as file:
            return list(csv.DictReader(file))

    async def extract(self, high: datetime | None = None, **said: Any) -> Extract:
        return await OdooSource(self.site).read(self.reading(**said), high, self.csv, MAX_BYTES)

    async def names(self, high: datetime | None = None, **said: Any) -> list[str]:
        return [row["name"] for row in await self.read(high, **said)]


@pytest.fixture(scope="module")
def real() -> Iterator[Odoo]:
    if reason := server.missing():
        pytest.skip(reason)
    with server.serve() as started:
        yield started


@pytest.fixture(params=HOUSES)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    kind, _, series = request.param.partition("-")
    if kind == "double":
        with odoo_double.serve(int(series)) as it:
            yield House(it.site, it.create, it.change, tmp_path, it)
        return
    odoo: Odoo = request.getfixturevalue("real")
    site = replace(of_url(odoo.target), series=int(series))
    with psycopg.connect(odoo.dsn, autocommit=True) as connection:

        def change(record: int, **values: Any) -> None:
            """Past Odoo, which would set the time itself."""
            for name, value in values.items():
                to = value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
                statement = sql.SQL("update res_partner set {} = %s where id = %s")
                connection.execute(statement.format(sql.Identifier(name)), [to, record])

        def create(write_date: datetime, **values: Any) -> int:
            asked = Client(of_url(odoo.target))
            (made,) = asked.call("res.partner", "create", vals_list=[values])
            change(made, write_date=write_date)
            return int(made)

        yield House(site, create, change, tmp_path)


async def test_cells_are_what_postgres_reads(house: House) -> None:
    parent = house.partner("The parent")
    record = house.partner('A "quoted", long\nname', parent_id=parent, color=7, partner_latitude=1.5)
    extract = await house.extract(
        fields=("name", "comment", "active", "color", "partner_latitude", "parent_id", "write_date")
    )

    assert [(each.name, each.type) for each in extract.columns] == [
        ("id", "bigint"), ("name", "text"), ("comment", "text"), ("active", "boolean"), ("color", "bigint"),
        ("partner_latitude", "double precision"), ("parent_id", "bigint"), ("write_date", "timestamptz"),
    ]  # fmt: skip
    assert extract.rows == 2
    text = house.csv.read_text().split("\n", 2)[2].replace(".0", "")
    assert (
        text
        == f'"{record}","A ""quoted"", long\nname",,"true","7","1.5","{parent}","2026-03-01 12:00:00+00"\n'
    )


async def test_without_names_all_fields_are_read_that_are_stored_and_small(house: House) -> None:
    house.partner("one")
    extract = await house.extract(fields=())

    names = [each.name for each in extract.columns]
    assert names[0] == "id"
    assert {"name", "write_date", "parent_id", "active"} <= set(names)
    assert not {"image_1920", "category_id", "display_name"} & set(names)


async def test_what_is_archived_is_read_too(house: House) -> None:
    house.change(house.partner("gone"), active=False)

    assert await house.names() == ["gone"]


@pytest.mark.parametrize("after", [None, "bronze.partners"])
async def test_many_records_of_one_moment_are_each_read_once(
    house: House, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "PAGE", 4)
    made = [f"p{number:02}" for number in range(9)]
    for name in made:
        house.partner(name)

    assert await house.names(after=after) == made


async def test_reading_on_begins_at_the_watermark_less_the_overlap(house: House) -> None:
    for minutes in range(5):
        house.partner(f"m{minutes}", START + timedelta(minutes=minutes))
    after = START + timedelta(minutes=3)

    assert await house.names(after, after="bronze.partners") == ["m3", "m4"]
    overlap = timedelta(seconds=90)
    assert await house.names(after, after="bronze.partners", overlap=overlap) == ["m2", "m3", "m4"]


async def test_what_commits_late_is_read_within_the_overlap(house: House) -> None:
    house.partner("newest", START + timedelta(minutes=10))
    after = START + timedelta(minutes=10)
    house.partner("late", START + timedelta(minutes=4))  # its transaction began six minutes earlier

    assert "late" in await house.names(after, after="bronze.partners", overlap=timedelta(minutes=15))


async def test_what_changes_in_the_second_of_the_watermark_is_read_again(house: House) -> None:
    record = house.partner("first")
    (row,) = await house.read(fields=("name", "write_date"), after="bronze.partners")
    told = datetime.fromisoformat(row["write_date"])
    house.change(record, name="second", write_date=START + timedelta(milliseconds=500))

    assert await house.names(told, after="bronze.partners") == ["second"]


async def test_what_changes_while_it_is_read_is_in_this_reading_or_in_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "PAGE", 1)
    made = [house.partner(f"p{number}", START + timedelta(minutes=number)) for number in range(3)]
    client = Client(house.site)
    fields = records.fields_of(client, "res.partner", ("name", "write_date"))
    domain = [["ref", "=", house.ref]]
    window = records.Timeline(client, "res.partner", domain, "write_date").window(None, timedelta(), None)
    assert window is not None
    seen: list[str] = []
    for page in records.pages(client, "res.partner", fields, [*domain, *window.domain]):
        seen += [each["name"] for each in page]
        if len(seen) == 1:
            house.change(made[0], name="p0 again", write_date=START + timedelta(minutes=5))
            house.change(made[1], name="p1 again", write_date=START + timedelta(minutes=5))

    assert seen == ["p0", "p2"]
    newest = START + timedelta(minutes=2)
    assert await house.names(newest, after="bronze.partners") == ["p0 again", "p1 again", "p2"]


async def test_a_large_beginning_is_read_in_parts_that_always_get_on(house: House) -> None:
    moments = [START + timedelta(minutes=number) for number in (0, 1, 1, 1, 1, 1, 2, 3)]
    expected = {house.partner(f"p{number}", at) for number, at in enumerate(moments)}
    after: datetime | None = None
    read: set[int] = set()
    steps = 0
    while True:
        rows = await house.read(
            after, fields=("write_date",), after="bronze.partners", limit=2, overlap=timedelta(hours=1)
        )
        read |= {int(row["id"]) for row in rows}
        newest = max(datetime.fromisoformat(row["write_date"]) for row in rows)
        if newest == after:
            break
        after, steps = newest, steps + 1
        assert steps < 6

    assert read == expected
    assert steps == 2


async def test_nothing_is_no_rows_and_all_columns(house: House) -> None:
    extract = await house.extract(after="bronze.partners")

    assert extract.rows == 0
    assert house.csv.read_text() == '"id","name","write_date"\n'


@pytest.mark.parametrize(
    "said",
    [
        {"name": "no.such"},
        {"fields": ("nope",)},
        {"domain": (["nope", "=", 1],)},
        {"after": "bronze.x", "watermark": "color"},
    ],
)
async def test_what_cannot_be_read_is_said_without_a_traceback(house: House, said: dict[str, Any]) -> None:
    house.partner("one", color=3)
    with pytest.raises(Permanent) as caught:
        await house.extract(**said)

    assert caught.value.code is TerminationCode.INPUT_UNAVAILABLE
    assert "Traceback" not in caught.value.message


async def test_a_wrong_key_is_refused_and_not_told(house: House) -> None:
    house.site = replace(house.site, key="not-the-key")
    with pytest.raises(Permanent, match=r"does not know this login and key|Invalid apikey") as caught:
        await house.extract()

    assert "not-the-key" not in caught.value.message


async def test_more_than_an_input_may_have_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.contract.test_odoo.MAX_BYTES", 10)
    house.partner("one")

    with pytest.raises(Permanent, match="larger than 10 bytes"):
        await house.extract()


# ---------------------------------------------------------------------- what only a double can be asked to do


@pytest.fixture
def double(tmp_path: Path) -> Iterator[House]:
    with odoo_double.serve(19) as it:
        yield House(it.site, it.create, it.change, tmp_path, it)


async def test_an_odoo_that_is_away_or_busy_is_asked_again_later(double: House) -> None:
    assert double.double is not None
    double.double.busy = 1
    with pytest.raises(Retryable, match="answered 503"):
        await double.extract()
    double.site = replace(double.site, url="http://127.0.0.1:9")
    with pytest.raises(Retryable, match="cannot be reached"):
        await double.extract()


async def test_the_key_goes_nowhere_else(double: House) -> None:
    assert double.double is not None
    with odoo_double.serve(19) as elsewhere:
        double.double.moved = f"{elsewhere.url}/json/2/res.partner/search_read"
        with pytest.raises(Permanent, match="a redirect"):
            await double.extract()

        assert elsewhere.asked == []


async def test_a_page_that_is_too_large_is_asked_for_in_smaller_ones(
    double: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [double.partner(f"{number}" + "x" * 200) for number in range(30)]
    monkeypatch.setattr("runner.odoo.client.MAX_ANSWER", 3000)

    assert [int(row["id"]) for row in await double.read()] == made


def test_a_target_says_where_and_as_whom() -> None:
    site = of_url("odoo+https://bot%40acme:k%2Fey@ERP.acme.example:8443/live?series=18")

    assert (site.url, site.database, site.login, site.key) == (
        "https://ERP.acme.example:8443",
        "live",
        "bot@acme",
        "k/ey",
    )
    assert site.namespace == "odoo://erp.acme.example:8443/live"
    assert "k/ey" not in repr(site)


@pytest.mark.parametrize(
    "url",
    [
        "https://erp/db",
        "odoo+https://erp/db",
        "odoo+https://a:b@erp",
        "odoo+https://a:b@erp/x/y",
        "odoo+https://a:b@erp/x?series=n",
    ],
)
def test_a_target_that_does_not_is_refused_without_its_key(url: str) -> None:
    with pytest.raises(ValueError, match=r"it must|its path|series") as caught:
        of_url(url)

    assert "a:b" not in str(caught.value)
