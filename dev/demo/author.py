"""The model of the demo: scripted, it writes the example's job, at first with a mistake."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.demo import exhibit
from dev.model.script import Script
from dev.model.server import ScriptedModel
from dev.stack import lifecycle, state, tenants

NAME = "scripted"
MISTAKE = "print(what_nobody_defined)\n"
VARIABLE = "CONTROL_ROOM_CONTINUE_CONFIG"


@contextmanager
def at_work() -> Iterator[ScriptedModel]:
    """The model, and its configuration in the environment of a stack that is started meanwhile."""
    job = (exhibit.FOLDER / "job.py").read_text(encoding="utf-8")
    mended = {"when": ["# Findings"], "turns": [{"write": {"job.py": job}}, {"say": "mended"}]}
    tried = {"turns": [{"write": {"job.py": job + MISTAKE}}, {"say": "written"}]}
    model = ScriptedModel(Script.of([mended, tried]))
    before = os.environ.get(VARIABLE)
    try:
        with tempfile.TemporaryDirectory(prefix="control-room-demo-") as folder:
            file = Path(folder) / "continue.yaml"
            said = {"name": NAME, "provider": "openai", "model": NAME, "apiBase": model.url}
            form = {"name": "demo", "version": "1.0.0", "schema": "v1", "models": [said]}
            file.write_text(json.dumps(form), encoding="utf-8")
            os.environ[VARIABLE] = str(file)
            yield model
    finally:
        model.close()
        os.environ.pop(VARIABLE, None)
        if before is not None:
            os.environ[VARIABLE] = before


def grant(tenant: str) -> None:
    """The platform lets the tenant use it."""
    asked: dict[str, object] = {"tenant": tenant, "kind": "model", "name": NAME}
    tenants.call(lifecycle.server(state.layout()), "platform_grant", asked)
