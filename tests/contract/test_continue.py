"""The executor that lets a model write code: one way out, counted and guarded outside; and the real Continue CLI.

What speaks to the model in most of these is a small program in the sandbox, which says exactly what a law is
about. What is promised of the Continue CLI itself holds for its double as well (`dev.model.cn`), which stands in
for it in everyday tests; the real one runs with `--with continue`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.model import engine
from dev.model.script import Script
from dev.model.server import ScriptedModel
from dev.stack import state
from runner.executor import models
from runner.executor.continue_cli import ContinueExecutor
from runner.executor.process import ProcessExecutor
from runner.executor.sandbox import Sandbox
from runner.jobtype.base import Exit, Place
from runner.jobtype.code_generation import CodeGeneration
from runner.model.attempt import Attempt, Input
from runner.model.collected import Collected
from runner.model.command import Command
from runner.model.errors import Failure, SettingsError
from runner.model.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace
from tests.contract.conftest import Play, PythonPieces, make_attempt

KEY = "sk-the-key-of-the-model"
#: A client of models over the socket, in stdlib alone.
ASK = """
import http.client, json, socket, sys
class Wire(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect('/job/.control-room/model.sock')
def ask(path='/chat/completions', method='POST', host='model', headers={}, body='{"model": "m", "messages": []}'):
    wire = Wire(host)
    wire.request(method, path, body, {'content-type': 'application/json', **headers})
    answer = wire.getresponse()
    return answer.status, answer.read().decode()
"""


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    made = ScriptedModel(Script.of([{"turns": [{"say": "hello"}]}]), key=KEY)
    yield made
    made.close()


def configured(folder: Path, model: ScriptedModel | str, **changes: Any) -> models.Models:
    """A configuration of Continue with one model, as the runner reads it."""
    base = model if isinstance(model, str) else model.url
    said = {
        "name": "m",
        "provider": "openai",
        "model": "scripted",
        "apiBase": base,
        "apiKey": "${{ secrets.MODEL_KEY }}",
    }
    file = folder / "continue.yaml"
    file.write_text(json.dumps({"name": "x", "version": "1.0.0", "schema": "v1", "models": [said | changes]}))
    return models.read(file, {"MODEL_KEY": KEY})


@pytest.fixture
def pieces(made_sandbox: Sandbox, folder: Path, model: ScriptedModel) -> PythonPieces:
    executor = ContinueExecutor(ProcessExecutor(made_sandbox, grace_seconds=1.0), configured(folder, model))
    return PythonPieces(executor, folder, made_sandbox.owner)


def asking(pieces: PythonPieces, program: str, **changes: Any) -> Play:
    said: dict[str, Any] = {"job_type": "code_generation", "engine": "m", **changes}
    return pieces.python(ASK + program, **said)


# ---------------------------------------------------------------------------------------------- the way out


async def test_the_way_leads_to_the_model_and_the_key_is_put_on_outside(
    pieces: PythonPieces, model: ScriptedModel
) -> None:
    play = asking(
        pieces,
        "print(ask(headers={'authorization': 'Bearer mine', 'x-other': '1'})[0])\n"
        "print(open('/job/.control-room/continue.json').read())",
    )
    outcome = await play.end()

    assert isinstance(outcome, Succeeded)
    assert play.reporter.text()[0] == "200"
    assert model.keys == [f"Bearer {KEY}"]
    assert KEY not in play.reporter.text()[1]
    assert model.url not in play.reporter.text()[1]


async def test_what_it_cost_is_counted_outside_and_nothing_that_is_printed_is_believed(
    pieces: PythonPieces,
) -> None:
    outcome = await asking(pieces, "ask(); ask(); print('::value tokens {\"prompt\": 0}')").end()

    assert isinstance(outcome, Succeeded)
    digest = outcome.values.pop("config_sha256")
    assert outcome.values == {"model": "m", "requests": 2, "tokens": {"prompt": 200, "completion": 40}}
    assert len(digest) == 64


@pytest.mark.parametrize(
    "how",
    [
        "method='GET'",
        "path='/models'",
        "path='/../admin/chat/completions'",
        "path='http://169.254.169.254/chat/completions'",
        "path='//elsewhere.example/chat/completions'",
        "path='/files'",
    ],
)
async def test_the_way_leads_nowhere_else(pieces: PythonPieces, model: ScriptedModel, how: str) -> None:
    play = asking(pieces, f"print(ask({how})[0])")
    await play.end()

    assert (play.reporter.text(), model.asked) == (["403"], [])


async def test_beside_the_way_there_is_no_network(pieces: PythonPieces, model: ScriptedModel) -> None:
    port = int(model.url.rsplit(":", 1)[1].split("/")[0])
    play = asking(
        pieces,
        f"for place in (('127.0.0.1', {port}), ('169.254.169.254', 80), ('1.1.1.1', 443)):\n"
        "    try: socket.create_connection(place, 2); print('reached', place)\n"
        "    except OSError: print('no')",
    )
    await play.end()

    assert play.reporter.text() == ["no"] * 3


async def test_a_host_that_is_asked_for_changes_nothing(pieces: PythonPieces, model: ScriptedModel) -> None:
    play = asking(pieces, "print(ask(host='elsewhere.example')[0])")
    await play.end()

    assert (play.reporter.text(), len(model.asked)) == (["200"], 1)


async def test_nonsense_on_the_way_harms_nobody(pieces: PythonPieces, model: ScriptedModel) -> None:
    play = asking(
        pieces,
        "for said in (b'\\x16\\x03\\x01', b'POST / HTTP/9.9\\r\\n\\r\\n', b'x' * 200_000, b'POST /messages HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 9\\r\\n\\r\\nabc'):\n"
        "    s = socket.socket(socket.AF_UNIX); s.connect('/job/.control-room/model.sock')\n"
        "    try: s.sendall(said); s.shutdown(1); s.recv(100)\n"
        "    except OSError: pass\n"
        "print(ask()[0])",
    )
    outcome = await play.end()

    assert isinstance(outcome, Succeeded)
    assert (play.reporter.text(), len(model.asked)) == (["200"], 1)


async def test_who_asks_without_end_is_ended(pieces: PythonPieces, model: ScriptedModel) -> None:
    outcome = await asking(pieces, "while True: ask()").end()

    assert isinstance(outcome, PermanentFailure)
    assert (outcome.code, len(model.asked)) == (TerminationCode.GENERATION_FAILED, 100)


# ---------------------------------------------------------------------------------- models that do not answer


async def test_a_model_that_refuses_the_runner_is_a_permanent_failure(
    made_sandbox: Sandbox, folder: Path, model: ScriptedModel
) -> None:
    wrong = configured(folder, model, apiKey="wrong")
    pieces = PythonPieces(ContinueExecutor(ProcessExecutor(made_sandbox), wrong), folder, made_sandbox.owner)
    outcome = await asking(pieces, "ask(); import time; time.sleep(60)").end()

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.MODEL_UNAVAILABLE
    assert "401" in outcome.message
    assert "wrong" not in outcome.message


async def test_a_model_that_fails_is_given_up_soon_and_tried_again_later(
    pieces: PythonPieces, model: ScriptedModel
) -> None:
    model.script = Script.of([{"turns": [{"status": 503, "retry_after": 7}]}])
    # what sleeps for ten minutes is ended, or this test is
    outcome = await asking(pieces, "[ask() for _ in range(9)]; import time; time.sleep(600)").end()

    assert isinstance(outcome, RetryableFailure)
    assert (outcome.code, outcome.after_ms) == (TerminationCode.MODEL_UNAVAILABLE, 7000)


async def test_a_model_that_answers_after_all_is_forgiven(pieces: PythonPieces, model: ScriptedModel) -> None:
    model.script = Script.of([{"turns": [{"status": 503}]}])
    outcome = await asking(pieces, "ask(); ask()").end()
    model.script = Script.of([{"turns": [{"say": "hello"}]}])
    forgiven = await asking(pieces, "print(ask()[0]); sys.exit(3)").end()

    assert isinstance(outcome, Succeeded)  # what a program makes of a refusal is its business
    assert isinstance(forgiven, RetryableFailure)
    assert forgiven.code is TerminationCode.USER_CODE_FAILED


async def test_a_model_that_cannot_be_reached_is_the_platforms_fault(
    made_sandbox: Sandbox, folder: Path
) -> None:
    away = configured(folder, "http://127.0.0.1:9/v1")
    pieces = PythonPieces(ContinueExecutor(ProcessExecutor(made_sandbox), away), folder, made_sandbox.owner)
    outcome = await asking(pieces, "print(ask()[0]); sys.exit(1)").end()

    assert isinstance(outcome, RetryableFailure)
    assert outcome.code is TerminationCode.MODEL_UNAVAILABLE


async def test_a_tenant_without_the_grant_is_refused_at_the_claim_too(
    pieces: PythonPieces, model: ScriptedModel
) -> None:
    outcome = await asking(pieces, "ask()", model_granted=False).end()

    assert isinstance(outcome, PermanentFailure)
    assert (outcome.code, model.asked) == (TerminationCode.NOT_GRANTED, [])


async def test_canceled_in_the_middle_of_an_answer_nothing_is_left(
    pieces: PythonPieces, model: ScriptedModel
) -> None:
    model.script = Script.of([{"turns": [{"hang": 3}]}])
    play = asking(pieces, "print('hanging', flush=True); ask()")
    await play.reporter.until("hanging")

    assert await play.stop(Stop.CANCELED) < 5


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("models: []", "has no models"),
        ("- x", "has no models"),
        ("models: [{name: m}]", "a name, a provider and a model"),
        ("models: [{name: m, provider: vllm, model: x}]", "needs an apiBase"),
        ("models: [{name: '../m', provider: openai, model: x}]", "no plain name"),
        (
            "models: [{name: m, provider: openai, model: x}, {name: m, provider: openai, model: y}]",
            "same name",
        ),
        ("models: [", "cannot be read"),
    ],
)
def test_a_configuration_that_cannot_work_is_said_at_the_start(folder: Path, said: str, why: str) -> None:
    (folder / "c.yaml").write_text(said)

    with pytest.raises(SettingsError, match=why):
        models.read(folder / "c.yaml", {})


def test_a_model_without_its_key_is_left_out_and_the_others_are_not(folder: Path) -> None:
    (folder / "c.yaml").write_text(
        "models: [{name: a, provider: openai, model: x, apiKey: '${{ secrets.NONE }}'},\n"
        "         {name: b, provider: openai, model: y, apiKey: '${{ secrets.KEY }}'}]"
    )
    read = models.read(folder / "c.yaml", {"CONTROL_ROOM_SECRET_KEY": "k"})

    assert read.names == ("b", "y")  # by its own name, and by its provider's
    assert read.by_name["b"].headers == {"authorization": "Bearer k"}
    assert "Bearer" not in repr(read)


# ------------------------------------------------------------------------------------- the Continue CLI itself

ENGINES = Path(os.environ.get("CONTROL_ROOM_ENGINES") or state.home() / "engines")
SPEC = "Count the orders of each country."


@pytest.fixture(params=["double", pytest.param("continue", marks=pytest.mark.needs("continue"))])
def engines(request: pytest.FixtureRequest, folder: Path) -> Path:
    """Where the engine `continue` lies: the double, or the real one."""
    if request.param == "continue":
        return ENGINES
    made = folder / "engines"
    engine.lay_out(made)
    return made


@pytest.fixture
def generate(pieces: PythonPieces, model: ScriptedModel, engines: Path) -> Callable[..., Any]:
    """Everything of a code_generation attempt but the doors: prepare, run, collect."""
    job_type = CodeGeneration(Place(engines, models=("m",)))
    assert all(each.ready for each in job_type.readiness())

    async def run(
        *turns: dict[str, Any], inputs: dict[str, bytes] | None = None, **changes: Any
    ) -> tuple[Outcome, Collected | Failure, Workspace]:
        model.script = Script.of([{"turns": [*turns]}])
        workspace = pieces.workspace()
        for name, data in (inputs or {}).items():
            (workspace.inputs / name).write_bytes(data)
        attempt: Attempt = make_attempt(
            job_type="code_generation", engine="m", task_key="generate", spec=SPEC,
            inputs=tuple(Input(name) for name in inputs or {}), **changes,
        )  # fmt: skip
        command: Command = job_type.prepare(attempt, workspace)
        play = pieces.start(workspace, attempt, command)
        outcome = await play.end()
        try:
            exit_code = outcome.usage.exit_code
            return outcome, job_type.collect(attempt, play.workspace, Exit(exit_code or 0)), play.workspace
        except Failure as failure:
            return outcome, failure, play.workspace

    return run


async def test_continue_writes_the_code_that_the_model_says(
    generate: Callable[..., Any], model: ScriptedModel
) -> None:
    outcome, collected, workspace = await generate({"write": {"job.py": "print(1)\n"}}, {"say": "done"})

    assert isinstance(outcome, Succeeded), outcome
    assert [(each.name, each.kind) for each in collected.artifacts] == [
        ("generate/code.py", "code"),
        ("generate/prompt.md", "log"),
    ]
    assert (workspace.kept / "code").read_text() == "print(1)\n"
    assert outcome.values["tokens"] == {"prompt": 200, "completion": 40}
    asked = model.asked[0]["messages"]
    assert SPEC in asked[-1]["content"]
    assert "/job/outputs/<name>" in asked[0]["content"]
    assert {"Bash", "Fetch"}.isdisjoint(each["function"]["name"] for each in model.asked[0]["tools"])


async def test_of_several_files_there_is_one_artifact_the_same_whenever_it_is_packed(
    generate: Callable[..., Any],
) -> None:
    files = {"job.py": "import lib.a\n", "lib/a.py": "A = 1\n"}
    _, collected, first = await generate({"write": files})
    _, _, second = await generate({"write": files})

    assert collected.artifacts[0].name == "generate/code.zip"
    assert (first.kept / "code").read_bytes() == (second.kept / "code").read_bytes()


async def test_the_next_round_has_the_last_try_and_what_was_found(
    generate: Callable[..., Any], model: ScriptedModel
) -> None:
    result = {
        "ruleId": "F821", "level": "error", "message": {"text": "Undefined name `x`"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": "job.py"}, "region": {"startLine": 1}}}],
    }  # fmt: skip
    sarif = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "ruff"}}, "results": [result]}]}
    outcome, collected, workspace = await generate(
        {"call": "Read", "arguments": {"filepath": "job.py"}},
        {"call": "Edit", "arguments": {"file_path": "job.py", "old_string": "x", "new_string": "1"}},
        inputs={"code": b"print(x)\n", "report.sarif": json.dumps(sarif).encode()},
        params={"round": 2},
    )

    assert isinstance(outcome, Succeeded)
    assert "job.py:1: error [ruff F821] Undefined name `x`" in model.asked[0]["messages"][-1]["content"]
    assert (workspace.kept / "code").read_text() == "print(1)\n"
    assert collected.values["round"] == 2


@pytest.mark.parametrize("turn", [{"say": "I will not"}, {"write": {"notes.md": "x"}}])
async def test_a_model_that_writes_no_code_has_failed(
    generate: Callable[..., Any], turn: dict[str, Any]
) -> None:
    outcome, failure, _ = await generate(turn)

    assert isinstance(outcome, Succeeded)
    assert isinstance(failure, Failure)
    assert failure.code is TerminationCode.GENERATION_FAILED


async def test_what_is_written_outside_stays_in_the_sandbox(
    generate: Callable[..., Any], folder: Path
) -> None:
    mark = folder / "mark"
    outside = {str(mark): "x", "../../mark": "x", "/etc/mark": "x", "/job/.control-room/request.json": "{}"}
    outcome, collected, _ = await generate({"write": outside}, {"write": {"job.py": "1\n", ".hidden": "x"}})

    assert isinstance(outcome, Succeeded), outcome
    assert not mark.exists()
    assert not os.path.exists("/etc/mark")  # noqa: ASYNC240 - nothing is awaited any more
    assert collected.values["files"] == ["job.py"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("Bash", {"command": "touch /job/code/job.py"}), ("Fetch", {"url": "http://169.254.169.254/"})],
)
async def test_it_writes_and_neither_runs_nor_fetches(
    generate: Callable[..., Any], tool: str, arguments: dict[str, str]
) -> None:
    _, failure, workspace = await generate({"call": tool, "arguments": arguments}, {"say": "done"})

    assert isinstance(failure, Failure)  # Continue ends at a tool that it was not given
    assert not (workspace.root / "code" / "job.py").exists()


async def test_a_model_that_is_down_is_not_waited_for_by_continue(
    generate: Callable[..., Any],
) -> None:
    began = time.monotonic()
    outcome, _, _ = await generate({"status": 500})

    assert isinstance(outcome, RetryableFailure)
    assert outcome.code is TerminationCode.MODEL_UNAVAILABLE
    assert time.monotonic() - began < 60  # by itself it tries for two minutes


async def test_a_model_that_gives_up_has_failed(generate: Callable[..., Any]) -> None:
    outcome, failure, _ = await generate({"call": "Exit", "arguments": {"status": 1}})

    assert isinstance(outcome, RetryableFailure)
    assert isinstance(failure, Failure)
    assert failure.code is TerminationCode.GENERATION_FAILED
