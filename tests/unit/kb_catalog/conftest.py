"""A catalogue from its submission to what was collected: the harness with its engine, without the sandbox."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dev.stack.state import home
from runner.jobtype import environment
from runner.jobtype.base import Exit, Place
from runner.jobtype.kb_catalog import ENGINE, FOLDER, MODULE, KbCatalog
from runner.model.attempt import Attempt, Code, Input
from runner.model.collected import Collected, Entry
from runner.model.workspace import Workspace

ENGINES = home() / "engines"


@dataclass
class Catalogue:
    """What came of it."""

    collected: Collected
    log: str
    entries: dict[str, Entry] = field(init=False)

    def __post_init__(self) -> None:
        self.entries = {each.key: each for each in self.collected.entries}

    def problem(self, key: str) -> str:
        return self.entries[key].problem or ""


def make_attempt(**changes: Any) -> Attempt:
    files = changes.pop("files", {})
    values: dict[str, Any] = {
        "attempt_id": 1, "lease": 1, "number": 1, "run_id": 9, "task_run_id": 8, "task_key": "execute",
        "tenant_id": "0b9b7f0e-7a54-4e0a-9c0f-5d9d9f3f1a11", "tenant_slug": "acme", "job_type": "kb_catalog",
        "engine": "default", "requires": "kb_catalog/default", "timeout_seconds": 60, "name": "nightly",
        "code": Code(files=files) if files else None,
    }  # fmt: skip
    return Attempt(**{**values, **changes})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(root=tmp_path / "job", kept=tmp_path / "kept")
    for each in (made.root, made.kept, made.inputs, made.outputs, made.staged_tables):
        each.mkdir(parents=True)
    return made


@pytest.fixture
def catalogue(workspace: Workspace) -> Callable[..., Catalogue]:
    """`catalogue({"name": bytes}, tables={"name": csv}, **attempt)`."""
    if reason := environment.reason(Place(ENGINES), ENGINE):
        pytest.skip(f"needs the engine {ENGINE}: {reason}")

    def make(inputs: dict[str, bytes] | None = None, **said: Any) -> Catalogue:
        tables = said.pop("tables", {})
        variables = said.pop("environment", {})
        named = [Input(name, artifact_id="x", artifact_name=f"kb/{name}") for name in inputs or {}]
        named += [Input(name, table=f"gold.{name}") for name in tables]
        attempt = make_attempt(inputs=tuple(named), **said)
        for name, data in (inputs or {}).items():
            (workspace.inputs / name).write_bytes(data)
        for name, text in tables.items():
            (workspace.staged_tables / f"{name}.csv").write_text(text)
        job_type = KbCatalog(Place(ENGINES))
        command = job_type.prepare(attempt, workspace)
        run = subprocess.run(
            [str(ENGINES / ENGINE / "bin" / "python"), *command.argv[1:]],
            cwd=workspace.root,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(workspace.side_channel / FOLDER), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert MODULE in command.argv
        return Catalogue(job_type.collect(attempt, workspace, Exit(0)), run.stderr)

    return make
