"""Writing tables: the natural errors, what comes back, and the guard against writes without a filter."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.gateway.project import Scratch

FULL = {"prefer": "return=representation"}


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture(autouse=True)
def clean(scratch: Scratch) -> Iterator[None]:
    yield
    scratch.sql("truncate public.parents, public.children, public.owned restart identity")


def post(scratch: Scratch, path: str, body: Any, prefer: str = "return=representation", **rest: Any) -> Any:
    return scratch.ask("POST", f"/rest/v1/{path}", json=body, headers={"prefer": prefer}, **rest)


def test_an_insert_gives_the_row_where_it_is_asked_for(scratch: Scratch, name: str) -> None:
    answer = post(scratch, "parents", {"name": name})

    assert answer.status_code == 201
    assert answer.json()[0]["name"] == name
    assert answer.headers["preference-applied"] == "return=representation"


def test_an_insert_gives_nothing_where_nothing_is_asked_for(scratch: Scratch, name: str) -> None:
    answer = scratch.ask("POST", "/rest/v1/parents", json={"name": name})

    assert (answer.status_code, answer.content) == (201, b"")


def test_many_rows_are_inserted_at_once_or_not_at_all(scratch: Scratch, name: str) -> None:
    many = post(scratch, "parents?select=name", [{"name": name + "1"}, {"name": name + "2"}])
    clash = post(scratch, "parents", [{"name": name + "3"}, {"name": name + "1"}])

    assert many.json() == [{"name": name + "1"}, {"name": name + "2"}]
    assert clash.status_code == 409
    assert scratch.get(f"parents?name=eq.{name}3").json() == []


def test_an_empty_list_inserts_nothing_and_an_empty_object_the_defaults(scratch: Scratch) -> None:
    assert (post(scratch, "parents", []).status_code, post(scratch, "parents", []).json()) == (201, [])
    assert post(scratch, "owned", {}).json()[0]["word"] is None


def test_json_and_exact_numbers_go_in_as_they_are(scratch: Scratch) -> None:
    body = (
        b'{"id": 77, "doc": {"a": [1, "x"]}, "tags": ["p", "q r"], "big": 9007199254740993, "amount": 1.10}'
    )
    answer = scratch.ask(
        "POST", "/rest/v1/things", content=body, headers=FULL | {"content-type": "application/json"}
    )
    scratch.sql("delete from public.things where id = 77")

    assert answer.json()[0]["doc"] == {"a": [1, "x"]}
    assert answer.json()[0]["tags"] == ["p", "q r"]
    assert '"amount":1.10,"big":9007199254740993' in answer.text


def test_missing_columns_are_null_or_by_preference_their_default(scratch: Scratch, name: str) -> None:
    rows = [{"name": name + "1", "note": None}, {"name": name + "2", "note": "x"}]
    plain = post(scratch, "parents?columns=name,note", [{"name": name}])
    default = post(
        scratch, "parents?columns=name,note", [{"name": name + "d"}], "return=representation,missing=default"
    )

    assert post(scratch, "parents", rows).status_code == 201
    assert (plain.json()[0]["note"], default.json()[0]["note"]) == (None, "none given")


def test_duplicates_are_merged_or_ignored_by_preference(scratch: Scratch, name: str) -> None:
    first = post(scratch, "parents", {"name": name, "note": "a"}).json()[0]
    merged = post(
        scratch,
        "parents",
        {"id": first["id"], "name": name, "note": "b"},
        "return=representation,resolution=merge-duplicates",
    )
    by_name = post(
        scratch,
        "parents?on_conflict=name",
        {"name": name, "note": "c"},
        "return=representation,resolution=merge-duplicates",
    )
    ignored = post(
        scratch,
        "parents?on_conflict=name",
        {"name": name, "note": "d"},
        "return=representation,resolution=ignore-duplicates",
    )

    assert merged.json()[0]["note"] == "b"
    assert by_name.json() == [{"id": first["id"], "name": name, "note": "c"}]
    assert ignored.json() == []


def test_a_duplicate_is_409_with_all_four_fields(scratch: Scratch, name: str) -> None:
    post(scratch, "parents", {"name": name})
    answer = post(scratch, "parents", {"name": name})

    assert answer.status_code == 409
    assert set(answer.json()) == {"code", "message", "details", "hint"}
    assert (answer.json()["code"], answer.json()["hint"]) == ("23505", None)


def test_a_missing_parent_is_409_and_a_failed_check_is_400(scratch: Scratch, name: str) -> None:
    parent = post(scratch, "parents", {"name": name}).json()[0]["id"]
    orphan = post(scratch, "children", {"parent_id": 0, "label": "x"})
    checked = post(scratch, "children", {"parent_id": parent, "label": "forbidden"})
    missing = post(scratch, "children", {"parent_id": parent})

    assert (orphan.status_code, orphan.json()["code"]) == (409, "23503")
    assert (checked.status_code, checked.json()["code"]) == (400, "23514")
    assert (missing.status_code, missing.json()["code"]) == (400, "23502")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PGRST102"),
        (b"7", "PGRST102"),
        (b"", "PGRST102"),
        (b'[{"name":"a"},{"note":"b"}]', "PGRST102"),
        (b'[{"name":"a"},7]', "PGRST102"),
        (b'{"nmae":"a"}', "PGRST204"),
    ],
)
def test_a_body_that_does_not_fit_is_400(scratch: Scratch, body: bytes, code: str) -> None:
    answer = scratch.ask(
        "POST", "/rest/v1/parents", content=body, headers={"content-type": "application/json"}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_an_update_changes_the_rows_that_the_filter_chooses(scratch: Scratch, name: str) -> None:
    post(scratch, "parents", [{"name": name + "1"}, {"name": name + "2"}])

    full = scratch.ask(
        "PATCH", f"/rest/v1/parents?name=eq.{name}1&select=note", json={"note": "n"}, headers=FULL
    )
    bare = scratch.ask("PATCH", f"/rest/v1/parents?name=eq.{name}2", json={"note": "m"})
    none = scratch.ask("PATCH", f"/rest/v1/parents?name=eq.{name}3", json={"note": "m"}, headers=FULL)
    empty = scratch.ask("PATCH", f"/rest/v1/parents?name=eq.{name}1", json={}, headers=FULL)

    assert (full.status_code, full.json()) == (200, [{"note": "n"}])
    assert (bare.status_code, bare.content) == (204, b"")
    assert (none.status_code, none.json()) == (200, [])
    assert (empty.status_code, empty.json()) == (200, [])
    assert [row["note"] for row in scratch.get("parents?order=name").json()] == ["n", "m"]


def test_a_delete_deletes_the_rows_that_the_filter_chooses(scratch: Scratch, name: str) -> None:
    post(scratch, "parents", [{"name": name + "1"}, {"name": name + "2"}])

    full = scratch.ask("DELETE", f"/rest/v1/parents?name=eq.{name}1&select=name", headers=FULL)
    bare = scratch.ask("DELETE", f"/rest/v1/parents?name=eq.{name}2")

    assert (full.status_code, full.json()) == (200, [{"name": name + "1"}])
    assert (bare.status_code, bare.content) == (204, b"")
    assert scratch.get("parents").json() == []


@pytest.mark.parametrize(("method", "verb"), [("PATCH", "UPDATE"), ("DELETE", "DELETE")])
@pytest.mark.parametrize("query", ["", "?select=id", "?order=id", "?limit=1"])
def test_a_write_without_a_filter_is_refused(scratch: Scratch, method: str, verb: str, query: str) -> None:
    answer = scratch.ask(method, f"/rest/v1/parents{query}", json={"note": "x"})

    assert (answer.status_code, answer.json()["code"]) == (400, "21000")
    assert answer.json()["message"] == f"{verb} requires a WHERE clause"


def test_a_write_that_misses_the_one_row_asked_for_is_undone(scratch: Scratch, name: str) -> None:
    post(scratch, "parents", [{"name": name + "1"}, {"name": name + "2"}])
    headers = FULL | {"accept": "application/vnd.pgrst.object+json"}

    answer = scratch.ask("PATCH", f"/rest/v1/parents?name=like.{name}*", json={"note": "x"}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (406, "PGRST116")
    assert {row["note"] for row in scratch.get("parents").json()} == {"none given"}


def test_a_write_past_max_affected_is_undone(scratch: Scratch, name: str) -> None:
    post(scratch, "parents", [{"name": name + "1"}, {"name": name + "2"}])
    headers = {"prefer": "handling=strict, max-affected=1"}

    answer = scratch.ask("DELETE", f"/rest/v1/parents?name=like.{name}*", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST124")
    assert len(scratch.get("parents").json()) == 2


def test_policies_decide_about_writes(scratch: Scratch) -> None:
    mine = post(scratch, "owned", {"word": "mine"}, token=scratch.token(sub="one"))
    theirs = post(scratch, "owned", {"word": "x", "owner": "two"}, token=scratch.token(sub="one"))
    hidden = scratch.ask(
        "PATCH",
        "/rest/v1/owned?word=eq.mine",
        json={"word": "y"},
        headers=FULL,
        token=scratch.token(sub="two"),
    )

    assert mine.status_code == 201
    assert (theirs.status_code, theirs.json()["code"]) == (403, "42501")
    assert hidden.json() == []


def test_lack_of_privilege_is_the_natural_error(scratch: Scratch) -> None:
    assert post(scratch, "many", {"id": 1, "name": "x"}).json()["code"] in ("42501", "55000")
    assert post(scratch, "secret", {"id": 1}).status_code == 403
    assert post(scratch, "secret", {"id": 1}, token=None).status_code == 401


def test_an_insert_needs_no_right_to_read_unless_rows_are_asked_for(scratch: Scratch) -> None:
    scratch.sql("grant insert on public.secret to viewer")
    token = scratch.token(role="viewer")

    assert post(scratch, "secret", {"id": 1}, "return=minimal", token=token).status_code == 201
    assert post(scratch, "secret", {"id": 1}, token=token).status_code == 403
    scratch.sql("revoke insert on public.secret from viewer")


def test_other_methods_on_a_table_are_405(scratch: Scratch) -> None:
    assert scratch.ask("PUT", "/rest/v1/parents?id=eq.1", json={"id": 1}).status_code == 405
