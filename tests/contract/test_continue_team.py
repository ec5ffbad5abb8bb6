"""The configuration for teams that work with Continue: what stands in it is true, and the real CLI works by it.

The model is scripted, so that nothing here depends on what one says today; rules and prompts are judged by the
validator and by the form of documents.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from control_room import document, source
from dev.model.script import Script
from dev.model.server import ScriptedModel
from dev.stack.state import CLONE, home
from tests.contract.test_validation import Bench, bench

__all__ = ["bench"]  # a fixture

TEAM = CLONE / "examples" / "continue" / ".continue"
CN = (
    Path(os.environ.get("CONTROL_ROOM_ENGINES") or home() / "engines")
    / "continue"
    / "node_modules"
    / ".bin"
    / "cn"
)


def blocks(file: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (TEAM / "rules" / file).read_text(), re.M | re.S)


JOB = blocks("control-room-job.md", "python")[0]


def test_the_documents_of_the_rules_are_taken_and_sent(tmp_path: Path) -> None:
    (tmp_path / "etl" / "orders_by_country").mkdir(parents=True)
    (tmp_path / "etl" / "orders_by_country" / "job.py").write_text(JOB)

    [text] = blocks("control-room-document.md", "yaml")
    [job], named = document.jobs_of(document.read(text, "jobs.yaml"))
    [task] = source.sent(job, tmp_path)["tasks"]

    assert named == "acme/etl"
    assert task["code"]["files"] == {"job.py": JOB}
    # what the document declares is what the job of the other rule reads and writes
    assert all(f"/job/inputs/{it['name']}" in JOB for it in task["inputs"])
    assert all(f"/job/outputs/{it['name']}" in JOB for it in task["outputs"])
    assert all(f'"{name}"' in JOB for name in task["params"])


@pytest.mark.needs("validation")
async def test_the_job_that_the_rule_shows_passes_the_validator(bench: Bench) -> None:
    report = await bench.validate({"job.py": JOB}, fail_on="note")

    assert report.summary.verdict == "passed", report.sarif


def test_the_front_matter_and_the_configuration_are_what_continue_reads() -> None:
    for file in [*TEAM.glob("rules/*.md"), *TEAM.glob("prompts/*.md")]:
        front = yaml.safe_load(file.read_text().split("---\n")[1])
        assert {"name", "description"} <= front.keys(), file
    config = yaml.safe_load((TEAM / "config.yaml").read_text())
    assert isinstance(config["version"], str)
    assert [it["name"] for it in config["mcpServers"]] == ["control-room"]
    assert all(it["apiKey"].startswith("${{ secrets.") for it in config["models"])


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    made = ScriptedModel(Script.of([]))
    yield made
    made.close()


@pytest.fixture
def team(tmp_path: Path, model: ScriptedModel) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A repository with the configuration in it, whose model is the scripted one."""
    repository = tmp_path / "repository"
    shutil.copytree(TEAM, repository / ".continue")
    (tmp_path / "home").mkdir()
    config = yaml.safe_load((TEAM / "config.yaml").read_text())
    config["models"] = [
        {"name": "writer", "provider": "openai", "model": "scripted", "apiBase": model.url, "apiKey": "k",
         "roles": ["chat"], "capabilities": ["tool_use"]}
    ]  # fmt: skip
    config["mcpServers"][0]["command"] = sys.executable
    config["mcpServers"][0]["env"] = {
        "PYTHONPATH": str(CLONE), "SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_ANON_KEY": "k", "CONTROL_ROOM_TOKEN": "t",
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "CONTINUE_GLOBAL_DIR": str(tmp_path / "home" / ".continue"),
        "CONTINUE_CLI_ENABLE_TELEMETRY": "0", "CONTINUE_METRICS_ENABLED": "0", "FORCE_NO_TTY": "true",
        "CN": str(CN), "CONTINUE_CONFIG": str(tmp_path / "config.yaml"),
    }  # fmt: skip

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=repository, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip

    assert run("git", "init", "-q").returncode == 0
    return run


@pytest.mark.needs("continue")
def test_the_real_cli_writes_a_job_by_the_rules_and_where_it_was_told(
    team: Callable[..., Any], model: ScriptedModel, tmp_path: Path
) -> None:
    model.script = Script.of([{"turns": [{"write": {"etl/orders/job.py": JOB}}, {"say": "done"}]}])

    done = team(".continue/generate", "orders", "Count the orders of each country.")

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "repository" / "etl" / "orders" / "job.py").read_text() == JOB
    asked = model.asked[0]
    said = "\n".join(str(it.get("content")) for it in asked["messages"])
    assert "Validation runs ruff, mypy, bandit" in said  # the rule
    assert "Nobody answers questions" in said  # the prompt
    assert "Count the orders of each country." in said
    offered = {it["function"]["name"] for it in asked["tools"]}
    assert {"Write", "Edit", "submit", "wait", "read_logs"} <= offered  # ours, by MCP
    assert {"Bash", "Fetch"}.isdisjoint(offered)


@pytest.mark.needs("continue")
@pytest.mark.parametrize(
    ("turns", "why"),
    [
        ([{"say": "I would rather not."}], "wrote no etl/orders/job.py"),
        (
            [{"write": {"etl/orders/job.py": "x", ".github/workflows/evil.yml": "x"}}, {"say": "done"}],
            "outside",
        ),
        ([{"write": {"etl/orders/job.py": "x", "etl/other/job.py": "x"}}, {"say": "done"}], "outside"),
    ],
)
def test_what_a_model_leaves_out_or_leaves_elsewhere_is_an_error(
    team: Callable[..., Any], model: ScriptedModel, turns: list[dict[str, Any]], why: str
) -> None:
    model.script = Script.of([{"turns": turns}])

    done = team(".continue/generate", "orders", "Count the orders.")

    assert (done.returncode, why in done.stderr) == (1, True), done.stdout + done.stderr
    assert team(".continue/generate", "../x", "Count.").returncode == 2


@pytest.mark.needs("continue")
def test_the_agent_calls_a_tool_of_the_control_room_and_hears_its_answer(
    team: Callable[..., Any], model: ScriptedModel, tmp_path: Path
) -> None:
    model.script = Script.of([{"turns": [{"call": "get_run", "arguments": {"run_id": 7}}, {"say": "seen"}]}])

    done = team(str(CN), "--config", str(tmp_path / "config.yaml"), "--auto", "-p", "Why did run 7 fail?")

    assert (done.returncode, "seen" in done.stdout) == (0, True), done.stdout + done.stderr
    [answer] = [it["content"] for it in model.asked[-1]["messages"] if it["role"] == "tool"]
    assert "http://127.0.0.1:9 cannot be reached" in str(answer)
