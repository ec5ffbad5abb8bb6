"""code_validation from door to door: an archive through the API, the verdict and its report back."""

from __future__ import annotations

import base64
import io
import json
import zipfile

import httpx
import pytest
from pydantic_sarif import model as oasis

from tests.acceptance.rescue.conftest import TENANT, Json, Room, room, stack_folder

__all__ = ["room", "stack_folder"]  # fixtures


def upload(room: Room, files: dict[str, str]) -> str:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    data = made.getvalue()
    body = {"name": "code.zip", "kind": "code", "size": len(data), "content": base64.b64encode(data).decode()}
    artifact = str(room.ask("POST", "/artifacts", json={**body, "encoding": "base64"})["artifact_id"])
    ready = "select 1 from artifact.versions where artifact_id = %s and state = 'READY'"
    room.until("the upload is judged", lambda: room.query(ready, artifact))
    return artifact


def validate(room: Room, files: dict[str, str], **params: object) -> Json:
    code = {"artifact_id": upload(room, files)}
    body = {"job_type": "code_validation", "spec": "Is it fit to run?", "code": code, "params": params}
    run = room.ask("POST", "/jobs/run", json=body)["run_id"]
    ended: list[Json] = []

    def has_ended() -> bool:
        ended[:] = [room.ask("GET", f"/runs/{run}")]
        return ended[0]["state"] not in ("QUEUED", "RUNNING", "BLOCKED")

    room.until("the run ended", has_ended, 120)
    return ended[0]


def download(room: Room, name: str, run: Json) -> bytes:
    (artifact,) = [each for each in run["artifacts"] if each["name"].endswith(name)]
    answer = httpx.get(
        f"{room.environment['SUPABASE_URL']}/functions/v1/api/v1/artifacts/{artifact['artifact_id']}/download",
        headers={
            "apikey": room.environment["SUPABASE_ANON_KEY"],
            "authorization": f"Bearer {room.tokens['operator']}",
        },
        follow_redirects=True,
    )
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.needs("validation")
def test_the_tenants_gate_decides_and_the_report_is_there_either_way(room: Room) -> None:
    room.start_runner()
    room.query("update tenancy.tenants set validation_fail_on = 'note' where slug = %s", TENANT)
    files = {"deploy/run.sh": '#!/bin/sh\nset -eu\nprintf "%s" $1\n'}

    failed = validate(room, files)
    passed = validate(room, files, fail_on="warning")

    assert (failed["state"], failed["termination_code"]) == ("FAILED", "VALIDATION_FAILED")
    assert passed["state"] == "SUCCEEDED"
    for run in (failed, passed):
        report = json.loads(download(room, "report.sarif", run))
        oasis.StaticAnalysisResultsFormatSarifVersion210JsonSchema.model_validate(report)
        results = [(r["ruleId"], r["level"]) for each in report["runs"] for r in each["results"]]
        assert results == [("SC2086", "note")]
        assert room.untold(run["run_id"]) == []
    values = room.query(
        "select output_values from queue.task_runs where run_id = any (%s) order by run_id",
        [failed["run_id"], passed["run_id"]],
    )
    assert [(value["verdict"], value["fail_on"], value["counts"]) for (value,) in values] == [
        ("failed", "note", {"error": 0, "warning": 0, "note": 1}),
        ("passed", "warning", {"error": 0, "warning": 0, "note": 1}),
    ]
