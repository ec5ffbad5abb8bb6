"""Failures: PostgREST's JSON, its table of statuses, its headers."""

import pytest

from tests.integration.gateway.project import Scratch

STATUS_OF = {
    "P0001": 400,
    "P0002": 500,
    "PT418": 418,
    "PT404": 404,
    "08006": 503,
    "09000": 500,
    "0L000": 403,
    "0P000": 403,
    "21000": 500,
    "22000": 400,
    "22P02": 400,
    "23502": 400,
    "23503": 409,
    "23505": 409,
    "23514": 400,
    "25006": 405,
    "25000": 500,
    "28000": 403,
    "2D000": 500,
    "38000": 500,
    "39000": 500,
    "3B000": 500,
    "40001": 500,
    "40P01": 500,
    "42501": 403,
    "42601": 400,
    "42703": 400,
    "42883": 404,
    "42P01": 404,
    "42P17": 500,
    "53000": 503,
    "53400": 500,
    "54000": 500,
    "55000": 500,
    "57000": 500,
    "58000": 500,
    "F0000": 500,
    "HV000": 500,
    "XX000": 500,
    "CR001": 400,
}


@pytest.mark.parametrize(("code", "status"), STATUS_OF.items())
def test_each_sqlstate_has_its_status(scratch: Scratch, code: str, status: int) -> None:
    answer = scratch.call("fail", {"code": code, "message": "said", "detail": "why", "hint": "mend"})

    assert answer.status_code == status
    assert answer.json() == {"code": code, "message": "said", "details": "why", "hint": "mend"}
    assert answer.headers["proxy-status"] == f"PostgREST; error={code}"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


def test_details_and_hint_are_null_where_there_are_none(scratch: Scratch) -> None:
    answer = scratch.call("fail", {"code": "P0001", "message": "plain"})

    assert answer.json() == {"code": "P0001", "message": "plain", "details": None, "hint": None}


def test_a_raise_of_pgrst_decides_the_whole_answer(scratch: Scratch) -> None:
    answer = scratch.call(
        "fail",
        {
            "code": "PGRST",
            "message": '{"code":"SPEC_MISSING","message":"no ☃","details":"d","hint":"h"}',
            "detail": '{"status":422,"headers":{"X-Own":"yes","Retry-After":"3"}}',
        },
    )

    assert answer.status_code == 422
    assert answer.json() == {"code": "SPEC_MISSING", "message": "no ☃", "details": "d", "hint": "h"}
    assert (answer.headers["x-own"], answer.headers["retry-after"]) == ("yes", "3")
    assert answer.headers["proxy-status"] == "PostgREST; error=SPEC_MISSING"


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ("no json", '{"status":400,"headers":{}}'),
        ('{"code":"A"}', '{"status":400,"headers":{}}'),
        ('{"code":"A","message":"m"}', "no json"),
        ('{"code":"A","message":"m"}', '{"headers":{}}'),
        ('{"code":"A","message":"m"}', '{"status":400}'),
        ('{"code":"A","message":"m"}', None),
    ],
)
def test_a_raise_of_pgrst_that_cannot_be_read_is_500(
    scratch: Scratch, message: str, detail: str | None
) -> None:
    answer = scratch.call("fail", {"code": "PGRST", "message": message, "detail": detail})

    assert (answer.status_code, answer.json()["code"]) == (500, "PGRST121")


def test_lack_of_privilege_is_401_for_anon_and_403_for_others(scratch: Scratch) -> None:
    anon = scratch.call("unprivileged", token=None)
    member = scratch.call("unprivileged")

    assert (anon.status_code, member.status_code) == (401, 403)
    assert anon.json()["code"] == member.json()["code"] == "42501"
    assert anon.headers["www-authenticate"] == "Bearer"
    assert "www-authenticate" not in member.headers


def test_a_missing_table_has_a_hint(scratch: Scratch) -> None:
    answer = scratch.get("thing")

    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST205")
    assert answer.json()["hint"] == "Perhaps you meant the table 'public.things'"


def test_a_missing_column_is_400_with_the_words_of_postgres(scratch: Scratch) -> None:
    answer = scratch.get("things?select=id,nmae")

    assert (answer.status_code, answer.json()["code"]) == (400, "42703")
    assert "things.nmae" in answer.json()["message"]


def test_a_value_of_the_wrong_type_is_400(scratch: Scratch) -> None:
    assert scratch.get("things?id=eq.x").json()["code"] == "22P02"


def test_a_write_by_get_is_405(scratch: Scratch) -> None:
    answer = scratch.get("rpc/log_once")

    assert (answer.status_code, answer.json()["code"]) == (405, "25006")
    assert scratch.call("log_once").status_code == 200


def test_a_write_in_a_stable_function_is_refused(scratch: Scratch) -> None:
    answer = scratch.call("write_in_stable")

    assert (answer.status_code, answer.json()["code"]) == (400, "0A000")


@pytest.mark.parametrize("path", ["", "rpc", "rpc/", "things/1", "rpc/add/x", "%2e%2e/things"])
def test_other_paths_are_404(scratch: Scratch, path: str) -> None:
    assert scratch.get(path).status_code == 404


def test_a_route_that_nobody_serves_is_404(scratch: Scratch) -> None:
    assert scratch.ask("GET", "/realtime/v1/").status_code == 404


@pytest.mark.parametrize("accept", ["application/pdf", "image/png, text/html"])
def test_a_form_that_cannot_be_given_is_406(scratch: Scratch, accept: str) -> None:
    answer = scratch.get("things", headers={"accept": accept})

    assert (answer.status_code, answer.json()["code"]) == (406, "PGRST107")


def test_a_body_past_the_limit_is_413(scratch: Scratch) -> None:
    answer = scratch.call("echo", b'"' + b"x" * (17 * 1024 * 1024) + b'"')

    assert answer.status_code == 413


def test_a_large_body_passes(scratch: Scratch) -> None:
    body = b'"' + b"x" * (4 * 1024 * 1024) + b'"'

    assert scratch.call("echo", body).content == body
