"""Odoo and OCA modules, read: pylint-odoo. `odoo_install` runs them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..finding import Finding, Heard, Level, finding
from ..tool import Bench, report

_LEVELS = {"fatal": Level.ERROR, "error": Level.ERROR, "warning": Level.WARNING}
#: An author's name and a README are OCA's wishes for its own repositories.
_NOT_ASKED = "manifest-required-author,missing-readme"


class PylintOdoo:
    """The checks of OCA's pylint plugin."""

    name = "pylint-odoo"
    distribution = "pylint-odoo"
    uri = "https://github.com/OCA/pylint-odoo"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return bench.survey.odoo_modules

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        config = bench.home / "pylintrc"
        config.write_text("[MAIN]\n")
        said = bench.run(
            (
                *bench.module("pylint"),
                f"--rcfile={config}",
                "--load-plugins=pylint_odoo",
                "--disable=all",
                "--enable=odoolint",
                f"--disable={_NOT_ASKED}",
                "--output-format=json2",
                "--persistent=n",
                "--jobs=1",
                "--",
                *files,
            ),
            environment={"PYLINTHOME": str(bench.home)},
        )
        # a set of bits: 32 is an error of usage, the others are kinds of messages
        return Heard(tuple(parse_pylint(bench, report(said, *range(32)))))


def parse_pylint(bench: Bench, form: Any) -> Iterable[Finding]:
    """pylint's json2: columns count from 0."""
    for each in form["messages"]:
        yield finding(
            each["symbol"],
            _LEVELS.get(each["type"], Level.NOTE),
            each["message"],
            bench.relative(each["absolutePath"]),
            (each["line"], each["column"] + 1),
            (each.get("endLine"), (each.get("endColumn") or 0) + 1),
            "https://github.com/OCA/pylint-odoo",
        )
