"""Calls: how arguments get in, how results come out, exactly."""

import json

import pytest

from tests.integration.gateway.project import Scratch


def test_an_unnamed_jsonb_parameter_takes_the_whole_body(scratch: Scratch) -> None:
    body = {"list": [1, {"deep": None}], "text": "ü ☃ \u2028", "big": 9007199254740993}

    assert scratch.call("echo", body).json() == body


@pytest.mark.parametrize("body", [b"[]", b"[1, 2]", b'"text"', b"17", b"null", b"true"])
def test_an_unnamed_jsonb_parameter_takes_any_json(scratch: Scratch, body: bytes) -> None:
    assert scratch.call("echo", body).json() == json.loads(body)


def test_an_unnamed_json_parameter_keeps_the_body_to_the_byte(scratch: Scratch) -> None:
    body = b'{"b": 1.10,  "a":1e2, "b":2}'

    assert scratch.call("echo_json", body).content == body


def test_a_body_with_a_type_of_its_own_goes_to_the_parameter_of_that_type(scratch: Scratch) -> None:
    text = scratch.call("echo_text", "grüße".encode(), headers={"content-type": "text/plain"})
    raw = scratch.call("length_of", b"\x00\xff\x00", headers={"content-type": "application/octet-stream"})

    assert (text.json(), raw.json()) == ("grüße", 3)


def test_an_empty_body_is_an_empty_object(scratch: Scratch) -> None:
    assert scratch.call("echo", b"").json() == {}


def test_named_arguments_reach_their_types_and_json_is_not_encoded_twice(scratch: Scratch) -> None:
    given = {"ids": [9007199254740993, 2], "opts": {"a": [1, {"b": "c"}]}, "colour": "red"}

    answer = scratch.call("typed", given)

    assert answer.json() == {**given, "kind": "object", "price": 1.10}
    assert '"price": 1.10' in answer.text


@pytest.mark.parametrize(("opts", "kind"), [("[1]", "array"), ('"x"', "string"), ("3", "number")])
def test_a_jsonb_argument_of_any_kind_stays_what_it_was(scratch: Scratch, opts: str, kind: str) -> None:
    body = b'{"ids": [], "opts": ' + opts.encode() + b"}"

    assert scratch.call("typed", body).json()["kind"] == kind


def test_absent_arguments_get_their_defaults(scratch: Scratch) -> None:
    assert scratch.call("add", {"a": 1}).json() == 11
    assert scratch.call("add", {"a": 1, "b": 2}).json() == 3


def test_arguments_by_get_are_parameters_of_the_query(scratch: Scratch) -> None:
    assert scratch.get("rpc/add?a=1&b=%204").json() == 5
    assert scratch.get('rpc/typed?ids={1,2}&opts={"x":1}').json()["kind"] == "object"


def test_arguments_may_come_as_a_form(scratch: Scratch) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}

    assert scratch.call("add", b"a=1&b=5", headers=headers).json() == 6


def test_variadic_arguments_may_be_a_list_or_repeated(scratch: Scratch) -> None:
    assert scratch.call("spread", {"words": ["a", "b"]}).json() == "a+b"
    assert scratch.get("rpc/spread?words=a&words=b,c").json() == "a+b,c"


def test_overloads_are_told_apart_by_names(scratch: Scratch) -> None:
    assert scratch.call("overloaded", {"a": 1}).json() == "a"
    assert scratch.call("overloaded", {"a": 1, "b": 2}).json() == "ab"


def test_overloads_that_differ_in_types_only_are_ambiguous(scratch: Scratch) -> None:
    answer = scratch.call("ambiguous", {"a": 1})

    assert (answer.status_code, answer.json()["code"]) == (300, "PGRST203")


@pytest.mark.parametrize(
    ("function", "body"),
    [("no_such", {}), ("add", {}), ("add", {"a": 1, "c": 2}), ("add", {"b": 1}), ("Add", {"a": 1})],
)
def test_what_no_function_fits_is_404(scratch: Scratch, function: str, body: dict[str, int]) -> None:
    answer = scratch.call(function, body)

    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST202")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": 1} x',
        b'{"a": 1}\x00',
        b'{"a":"\x00"}',
        b"\xff",
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("function", ["echo", "add"])
def test_a_body_that_is_no_json_is_400(scratch: Scratch, function: str, body: bytes) -> None:
    answer = scratch.call(function, body)

    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST102")


def test_a_content_type_that_nobody_takes_is_400(scratch: Scratch) -> None:
    answer = scratch.call("add", b"<a/>", headers={"content-type": "application/pdf"})

    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST102")


def test_a_void_function_answers_204_without_a_body(scratch: Scratch) -> None:
    answer = scratch.call("nothing")

    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers


@pytest.mark.parametrize(
    ("function", "body", "text"),
    [
        ("big", b"", "9007199254740993"),
        ("stamp", b"", '"2026-11-23T07:20:17+00:00"'),
        ("null_of", b"", "null"),
        ("numbers", b'{"n": 3}', "[1, 2, 3]"),
        ("numbers", b'{"n": 0}', "[]"),
        ("one_column", b'{"n": 1}', '[{"id":1}]'),
    ],
)
def test_results_have_the_form_of_their_kind(scratch: Scratch, function: str, body: bytes, text: str) -> None:
    assert scratch.call(function, body).text == text


def test_bigint_numeric_and_timestamps_keep_every_digit(scratch: Scratch) -> None:
    text = scratch.call("exact").text

    assert '"big": 9007199254740993' in text
    assert '"price": 1.10' in text
    assert '"at": "2026-11-23T07:20:17+00:00"' in text


def test_a_table_function_gives_objects_and_a_row_function_one(scratch: Scratch) -> None:
    assert scratch.call("rows_of", {"n": 2}).json() == [{"id": 1, "word": "w1"}, {"id": 2, "word": "w2"}]
    assert scratch.call("first_thing").json()["name"] == "alpha"


def test_rows_of_a_function_can_be_selected_filtered_ordered_and_cut(scratch: Scratch) -> None:
    answer = scratch.call(
        "some_things?select=id,n:name&id=gt.1&order=id.desc&limit=2", headers={"prefer": "count=exact"}
    )

    assert answer.json() == [{"id": 5, "n": "ünïcode ☃"}, {"id": 4, "n": "a*b"}]
    assert (answer.status_code, answer.headers["content-range"]) == (206, "0-1/4")


def test_by_get_a_parameter_with_an_operator_filters_and_one_without_is_an_argument(scratch: Scratch) -> None:
    assert scratch.get("rpc/rows_of?n=5&id=gt.4").json() == [{"id": 5, "word": "w5"}]


def test_rows_of_a_function_are_capped(scratch: Scratch) -> None:
    assert len(scratch.call("numbers", {"n": 1500}).json()) == 1000
    assert len(scratch.call("rows_of?order=id", {"n": 1500}).json()) == 1000


def test_one_object_is_given_where_one_is_asked_for(scratch: Scratch) -> None:
    headers = {"accept": "application/vnd.pgrst.object+json"}

    one = scratch.call("rows_of", {"n": 1}, headers=headers)
    two = scratch.call("rows_of", {"n": 2}, headers=headers)

    assert one.json() == {"id": 1, "word": "w1"}
    assert one.headers["content-type"].startswith("application/vnd.pgrst.object+json")
    assert (two.status_code, two.json()["code"]) == (406, "PGRST116")


def test_csv_is_given_where_it_is_asked_for(scratch: Scratch) -> None:
    assert scratch.call("rows_of", {"n": 2}, headers={"accept": "text/csv"}).text == "id,word\n1,w1\n2,w2"


def test_the_database_sets_status_and_headers(scratch: Scratch) -> None:
    answer = scratch.call("accepted", {})

    assert answer.status_code == 202
    assert (answer.headers["location"], answer.headers["x-two"]) == ("/there", "2")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"status": "soon"}, "PGRST112"),
        ({"headers": "{}"}, "PGRST111"),
        ({"headers": '[{"a": 1}]'}, "PGRST111"),
    ],
)
def test_senseless_status_and_headers_are_500(scratch: Scratch, body: dict[str, str], code: str) -> None:
    answer = scratch.call("accepted", body)

    assert (answer.status_code, answer.json()["code"]) == (500, code)


def test_a_header_value_from_the_database_cannot_start_another_header(scratch: Scratch) -> None:
    answer = scratch.call("accepted", {"headers": '[{"X-A": "b\\r\\nSet-Cookie: evil=1"}]'})

    assert "set-cookie" not in answer.headers


def test_head_gives_headers_only(scratch: Scratch) -> None:
    answer = scratch.ask("HEAD", "/rest/v1/rpc/add?a=1")

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods_on_a_function_are_405(scratch: Scratch, method: str) -> None:
    answer = scratch.ask(method, "/rest/v1/rpc/add")

    assert (answer.status_code, answer.json()["code"]) == (405, "PGRST101")
