"""Whose work is being done: every line of the log that is written meanwhile says so."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

#: Set in the task that carries an attempt, which is its own; so nothing has to be set back.
SCOPE: ContextVar[Mapping[str, object]] = ContextVar("scope", default={})  # noqa: B039 - never changed
