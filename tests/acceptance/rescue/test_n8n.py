"""The shipped workflow on a real n8n: started by the runner, told of by its reports, watched, stopped, adopted.

`--with n8n` installs n8n and starts it on a database of the stack's Postgres; CONTROL_ROOM_N8N_URL, _TOKEN and
_API_KEY name one that is there, with the workflows of deploy/n8n and tests/acceptance/rescue published.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from dev.stack import n8n as server
from dev.stack.n8n import N8n
from tests.acceptance import pages
from tests.acceptance.rescue import shelf
from tests.acceptance.rescue.conftest import TENANT, Room, stack_url

pytestmark = pytest.mark.needs("n8n")
OURS = Path(__file__).parent / "contract_workflow.json"


@pytest.fixture(scope="module")
def n8n(stack_folder: Path) -> Iterator[N8n]:
    if "CONTROL_ROOM_N8N_URL" in os.environ:
        url = os.environ["CONTROL_ROOM_N8N_URL"]
        there = N8n(stack_folder, "", int(url.rpartition(":")[2]))
        there.dispatch_token = os.environ["CONTROL_ROOM_N8N_TOKEN"]
        there.api_key = os.environ["CONTROL_ROOM_N8N_API_KEY"]
        yield there
        return
    url = stack_url(stack_folder)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create database n8n")

    def as_the_page_says(made: N8n) -> None:
        """The shipped workflow, with the value of the credential filled in."""
        folder = stack_folder / "deploy" / "n8n"
        shutil.copytree(server.WORKFLOWS, folder)
        file = folder / "credentials.json"
        said = file.read_text().replace("the value of CONTROL_ROOM_N8N_TOKEN", made.dispatch_token)
        file.write_text(said)
        [block] = pages.at("docs/n8n.md", "n8n")
        made.types(block, stack_folder)

    place, database = stack_folder / "n8n", url.rpartition("/")[0] + "/n8n"
    with server.running(place, database, OURS, before=as_the_page_says) as made:
        yield made


@dataclass
class Desk:
    """A room whose runners send kb_catalog to n8n."""

    room: Room
    n8n: N8n

    def start_runner(self, **settings: str) -> None:
        self.room.start_runner(
            CONTROL_ROOM_EXECUTOR_KB_CATALOG="n8n",
            CONTROL_ROOM_N8N_URL=self.n8n.url,
            CONTROL_ROOM_N8N_TOKEN=self.n8n.dispatch_token,
            CONTROL_ROOM_N8N_API_KEY=self.n8n.api_key,
            **settings,
        )

    def play(self, piece: str, **more: object) -> int:
        """A run of the workflow `contract`, which does what it is told."""
        document = {"key": "a", "text": "Some words of a document."}
        return shelf.submit(
            self.room, workflow="contract", piece=piece, collection="played", documents=[document], **more
        )

    def execution(self, run: int) -> str:
        """The id of the run's execution, once it is known."""
        sql = "select external_id from queue.attempts where run_id = %s and external_id is not null"
        self.room.until("the execution is known", lambda: self.room.query(sql, run))
        return str(self.room.query(sql, run)[0][0])

    def status(self, execution: str) -> str:
        return str(self.n8n.ask("GET", f"/executions/{execution}").json()["status"])


@pytest.fixture
def desk(room: Room, n8n: N8n) -> Desk:
    for name in ("kb_catalog", "contract"):
        room.query(
            "insert into tenancy.grants (tenant_id, kind, name) "
            "select id, 'n8n_workflow', %s from tenancy.tenants where slug = %s on conflict do nothing",
            name,
            TENANT,
        )
    return Desk(room, n8n)


def test_the_shipped_workflow_makes_the_entries_that_the_sandbox_makes(desk: Desk) -> None:
    desk.start_runner()
    room = desk.room

    run = shelf.submit(
        room, shelf.HANDBOOK, collection="by_n8n", documents=[{"key": "x.md", "text": "# In\n\nline"}]
    )
    ended = shelf.ended(room, run)

    assert ended["state"] == "SUCCEEDED", ended
    said = shelf.values(room, run)
    assert (said["entries"], said["rejected"]) == (5, 1), said
    assert said["problems"][0]["key"] == "kb/broken.pdf"
    assert shelf.keys(room, "returning", "by_n8n") == ["kb/returns.md"]
    assert shelf.keys(room, '"ten days"', "by_n8n") == ["kb/terms.pdf"]
    (found,) = shelf.find(room, "warehouse", "by_n8n")
    assert (found["title"], found["media_type"]) == ("Invoices", "text/html")
    assert shelf.find(room, "line", "by_n8n")[0]["title"] == "In"
    assert shelf.comes_from(room, "by_n8n") == {
        f"dataset:control-room://rescue/artifacts:kb/{name}" for name in shelf.HANDBOOK
    }
    progress = "select percent, progress_message from queue.task_runs where run_id = %s"
    assert room.query(progress, run) == [(100, "the documents are read")]


def test_a_cancel_stops_the_execution(desk: Desk) -> None:
    desk.start_runner()
    run = desk.play("hang")
    execution = desk.execution(run)

    desk.room.ask("POST", f"/runs/{run}/cancel")

    assert shelf.ended(desk.room, run)["state"] == "CANCELED"
    desk.room.until("the execution has stopped", lambda: desk.status(execution) == "canceled")


def test_a_run_out_of_time_stops_the_execution(desk: Desk) -> None:
    desk.start_runner()
    body = {
        "job_type": "kb_catalog", "spec": "Take too long.", "timeout_seconds": 3,
        "params": {"workflow": "contract", "piece": "hang", "documents": [{"key": "a", "text": "x"}]},
    }  # fmt: skip
    run = int(desk.room.ask("POST", "/jobs/run", json=body)["run_id"])
    execution = desk.execution(run)

    assert shelf.ended(desk.room, run)["state"] == "TIMED_OUT"
    desk.room.until("the execution has stopped", lambda: desk.status(execution) == "canceled")


def test_an_execution_that_fails_without_a_word_fails_the_run_with_its_reason(desk: Desk) -> None:
    desk.start_runner()
    ended = shelf.ended(desk.room, desk.play("explode"))

    assert (ended["state"], ended["termination_code"]) == ("FAILED", "USER_CODE_FAILED")
    assert "boom" in ended["termination_message"]


def test_a_failure_that_is_reported_is_told_in_its_own_words(desk: Desk) -> None:
    desk.start_runner()
    ended = shelf.ended(desk.room, desk.play("fail"))

    assert (ended["state"], ended["termination_message"]) == ("FAILED", "catalog source unreachable")


def test_another_runner_adopts_the_execution_of_one_that_was_killed(desk: Desk) -> None:
    desk.start_runner()
    run = desk.play("slow")
    execution = desk.execution(run)
    os.kill(desk.room.started[0].pid, signal.SIGKILL)

    desk.start_runner()
    ended = shelf.ended(desk.room, run)

    assert ended["state"] == "SUCCEEDED"
    ((attempts, lease, external),) = desk.room.query(
        "select count(*) over (), lease, external_id from queue.past_attempts where run_id = %s", run
    )
    assert (attempts, external) == (1, execution)
    assert lease > 1
    assert shelf.keys(desk.room, "words", "played") == ["a"]


def test_what_reports_after_the_end_is_refused(desk: Desk) -> None:
    desk.start_runner()
    run = desk.play("babble")  # reports its end, and then goes on until it is refused

    assert shelf.ended(desk.room, run)["state"] == "SUCCEEDED"
    execution = desk.execution(run)
    desk.room.until("n8n was refused", lambda: desk.status(execution) == "error", 60)


def test_a_workflow_that_was_not_granted_is_not_started(desk: Desk) -> None:
    desk.room.query("delete from tenancy.grants where kind = 'n8n_workflow' and name = 'kb_catalog'")
    desk.start_runner()
    run = shelf.submit(desk.room, documents=[{"key": "a", "text": "x"}])

    ended = shelf.ended(desk.room, run)
    assert (ended["state"], ended["termination_code"]) == ("FAILED", "NOT_GRANTED")


def test_a_crash_of_n8n_is_found_by_asking(desk: Desk) -> None:
    """Last: it ends n8n, and starts it again."""
    if desk.n8n.daemon is None:
        pytest.skip("needs an n8n that may be killed: leave CONTROL_ROOM_N8N_URL out")
    desk.start_runner()
    run = desk.play("hang")
    execution = desk.execution(run)

    desk.n8n.stop(signal.SIGKILL)
    desk.n8n.start()

    ended = shelf.ended(desk.room, run)
    assert (ended["state"], ended["termination_code"]) == ("FAILED", "EXECUTOR_UNAVAILABLE")
    assert desk.status(execution) == "crashed"
