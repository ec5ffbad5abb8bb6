"""Runs over HTTP: submission, refusal, reading, listing."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from supabase import create_client
from supabase.lib.client_options import SyncClientOptions

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors


def test_the_same_idempotency_key_gives_the_same_run_with_200(doors: Doors) -> None:
    body = doors.SUBMISSION | {"idempotency_key": str(uuid.uuid4())}

    first = doors.ask("POST", "/jobs/run", doors.token(), json=body)
    second = doors.ask("POST", "/jobs/run", doors.token(), json=body)

    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["run_id"] == second.json()["run_id"]


def test_the_url_of_a_run_is_absolute_and_leads_to_it(doors: Doors) -> None:
    made = doors.ask("POST", "/jobs/run", doors.token(), json=doors.SUBMISSION).json()

    found = httpx.get(
        made["url"], headers={"authorization": f"Bearer {doors.token()}"}, trust_env=False
    ).json()

    assert (made["run_id"], made["url"]) == (found["run_id"], found["url"])


def test_code_and_parameters_are_not_for_viewers(doors: Doors) -> None:
    secret = f"sentinel-{uuid.uuid4()}"
    run_id = doors.submit(params={"note": secret})

    assert secret in doors.ask("GET", f"/runs/{run_id}", doors.token("operator")).text
    assert secret not in doors.ask("GET", f"/runs/{run_id}", doors.token("viewer")).text


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"job_type": "no_such"}, 400, "JOB_TYPE_UNKNOWN"),
        ({"spec": None}, 400, "SPEC_MISSING"),
        ({"timeout_seconds": -1}, 400, "TIMEOUT_OUT_OF_RANGE"),
        ({"surprise": 1}, 400, "FIELD_UNKNOWN"),
        ({"callbacks": {"on_complete": "http://169.254.169.254/latest"}}, 400, "CALLBACK_ADDRESS_DENIED"),
        ({"callbacks": {"on_complete": "ftp://example.com"}}, 400, "CALLBACK_URL_INVALID"),
        ({"secrets": ["NOT_OURS"]}, 403, "SECRET_NOT_GRANTED"),
    ],
    ids=str,
)
def test_a_bad_submission_is_refused_with_its_code_and_leaves_nothing(
    doors: Doors, changes: dict[str, Any], status: int, code: str
) -> None:
    body = {name: value for name, value in (doors.SUBMISSION | changes).items() if value is not None}
    before = doors.ask("GET", "/runs?limit=1", doors.token()).json()["items"]

    answer = doors.ask("POST", "/jobs/run", doors.token(), json=body)

    assert (status, code) == (answer.status_code, answer.json()["code"])
    assert before == doors.ask("GET", "/runs?limit=1", doors.token()).json()["items"]


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", {}, 400, "BODY_INVALID"),
        (b"{", {}, 400, "BODY_INVALID"),
        (b"[]", {}, 400, "BODY_INVALID"),
        (b'{"spec": "\xff"}', {}, 400, "BODY_INVALID"),
        (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", {}, 400, "BODY_INVALID"),
        (b" " * (2 * 1024 * 1024 + 1), {}, 413, "BODY_TOO_LARGE"),
        (b"{}", {"content-encoding": "br"}, 415, "ENCODING_UNSUPPORTED"),
        (gzip.compress(b" " * 50_000_000), {"content-encoding": "gzip"}, 413, "BODY_TOO_LARGE"),
    ],
    ids=["empty", "cut off", "array", "no UTF-8", "deep", "large", "brotli", "gzip bomb"],
)
def test_a_bad_body_is_refused_with_its_code(
    doors: Doors, content: bytes, headers: Mapping[str, str], status: int, code: str
) -> None:
    answer = doors.ask("POST", "/jobs/run", doors.token(), content=content, headers=headers)

    assert (status, code) == (answer.status_code, answer.json()["code"])


def test_a_compressed_submission_is_taken(doors: Doors) -> None:
    content = gzip.compress(json.dumps(doors.SUBMISSION).encode())

    answer = doors.ask(
        "POST", "/jobs/run", doors.token(), content=content, headers={"content-encoding": "gzip"}
    )

    assert answer.status_code == 202, answer.text


def test_runs_are_listed_in_pages_without_gap_or_repeat(doors: Doors) -> None:
    made = [doors.submit() for _ in range(5)]
    seen: list[int] = []
    cursor = ""
    while len(seen) < 5:
        page = doors.ask("GET", f"/runs?limit=2{cursor}", doors.token()).json()
        seen += [item["run_id"] for item in page["items"]]
        cursor = f"&cursor={page['next']}"

    assert sorted(made, reverse=True) == seen[:5]


@pytest.mark.filterwarnings(
    "ignore:The 'timeout' parameter is deprecated:DeprecationWarning"
)  # supabase's own
def test_supabase_py_reaches_the_function_with_default_options(doors: Doors) -> None:
    with httpx.Client() as http:  # ours only so that it is closed
        client = create_client(
            doors.supabase, doors.environment["SUPABASE_ANON_KEY"], SyncClientOptions(httpx_client=http)
        )
        client.functions.set_auth(doors.token())
        answer = client.functions.invoke(
            "api/v1/jobs/run", {"body": doors.SUBMISSION, "responseType": "json"}
        )

    made = json.loads(answer) if isinstance(answer, bytes | str) else answer
    assert made["state"] == "QUEUED"
