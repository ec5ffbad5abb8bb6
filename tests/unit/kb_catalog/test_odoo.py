"""Records of an Odoo that the job itself names as documents, by both dialects: the public double, or a real Odoo
(`--with odoo`).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dev.odoo import server
from runner.jobtype.kb_catalog import provenance
from runner.odoo.client import Client
from runner.odoo.site import of_url
from tests.contract import odoo_double
from tests.unit.kb_catalog.conftest import Catalogue, make_attempt

COUNT = 203
PAGED = 100


@dataclass
class Erp:
    """An Odoo with COUNT partners of one `ref`; `first` is the id of one of them."""

    url: str
    database: str
    key: str
    series: int
    ref: str
    first: int


@pytest.fixture(scope="module")
def real() -> Iterator[server.Odoo]:
    if reason := server.missing():
        pytest.skip(reason)
    with server.serve() as started:
        yield started


@pytest.fixture(
    params=[
        "double-18",
        "double-19",
        *(pytest.param(f"real-{n}", marks=pytest.mark.needs("odoo")) for n in (18, 19)),
    ]
)
def odoo(request: pytest.FixtureRequest) -> Iterator[Erp]:
    kind, _, series = request.param.partition("-")
    ref = secrets.token_hex(4)
    values = [
        {"name": f"Article {n}", "ref": ref, "comment": f"<p>Text <b>{n}</b></p>"}
        for n in range(1, COUNT + 1)
    ]
    if kind == "double":
        with odoo_double.serve(int(series)) as it:
            made = [it.create(**each) for each in values]
            yield Erp(it.url, "double", odoo_double.KEY, int(series), ref, made[0])
        return
    started: server.Odoo = request.getfixturevalue("real")
    made = Client(of_url(started.target)).call("res.partner", "create", vals_list=values)
    yield Erp(started.url, started.database, started.key, int(series), ref, made[0])


def wanted(odoo: Erp, **more: Any) -> dict[str, Any]:
    return {
        "url": odoo.url, "database": odoo.database, "login": "admin", "secret": "ODOO_KEY", "version": odoo.series,
        "model": "res.partner", "body": "comment", "domain": [["ref", "=", odoo.ref]], **more,
    }  # fmt: skip


def test_records_are_read_page_by_page_in_either_dialect(
    odoo: Erp, catalogue: Callable[..., Catalogue]
) -> None:
    made = catalogue(
        params={"odoo": [wanted(odoo)]}, secrets=("ODOO_KEY",), environment={"ODOO_KEY": odoo.key}
    ).entries

    assert len(made) == COUNT
    first = made[f"odoo/res.partner/{odoo.first}"]
    assert (first.title, first.body, first.media_type) == ("Article 1", "Text 1", "text/html")
    place = f"odoo://{odoo.url[7:]}/{odoo.database}"
    assert first.source == {"odoo": place, "model": "res.partner", "id": odoo.first}


def test_as_many_are_read_as_were_asked_for(odoo: Erp, catalogue: Callable[..., Catalogue]) -> None:
    asked = wanted(odoo, limit=PAGED)
    made = catalogue(params={"odoo": [asked]}, secrets=("ODOO_KEY",), environment={"ODOO_KEY": odoo.key})

    assert len(made.entries) == PAGED


@pytest.mark.parametrize(
    ("more", "key", "words"),
    [
        ({}, "wrong", ("does not know this login and key", "answered 401")),
        ({"model": "no.such"}, None, ("no.such", "does not exist")),
        ({"url": "http://127.0.0.1:9"}, "any", ("cannot be reached",)),
    ],
)
def test_what_odoo_refuses_is_told_without_its_traceback(
    odoo: Erp,
    catalogue: Callable[..., Catalogue],
    more: dict[str, Any],
    key: str | None,
    words: tuple[str, ...],
) -> None:
    asked = wanted(odoo, **more)
    made = catalogue(
        params={"odoo": [asked], "documents": [{"key": "good", "text": "x"}]},
        secrets=("ODOO_KEY",),
        environment={"ODOO_KEY": key or odoo.key},
    )

    problem = made.problem(f"odoo/{asked['model']}#0")
    assert any(each in problem for each in words)
    assert "Traceback" not in problem
    assert made.entries["good"].problem is None


def test_a_model_is_a_dataset_that_the_collection_comes_from(odoo: Erp) -> None:
    asked = wanted(odoo, url="https://user:pw@odoo.example:8069")
    attempt = make_attempt(params={"odoo": [asked], "collection": "handbook"}, secrets=("ODOO_KEY",))

    event = provenance.event(attempt, ())

    assert event["inputs"] == [
        {"namespace": f"odoo://odoo.example:8069/{odoo.database}", "name": "res.partner"}
    ]
    assert event["outputs"][0]["name"] == "catalog.handbook"


@pytest.mark.skipif(
    "ODOO_URL" not in os.environ,
    reason="needs an Odoo: ODOO_URL, ODOO_DATABASE, ODOO_LOGIN and ODOO_KEY (an API key or the password)",
)
def test_a_real_odoo_gives_its_records(catalogue: Callable[..., Catalogue]) -> None:
    asked = {
        "url": os.environ["ODOO_URL"],
        "database": os.environ["ODOO_DATABASE"],
        "login": os.environ["ODOO_LOGIN"],
        "secret": "ODOO_KEY",
        "model": "res.partner",
        "body": "display_name",
    }

    made = catalogue(
        params={"odoo": [asked]}, secrets=("ODOO_KEY",), environment={"ODOO_KEY": os.environ["ODOO_KEY"]}
    )

    assert made.collected.failure is None
    assert all(key.startswith("odoo/res.partner/") for key in made.entries)
