"""What a request's transaction looks like from inside, and that nothing of it is left behind."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.integration.gateway.processes import PATIENCE
from tests.integration.gateway.project import ACME, ALICE, Scratch


def test_a_function_sees_who_asks_and_how(scratch: Scratch) -> None:
    headers = {"X-Probe": "pr%C3%BCbe", "cookie": "a=1; taste=sweet"}

    seen = scratch.call("whoami", token=scratch.token(role="viewer"), headers=headers).json()

    assert seen["user"] == seen["claims"]["role"] == "viewer"
    assert (seen["claims"]["sub"], seen["claims"]["tenant_id"]) == (ALICE, ACME)
    assert (seen["method"], seen["path"]) == ("POST", "/rpc/whoami")
    assert (seen["header"], seen["cookie"]) == ("pr%C3%BCbe", "sweet")


def test_the_pre_request_function_runs_first_and_may_refuse(scratch: Scratch) -> None:
    answer = scratch.call("whoami", headers={"x-refuse": "yes"})

    assert scratch.call("whoami").json()["pre_request"] == "ran"
    assert answer.status_code == 418
    assert answer.json() == {"code": "REFUSED", "message": "not today", "details": None, "hint": "ask again"}
    assert answer.headers["x-teapot"] == "short and stout"


def test_the_pre_request_function_guards_tables_too(scratch: Scratch) -> None:
    assert scratch.get("things", headers={"x-refuse": "yes"}).status_code == 418
    assert scratch.ask("DELETE", "/rest/v1/things?id=eq.0", headers={"x-refuse": "yes"}).status_code == 418


@pytest.mark.parametrize(
    ("method", "function", "read_only"),
    [
        ("POST", "whoami", "on"),
        ("GET", "whoami", "on"),
        ("POST", "whoami_writing", "off"),
        ("GET", "whoami_writing", "on"),
    ],
)
def test_reading_requests_run_read_only(scratch: Scratch, method: str, function: str, read_only: str) -> None:
    assert scratch.ask(method, f"/rest/v1/rpc/{function}").json()["read_only"] == read_only


@pytest.mark.parametrize(
    ("role", "timeout"),
    [("operator", "700ms"), ("authenticated", "8s"), ("admin", "8s"), ("service_role", "8s")],
)
def test_the_settings_of_the_role_count(scratch: Scratch, role: str, timeout: str) -> None:
    assert scratch.call("whoami", token=scratch.token(role=role)).json()["statement_timeout"] == timeout


def test_a_call_past_the_statement_timeout_ends(scratch: Scratch) -> None:
    begun = time.monotonic()

    answer = scratch.call("sleep", {"seconds": 30}, token=scratch.token(role="operator"))

    assert (answer.status_code, answer.json()["code"]) == (500, "57014")
    assert time.monotonic() - begun < 5


def test_the_timeout_of_a_function_counts(scratch: Scratch) -> None:
    begun = time.monotonic()

    assert scratch.call("sleep_bounded", {"seconds": 30}).json()["code"] == "57014"
    assert time.monotonic() - begun < 2


def test_the_search_path_is_the_exposed_schema_and_the_extra_ones(scratch: Scratch) -> None:
    assert scratch.call("whoami").json()["search_path"] == '"public", "extensions"'


def test_a_preferred_time_zone_counts_and_an_unknown_one_is_refused_if_strict(scratch: Scratch) -> None:
    there = scratch.call("stamp", headers={"prefer": "timezone=Asia/Kolkata"})
    nowhere = scratch.call("stamp", headers={"prefer": "timezone=Mars/Olympus"})
    strict = scratch.call("stamp", headers={"prefer": "timezone=Mars/Olympus, handling=strict"})

    assert there.json() == "2026-11-23T12:50:17+05:30"
    assert nowhere.json() == "2026-11-23T07:20:17+00:00"
    assert (strict.status_code, strict.json()["code"]) == (400, "PGRST122")


def test_nothing_is_left_for_the_next_request(scratch: Scratch) -> None:
    for _ in range(8):
        assert scratch.call("leave_trace").json() == "left"
        assert scratch.call("read_trace").json() == "nothing"
        assert scratch.call("fail", {"code": "P0001", "message": "x"}).status_code == 400
        assert scratch.call("read_trace", token=scratch.token(role="viewer")).json() == "nothing"


def test_concurrent_requests_do_not_mix(scratch: Scratch) -> None:
    def ask(number: int) -> tuple[str, str]:
        role = ("viewer", "admin", "authenticated", "service_role")[number % 4]
        seen = scratch.call("whoami", token=scratch.token(role=role, sub=f"user-{number}")).json()
        return seen["user"] + seen["claims"]["sub"], f"{role}user-{number}"

    with ThreadPoolExecutor(16) as threads:
        for seen, expected in threads.map(ask, range(200)):
            assert seen == expected


def test_calls_beyond_the_pool_wait_their_turn(scratch: Scratch) -> None:
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: scratch.call("sleep", {"seconds": 0.1}).status_code, range(12)))

    assert answers == [204] * 12


@pytest.fixture(scope="class")
def two_schemas(scratch: Scratch) -> Iterator[None]:
    scratch.sql("alter role authenticator set pgrst.db_schemas = 'public, second'")
    reload(scratch)
    until(lambda: scratch.get("elsewhere", headers={"accept-profile": "second"}).status_code == 200)
    yield
    scratch.sql("alter role authenticator reset pgrst.db_schemas")
    reload(scratch)
    until(lambda: scratch.get("elsewhere", headers={"accept-profile": "second"}).status_code == 406)


@pytest.mark.usefixtures("two_schemas")
class TestProfiles:
    """Schemas other than the first, where they are exposed."""

    def test_a_profile_chooses_the_schema(self, scratch: Scratch) -> None:
        answer = scratch.get("elsewhere", headers={"accept-profile": "second"})

        assert answer.json() == [{"id": 1, "word": "second"}]
        assert answer.headers["content-profile"] == "second"

    def test_without_a_profile_it_is_the_first_schema(self, scratch: Scratch) -> None:
        assert scratch.get("elsewhere").status_code == 404
        assert scratch.get("things?id=eq.1").status_code == 200

    def test_a_schema_that_is_not_exposed_is_406(self, scratch: Scratch) -> None:
        for name in ("hidden", "storage", "pg_catalog", "auth", "Public", 'public"', ""):
            reads = scratch.get("things", headers={"accept-profile": name})
            calls = scratch.call("whoami", headers={"content-profile": name})

            assert (reads.status_code, calls.status_code) == (406, 406)
            assert reads.json()["code"] == "PGRST106"
            assert reads.json()["hint"] == "Only the following schemas are exposed: public, second"


def reload(scratch: Scratch) -> None:
    scratch.sql("notify pgrst, 'reload schema'")


def until(condition: object) -> None:
    """Wait for a condition; the announcement of a change takes its time."""
    assert callable(condition)
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_a_new_function_is_there_after_the_reload(scratch: Scratch) -> None:
    scratch.sql("create function public.brand_new() returns int language sql as 'select 1'")
    try:
        assert scratch.call("brand_new").status_code == 404
        reload(scratch)
        until(lambda: scratch.call("brand_new").status_code == 200)
    finally:
        scratch.sql("drop function public.brand_new()")
        reload(scratch)
        until(lambda: scratch.call("brand_new").json().get("code") == "PGRST202")


def test_a_changed_table_is_read_anew_even_before_the_reload(scratch: Scratch) -> None:
    scratch.sql("create table public.growing (id int); grant select on public.growing to authenticated")
    reload(scratch)
    until(lambda: scratch.get("growing").status_code == 200)
    for _ in range(12):
        scratch.get("growing")
    scratch.sql(
        "alter table public.growing add column word text default 'x'; insert into public.growing values (1)"
    )
    try:
        for _ in range(8):
            assert scratch.get("growing").json() == [{"id": 1, "word": "x"}]
    finally:
        scratch.sql("drop table public.growing")
        reload(scratch)


def test_the_pre_request_can_be_set_and_reset(scratch: Scratch) -> None:
    scratch.sql("alter role authenticator reset pgrst.db_pre_request")
    reload(scratch)
    try:
        until(lambda: scratch.call("whoami").json()["pre_request"] in (None, ""))
    finally:
        scratch.sql("alter role authenticator set pgrst.db_pre_request = 'hidden.pre_request'")
        reload(scratch)
        until(lambda: scratch.call("whoami").json().get("pre_request") == "ran")


def test_lost_connections_are_made_anew(scratch: Scratch) -> None:
    scratch.call("whoami")
    scratch.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where pid <> pg_backend_pid() and backend_type = 'client backend'"
    )

    until(lambda: scratch.call("whoami").status_code == 200)
    answers = [scratch.call("whoami").status_code for _ in range(20)]

    assert answers == [200] * 20
    # and the listener too
    scratch.sql("create function public.after_loss() returns int language sql as 'select 1'")
    until(lambda: reload(scratch) is None and scratch.call("after_loss").status_code == 200)
    scratch.sql("drop function public.after_loss()")


def test_a_connection_that_dies_in_mid_call_is_503_and_the_next_call_is_well(scratch: Scratch) -> None:
    def end() -> None:
        with psycopg.connect(scratch.database_url, autocommit=True) as connection:
            until(
                lambda: connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where usename = 'authenticator' and state = 'active'"
                ).fetchall()
            )

    thread = threading.Thread(target=end)
    thread.start()
    answer = scratch.call("sleep", {"seconds": 5})
    thread.join()

    assert answer.status_code == 503
    assert scratch.call("whoami").status_code == 200
