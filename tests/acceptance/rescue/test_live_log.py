"""From a job's print to whoever follows its log: within a second, and without its secrets."""

from __future__ import annotations

import json
import time

import httpx

from .conftest import Room

PASSWORD = "correct-horse-battery/staple"
LINES = 8

TELLING_JOB = f"""
import base64, os, sys, time
for n in range({LINES}):
    print(f"tick {{n}} {{time.time()}}", flush=True)
    time.sleep(0.3)
secret = os.environ["PASSWORD"]
sys.stdout.write("split " + secret[:9])
sys.stdout.flush()
time.sleep(0.7)  # longer than anybody gathers
sys.stdout.write(secret[9:] + "\\n")
print("basic", base64.b64encode(b"user:" + secret.encode()).decode())
print("::progress 50 still", secret)
print("oops", secret, file=sys.stderr, flush=True)
"""


def test_a_line_is_live_within_a_second_and_shows_no_secret(room: Room) -> None:
    key = room.environment["SUPABASE_SERVICE_ROLE_KEY"]
    grant = {"tenant": "rescue", "kind": "secret", "name": "PASSWORD"}
    headers = {"apikey": key, "authorization": f"Bearer {key}"}
    url = room.environment["SUPABASE_URL"]
    assert httpx.post(f"{url}/rest/v1/rpc/platform_grant", headers=headers, json=grant).is_success
    room.start_runner(CONTROL_ROOM_SECRET_PASSWORD=PASSWORD)
    run = room.ask(
        "POST",
        "/jobs/run",
        json={
            "job_type": "spark_etl",
            "spec": "tell the time, and a secret by mistake",
            "code": {"files": {"job.py": TELLING_JOB}},
            "secrets": ["PASSWORD"],
        },
    )["run_id"]

    told: list[str] = []
    late: list[float] = []
    path = f"{url}/functions/v1/api/v1/runs/{run}/logs?follow=1"
    bearer = {"authorization": f"Bearer {room.tokens['operator']}"}
    with httpx.stream("GET", path, headers=bearer, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("event: end"):
                break
            if line.startswith("data: ") and "line" in (item := json.loads(line[6:])):
                told.append(item["line"])
                if item["line"].startswith("tick"):
                    late.append(time.time() - float(item["line"].split()[2]))

    print(f"a line was live after {sorted(late)[len(late) // 2]:.2f} s, at most {max(late):.2f} s")
    assert len(late) == LINES
    assert max(late) < 1
    assert [line for line in told if not line.startswith("tick")] == [
        "split ***",
        "basic dXNlcjp***",
        "oops ***",
    ]
    everything = json.dumps(room.ask("GET", f"/runs/{run}")) + "".join(told) + room.log(0)
    assert PASSWORD not in everything
    assert PASSWORD[9:] not in everything
