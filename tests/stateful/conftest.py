"""The laws are no test modules, but are to say as much when one is broken."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.stateful.laws", "tests.stateful.machine")
