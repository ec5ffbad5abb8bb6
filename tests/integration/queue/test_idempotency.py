"""One idempotency key is one run, however many ask at once."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg

from dev.stack.testbed import Database
from tests.doors import Doors

SUBMISSION = {"job_type": "spark_etl", "spec": "Nothing to do.", "code": {"files": {"job.py": "pass"}}}
AT_ONCE = 50  # connections, each of them with a door held open
ROUNDS = 20


def test_a_thousand_submissions_with_one_key_are_one_run(database: Database, doors: Doors) -> None:
    claims = database.add_tenant("acme").claims("operator")
    body = json.dumps(SUBMISSION | {"idempotency_key": "only once"})
    ready = threading.Barrier(AT_ONCE)

    def submit(_: int) -> list[tuple[str, str]]:
        answers = []
        with psycopg.connect(database.authenticator, autocommit=True) as connection:
            ready.wait(timeout=60)
            for _ in range(ROUNDS):
                with connection.transaction():
                    connection.execute(
                        "select set_config('request.jwt.claims', %s, true),"
                        " set_config('role', 'operator', true)",
                        [claims],
                    )
                    row = connection.execute(
                        "select public.run_job(%s::jsonb), current_setting('response.status')", [body]
                    ).fetchone()
                    assert row is not None
                    answers.append((json.dumps(row[0], sort_keys=True), row[1]))
        return answers

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = [it for some in pool.map(submit, range(AT_ONCE)) for it in some]

    assert len(answers) == AT_ONCE * ROUNDS
    assert len({answer for answer, _ in answers}) == 1
    assert sorted(status for _, status in answers).count("202") == 1
    assert doors.ask("select count(*) from queue.runs") == 1
    assert doors.ask("select count(*) from queue.live_attempts") == 1


def test_a_key_is_the_tenant_s_own(database: Database, doors: Doors) -> None:
    body = SUBMISSION | {"idempotency_key": "the same"}
    runs = {doors.call(database.add_tenant(slug), "run_job", body)["run_id"] for slug in ("north", "south")}

    assert len(runs) == 2


def test_a_key_twice_in_one_array_is_one_run(database: Database, doors: Doors) -> None:
    body = SUBMISSION | {"idempotency_key": "twice"}
    said = doors.call(database.add_tenant("acme"), "submit_runs", [body, body])

    assert said[0]["run_id"] == said[1]["run_id"]
