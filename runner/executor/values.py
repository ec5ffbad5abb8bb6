"""`::value name json`: what a job found out, for the tasks after it and for who reads its run.

JSON after the name is the value; what is no JSON is taken as text. The last value of a name counts. The
database has a bound of its own (256 KiB of a task); ours lie below it, so that the job's own log can say
what was too much.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

from runner.executor.lines import MAX_VALUE, VALUE_PREFIX

PREFIX = VALUE_PREFIX
MAX_VALUES = 100
MAX_TOTAL = 192 * 1024
MAX_DEPTH = 100

_VALUE = re.compile(r"::value\s+([A-Za-z_][A-Za-z0-9_]{0,99})(?:\s+(.*))?$", re.DOTALL)


class Values:
    """The values of one attempt, bounded. Sizes are bytes of JSON."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self.found: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}

    def take(self, line: str) -> str | None:
        """None when the line was a value and is kept; else why it is not one, "" where it only looks so."""
        match = _VALUE.match(line)
        if match is None:
            return ""
        name, text = match[1], (match[2] or "").strip()
        if len(line.encode()) > MAX_VALUE:
            return f"value {name} is larger than {MAX_VALUE} bytes and is not kept; write a file instead"
        # JSON escapes a secret's quotes, breaks and accents: the line did not show it
        value = redacted(_read(text), self._redact)
        size = len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
        if name not in self.found and len(self.found) == MAX_VALUES:
            return f"value {name} is one too many and is not kept; a task has at most {MAX_VALUES}"
        if sum(self._sizes.values()) - self._sizes.get(name, 0) + size > MAX_TOTAL:
            return f"value {name} is not kept; all values of a task have at most {MAX_TOTAL} bytes"
        self.found[name] = value
        self._sizes[name] = size
        return None


def redacted(value: Any, redact: Callable[[str], str]) -> Any:
    """The same without secrets, in names as in texts."""
    match value:
        case str():
            return redact(value)
        case dict():
            return {redact(str(key)): redacted(each, redact) for key, each in value.items()}
        case list():
            return [redacted(each, redact) for each in value]
        case _:
            return value


def _read(text: str) -> Any:
    """What is no JSON, or nests deeper than the doors of the database let in, is a text."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text
    return value if _shallow(value) else text


def _shallow(value: Any) -> bool:
    """Level by level: what is deep must not cost a stack."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return True
    return not any(isinstance(each, dict | list) for each in level)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
