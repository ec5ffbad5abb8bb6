"""A runner of GitHub Actions, as far as a composite action sees it: inputs, steps, expressions, files for outputs.

Steps that `use` another action are remembered, not carried out.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.acceptance.doors.issuer import Issuer

CLONE = Path(__file__).resolve().parents[3]


@dataclass
class Done:
    """What a run of the action leaves: its log, its outputs, its summary, what later steps find."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str
    environment: dict[str, str]
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def commands(self, name: str) -> list[str]:
        """Commands that GitHub would obey: not those between stop-commands and its end."""
        obeyed, stopped = [], None
        for line in self.log.splitlines():
            if stopped is not None:
                stopped = None if line == f"::{stopped}::" else stopped
            elif line.startswith("::stop-commands::"):
                stopped = line.removeprefix("::stop-commands::")
            elif line.startswith((f"::{name} ", f"::{name}::")):
                obeyed.append(line)
        return obeyed


def run(folder: Path, inputs: Mapping[str, str], variables: Mapping[str, str] | None = None) -> Done:
    """The action with these inputs, in `folder` as the checkout."""
    action = yaml.safe_load((CLONE / "action.yml").read_text())
    unknown = inputs.keys() - action["inputs"].keys()
    assert not unknown, f"the action has no {unknown}"
    given = {name: inputs.get(name, str(it.get("default", ""))) for name, it in action["inputs"].items()}
    temp = folder.parent / "runner"
    temp.mkdir(exist_ok=True)
    files = {
        name: temp / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH")
    }
    for file in files.values():
        file.write_text("")
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(folder), "RUNNER_TEMP": str(temp),
        "CONTROL_ROOM_PYTHON": sys.executable, **{name: str(it) for name, it in files.items()}, **(variables or {}),
    }  # fmt: skip
    known: dict[str, str] = {f"inputs.{name}": it for name, it in given.items()}
    known["github.action_path"] = str(CLONE)
    made = Done(0, "", {}, "", {})
    for step in action["runs"]["steps"]:
        condition = step.get("if")
        if made.code and not (condition and "always()" in condition):
            continue
        if condition is not None and not _holds(condition, known):
            continue
        if "uses" in step:
            made.used.append((step["uses"], {key: _filled(it, known) for key, it in step["with"].items()}))
            continue
        assert "${{" not in step["run"], "what is put into a script is code"
        extra = {key: _filled(str(it), known) for key, it in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=folder, env=environment | extra, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        made.log += done.stdout
        made.code = made.code or done.returncode
        environment |= _file(files["GITHUB_ENV"])
        if "id" in step:
            known |= {
                f"steps.{step['id']}.outputs.{key}": it for key, it in _file(files["GITHUB_OUTPUT"]).items()
            }
    made.outputs = {name: _filled(it["value"], known) for name, it in action["outputs"].items()}
    made.summary = files["GITHUB_STEP_SUMMARY"].read_text()
    made.environment = _file(files["GITHUB_ENV"])
    return made


def _filled(text: str, known: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{\s*([\w.-]+)\s*\}\}", lambda found: known.get(found[1], ""), text)


def _holds(condition: str, known: Mapping[str, str]) -> bool:
    """`always() && a == 'x' && b != ''`: all that the action's conditions are made of."""
    for part in condition.removeprefix("${{").removesuffix("}}").split("&&"):
        if part.strip() == "always()":
            continue
        name, sign, value = part.split()
        if (known.get(name, "") == value.strip("'")) != (sign == "=="):
            return False
    return True


def _file(path: Path) -> dict[str, str]:
    """GitHub's form of these files: NAME=VALUE, or NAME<<END, lines, END."""
    found: dict[str, str] = {}
    lines = iter(path.read_text().splitlines())
    for line in lines:
        if "<<" in line.split("=", 1)[0]:
            name, end = line.split("<<", 1)
            value = []
            for it in lines:
                if it == end:
                    break
                value.append(it)
            found[name] = "\n".join(value)
        elif "=" in line:
            name, text = line.split("=", 1)
            found[name] = text
    return found


@contextlib.contextmanager
def vouching(issuer: Issuer, **claims: object) -> Iterator[dict[str, str]]:
    """GitHub's own endpoint for OIDC tokens, and the variables by which a job finds it."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            good = self.headers["authorization"] == "Bearer of-this-job" and asked.get("api-version") == ["2"]
            answer: dict[str, Any] = {"value": issuer.token(asked["audience"][0], **claims)} if good else {}
            body = json.dumps(answer).encode()
            self.send_response(200 if good else 401)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{server.server_address[1]}/token?api-version=2",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-this-job",
        }
        server.shutdown()
