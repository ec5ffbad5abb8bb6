"""What an Odoo says when it installs modules, and what we make of it; the real one is asked in
tests/contract/test_odoo_modules.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.jobtype.code_validation.harness.finding import Heard
from runner.jobtype.code_validation.harness.survey import survey
from runner.jobtype.code_validation.harness.tool import Bench, NoReport
from runner.jobtype.code_validation.harness.tools.odoo_install import Module, OdooInstall, _Visit, parse_log

from .record import request

ABOUT = {"series": "19.0", "version": "19.0.0", "postgres": "/nonexistent"}
MANIFEST = '{"name": "x", "version": "%s", "depends": %s, "license": "LGPL-3"}\n'


def bench(tmp_path: Path, files: Mapping[str, str], **changes: Any) -> Bench:
    engine = tmp_path / "odoo"
    (engine / "src" / "odoo" / "addons" / "base").mkdir(parents=True)
    (engine / "odoo.json").write_text(json.dumps(ABOUT))
    root = tmp_path / "job"
    asked = request(root, Path("/opt/engine"), odoo="install", odoo_engine=engine, **changes)
    for name, text in files.items():
        (asked.source / name).parent.mkdir(parents=True, exist_ok=True)
        (asked.source / name).write_text(text)
    (tmp_path / "home").mkdir()
    found = survey(asked.source, asked.checked, [], honour=False)
    return Bench(asked, found, time.monotonic() + 100, tmp_path / "home")


def module(version: str = "19.0.1.0.0", depends: str = '["base"]', name: str = "shop") -> dict[str, str]:
    return {
        f"{name}/__init__.py": "",
        f"{name}/__manifest__.py": MANIFEST % (version, depends),
        f"{name}/models/thing.py": "a = 1\n" * 20,
        f"{name}/tests/test_thing.py": "class T:\n    def test_a(self):\n        pass\n",
    }


def judged(bench: Bench) -> Heard:
    tool = OdooInstall()
    return tool.check(bench, tool.files(bench))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (module("18.0.1.0.0"), "it is of Odoo 18.0, and this one is 19.0"),
        (module(depends='["base", "queue_job"]'), "it depends on queue_job"),
        ({**module(depends='["b"]'), **module(depends='["gone"]', name="b")}, "it depends on b,"),
        ({"shop/__manifest__.py": "open('x')"}, "no dictionary of plain values"),
        ({"shop/__manifest__.py": '{"installable": False}'}, "not installable"),
        ({"__manifest__.py": "{}"}, "a folder that has its name"),
    ],
)
def test_what_this_odoo_cannot_install_is_not_judged(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    found = judged(bench(tmp_path, files))

    assert found.findings == ()
    assert any(words in each for each in found.problems), found.problems
    assert found.version == "19.0.0"


def test_an_image_without_an_odoo_says_so(tmp_path: Path) -> None:
    given = bench(tmp_path, module())
    (tmp_path / "odoo" / "odoo.json").unlink()

    with pytest.raises(NoReport, match="this image has no Odoo"):
        judged(given)


def test_code_that_tests_have_changed_is_not_what_was_submitted(tmp_path: Path) -> None:
    given = bench(tmp_path, module())
    tool = OdooInstall()
    files = tool.files(given)
    (given.request.source / "shop" / "__init__.py").write_text("# better than it was")

    with pytest.raises(NoReport, match="changed by its own tests"):
        tool.check(given, files)


LOG = """\
2026-11-26 10:00:00,001 7 INFO odoo odoo.modules.loading: loading 1 modules...
2026-11-26 10:00:00,002 7 WARNING odoo odoo.addons.base.models.ir_model: something of Odoo's own
2026-11-26 10:00:00,003 7 WARNING odoo odoo.fields: Field shop.thing.total: unknown parameter 'strnig'
2026-11-26 10:00:01,000 7 ERROR odoo odoo.addons.shop.tests.test_thing: FAIL: TestThing.test_total
Traceback (most recent call last):
  File "/opt/odoo/src/odoo/tests/common.py", line 5, in run
  File "{source}/shop/tests/test_thing.py", line 2, in test_a
AssertionError: 4.0 != 5.0
2026-11-26 10:00:01,100 7 ERROR odoo odoo.modules.loading: Module shop: 1 failures, 0 errors of 1 tests
2026-11-26 10:00:01,200 7 CRITICAL odoo odoo.service.server: Failed to initialize database `odoo`.
Traceback (most recent call last):
odoo.tools.convert.ParseError: while parsing {source}/shop/views/thing.xml:3
Field "nope" does not exist
"""


def test_findings_have_the_place_that_a_traceback_ends_at(tmp_path: Path) -> None:
    given = bench(tmp_path, {**module(), "shop/views/thing.xml": "<odoo/>\n"})
    source = given.request.source
    found = parse_log(LOG.replace("{source}", str(source)).splitlines(), _visit(given))

    assert [(each.rule, each.level.value, each.path, each.line) for each in found.findings] == [
        ("test-failure", "error", "shop/tests/test_thing.py", 2),
        ("install-critical", "error", "shop/views/thing.xml", 3),
        ("install-warning", "warning", "shop/__manifest__.py", 1),
    ]
    assert found.findings[0].message == "FAIL: TestThing.test_total: AssertionError: 4.0 != 5.0"


def test_a_library_that_is_not_here_is_no_fault_of_the_code(tmp_path: Path) -> None:
    given = bench(tmp_path, module())
    log = f"""\
2026-11-26 10:00:00,001 7 CRITICAL odoo odoo.modules.module: Couldn't load module shop
2026-11-26 10:00:00,002 7 CRITICAL odoo odoo.service.server: Failed to initialize database `odoo`.
Traceback (most recent call last):
  File "{given.request.source}/shop/models/thing.py", line 1, in <module>
ModuleNotFoundError: No module named 'some_library'
"""
    found = parse_log(log.splitlines(), _visit(given))

    assert found == Heard((), ("the modules need some_library, which this Odoo does not have",))


def _visit(given: Bench) -> _Visit:
    engine = given.request.odoo_engine
    assert engine is not None
    return _Visit(given, engine, ABOUT, [Module("shop", "shop/__manifest__.py", {})])
