"""What the GitHub Action does: come in, apply or run, wait, annotate, tell; or only come in, for later steps.

    python -m control_room.workflow        INPUT_… as action.yml sets them, and GitHub's own variables

Whatever a job prints is shown between `::stop-commands::` and its end, so that no log steers the workflow.
"""

from __future__ import annotations

import html
import io
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.console import RenderableType

from control_room import sarif
from control_room.cli import submission
from control_room.cli.context import EXIT_USAGE, exit_code
from control_room.client import Client
from control_room.errors import ControlRoomError
from control_room.model import Applied, Run
from control_room.sarif import Result
from control_room.view import plan as plan_view
from control_room.view import theme

_COMMAND = {"error": "error", "warning": "warning", "note": "notice"}
_KEPT = ("SUPABASE_URL", "SUPABASE_ANON_KEY", "CONTROL_ROOM_TOKEN")
_SIGN = {"error": "❌", "warning": "⚠️", "note": "💬"}
#: GitHub shows ten of a kind for a step, and fifty in all.
ANNOTATIONS = 50
SUMMARY_ROWS = 50
LONGEST_SUMMARY = 900_000


def main(environment: Mapping[str, str] | None = None) -> int:
    told = dict(os.environ if environment is None else environment)
    stage = Stage(told, sys.stdout)
    try:
        return Action(Inputs(told), stage).run()
    except ControlRoomError as error:
        stage.command("error", f"{error}\n{error.hint or ''}".strip(), title="Control Room")
        return exit_code(error)


@dataclass(frozen=True)
class Inputs:
    """The action's inputs; an empty one is none. Lists stand one in a line."""

    environment: Mapping[str, str]

    def text(self, name: str) -> str | None:
        return self.environment.get(f"INPUT_{name}", "").strip() or None

    def need(self, name: str, why: str) -> str:
        found = self.text(name)
        if found is None:
            raise ControlRoomError(f"the input {name.lower().replace('_', '-')} is missing", why)
        return found

    def lines(self, name: str) -> list[str]:
        return [it.strip() for it in (self.text(name) or "").splitlines() if it.strip()]

    def flag(self, name: str, otherwise: bool) -> bool:
        """Raises ControlRoomError where it is neither true nor false."""
        found = (self.text(name) or str(otherwise)).lower()
        if found not in {"true", "false"}:
            raise ControlRoomError(
                f"the input {name.lower().replace('_', '-')} is true or false, not {found}"
            )
        return found == "true"


class Stage:
    """The runner of GitHub: commands on standard output, outputs and summary in files that it names."""

    def __init__(self, environment: Mapping[str, str], out: TextIO) -> None:
        self._environment = environment
        self._out = out

    def command(self, name: str, message: str, **properties: object) -> None:
        given = ",".join(f"{key}={_property(it)}" for key, it in properties.items() if it is not None)
        self._out.write(f"::{name}{' ' + given if given else ''}::{_data(message)}\n")
        self._out.flush()

    def output(self, name: str, value: object) -> None:
        """By a delimiter that nobody can guess: a value must not begin an output of its own."""
        end = f"end-{secrets.token_hex(16)}"
        self._append("GITHUB_OUTPUT", f"{name}<<{end}\n{value}\n{end}\n")

    def keep(self, variables: Mapping[str, str]) -> None:
        """For the steps that come after."""
        for name, value in variables.items():
            end = f"end-{secrets.token_hex(16)}"
            self._append("GITHUB_ENV", f"{name}<<{end}\n{value}\n{end}\n")

    def summary(self, markdown: str) -> None:
        self._append("GITHUB_STEP_SUMMARY", markdown[:LONGEST_SUMMARY] + "\n")

    def say(self, text: str) -> None:
        """Of us alone; what others have written goes through `untrusted`."""
        self._out.write(text + "\n")
        self._out.flush()

    @contextmanager
    def untrusted(self, title: str) -> Iterator[TextIO]:
        """A group whose lines are no commands, whatever they look like."""
        word = secrets.token_hex(16)
        self._out.write(f"::group::{_data(title)}\n::stop-commands::{word}\n")
        self._out.flush()
        try:
            yield self._out
        finally:
            self._out.write(f"::{word}::\n::endgroup::\n")
            self._out.flush()

    def _append(self, variable: str, text: str) -> None:
        if file := self._environment.get(variable):
            with Path(file).open("a", encoding="utf-8") as opened:
                opened.write(text)


class Action:
    def __init__(self, given: Inputs, stage: Stage) -> None:
        self._given = given
        self._stage = stage
        self._url = given.need("URL", "the project's address: https://PROJECT.supabase.co").rstrip("/")
        self._key = given.need("ANON_KEY", "the project's publishable key")

    def run(self) -> int:
        token = self._token()
        environment = {
            **self._given.environment,
            "SUPABASE_URL": self._url,
            "SUPABASE_ANON_KEY": self._key,
            "CONTROL_ROOM_TOKEN": token,
            "NO_COLOR": "1",
            "COLUMNS": "140",
        }
        if not any(self._given.text(it) for it in ("APPLY", "JOB", "JOB_TYPE")):
            self._stage.keep({it: environment[it] for it in _KEPT})
            return 0
        with Client(self._url, self._key, token) as client:
            if self._given.text("APPLY"):
                return self._apply(environment)
            return self._carry_out(client, environment)

    def _token(self) -> str:
        """The one that is given, else what the workflow's own OIDC token is exchanged for."""
        token = self._given.text("TOKEN")
        if token is None:
            tenant = self._given.need(
                "TENANT",
                "with a tenant the workflow comes in by OIDC (permissions: id-token: write); or give a token",
            )
            audience = self._given.text("AUDIENCE") or self._url
            with Client(self._url, self._key, "") as nobody:
                short = nobody.tokens.of_workflow(tenant, audience, role=self._given.text("ROLE"))
            token = short.access_token
        self._stage.command("add-mask", token)
        return token

    # ------------------------------------------------------------------------------------------ apply

    def _apply(self, environment: Mapping[str, str]) -> int:
        command = ["apply", "--json"]
        for it in self._given.lines("APPLY"):
            command += ["--file", it]
        for name, option in (("DRY_RUN", "--dry-run"), ("PRUNE", "--prune"), ("ADOPT", "--adopt")):
            command += [option] if self._given.flag(name, otherwise=False) else []
        if source := self._given.text("SOURCE"):
            command += ["--source", source]
        done = self._cli(command, environment, "control-room apply")
        if done.returncode != 0:
            self._stage.command("error", _last(done.stderr), title="control-room apply")
            return done.returncode
        found = Applied.model_validate_json(done.stdout)
        self._stage.output("changes", found.changes)
        told = _plain(plan_view.applied(found))
        with self._stage.untrusted("what changes" if found.dry_run else "what has changed") as log:
            log.write(told)
        self._stage.summary(_told_applied(found, told))
        return 0

    # -------------------------------------------------------------------------------------------- run

    def _carry_out(self, client: Client, environment: Mapping[str, str]) -> int:
        files = [Path(it) for it in self._given.lines("FILES")]
        wait = self._given.flag("WAIT", otherwise=True)
        done = self._cli(self._command(files, wait=wait), environment, "control-room run")
        if not done.stdout.strip():
            self._stage.command("error", _last(done.stderr), title="control-room run")
            return done.returncode or EXIT_USAGE
        said = json.loads(done.stdout)
        self._stage.output("run-id", said["run_id"])
        self._stage.output("state", said["state"])
        if not wait:
            self._stage.summary(f"### Control Room: run {said['run_id']} waits\n")
            return done.returncode
        run = Run.model_validate(said)
        folder = self._download(client, run)
        found = self._annotate(run, folder, _names(files))
        self._stage.summary(_told_run(run, found))
        if not run.succeeded:
            why = _first(run.termination_message)
            self._stage.command(
                "error", f"{run.state} {run.termination_code or ''} {why}".strip(), title=f"run {run.run_id}"
            )
        return done.returncode if self._given.flag("FAIL", otherwise=True) else 0

    def _command(self, files: Sequence[Path], *, wait: bool) -> list[str]:
        command = ["run", "--json", *(["--wait", "--follow"] if wait else [])]
        one = (
            ("JOB_TYPE", "--type"), ("JOB", "--job"), ("SPEC", "--spec"), ("NAME", "--name"),
            ("ENGINE", "--engine"), ("TIMEOUT_SECONDS", "--wait-seconds"),
        )  # fmt: skip
        for name, option in one:
            if value := self._given.text(name):
                command += [option, value]
        for name, option in (("PARAMS", "--param"), ("INPUTS", "--input"), ("OUTPUTS", "--output")):
            for value in self._given.lines(name):
                command += [option, value]
        return [*command, "--", *map(str, files)]

    def _download(self, client: Client, run: Run) -> Path:
        """Every artifact that is READY, under its own name in a folder of this run."""
        base = self._given.text("DOWNLOAD") or str(
            Path(self._given.environment.get("RUNNER_TEMP") or ".") / "control-room-artifacts"
        )
        folder = Path(base) / str(run.run_id)
        folder.mkdir(parents=True, exist_ok=True)
        taken: set[Path] = set()
        for it in run.artifacts:
            # a name may hold slashes, but nothing that leads out of the folder
            name = it.name.removeprefix(f"runs/{run.run_id}/")
            target = folder.joinpath(*(part for part in name.split("/") if part not in {"", ".", ".."}))
            if target in taken:  # tasks of one job leave versions of one name
                target = target.with_name(f"{target.stem}.v{it.version}{target.suffix}")
            taken.add(target)
            if it.state == "READY":
                target.parent.mkdir(parents=True, exist_ok=True)
                client.artifacts.download(it.artifact_id, target, version=it.version)
        self._stage.output("artifacts", folder)
        return folder

    def _annotate(self, run: Run, folder: Path, names: Mapping[str, Path]) -> list[Result]:
        reports = [it for it in sorted(folder.rglob("*.sarif")) if it.is_file()]
        found = [
            _in_repository(each, names, self._given.environment)
            for report in reports
            for each in sarif.results(report.read_bytes())
        ]
        if reports:
            self._stage.output("sarif", reports[0])
        for level in sarif.LEVELS:
            self._stage.output(f"{level}s", sum(it.level == level for it in found))
        if self._given.flag("ANNOTATE", otherwise=True):
            for it in found[:ANNOTATIONS]:
                where = {"file": it.path, "line": it.line, "endLine": it.end_line, "col": it.column}
                self._stage.command(_COMMAND[it.level], it.message, **where, title=f"{it.tool} {it.rule}")
        return found

    def _cli(
        self, command: Sequence[str], environment: Mapping[str, str], title: str
    ) -> subprocess.CompletedProcess[str]:
        """The CLI itself, its standard error as it comes; what it answers is its standard output."""
        stderr: list[str] = []
        # a file, for a pipe that nobody reads meanwhile would fill up
        with self._stage.untrusted(title) as log, tempfile.TemporaryFile("w+", encoding="utf-8") as out:
            process = subprocess.Popen(
                [sys.executable, "-c", "from control_room.cli import main; main()", *command],
                env=dict(environment), stdout=out, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert process.stderr is not None
            with process.stderr:
                for line in process.stderr:
                    stderr.append(line)
                    log.write(line)
                    log.flush()
            code = process.wait()
            out.seek(0)
            return subprocess.CompletedProcess(command, code, out.read(), "".join(stderr))


def _names(files: Sequence[Path]) -> dict[str, Path]:
    """What the job calls a file, and where it stands here."""
    try:
        return submission.names_of(files)
    except ControlRoomError:
        return {}


def _in_repository(it: Result, names: Mapping[str, Path], environment: Mapping[str, str]) -> Result:
    """With the path that GitHub knows: from the top of the checkout."""
    if it.path is None or it.path not in names:
        return it
    top = Path(environment.get("GITHUB_WORKSPACE") or ".").resolve()
    here = names[it.path].resolve()
    path = here.relative_to(top).as_posix() if here.is_relative_to(top) else str(names[it.path])
    return Result(it.level, it.rule, it.tool, it.message, path, it.line, it.end_line, it.column)


# ----------------------------------------------------------------------------------------------- summary


def _told_run(run: Run, found: Sequence[Result]) -> str:
    sign = "✅" if run.succeeded else "❌"
    took = f" in {theme.duration(run.times.run_ms)}" if run.times.run_ms is not None else ""
    lines = [f"### {sign} Control Room: run {run.run_id} {run.state}{took}", ""]
    if run.termination_message and not run.succeeded:
        lines += [f"> {_cell(run.termination_code or '')} {_cell(_first(run.termination_message))}", ""]
    lines += _table(
        ("task", "state", "took"),
        [(it.task_key, it.state, theme.between(it.started_at, it.finished_at)) for it in run.tasks],
    )
    if found:
        counts = ", ".join(
            f"{_SIGN[level]} {number} {level}{'s' if number != 1 else ''}"
            for level in sarif.LEVELS
            if (number := sum(it.level == level for it in found))
        )
        rows = [
            (
                f"{_SIGN[it.level]} {it.level}",
                f"{it.path or ''}:{it.line or ''}",
                f"{it.tool} {it.rule}",
                it.message,
            )
            for it in found[:SUMMARY_ROWS]
        ]
        lines += [f"**{counts}**", "", *_table(("", "where", "rule", "what"), rows)]
        if len(found) > SUMMARY_ROWS:
            lines += [f"and {len(found) - SUMMARY_ROWS} more: see the report", ""]
    if run.tables:
        lines += _table(("table", "rows"), [(f"{it.layer}.{it.table}", str(it.rows)) for it in run.tables])
    if run.artifacts:
        rows = [
            (it.name, str(it.version), theme.size(it.size), (it.sha256 or "")[:12]) for it in run.artifacts
        ]
        lines += _table(("artifact", "version", "size", "sha256"), rows)
    return "\n".join(lines)


def _plain(shown: RenderableType) -> str:
    console = theme.console(io.StringIO())
    console.print(shown, soft_wrap=True)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO
    return text


def _told_applied(found: Applied, told: str) -> str:
    done = {"create": "create", "update": "change", "delete": "delete"} if found.dry_run else {
        "create": "created", "update": "changed", "delete": "deleted",
    }  # fmt: skip
    rows = [(done[it.action], it.name, str(it.version or "")) for it in found.jobs if it.action in done]
    same = sum(it.action == "none" for it in found.jobs)
    head = "would change" if found.dry_run else "changed"
    lines = [f"### Control Room: {theme.count(found.changes, 'job')} {head}, {same} as they are", ""]
    if not rows:
        return "\n".join(lines)
    # a fence longer than any in the code; signs at the beginning of the line, for the colours of a diff
    fence = "`" * (3 + max(map(len, re.findall("`+", told)), default=0))
    diff = [it.removeprefix("  ") for it in told.splitlines()]
    return "\n".join([*lines, *_table(("", "job", "version"), rows), f"{fence}diff", *diff, fence])


def _first(message: str | None) -> str:
    """What is to say of all of it; the findings behind it stand in the table and at their lines."""
    return (message or "").split("; ")[0]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(map(_cell, cells))} |"

    return [line(head), line(["---"] * len(head)), *map(line, rows), ""]


def _cell(text: str) -> str:
    """What others have written, as text: neither Markdown's table nor HTML."""
    plain = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{it}" if it in "|`*_[]<>\\" else it for it in plain)[:500]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: object) -> str:
    return _data(str(value)).replace(":", "%3A").replace(",", "%2C")


def _last(text: str) -> str:
    lines = [it for it in text.strip().splitlines() if it.strip()]
    return "\n".join(lines[-6:]) or "it broke off"


__all__: list[Any] = ["main"]

if __name__ == "__main__":
    sys.exit(main())
