"""The tools, each with the parser of what it says. A tool that is asked and cannot answer is never a pass."""

from __future__ import annotations

from ..tool import Tool
from .odoo import PylintOdoo
from .odoo_install import OdooInstall
from .patterns import Semgrep
from .python import Bandit, Mypy, Ruff
from .secrets import DetectSecrets
from .shell import Hadolint, Shellcheck
from .sql import Sqlfluff, Squawk
from .tests import Pytest
from .typescript import DenoCheck, DenoLint

#: These read the code. The slow ones first: they run two at a time.
STATIC: tuple[Tool, ...] = (
    Semgrep(),
    DenoCheck(),
    Mypy(),
    Sqlfluff(),
    DetectSecrets(),
    Bandit(),
    DenoLint(),
    Ruff(),
    Squawk(),
    Shellcheck(),
    Hadolint(),
)

#: These come when all the others are done, one by one: pylint puts the code's folders on its own import path,
#: pytest and Odoo run the code.
LAST: tuple[Tool, ...] = (PylintOdoo(), Pytest(), OdooInstall())
