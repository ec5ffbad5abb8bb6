"""Modules of Odoo, installed and tested in a real Odoo with a database of its own, in the real sandbox.

Needs `scripts/setup --engines validation,odoo`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dev.odoo import server
from runner.jobtype.code_validation.report import Report
from tests.contract.test_validation import Bench, bench, rules, runs

__all__ = ["bench"]

pytestmark = pytest.mark.needs("odoo")

MANIFEST = """{
    "name": "Shop",
    "summary": "Things that a shop has",
    "version": "19.0.1.0.0",
    "author": "ACME, Odoo Community Association (OCA)",
    "website": "https://github.com/OCA/shop",
    "license": "AGPL-3",
    "category": "Sales",
    "depends": ["base"],
    "data": ["security/ir.model.access.csv", "views/thing.xml"],
}
"""
MODEL = """from odoo import api, fields, models


class Thing(models.Model):
    _name = "shop.thing"
    _description = "A thing"

    name = fields.Char(required=True)
    price = fields.Float()
    total = fields.Float(compute="_compute_total")

    @api.depends("price")
    def _compute_total(self):
        for record in self:
            record.total = record.price * 2
"""
ACCESS = """id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink
access_thing,thing,model_shop_thing,base.group_user,1,1,1,1
"""
VIEW = """<?xml version="1.0" encoding="utf-8"?>
<odoo>
    <record id="thing_list" model="ir.ui.view">
        <field name="name">things</field>
        <field name="model">shop.thing</field>
        <field name="arch" type="xml">
            <list><field name="name" /></list>
        </field>
    </record>
</odoo>
"""
TEST = """from odoo.tests.common import TransactionCase


class TestThing(TransactionCase):
    def test_total(self):
        thing = self.env["shop.thing"].create({"name": "Pen", "price": 2.0})
        self.assertEqual(thing.total, 4.0)
"""
GOOD = {
    "shop/__init__.py": "from . import models\n",
    "shop/__manifest__.py": MANIFEST,
    "shop/models/__init__.py": "from . import thing\n",
    "shop/models/thing.py": MODEL,
    "shop/security/ir.model.access.csv": ACCESS,
    "shop/views/thing.xml": VIEW,
    "shop/tests/__init__.py": "from . import test_thing\n",
    "shop/tests/test_thing.py": TEST,
}


def changed(**files: str) -> Mapping[str, str]:
    """The good module with other files."""
    return {**GOOD, **{f"shop/{name.replace('__', '/')}": text for name, text in files.items()}}


async def judge(bench: Bench, code: Mapping[str, str], **params: object) -> Report:
    if reason := server.missing():
        pytest.skip(reason)
    return await bench.validate(code, seconds=500, odoo="install", **params)


def of_odoo(report: Report) -> set[tuple[str, str]]:
    return {(rule, path) for tool, rule, path, _ in rules(report) if tool == "odoo-install"}


async def test_a_module_that_is_well_is_installed_and_its_tests_run(bench: Bench) -> None:
    report = await judge(bench, GOOD)

    assert report.summary.unchecked == ()
    assert of_odoo(report) == set()
    assert report.summary.verdict == "passed"
    assert runs(report)["odoo-install"]["tool"]["driver"]["version"].startswith("19.")


CASES = {
    "a test that fails": (
        {"tests/test_thing.py": TEST.replace("4.0", "5.0")}, {("test-failure", "shop/tests/test_thing.py")},
    ),
    "a view of a field that is not there": (
        {"views/thing.xml": VIEW.replace('"name" />', '"nope" />')}, {("install-critical", "shop/views/thing.xml")},
    ),
    "code that does not start": (
        {"models/thing.py": MODEL + "\nraise ValueError('no')\n"}, {("install-critical", "shop/models/thing.py")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_a_module_that_is_not_well_fails_with_the_place(bench: Bench, name: str) -> None:
    files, expected = CASES[name]
    report = await judge(bench, {**GOOD, **{f"shop/{path}": text for path, text in files.items()}})

    assert of_odoo(report) >= expected
    assert report.summary.verdict == "failed"


NOT_CHECKED = {
    "another series": ({"__manifest__.py": MANIFEST.replace("19.0.1.0.0", "18.0.1.0.0")}, "of Odoo 18.0"),
    "a dependency": ({"__manifest__.py": MANIFEST.replace('["base"]', '["base", "queue_job"]')}, "queue_job"),
    "a library": ({"models/thing.py": "import some_library\n" + MODEL}, "some_library"),
    "tests that nobody imports": ({"tests/__init__.py": ""}, "1 tests are written and only 0 ran"),
}


@pytest.mark.parametrize("name", NOT_CHECKED)
async def test_what_this_odoo_cannot_judge_is_inconclusive_and_never_passed(bench: Bench, name: str) -> None:
    files, words = NOT_CHECKED[name]
    report = await judge(bench, {**GOOD, **{f"shop/{path}": text for path, text in files.items()}})

    (unchecked,) = [each for each in report.summary.unchecked if each.tool == "odoo-install"]
    assert words in unchecked.reason
    assert report.summary.verdict == "inconclusive", rules(report)


ESCAPE = (
    TEST
    + """
    def test_there_is_no_way_out(self):
        import socket
        from pathlib import Path

        with self.assertRaises(OSError):
            socket.create_connection(("192.0.2.1", 80), timeout=2)
        self.assertFalse(Path("/job/.control-room/request.json").exists())
        with self.assertRaises(OSError):
            Path("/opt/odoo/odoo.json").write_text("{}")
        Path("/job/outputs/report.sarif").write_text("{}")
"""
)


async def test_code_of_a_module_reaches_nothing_and_forges_nothing(bench: Bench) -> None:
    report = await judge(bench, {**GOOD, "shop/tests/test_thing.py": ESCAPE})

    assert of_odoo(report) == set()
    assert report.summary.verdict == "passed"
    assert "odoo-install" in runs(report)
