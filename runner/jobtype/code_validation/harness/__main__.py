"""`python -m control_room_validation`, in /job: the code in, the sealed report out. Exits 0 whatever the
verdict; 65 when the code cannot be validated at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from . import request as requests
from . import sarif, seal, tools, unpack, verdict
from .finding import Check, Finding, Heard, legible
from .request import Request
from .survey import Survey, survey
from .tool import Bench, NoReport, Tool, version

REFUSED = 65
AT_ONCE = 2
MIN_SECRET = 6
MASK = "***"


def main() -> int:
    """One validation."""
    began = time.monotonic()
    root = Path.cwd()
    request = requests.read(root, Path(sys.prefix))
    seal.shut()
    try:
        links = unpack.unpack(root / request.packed, request.source) if request.packed else []
    except unpack.Refused as error:
        (request.side_channel / "refused.json").write_text(json.dumps(str(error)), "utf-8")
        print(f"control room: {error}", file=sys.stderr)
        return REFUSED
    found = survey(request.source, request.checked, links, honour=request.honours_suppressions)
    _say(5, f"{len(found.text)} files of text")
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(request, found, began + request.seconds, Path(home))
        checks = [_of_the_survey(found), *_checks(bench)]
    summary = verdict.summary(request, found, checks)
    _write(
        request,
        {
            "report.sarif": json.dumps(sarif.log(checks, found.lines), indent=1).encode(),
            "summary.json": json.dumps(summary, indent=1).encode(),
            "summary.md": verdict.page(summary, checks).encode(),
        },
    )
    _say(100, summary["verdict"])
    for line in summary["worst"]:
        print(line)
    return 0


def _checks(bench: Bench) -> list[Check]:
    """Every tool that has something to look at, in the order of the list, without a secret."""
    wanted = [(tool, files) for tool in tools.STATIC if (files := tool.files(bench))]
    last = [(tool, files) for tool in tools.LAST if (files := tool.files(bench))]
    total = len(wanted) + len(last)
    heard: list[tuple[Tool, tuple[str, ...], Heard, float]] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for each in pool.map(lambda pair: _ask(bench, *pair), wanted):
            heard.append(each)
            _say(5 + 90 * len(heard) // total, f"{each[0].name}: {len(each[2].findings)}")
    for tool, files in last:
        heard.append(_ask(bench, tool, files))
        _end_the_rest()
        _say(5 + 90 * len(heard) // total, f"{tool.name}: {len(heard[-1][2].findings)}")
    secrets = [secret for _, _, each, _ in heard for secret in each.secrets]
    return [
        Check(
            tool=tool.name,
            version=each.version or version(tool.distribution),
            uri=tool.uri,
            files=len(files),
            seconds=seconds,
            findings=tuple(_without(bench, secrets, each.findings)),
            problems=tuple(_strike(bench, secrets, legible(problem))[:300] for problem in each.problems),
        )
        for tool, files, each, seconds in heard
    ]


def _ask(bench: Bench, tool: Tool, files: tuple[str, ...]) -> tuple[Tool, tuple[str, ...], Heard, float]:
    """One tool's answer. Whatever goes wrong with it is its own: the others go on."""
    began = time.monotonic()
    try:
        heard = replace(bench, home=Path(tempfile.mkdtemp(dir=bench.home)))
        answer = tool.check(heard, files)
    except NoReport as error:
        answer = Heard(problems=(str(error),))
    except Exception as error:
        answer = Heard(problems=(f"its report is not one that we know ({type(error).__name__})",))
    return tool, files, answer, time.monotonic() - began


def _of_the_survey(found: Survey) -> Check:
    return Check(
        tool="control-room",
        version="1",
        uri="https://docs.oasis-open.org/sarif/sarif/v2.1.0/",
        files=len(found.text) + len(found.binary),
        seconds=0.0,
        findings=tuple(found.findings),
        problems=tuple(found.problems),
    )


def _without(
    bench: Bench, secrets: list[tuple[str, int, str]], findings: Iterable[Finding]
) -> Iterable[Finding]:
    """The findings with every known secret struck out, whichever tool quoted it, and no places of ours."""
    lines = {(path, line) for path, line, _ in secrets}
    for each in findings:
        yield replace(
            each, message=_strike(bench, secrets, each.message), about_secret=(each.path, each.line) in lines
        )


def _strike(bench: Bench, secrets: list[tuple[str, int, str]], text: str) -> str:
    for root in (bench.checked, bench.request.source, bench.home):
        text = text.replace(f"file://{root}/", "").replace(f"{root}/", "")
    for _, _, value in secrets:
        if len(value) >= MIN_SECRET:
            text = text.replace(value, MASK)
    return text


def _end_the_rest() -> None:
    """Nothing that the code has started is alive when the next tool begins or the report is written. -1 is
    every process of this pid namespace but its first and ourselves."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def _write(request: Request, files: dict[str, bytes]) -> None:
    outputs = request.root / "outputs"
    for name, data in files.items():
        # whoever was here before may have left a link or a folder under the name
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            (outputs / name).unlink()
        (outputs / name).write_bytes(data)
    (request.side_channel / "seal").write_text(seal.of(request.key, files))


def _say(percent: int, message: str) -> None:
    print(f"::progress {percent} {message}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
