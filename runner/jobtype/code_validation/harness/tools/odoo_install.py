"""Odoo and OCA modules, installed and tested: a throw-away database, an Odoo beside it, both in the sandbox.

Postgres and Odoo come with the engine `odoo`, with a stopped cluster whose one database has the base module;
a copy of it is started behind a Unix socket, the modules are installed with what they depend on, and their
tests run. Module code runs as we do: like a test it decides about itself, and about nothing else (`seal`).

What this Odoo cannot know it does not judge: a module of another series, or one that depends on modules or
libraries that are not here, was not checked, and the run is inconclusive.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ..finding import Finding, Heard, Level, finding, legible
from ..tool import Bench, NoReport

DATABASE = "odoo"
START_SECONDS = 20.0
MOST_SECONDS = 1800.0
MANIFESTS = ("__manifest__.py", "__openerp__.py")
_SERIES = re.compile(r"((?:[89]|\d\d)\.0)\.\d+\.\d+")
_TEST = re.compile(r"(?m)^\s+(?:async )?def (test\w*)\(")
_RECORD = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ (DEBUG|INFO|WARNING|ERROR|CRITICAL) \S+ (\S+?): (.*)$"
)
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_PARSED = re.compile(r"while parsing (?:None|[^:\s]*?)([^:\s]+\.xml):(\d+)")
_RAN = re.compile(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests")
_LACKS = re.compile(r"(?:[Ee]xternal dependency|ModuleNotFoundError: No module named) '?([\w.-]+)'?")
_ASK = """
import json, psycopg2, sys
cursor = psycopg2.connect(host=sys.argv[1], user="odoo", dbname="odoo").cursor()
cursor.execute("select name, state from ir_module_module where name = any(%s)", [sys.argv[2:]])
print(json.dumps(dict(cursor.fetchall())))
"""
#: Loggers that sum up what was said already.
_SUMS = ("odoo.tests.result", "odoo.modules.loading", "odoo.registry", "odoo.modules.registry")


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the code: its folder, its name, and what its manifest says."""

    folder: str
    manifest: str
    said: dict[str, Any]

    @property
    def name(self) -> str:
        return PurePosixPath(self.folder).name


class OdooInstall:
    """Installs every module of the code at once, and runs their tests."""

    name = "odoo-install"
    distribution = "odoo"
    uri = "https://www.odoo.com"

    def __init__(self) -> None:
        self._digest = ""

    def files(self, bench: Bench) -> tuple[str, ...]:
        if bench.request.odoo != "install":
            return ()
        # tools that run code come before this one: what they have changed is not what was submitted
        self._digest = _digest(bench)
        return bench.survey.odoo_modules

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        engine = bench.request.odoo_engine
        if engine is None:
            raise NoReport(bench.request.odoo_missing or "this runner has no Odoo")
        if not (engine / "odoo.json").is_file():
            raise NoReport("this image has no Odoo (its recipe makes one with ODOO=yes)")
        if _digest(bench) != self._digest:
            raise NoReport("the code was changed by its own tests")
        about = json.loads((engine / "odoo.json").read_text("utf-8"))
        modules, problems = _choose(bench, engine, about, files)
        if not modules:
            return Heard(problems=tuple(problems), version=about["version"])
        heard = _Visit(bench, engine, about, modules).make()
        return replace(heard, problems=(*problems, *heard.problems), version=about["version"])


def _digest(bench: Bench) -> str:
    """Of every file of the code as it lies there now."""
    whole = hashlib.sha256()
    for path in sorted(bench.request.source.rglob("*")):
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
            whole.update(f"{path}\0".encode("utf-8", "replace"))
            whole.update(path.read_bytes())
    return whole.hexdigest()


def _choose(
    bench: Bench, engine: Path, about: dict[str, str], folders: Iterable[str]
) -> tuple[list[Module], list[str]]:
    """The modules that this Odoo can install, and why it cannot with the others."""
    found: list[Module] = []
    problems: list[str] = []
    for folder in folders:
        module = _read(bench, folder)
        if isinstance(module, str):
            problems.append(module)
        else:
            found.append(module)
    there = {
        path.name
        for addons in (engine / "src" / "odoo" / "addons", engine / "src" / "addons")
        if addons.is_dir()
        for path in addons.iterdir()
    }
    while True:  # a module whose dependency is not installed is not installed either
        names = {each.name for each in found}
        left = []
        for module in found:
            if why := _unfit(module, about["series"], there | names):
                problems.append(f"{module.folder}: {why}")
            else:
                left.append(module)
        if len(left) == len(found):
            return left, problems
        found = left


def _read(bench: Bench, folder: str) -> Module | str:
    name = PurePosixPath(folder).name
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return f"{folder}: a module lies in a folder that has its name"
    manifest = next(path for each in MANIFESTS if (path := f"{folder}/{each}") in bench.survey.lines)
    try:
        said = ast.literal_eval("\n".join(bench.survey.lines[manifest]))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        said = None
    if not isinstance(said, dict):
        return f"{manifest}: it is no dictionary of plain values"
    return Module(folder, manifest, said)


def _unfit(module: Module, series: str, there: set[str]) -> str:
    if not module.said.get("installable", True):
        return "it says that it is not installable"
    told = _SERIES.match(str(module.said.get("version", "")))
    if told and told[1] != series:
        return f"it is of Odoo {told[1]}, and this one is {series}"
    depends = module.said.get("depends", ["base"])
    missing = [str(each) for each in depends if each not in there] if isinstance(depends, list) else []
    return f"it depends on {', '.join(missing)[:200]}, which this Odoo does not have" if missing else ""


@dataclass(frozen=True, slots=True)
class _Visit:
    """One database from its copy to its end."""

    bench: Bench
    engine: Path
    about: dict[str, str]
    modules: list[Module]

    def make(self) -> Heard:
        work = self.bench.request.side_channel / "odoo"
        shutil.rmtree(work, ignore_errors=True)
        for name in ("cluster", "files"):
            shutil.copytree(self.engine / name, work / name)
        (work / "cluster").chmod(0o700)
        (work / "odoo.conf").write_text(self._settings(work))
        with self._postgres(work):
            said = self._odoo(work, "server", *self._orders())
            lines = f"{said.stdout}\n{said.stderr}".splitlines()
            heard = parse_log(lines, self)
            if heard.problems:
                return heard
            states = self._states(work)
        findings = list(heard.findings)
        if not findings:
            findings += [
                self.about_module(each, "not-installed", "Odoo did not install it")
                for each in self.modules
                if states.get(each.name) != "installed"
            ]
        if said.code != 0 and not findings:
            raise NoReport(f"exit code {said.code}: {said.last_words()}")
        return Heard(tuple(findings), tuple(self._not_run(lines, bool(findings))))

    def about_module(self, module: Module, rule: str, message: str) -> Finding:
        """A finding that has no better place than the manifest."""
        return finding(rule, Level.ERROR, message, module.manifest)

    def place(self, text: str) -> tuple[str, int] | None:
        """The last place of ours that a traceback names."""
        source = f"{self.bench.request.source}/"
        found = None
        for match in (*_FRAME.finditer(text), *_PARSED.finditer(text)):
            if match[1].startswith(source):
                found = (match[1].removeprefix(source), int(match[2]))
        return found

    @property
    def tests(self) -> bool:
        """Whether they are run."""
        return self.bench.request.tests != "off"

    def _settings(self, work: Path) -> str:
        own = {str(self.bench.request.source / PurePosixPath(each.folder).parent) for each in self.modules}
        theirs = [self.engine / "src" / "odoo" / "addons", self.engine / "src" / "addons"]
        addons = ",".join([*(str(each) for each in theirs if each.is_dir()), *sorted(own)])
        settings = {
            "addons_path": addons,
            "data_dir": work / "files",
            "db_host": work,
            "db_user": "odoo",
            "http_interface": "127.0.0.1",
            "max_cron_threads": 0,
        }
        return "[options]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())

    def _orders(self) -> list[str]:
        names = [each.name for each in self.modules]
        orders = ["-d", DATABASE, "-i", ",".join(names), "--stop-after-init"]
        # in 19 a database has no demonstration data unless it is asked for
        if int(self.about["series"].partition(".")[0]) < 19:
            orders.append("--without-demo=all")
        if self.tests:
            orders.append("--test-tags=" + ",".join(f"/{name}" for name in names))
        return orders

    def _odoo(self, work: Path, *words: str) -> Any:
        bench = replace(self.bench, most_seconds=MOST_SECONDS)
        python = [str(self.engine / "bin" / "python"), "-B", "-s", "-P"]
        return bench.run(
            (*python, "-m", "odoo", *words, "-c", str(work / "odoo.conf")),
            folder=work,
            environment={"PYTHONPATH": f"{self.engine}/src", "HOME": str(work / "files")},
        )

    @contextmanager
    def _postgres(self, work: Path) -> Iterator[None]:
        binaries = self.engine / self.about["postgres"]
        with (work / "postgres.log").open("wb") as log:
            try:
                process = subprocess.Popen(
                    [str(binaries / "postgres"), "-D", str(work / "cluster"), "-k", str(work)],
                    cwd=work,
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise NoReport(f"Postgres cannot be started here ({error.strerror})") from error
            try:
                self._await(process, work)
                yield
            finally:
                process.send_signal(signal.SIGQUIT)  # nothing of it is kept
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _await(self, process: subprocess.Popen[bytes], work: Path) -> None:
        end = time.monotonic() + START_SECONDS
        while "ready to accept connections" not in (work / "postgres.log").read_text("utf-8", "replace"):
            if process.poll() is not None or time.monotonic() > end:
                said = (work / "postgres.log").read_text("utf-8", "replace").splitlines()
                raise NoReport(f"Postgres did not start: {legible(' '.join(said[-1:]))[:200]}")
            time.sleep(0.05)

    def _states(self, work: Path) -> dict[str, str]:
        """What the database says of the modules."""
        names = [each.name for each in self.modules]
        said = self.bench.run(
            (str(self.engine / "bin" / "python"), "-B", "-s", "-P", "-c", _ASK, str(work), *names),
            folder=work,
        )
        if said.code != 0:
            raise NoReport(f"its database cannot be asked: {said.last_words()}")
        states: dict[str, str] = json.loads(said.stdout)
        return states

    def _not_run(self, lines: list[str], failed: bool) -> Iterator[str]:
        """Tests that are written and did not run. What failed to install has not come to its tests."""
        if not self.tests or failed:
            return
        written = sum(
            len(_TEST.findall("\n".join(text)))
            for path, text in self.bench.survey.lines.items()
            if re.fullmatch(r"test_\w+\.py", PurePosixPath(path).name)
            and any(path.startswith(f"{each.folder}/tests/") for each in self.modules)
        )
        ran = max((int(match[3]) for line in lines if (match := _RAN.search(line))), default=0)
        if ran < written:
            yield f"{written} tests are written and only {ran} ran (are they imported, and of which tags?)"


def parse_log(lines: Iterable[str], visit: _Visit) -> Heard:
    """Odoo's log: a line for each record, followed by the lines of its traceback."""
    findings: list[Finding] = []
    somewhere: list[Finding] = []
    problems: list[str] = []
    names = {each.name for each in visit.modules}
    for level, logger, text in _records(lines):
        first = text.splitlines()[0] if text else ""
        if level in ("DEBUG", "INFO") or logger.startswith(_SUMS):
            continue
        if (lacks := _LACKS.search(text)) and lacks[1].partition(".")[0] not in names | {"odoo"}:
            problems.append(f"the modules need {lacks[1]}, which this Odoo does not have")
            continue
        place = visit.place(text)
        ours = place is not None or any(re.search(rf"\b{name}\b", f"{logger} {text}") for name in names)
        if level == "WARNING" and not ours:
            continue  # what Odoo has to say about itself
        rule = "test-failure" if first.startswith(("FAIL:", "ERROR:")) else f"install-{level.lower()}"
        last = text.splitlines()[-1].strip() if text else ""
        message = first if last in ("", first) else f"{first}: {last}"
        module = next((each for each in visit.modules if f".{each.name}" in f".{logger}"), visit.modules[0])
        path, line = place if place and place[0] in visit.bench.survey.lines else (module.manifest, 1)
        severity = Level.WARNING if level == "WARNING" else Level.ERROR
        found = finding(rule, severity, message, path, (line, 1))
        (findings if place else somewhere).append(found)
    # what does not load for want of a library says so a second time, of no place
    kept = findings if problems else [*findings, *somewhere]
    return Heard(tuple(dict.fromkeys(kept)), tuple(dict.fromkeys(problems)))


def _records(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(level, logger, text) of each record, its traceback included."""
    level, logger, text = "INFO", "", ""
    for line in lines:
        match = _RECORD.match(line)
        if match is None:
            text += f"\n{line}"
            continue
        yield level, logger, text.strip()
        level, logger, text = match[1], match[2], match[3]
    yield level, logger, text.strip()
