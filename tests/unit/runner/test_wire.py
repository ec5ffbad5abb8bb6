"""The JSON of the worker verbs, both ways."""

from __future__ import annotations

import json
import math

import pytest

from runner.model import errors, wire
from runner.model.attempt import Code, Input, Key, Output
from runner.model.errors import ControlRoomError, Permanent, Retryable
from runner.model.outcome import (
    Canceled,
    Outcome,
    PermanentFailure,
    RetryableFailure,
    StagedTable,
    StoredArtifact,
    Succeeded,
    TimedOut,
    Usage,
    failed,
)
from runner.model.termination import TerminationCode

CLAIMED = {
    "attempt_id": 9_007_199_254_740_993,
    "lease": 2,
    "number": 1,
    "run_id": 5,
    "task_run_id": 6,
    "task_key": "execute",
    "tenant_id": "0b9b7f0e-7a54-4e0a-9c0f-5d9d9f3f1a11",
    "tenant_slug": "acme",
    "job_type": "spark_etl",
    "engine": "duckdb",
    "requires": "spark_etl/duckdb",
    "spec": "sum by city",
    "code": {"files": {"job.py": "pass"}},
    "params": {"day": 1},
    "inputs": [{"name": "sales", "artifact_id": "a-1", "artifact_name": "sales.csv"}],
    "outputs": [{"name": "totals", "layer": "gold", "table": "totals", "mode": None}],
    "secrets": ["TOKEN"],
    "network": False,
    "timeout_seconds": 600,
    "deadline_at": "2026-01-01T00:00:00+00:00",
    "token": "crat_1",
    "adopted": True,
    "external_id": None,
    "remaining_ms": 599_999,
    "something_new": {"a": 1},
}


def encoded(**changes: object) -> bytes:
    return json.dumps({**CLAIMED, **changes}).encode()


def test_a_claimed_attempt_is_read() -> None:
    (attempt,), unreadable = wire.read_attempts([encoded()])

    assert unreadable == []
    assert attempt.key == Key(9_007_199_254_740_993, 2)
    assert attempt.code == Code(files={"job.py": "pass"})
    assert attempt.inputs[0].name == "sales"
    assert attempt.outputs == (Output(name="totals", table="totals", layer="gold"),)
    assert (attempt.secrets, attempt.adopted, attempt.remaining_ms) == (("TOKEN",), True, 599_999)
    assert attempt.max_artifact_bytes == 52_428_800


def test_code_may_be_absent() -> None:
    (attempt,), _ = wire.read_attempts([encoded(code=None, inputs=[{"name": "x", "table": "gold.x"}])])

    assert attempt.code is None
    assert attempt.inputs == (Input(name="x", table="gold.x"),)


def test_one_bad_item_does_not_sink_the_others() -> None:
    attempts, unreadable = wire.read_attempts(
        [encoded(), encoded(attempt_id=7, timeout_seconds="soon"), encoded()]
    )

    assert len(attempts) == 2
    assert [each.key for each in unreadable] == [Key(7, 2)]
    assert "timeout_seconds" in unreadable[0].problem


def test_an_item_that_costs_the_stack_does_not_sink_the_others() -> None:
    deep = encoded(attempt_id=7).replace(b"{", b'{"x":' + b"[" * 5000 + b"]" * 5000 + b",", 1)

    attempts, unreadable = wire.read_attempts([encoded(), deep, encoded()])

    assert (len(attempts), unreadable) == (2, [])


def test_secrets_of_an_attempt_are_names_and_its_token_is_not_said_aloud() -> None:
    upload = wire.Upload(
        artifact_id="a", version=1, tenant_id="t", bucket="b", path="p", size=1, lease=1, token="crck_secret"
    )

    assert "crck_secret" not in repr(upload)


USAGE = Usage(exit_code=3, peak_memory_bytes=10, cpu_ms=20)
OUTCOMES: list[tuple[Outcome, dict[str, object]]] = [
    (
        Succeeded(),
        {"state": "SUCCEEDED", "termination_code": "SUCCESS", "message": "", "retryable": False},
    ),
    (
        Succeeded(
            usage=Usage(exit_code=0),
            values={"a": 1},
            artifacts=(StoredArtifact("a-1", 2, 3, "f" * 64),),
            tables=(StagedTable("t", "staging.o1", "gold", "things", "append", 4),),
            lineage=({"eventType": "COMPLETE"},),
        ),
        {
            "state": "SUCCEEDED",
            "termination_code": "SUCCESS",
            "message": "",
            "retryable": False,
            "exit_code": 0,
            "values": {"a": 1},
            "artifacts": [
                {"artifact_id": "a-1", "version": 2, "size": 3, "sha256": "f" * 64, "verdict": "READY"}
            ],
            "tables": [
                {
                    "name": "t",
                    "staging": "staging.o1",
                    "layer": "gold",
                    "table": "things",
                    "mode": "append",
                    "rows": 4,
                }
            ],
            "lineage": [{"eventType": "COMPLETE"}],
        },
    ),
    (
        PermanentFailure(code=TerminationCode.INVALID_CODE, message="no entry", usage=USAGE),
        {
            "state": "FAILED",
            "termination_code": "INVALID_CODE",
            "message": "no entry",
            "retryable": False,
            "exit_code": 3,
            "peak_memory_bytes": 10,
            "cpu_ms": 20,
        },
    ),
    (
        RetryableFailure(code=TerminationCode.OUT_OF_MEMORY, message="m", after_ms=500),
        {
            "state": "FAILED",
            "termination_code": "OUT_OF_MEMORY",
            "message": "m",
            "retryable": True,
            "retry_after_ms": 500,
        },
    ),
    (
        TimedOut(message="late"),
        {
            "state": "TIMED_OUT",
            "termination_code": "DEADLINE_EXCEEDED",
            "message": "late",
            "retryable": False,
        },
    ),
    (
        Canceled(message="by hand"),
        {"state": "CANCELED", "termination_code": "USER_CANCELED", "message": "by hand", "retryable": False},
    ),
]


@pytest.mark.parametrize(("outcome", "form"), OUTCOMES, ids=lambda each: type(each).__name__)
def test_every_outcome_has_its_form(outcome: Outcome, form: dict[str, object]) -> None:
    assert wire.outcome_form(outcome) == form


def test_a_long_message_is_cut() -> None:
    assert len(str(wire.outcome_form(TimedOut(message="x" * 9999))["message"])) == 2000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": "\0b"}, '{"a":"\\ufffdb"}'),
        (["\ud800"], '["?"]'),
        ({"\0": 1}, '{"\\ufffd":1}'),
        ([math.nan, math.inf, 1.5], "[null,null,1.5]"),
        ({"a": "🔑"}, '{"a":"\\ud83d\\udd11"}'),
        ({"plain": ["x", 1, None, True]}, '{"plain":["x",1,null,true]}'),
    ],
)
def test_json_is_what_jsonb_takes(value: object, text: str) -> None:
    assert wire.dump(value) == text


def test_a_failure_becomes_the_outcome_of_its_word() -> None:
    permanent = failed(Permanent(TerminationCode.NOT_GRANTED, "no"), USAGE)
    retryable = failed(Retryable(TerminationCode.USER_CODE_FAILED, "again", 250), USAGE)

    assert permanent == PermanentFailure(code=TerminationCode.NOT_GRANTED, message="no", usage=USAGE)
    assert retryable == RetryableFailure(
        code=TerminationCode.USER_CODE_FAILED, message="again", after_ms=250, usage=USAGE
    )


def test_the_tree_of_errors_is_the_one_in_the_docstring() -> None:
    drawn = [line.strip("│├└─ ").split()[0] for line in (errors.__doc__ or "").splitlines() if "─" in line]
    defined = [
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, ControlRoomError) and each is not ControlRoomError
    ]

    assert sorted(drawn) == sorted(defined)
