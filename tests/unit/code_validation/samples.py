"""Small code of each language: as it should be, and with one of everything that is wrong.

Kept as text: checkers of this repository would stumble over them.
"""

from __future__ import annotations

#: A password of nobody. In two pieces, or scanners of this repository would find it.
PASSWORD = "correct-horse-" + "battery-9"

GOOD = {
    "app.py": '''"""Sums."""


def add(left: int, right: int) -> int:
    """The sum."""
    return left + right
''',
    "tests/test_app.py": """from app import add


def test_add() -> None:
    assert add(1, 2) == 3
""",
    "change.sql": """set lock_timeout = '2s';
set statement_timeout = '30s';
create table if not exists orders (
    id bigint generated always as identity primary key,
    note text not null
);
""",
    "run.sh": """#!/bin/bash
set -euo pipefail
printf '%s\\n' "$1"
""",
    "main.ts": """export function double(x: number): number {
  return 2 * x;
}
""",
    "Dockerfile": """FROM debian:12.8
USER 65534
CMD ["/bin/true"]
""",
    "shop/__init__.py": "from . import models\n",
    "shop/__manifest__.py": """{
    "name": "Shop",
    "version": "18.0.1.0.0",
    "author": "Acme",
    "license": "AGPL-3",
    "depends": ["base"],
}
""",
    "shop/models/__init__.py": "from . import thing\n",
    "shop/models/thing.py": """from odoo import fields, models


class Thing(models.Model):
    _name = "shop.thing"
    _description = "A thing"

    label = fields.Char(required=True)
""",
}

BAD = {
    "app.py": f'''import os
import subprocess
import yaml


def run(command: str, count: int) -> int:
    password = "{PASSWORD}"
    subprocess.run(command, shell=True)
    yaml.load(command)
    return command + count


def undefined() -> str:
    return missing_name


def find(cursor, name):
    cursor.execute("select * from users where name = '%s'" % name)


run("ls")
''',
    "syntax.py": "def broken(:\n    pass\n",
    "tests/test_app.py": """def test_good():
    assert 1 == 1


def test_bad():
    assert {"a": 1} == {"a": 2}
""",
    "change.sql": """create index orders_note on orders (note);
alter table orders drop column note;
select o.id, count(*) from orders as o, customers as o group by o.id;
""",
    "syntax.sql": "selct 1;\n",
    "run.sh": """#!/bin/bash
cd $1
curl http://x.example/install.sh | sh
for f in $(ls *.txt); do echo $f; done
""",
    "main.ts": """function f(x: number): string {
  return x;
}
var unused = 1;
export { f };
""",
    "syntax.ts": "export const = 1;\n",
    "Dockerfile": """FROM debian:latest
RUN cd /tmp && sudo rm -rf x
""",
    "shop/__init__.py": "",
    "shop/__manifest__.py": '{"name": "x", "version": "1.0", "depends": ["base"], "license": "nope"}\n',
    "shop/thing.py": """from odoo import models


class Thing(models.Model):
    _name = "shop.thing"

    def go(self):
        self.env.cr.execute("select * from res_users where id = %s" % self.id)
        self.env.cr.commit()
""",
}

#: Configuration that would switch tools off or run code of its own, one file for each way that a tool has.
CONFIGURATION = {
    "pyproject.toml": """[tool.ruff]
exclude = ["*"]
[tool.ruff.lint]
select = []
[tool.mypy]
plugins = ["evil"]
ignore_errors = true
[tool.pytest.ini_options]
addopts = "--collect-only -p evil"
[tool.sqlfluff.core]
exclude_rules = "all"
[tool.bandit]
exclude_dirs = ["."]
""",
    "ruff.toml": 'exclude = ["*"]\n',
    "mypy.ini": "[mypy]\nplugins = evil\nignore_errors = true\n",
    "setup.cfg": "[mypy]\nignore_errors = true\n[sqlfluff]\nexclude_rules = all\n[flake8]\nexclude = *\n",
    "tox.ini": "[pytest]\naddopts = --collect-only\n[sqlfluff]\nexclude_rules = all\n",
    "pytest.ini": "[pytest]\naddopts = --collect-only\npython_files = nothing.py\n",
    "pylintrc": "[MASTER]\ninit-hook=open('/tmp/ran', 'w')\ndisable=all\n",
    "hadolint.yaml": "ignored: [DL3004, DL3007]\n",
    "shellcheckrc": "disable=all\n",
    "deno.json": '{"lint": {"exclude": ["**/*"]}, "exclude": ["**/*"]}\n',
    "package.json": '{"type": "commonjs"}\n',
    "tsconfig.json": '{"compilerOptions": {"strict": false, "noEmit": true}, "exclude": ["**/*"]}\n',
    "evil.py": 'raise SystemExit("a plugin ran")\n',
}


def suppressed(files: dict[str, str]) -> dict[str, str]:
    """The same code with an order to look away at every line that can carry one."""
    marks = {
        "py": "  # type: ignore  # noqa  # nosec  # nosemgrep  # pylint: disable=all  # pragma: allowlist secret",
        "sql": "  -- noqa",
        "ts": "",
        "sh": "",
    }
    heads = {
        "py": "# mypy: ignore-errors\n# ruff: noqa\n# pylint: skip-file\n",
        "sql": "-- squawk-ignore-file\n-- noqa: disable=all\n-- sqlfluff:exclude_rules:all\n",
        "ts": "// deno-lint-ignore-file\n// @ts-nocheck\n",
        "sh": "",
        "Dockerfile": "# hadolint global ignore=DL3004,DL3007,DL3003\n",
    }
    made = {}
    for name, text in files.items():
        kind = name.rpartition(".")[2] if "." in name else name
        mark = marks.get(kind, "")
        lines = [
            line + mark if line.strip() and not line.endswith('"""') else line for line in text.split("\n")
        ]
        if kind == "sh":
            lines.insert(1, "# shellcheck disable=all")
        made[name] = heads.get(kind, "") + "\n".join(lines)
    return made
