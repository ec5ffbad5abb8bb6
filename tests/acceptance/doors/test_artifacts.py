"""Artifacts over HTTP: signed URLs up and down, inline content, the check between."""

from __future__ import annotations

import base64
import hashlib
import os
import uuid
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors


def test_bytes_go_up_by_a_signed_url_are_checked_and_come_down_by_another(doors: Doors) -> None:
    content = os.urandom(100_000)
    form = {"name": f"up/{uuid.uuid4()}.bin", "kind": "data", "size": len(content)}
    form |= {"sha256": hashlib.sha256(content).hexdigest()}
    made = doors.ask("POST", "/artifacts", doors.token(), json=form).json()

    up = httpx.put(made["upload_url"], content=content, trust_env=False)
    assert up.is_success, up.text
    done = doors.ask("POST", f"/artifacts/{made['artifact_id']}/complete", doors.token(), json={"version": 1})
    assert (done.status_code, done.json()["state"]) == (202, "PENDING")
    early = doors.ask("GET", f"/artifacts/{made['artifact_id']}/download", doors.token())
    assert (early.status_code, early.json()["code"]) == (409, "ARTIFACT_NOT_READY")

    check = doors.judge(made["artifact_id"])
    down = doors.ask("GET", f"/artifacts/{made['artifact_id']}/download", doors.token())
    got = httpx.get(down.headers["location"], trust_env=False)

    assert down.status_code == 302
    assert content == got.content
    assert "attachment" in got.headers["content-disposition"]
    assert doors.ask("GET", "/uploads/bytes", check["token"]).status_code == 401  # the check has ended


def test_a_signed_upload_url_does_not_replace_bytes(doors: Doors) -> None:
    form = {"name": f"up/{uuid.uuid4()}.txt", "kind": "data", "size": 3}
    url = doors.ask("POST", "/artifacts", doors.token(), json=form).json()["upload_url"]

    assert httpx.put(url, content=b"one", trust_env=False).is_success
    assert not httpx.put(url, content=b"two", trust_env=False).is_success


def test_the_check_of_an_upload_reads_its_bytes(doors: Doors) -> None:
    artifact_id = doors.artifact("to be checked", ready=False)
    with doors.runner() as verbs:
        rows = verbs.execute(
            "select * from worker.claim_uploads(%s::uuid, 100)", [str(uuid.uuid4())]
        ).fetchall()
    [item] = [row[0] for row in rows if row[0]["artifact_id"] == artifact_id]

    answer = doors.ask("GET", "/uploads/bytes", item["token"])

    assert httpx.get(answer.headers["location"], trust_env=False).text == "to be checked"


@pytest.mark.parametrize("encoding", ["text", "base64"])
def test_small_content_comes_inline(doors: Doors, encoding: str) -> None:
    content = f"grüße {uuid.uuid4()}\n"
    sent = content if encoding == "text" else base64.b64encode(content.encode()).decode()
    form = {"name": f"in/{uuid.uuid4()}.txt", "kind": "data", "content": sent, "encoding": encoding}
    made = doors.ask("POST", "/artifacts", doors.token(), json=form).json()

    assert made["sha256"] == hashlib.sha256(content.encode()).hexdigest()
    doors.judge(made["artifact_id"])
    down = doors.ask("GET", f"/artifacts/{made['artifact_id']}/download", doors.token())
    assert content.encode() == httpx.get(down.headers["location"], trust_env=False).content


def test_an_artifact_of_60_mib_is_refused_before_it_is_sent(doors: Doors) -> None:
    form = {"name": "big.bin", "kind": "data", "size": 60 * 1024 * 1024}

    answer = doors.ask("POST", "/artifacts", doors.token(), json=form)

    assert (answer.status_code, answer.json()["code"]) == (413, "ARTIFACT_TOO_LARGE")
