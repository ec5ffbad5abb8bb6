"""Between an action's inputs and GitHub: what is escaped, where findings lie, what a report says."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from control_room import sarif, workflow
from control_room.cli import submission
from control_room.errors import ControlRoomError
from control_room.workflow import Inputs, Stage


def test_no_value_begins_a_command_or_an_output_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "out"
    out = io.StringIO()
    stage = Stage({"GITHUB_OUTPUT": str(file)}, out)

    stage.command("error", "a\n::set-env name=x::y%", file="a,b:c", line=None)
    stage.output("state", "x\nother=evil")

    assert out.getvalue() == "::error file=a%2Cb%3Ac::a%0A::set-env name=x::y%25\n"
    lines = file.read_text().splitlines()
    assert (lines[0].split("<<")[0], lines[1:3], lines[3]) == (
        "state",
        ["x", "other=evil"],
        lines[0].split("<<")[1],
    )


def test_what_is_between_is_no_command_even_if_it_breaks() -> None:
    out = io.StringIO()

    def broken() -> None:
        with Stage({}, out).untrusted("log") as log:
            log.write("::error::no\n")
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        broken()

    lines = out.getvalue().splitlines()
    word = lines[1].removeprefix("::stop-commands::")
    assert lines == ["::group::log", f"::stop-commands::{word}", "::error::no", f"::{word}::", "::endgroup::"]


def test_findings_lie_where_the_checkout_has_them(tmp_path: Path) -> None:
    for name in ("app/etl/job.py", "app/etl/lib/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    names = submission.names_of([tmp_path / "app/etl"])
    it = sarif.Result("error", "E1", "ruff", "m", "lib/a.py", 3)

    found = workflow._in_repository(it, names, {"GITHUB_WORKSPACE": str(tmp_path)})

    assert (found.path, found.line) == ("app/etl/lib/a.py", 3)
    assert (
        workflow._in_repository(sarif.Result("error", "E1", "ruff", "m", "other.py"), names, {}).path
        == "other.py"
    )


def test_a_report_that_is_none_says_so() -> None:
    for broken in (b"{", b"{}", b'{"runs": [{}]}', b"[]"):
        with pytest.raises(ControlRoomError, match="no SARIF"):
            sarif.results(broken)


def test_levels_kinds_and_suppressions_are_sarif_s() -> None:
    results = [
        {"message": {"text": "default"}}, {"level": "note"}, {"level": "error", "kind": "pass"}, {"level": "none"},
        {"level": "error", "suppressions": [{"status": "rejected"}]}, {"level": "error", "suppressions": [{"kind": "inSource"}]},
    ]  # fmt: skip
    report = {
        "runs": [{"tool": {"driver": {"name": "t"}}, "results": results}, {"tool": {"driver": {"name": "u"}}}]
    }

    assert [it.level for it in sarif.results(json.dumps(report).encode())] == ["error", "warning", "note"]


def test_an_input_is_a_line_a_flag_or_nothing() -> None:
    given = Inputs({"INPUT_FILES": " a \n\n b\n", "INPUT_FAIL": "no", "INPUT_NAME": "  "})

    assert given.lines("FILES") == ["a", "b"]
    assert given.text("NAME") is None
    assert given.flag("WAIT", otherwise=True) is True
    with pytest.raises(ControlRoomError, match="true or false"):
        given.flag("FAIL", otherwise=True)
