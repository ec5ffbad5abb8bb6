"""A real runner, watched: figures, health, traces from the submission to the receiver."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from dev.stack.testbed import Database
from tests.contract.houses import PostgresHouse
from tests.contract.test_runner import Receiver, Runners, until

TRACE, SUBMIT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
#: What a collector's address may look like when it leads nowhere.
DEAF = "http://127.0.0.1:1"


class Collector:
    """Takes spans by OTLP over HTTP and keeps them."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                request = ExportTraceServiceRequest.FromString(
                    self.rfile.read(int(self.headers["content-length"]))
                )
                for resource in request.resource_spans:
                    collector.services |= {
                        each.value.string_value
                        for each in resource.resource.attributes
                        if each.key == "service.name"
                    }
                    for scope in resource.scope_spans:
                        collector.spans.extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def named(self, name: str) -> Span:
        (found,) = (each for each in self.spans if each.name == name and each.trace_id.hex() == TRACE)
        return found

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="control-room-watched-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def house(database: Database) -> PostgresHouse:
    made = PostgresHouse(database, database.add_tenant("acme"))
    made.database.platform("platform_allow_callbacks", {"cidr": "127.0.0.0/8"})
    return made


@pytest.fixture
def runners(database: Database, folder: Path) -> Iterator[Runners]:
    made = Runners(database, folder)
    yield made
    made.end()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def submit(house: PostgresHouse, traceparent: str | None, **body: Any) -> int:
    """run_job as PostgREST calls it, with the header."""
    said = {
        "job_type": "code_validation",
        "spec": "for a test",
        "code": {"files": {"job.py": "pass"}},
        **body,
    }
    with psycopg.connect(house.database.superuser) as connection:
        connection.execute(
            "select set_config('request.jwt.claims', %s, true), set_config('request.headers', %s, true)",
            [house.tenant.claims("operator"), json.dumps({"traceparent": traceparent})],
        )
        connection.execute("set local role operator")
        row = connection.execute("select public.run_job(%s::jsonb)", [json.dumps(said)]).fetchone()
    assert row is not None
    return int(row[0]["run_id"])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def ask(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def test_the_figures_of_a_runner_are_those_of_its_work(
    house: PostgresHouse, runners: Runners, receiver: Receiver
) -> None:
    port = free_port()
    process = runners.start(CONTROL_ROOM_HEALTH_LISTEN=f"127.0.0.1:{port}")
    run = house.run(params={"script": [{"log": "a"}, {"log": "b"}]}, callbacks={"on_complete": receiver.url})
    bad = house.submit(max_retries=0, script=[{"exit": 3}])
    house.until(run, "SUCCEEDED")
    house.until(bad, "FAILED")
    until(lambda: house.sql("select state::text from callback.deliveries") == [("DELIVERED",)])

    def told() -> dict[str, float]:
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        status, text = ask(f"http://127.0.0.1:{port}/metrics", **accept)
        assert status == 200
        return {
            f"{each.name}{[*each.labels.values()] or ''}": each.value
            for family in text_string_to_metric_families(text)
            for each in family.samples
        }

    said = told()
    expected = {
        "control_room_attempts_claimed_total['code_validation']": 2,
        "control_room_attempts_settled_total['SUCCESS', 'code_validation', 'Succeeded']": 1,
        "control_room_attempts_settled_total['USER_CODE_FAILED', 'code_validation', 'RetryableFailure']": 1,
        "control_room_attempt_wait_seconds_count": 2,
        "control_room_attempt_start_seconds_count['code_validation']": 2,
        "control_room_attempt_duration_seconds_count['code_validation']": 2,
        "control_room_log_lines_total['stdout']": 2,
        "control_room_callbacks_total['delivered', '2xx']": 1,
        "control_room_callback_latency_seconds_count": 1,
        "control_room_attempts_running": 0,
        "control_room_listening": 1,
        "control_room_leases_lost_total": 0,
        "control_room_late_discarded_total": 0,
    }
    assert {name: said.get(name) for name in expected} == expected
    assert said["control_room_database_trip_seconds_count['claims']"] > 0

    status, state = ask(f"http://127.0.0.1:{port}/health")
    assert (status, json.loads(state)["status"]) == (200, "ok")
    assert ask(f"http://127.0.0.1:{port}/live") == (200, "alive\n")
    assert ask(f"http://127.0.0.1:{port}/nothing")[0] == 404

    # what its log says of an attempt, says of which
    ((attempt,),) = house.sql("select id from queue.past_attempts where run_id = %s", bad)
    lines = [json.loads(line) for line in runners.log(0).read_text().splitlines()]
    about = [each for each in lines if each.get("run_id") == bad and "attempt_id" in each]
    assert {each["event"] for each in about} >= {"settled"}
    assert {(each["attempt_id"], each["lease"]) for each in about} == {(attempt, 1)}

    # told to stop, it goes on working, answers, and wants no more work
    slow = house.submit(script=[{"log": "begun"}, {"sleep_ms": 1500}])
    until(lambda: house.logs(slow))
    process.send_signal(signal.SIGTERM)
    until(lambda: told()["control_room_draining"] == 1)
    assert ask(f"http://127.0.0.1:{port}/health")[0] == 503
    assert process.wait(10) == 0


def test_one_trace_leads_from_the_submission_to_the_receiver(
    house: PostgresHouse, runners: Runners, receiver: Receiver, collector: Collector
) -> None:
    process = runners.start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    run = submit(house, f"00-{TRACE}-{SUBMIT}-01", callbacks={"on_complete": receiver.url})
    until(lambda: receiver.taken)
    # without a trace, or with junk: each of them is one, by itself
    submit(house, None, callbacks={"on_complete": receiver.url})
    submit(house, "junk", callbacks={"on_complete": receiver.url})
    until(lambda: len(receiver.taken) == 3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0

    ours = [each for each in collector.spans if each.trace_id.hex() == TRACE]
    parents = {
        each.name: next(
            (other.name for other in ours if other.span_id == each.parent_span_id),
            "submit" if each.parent_span_id.hex() == SUBMIT else "nobody",
        )
        for each in ours
    }
    assert parents == {
        "queue": "submit",
        "attempt": "submit",
        "execute": "attempt",
        "settle": "attempt",
        "callback": "submit",
    }
    others: dict[bytes, set[str]] = {}
    for each in collector.spans:
        if each not in ours:
            others.setdefault(each.trace_id, set()).add(each.name)
    assert list(others.values()) == [{*parents}] * 2
    assert collector.services == {"control-room-runner"}
    attempt, queue = collector.named("attempt"), collector.named("queue")
    for name in ("execute", "settle"):
        inner = collector.named(name)
        assert attempt.start_time_unix_nano <= inner.start_time_unix_nano
        assert inner.end_time_unix_nano <= attempt.end_time_unix_nano
    assert queue.start_time_unix_nano <= attempt.start_time_unix_nano
    said = {each.key: each.value for each in attempt.attributes}
    assert said["control_room.run_id"].int_value == run
    assert said["control_room.code"].string_value == "SUCCESS"
    # whoever receives goes on with it
    headers, _ = receiver.taken[0]
    assert headers["traceparent"] == f"00-{TRACE}-{collector.named('callback').span_id.hex()}-01"


def test_a_collector_that_is_away_costs_spans_and_no_work(house: PostgresHouse, runners: Runners) -> None:
    process = runners.start(OTEL_EXPORTER_OTLP_ENDPOINT=DEAF)
    run = submit(house, f"00-{TRACE}-{SUBMIT}-01")
    house.until(run, "SUCCEEDED")
    process.send_signal(signal.SIGTERM)

    assert process.wait(15) == 0
