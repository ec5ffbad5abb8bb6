"""The GitHub Action, its steps run as GitHub runs them, against the real doors and a real issuer."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from tests.acceptance.doors import workplace

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "github"

JOBS = """\
source: acme/etl
jobs:
  - name: {name}
    tasks: [{{task_key: load, job_type: spark_etl, code: etl/load.py}}]
"""


def repository(doors: Doors, role: str = "operator") -> str:
    """One that the tenant trusts."""
    name = f"acme/{uuid.uuid4().hex}"
    form = {
        "name": "ci", "issuer": doors.issuer.url, "repository": name, "ref": "refs/heads/main", "role": role,
    }  # fmt: skip
    assert doors.ask("POST", "/trusts", doors.token("admin"), json=form).status_code == 201
    return name


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    made = tmp_path / "checkout"
    (made / "etl").mkdir(parents=True)
    (made / "etl" / "load.py").write_text('"""Load what came."""\nprint(1)\n')
    return made


def project(doors: Doors) -> dict[str, str]:
    return {"url": doors.supabase, "anon-key": doors.environment["SUPABASE_ANON_KEY"], "tenant": "acme"}


def test_documents_are_applied_by_a_workflow_without_a_stored_secret(doors: Doors, checkout: Path) -> None:
    name = f"job {uuid.uuid4()}"
    (checkout / "jobs.yaml").write_text(JOBS.format(name=name))
    with workplace.vouching(doors.issuer, repository=repository(doors)) as variables:
        planned = workplace.run(
            checkout, {**project(doors), "apply": "jobs.yaml", "dry-run": "true"}, variables
        )
        applied = workplace.run(checkout, {**project(doors), "apply": "jobs.yaml"}, variables)
        refused = workplace.run(checkout, {**project(doors), "apply": "nowhere.yaml"}, variables)

    assert (planned.code, planned.outputs["changes"]) == (0, "1"), planned.log
    assert (applied.code, applied.outputs["changes"]) == (0, "1"), applied.log
    assert f"| created | {name} | 1 |" in applied.summary
    assert f"+name: {name}" in planned.summary.split("```diff\n")[1].splitlines()
    assert "+    files:" in planned.log
    assert len(applied.commands("add-mask")) == 1
    [job] = doors.ask("GET", f"/jobs?name={name}", doors.token()).json()["items"]
    assert job["created_by"].startswith("oidc:")
    assert (refused.code, len(refused.commands("error"))) == (2, 1)
    assert applied.used == []  # nothing to keep


def test_who_is_not_trusted_or_has_no_tenant_is_told_so(doors: Doors, checkout: Path) -> None:
    with workplace.vouching(doors.issuer, repository="acme/other") as variables:
        stranger = workplace.run(checkout, {**project(doors), "apply": "jobs.yaml"}, variables)
    outside = workplace.run(checkout, {**project(doors), "apply": "jobs.yaml"})

    assert (stranger.code, "OIDC_NOT_TRUSTED" in stranger.commands("error")[0]) == (3, True)
    assert (outside.code, "id-token: write" in outside.commands("error")[0]) == (2, True)


REPORT = {
    "version": "2.1.0",
    "runs": [
        {
            "tool": {"driver": {"name": "ruff"}},
            "results": [
                {
                    "ruleId": "S608", "level": "error", "message": {"text": "100% injection,\nreally"},
                    "locations": [{"physicalLocation": {"artifactLocation": {"uri": "load.py"}, "region": {"startLine": 2, "startColumn": 7}}}],
                },
                {"ruleId": "N1", "level": "note", "message": {"text": "<b>|x|</b>"}},
                {"ruleId": "E1", "level": "error", "message": {"text": "old"}, "suppressions": [{"kind": "external"}]},
            ],
        }
    ],
}  # fmt: skip


def carry_out(doors: Doors, spec: str, report: dict[str, Any], problems: list[BaseException]) -> None:
    """What a runner would do with the run of this spec: log, leave a report, fail."""

    def mine() -> int | None:
        found = doors.ask("GET", "/runs?state=QUEUED", doors.token()).json()["items"]
        return next((int(it["run_id"]) for it in found if it["name"] == spec), None)

    try:
        deadline = time.monotonic() + 60
        while (run_id := mine()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        attempt = doors.claim(run_id)
        doors.log(attempt, "::error file=x::a job's log steers nothing", "working")
        data = json.dumps(report).encode()
        of_it = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        form = {"name": "report.sarif", "kind": "report", **of_it}
        path = f"/attempts/{attempt['attempt_id']}/artifacts"
        made = doors.ask("POST", path, attempt["token"], json=form).json()
        assert httpx.put(made["upload_url"], content=data, trust_env=False).is_success
        kept = {"artifact_id": made["artifact_id"], "version": made["version"], "verdict": "READY", **of_it}
        outcome = {
            "state": "FAILED",
            "termination_code": "VALIDATION_FAILED",
            "message": "it is | not fit",
            "artifacts": [kept],
        }
        doors.settle(attempt, outcome)
    except BaseException as error:
        problems.append(error)


def test_a_run_is_seen_to_its_end_and_its_findings_stand_at_the_lines(doors: Doors, checkout: Path) -> None:
    name = f"run {uuid.uuid4()}"
    problems: list[BaseException] = []
    runner = threading.Thread(target=carry_out, args=(doors, name, REPORT, problems))
    runner.start()
    with workplace.vouching(doors.issuer, repository=repository(doors)) as variables:
        done = workplace.run(
            checkout,
            {
                **project(doors),
                "job-type": "kb_catalog",
                "spec": "Is it fit?",
                "name": name,
                "timeout-seconds": "60",
            },
            variables,
        )
    runner.join()

    assert problems == []
    assert (done.code, done.outputs["state"], done.outputs["errors"], done.outputs["notes"]) == (
        1,
        "FAILED",
        "1",
        "1",
    ), done.log
    [finding, _] = done.commands("error")
    assert finding == "::error file=load.py,line=2,col=7,title=ruff S608::100%25 injection,%0Areally"
    assert "steers nothing" in done.log
    assert "\\|x\\|" in done.summary
    assert "it is \\| not fit" in done.summary
    report = Path(done.outputs["sarif"])
    assert json.loads(report.read_text()) == REPORT
    [(used, given)] = done.used
    assert used.startswith("actions/upload-artifact@")
    assert given["path"] == done.outputs["artifacts"] == str(report.parent)


def test_coming_in_alone_leaves_the_token_for_later_steps(doors: Doors, checkout: Path) -> None:
    with workplace.vouching(doors.issuer, repository=repository(doors, "viewer")) as variables:
        done = workplace.run(checkout, project(doors), variables)

    token = done.environment["CONTROL_ROOM_TOKEN"]
    assert (done.code, done.environment["SUPABASE_URL"]) == (0, doors.supabase)
    assert doors.ask("GET", "/runs", token).status_code == 200
    assert done.commands("add-mask") == [f"::add-mask::{token}"]


def test_the_examples_ask_for_what_the_action_has() -> None:
    action = yaml.safe_load((workplace.CLONE / "action.yml").read_text())
    seen = 0
    for file in sorted(EXAMPLES.glob("*.yml")):
        workflow = yaml.safe_load(file.read_text())
        assert workflow["permissions"]["id-token"] == "write"
        for job in workflow["jobs"].values():
            for step in job["steps"]:
                assert "${{" not in step.get("run", ""), "what is put into a script is code"
                if "control-room@" in step.get("uses", ""):
                    seen += 1
                    assert step["with"].keys() <= action["inputs"].keys()
                    needed = {name for name, it in action["inputs"].items() if it.get("required")}
                    assert needed <= step["with"].keys()

    assert seen >= 5
