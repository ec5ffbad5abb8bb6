"""The workflow that ships: what must be true of it before any n8n has seen it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

CLONE = Path(__file__).resolve().parents[3]
FOLDER = CLONE / "deploy" / "n8n"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def workflow() -> Json:
    made: Json = json.loads((FOLDER / "kb_catalog.json").read_text())
    return made


def nodes(workflow: Json, kind: str) -> list[Json]:
    return [each for each in workflow["nodes"] if each["type"] == f"n8n-nodes-base.{kind}"]


def test_it_is_started_by_header_and_answers_with_the_execution_s_id(workflow: Json) -> None:
    (webhook,) = nodes(workflow, "webhook")
    (answer,) = nodes(workflow, "respondToWebhook")
    (credential,) = json.loads((FOLDER / "credentials.json").read_text())

    assert webhook["parameters"]["path"] == "control-room/kb-catalog"
    assert webhook["parameters"]["authentication"] == "headerAuth"
    assert webhook["parameters"]["responseMode"] == "responseNode"
    assert webhook["credentials"]["httpHeaderAuth"]["id"] == credential["id"]
    assert credential["data"]["name"] == "X-CR-Dispatch-Token"
    assert "$execution.id" in answer["parameters"]["responseBody"]
    assert workflow["active"] is False


def test_every_report_is_tried_again(workflow: Json) -> None:
    reports = [each for each in nodes(workflow, "httpRequest") if "report_url" in each["parameters"]["url"]]

    assert {each["name"] for each in reports} == {"Begun", "Read", "Complete", "Fail"}
    for each in reports:
        assert each["retryOnFail"], each["name"]
        assert "external_id: $execution.id" in each["parameters"]["jsonBody"]


def test_the_token_is_never_sent_to_a_signed_url(workflow: Json) -> None:
    (signed,) = [each for each in nodes(workflow, "httpRequest") if each["name"] == "Bytes"]
    (asks,) = [each for each in nodes(workflow, "httpRequest") if each["name"] == "Address"]

    assert "headerParameters" not in signed["parameters"]
    assert asks["parameters"]["options"]["redirect"]["redirect"]["followRedirects"] is False


def test_one_bad_document_ends_no_other(workflow: Json) -> None:
    steps = {each["name"]: each.get("onError") for each in workflow["nodes"]}

    assert {steps[name] for name in ("Address", "Bytes", "Text", "PDF")} == {"continueRegularOutput"}
    assert steps["Catalog"] == "continueErrorOutput"


def test_executions_that_end_well_leave_no_documents_behind(workflow: Json) -> None:
    assert workflow["settings"]["saveDataSuccessExecution"] == "none"


def test_the_manual_names_what_the_files_are_called(workflow: Json) -> None:
    text = (CLONE / "docs" / "n8n.md").read_text()

    assert f"publish:workflow --id={workflow['id']}" in text
    for name in re.findall(r"--input=(\S+)", text):
        assert (CLONE / name).is_file(), name
