"""Reading tables and views: filters, order, cuts, counts, forms."""

from typing import Any

import pytest

from tests.integration.gateway.project import Scratch


def ids(scratch: Scratch, query: str) -> list[int]:
    answer = scratch.get(f"things?select=id&order=id&{query}")
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("id=eq.1", [1]),
        ("id=neq.1", [2, 3, 4, 5]),
        ("id=gt.3", [4, 5]),
        ("id=gte.3", [3, 4, 5]),
        ("id=lt.3", [1, 2]),
        ("id=lte.3", [1, 2, 3]),
        ("id=not.eq.1", [2, 3, 4, 5]),
        ("id=gt.1&id=lt.4", [2, 3]),
        ("big=eq.9007199254740993", [1]),
        ("amount=eq.1.1", [1]),
        ("at=gte.2026-11-26T00:00:00Z", [4, 5]),
        ("at=eq.2026-11-23T07:20:17%2B00:00", [1]),
        ("name=like.*a", [1, 2]),
        ("name=like.a*", [1, 4]),
        ("name=ilike.*ALPHA*", [1]),
        ("name=match.^[ab].*a$", [1, 2]),
        ("name=imatch.^ALPHA$", [1]),
        ("name=like(any).{al*,be*}", [1, 2]),
        ("id=eq(any).{1,5}", [1, 5]),
        ("id=gt(all).{1,3}", [4, 5]),
        ("day=is.null", [3]),
        ("day=not.is.null", [1, 2, 4, 5]),
        ("day=is.not_null", [1, 2, 4, 5]),
        ("ok=is.true", [1, 4]),
        ("ok=is.FALSE", [2, 5]),
        ("ok=is.unknown", [3]),
        ("ok=isdistinct.true", [2, 3, 5]),
        ("id=in.(1,3,9)", [1, 3]),
        ("id=not.in.(1,3)", [2, 4, 5]),
        ("id=in.()", []),
        ('name=in.("gamma, \\"quoted\\" (x)",beta)', [2, 3]),
        ('name=eq.gamma, "quoted" (x)', [3]),
        ("name=eq.ünïcode ☃", [5]),
        ("tags=cs.{blue}", [1, 2]),
        ("tags=cd.{red,blue}", [1, 2, 3]),
        ("tags=ov.{green,blue}", [1, 2, 4]),
        ('doc=cs.{"a":1}', [1]),
        ("span=cs.[4,5)", [1]),
        ("span=ov.[4,6)", [1, 2]),
        ("span=sl.[5,9)", [1, 4]),
        ("span=sr.[1,5)", [2]),
        ("span=nxr.[1,5)", [1, 4]),
        ("span=nxl.[5,9)", [2]),
        ("span=adj.[5,9)", [1]),
        ("doc->>a=eq.1", [1]),
        ("doc->a=eq.2", [2]),
        ("doc->b->c->>0=eq.x", [1]),
        ("doc->b->c->>-1=eq.y", [1]),
        ("doc->>0=eq.1", [5]),
        ("tags->>0=eq.red", [1]),
        ("name=fts.alpha", [1]),
        ("name=fts(english).alpha|beta", [1, 2]),
        ("name=plfts.beta", [2]),
        ("name=wfts(simple).alpha or beta", [1, 2]),
        ("name=phfts.quoted x", [3]),
        ("or=(id.eq.1,id.eq.5)", [1, 5]),
        ("and=(id.gt.1,id.lt.4)", [2, 3]),
        ("not.or=(id.eq.1,id.eq.5)", [2, 3, 4]),
        ("or=(id.eq.1,and(id.gt.3,not.or(id.eq.4,name.is.null)))", [1, 5]),
        ("or=(id.in.(1,2),name.like.*☃)", [1, 2, 5]),
        ('or=(name.eq."gamma, \\"quoted\\" (x)",id.eq.1)', [1, 3]),
        ("or=(tags.cs.{red,blue},doc->>a.eq.text)", [1, 4]),
        ("or=(id.not.gt.1,id.not.lt.5)", [1, 5]),
        ("or=( id.eq.1 , id.eq.2 )", [1, 2]),
        ('"Odd \\"name\\" ; drop"=eq.o2', [2]),
    ],
)
def test_a_filter_lets_through(scratch: Scratch, query: str, expected: list[int]) -> None:
    assert ids(scratch, query) == expected


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("id", {"id": 1}),
        ("id,name", {"id": 1, "name": "alpha"}),
        (" id , name ", {"id": 1, "name": "alpha"}),
        ("n:name", {"n": "alpha"}),
        ("id::text", {"id": "1"}),
        ("amount::double precision", {"amount": 1.1}),
        ("price:amount::text", {"price": "1.10"}),
        ("at::date", {"at": "2026-11-23"}),
        ("doc->a", {"a": 1}),
        ("doc->>a", {"a": "1"}),
        ("first:doc->b->c->>0", {"first": "x"}),
        ("doc->b->c->0", {"c": "x"}),
        ("n:doc->>a::int", {"n": 1}),
        ('"name"', {"name": "alpha"}),
        ('"Odd \\"name\\" ; drop"', {'Odd "name" ; drop': "o1"}),
        ("span,day", {"span": "[1,5)", "day": "2026-11-23"}),
    ],
)
def test_a_select_gives(scratch: Scratch, select: str, expected: dict[str, Any]) -> None:
    answer = scratch.ask("GET", "/rest/v1/things", params={"select": select, "id": "eq.1"})

    assert answer.json() == [expected]


def test_values_keep_every_digit(scratch: Scratch) -> None:
    text = scratch.get("things?select=big,amount,at&id=in.(1,2)&order=id").text

    assert text.startswith('[{"big":9007199254740993,"amount":1.10,"at":"2026-11-23T07:20:17+00:00"}')
    assert '"2026-11-24T07:20:17.5+00:00"' in text


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("id.desc", [5, 4, 3, 2, 1]),
        ("amount.asc", [5, 4, 1, 2, 3]),
        ("day.desc.nullslast,id", [5, 4, 2, 1, 3]),
        ("day.nullsfirst", [3, 1, 2, 4, 5]),
        ("doc->a.desc.nullslast,id", [2, 1, 4, 3, 5]),
        ("doc->>a.asc.nullsfirst,id.desc", [5, 3, 1, 2, 4]),
    ],
)
def test_an_order_gives(scratch: Scratch, order: str, expected: list[int]) -> None:
    rows = scratch.ask("GET", "/rest/v1/things", params={"select": "id", "order": order}).json()

    assert [row["id"] for row in rows] == expected


@pytest.mark.parametrize(
    ("query", "headers", "status", "span", "count"),
    [
        ("", {}, 200, "0-999/*", 1000),
        ("limit=5", {}, 200, "0-4/*", 5),
        ("limit=5000", {}, 200, "0-999/*", 1000),
        ("limit=5&offset=10", {}, 200, "10-14/*", 5),
        ("limit=5", {"prefer": "count=exact"}, 206, "0-4/2500", 5),
        ("id=lt.4", {"prefer": "count=exact"}, 200, "0-2/3", 3),
        ("id=lt.0", {"prefer": "count=exact"}, 200, "*/0", 0),
        ("offset=2495", {"prefer": "count=exact"}, 206, "2495-2499/2500", 5),
        ("offset=2500", {"prefer": "count=exact"}, 206, "*/2500", 0),
        ("offset=9999", {}, 200, "*/*", 0),
        ("limit=0", {}, 200, "*/*", 0),
        ("", {"range": "0-9"}, 200, "0-9/*", 10),
        ("", {"range-unit": "items", "range": "10-"}, 200, "10-1009/*", 1000),
        ("", {"range": "5-7", "prefer": "count=exact"}, 206, "5-7/2500", 3),
        ("limit=2", {"range": "0-9"}, 200, "0-1/*", 2),
        ("", {"range": "bytes=0-9"}, 200, "0-999/*", 1000),
    ],
)
def test_a_cut_gives(
    scratch: Scratch, *, query: str, headers: dict[str, str], status: int, span: str, count: int
) -> None:
    answer = scratch.get(f"many?order=id&{query}", headers=headers)

    assert (answer.status_code, answer.headers["content-range"]) == (status, span)
    assert len(answer.json()) == count


@pytest.mark.parametrize(
    ("query", "headers"),
    [("limit=-1", {}), ("", {"range": "9-0"}), ("offset=9999", {"prefer": "count=exact"})],
)
def test_a_cut_that_cannot_be_is_416(scratch: Scratch, query: str, headers: dict[str, str]) -> None:
    answer = scratch.get(f"many?{query}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (416, "PGRST103")


@pytest.mark.parametrize("count", ["planned", "estimated"])
def test_a_planned_count_is_a_number(scratch: Scratch, count: str) -> None:
    answer = scratch.get("many?id=lt.100&limit=1", headers={"prefer": f"count={count}"})
    total = answer.headers["content-range"].partition("/")[2]

    assert int(total) >= 0
    assert answer.headers["preference-applied"] == f"count={count}"
    if count == "estimated":
        assert total == "99"


def test_head_gives_the_count_without_the_rows(scratch: Scratch) -> None:
    answer = scratch.ask("HEAD", "/rest/v1/many?limit=10", headers={"prefer": "count=exact"})

    assert (answer.status_code, answer.content) == (206, b"")
    assert answer.headers["content-range"].endswith("/2500")


def test_one_object_is_given_where_one_is_asked_for(scratch: Scratch) -> None:
    headers = {"accept": "application/vnd.pgrst.object+json"}

    assert scratch.get("things?select=id&id=eq.1", headers=headers).json() == {"id": 1}
    for query, rows in (("id=eq.0", 0), ("id=lt.3", 2)):
        answer = scratch.get(f"things?{query}", headers=headers)

        assert answer.status_code == 406
        assert answer.json() == {
            "code": "PGRST116",
            "message": "Cannot coerce the result to a single JSON object",
            "details": f"The result contains {rows} rows",
            "hint": None,
        }


def test_csv_quotes_what_it_must(scratch: Scratch) -> None:
    answer = scratch.get("things?select=id,name,ok&id=in.(1,3)&order=id", headers={"accept": "text/csv"})

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text == 'id,name,ok\n1,alpha,t\n3,"gamma, ""quoted"" (x)",'


def test_rows_are_those_that_the_policies_show(scratch: Scratch) -> None:
    scratch.sql("insert into public.owned (owner, word) values ('one', 'a'), ('two', 'b')")

    seen = scratch.get("owned?select=word", token=scratch.token(sub="one")).json()

    assert seen == [{"word": "a"}]


def test_a_table_without_a_grant_is_401_for_anon_and_403_for_others(scratch: Scratch) -> None:
    assert scratch.get("secret", token=None).status_code == 401
    assert scratch.get("secret").status_code == 403


def test_unknown_preferences_count_only_when_strict(scratch: Scratch) -> None:
    assert scratch.get("things", headers={"prefer": "colour=blue"}).status_code == 200
    answer = scratch.get("things", headers={"prefer": "handling=strict, colour=blue"})

    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST122")
    assert answer.json()["details"] == "Invalid preferences: colour=blue"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("select=id,children(id)", "PGRST200"),
        ("select=...children(id)", "PGRST200"),
        ("select=count()", "PGRST123"),
        ("select=amount.sum()", "PGRST123"),
        ("children.id=eq.1", "PGRST108"),
    ],
)
def test_what_is_not_spoken_is_said_so(scratch: Scratch, query: str, code: str) -> None:
    answer = scratch.get(f"things?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)
