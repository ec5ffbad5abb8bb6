"""What the tools say, in one form: findings of a level at a place, and why something was not checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MAX_MESSAGE = 1000
MAX_RULE = 128


class Level(StrEnum):
    """SARIF's levels. error: will break, or is dangerous; warning: likely wrong; note: style."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    def reaches(self, gate: Level) -> bool:
        """Whether this is as bad as `gate` or worse."""
        order = list(Level)
        return order.index(self) <= order.index(gate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result. `path` is relative to the code; lines and columns count from 1, in characters.

    `about_secret`: the line holds a secret, of which nothing may be said, not even a hash.
    """

    rule: str
    level: Level
    message: str
    path: str
    line: int = 1
    column: int = 1
    end_line: int | None = None
    end_column: int | None = None
    help_uri: str | None = None
    about_secret: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What one tool made of its files. `problems` are reasons why it could not check: with one of them
    there is no pass. `secrets` are values that must not appear anywhere in the report. `version`: where the
    tool is no package of this engine."""

    findings: tuple[Finding, ...] = ()
    problems: tuple[str, ...] = ()
    secrets: tuple[tuple[str, int, str], ...] = field(default=(), repr=False)
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One tool's part of the report. `files` is how many it was given, `seconds` how long it took."""

    tool: str
    version: str
    uri: str
    files: int
    seconds: float
    findings: tuple[Finding, ...]
    problems: tuple[str, ...]


def finding(  # noqa: PLR0917 - what, how bad, what it says, where: read in that order
    rule: object,
    level: Level,
    message: object,
    path: str,
    at: tuple[object, object] = (1, 1),
    until: tuple[object, object] = (None, None),
    help_uri: object = None,
) -> Finding:
    """A finding made of what a tool said: bounded, printable, with a region that SARIF takes."""
    line, column = _count(at[0]), _count(at[1])
    end_line, end_column = (_count(each) if each is not None else None for each in until)
    if end_line is not None and (end_line, end_column or 1) < (line, column):
        end_line = end_column = None
    text = legible(message)[:MAX_MESSAGE]
    return Finding(
        rule=legible(rule)[:MAX_RULE] or "unnamed",
        level=level,
        message=text or "no message",
        path=path,
        line=line,
        column=column,
        end_line=end_line,
        end_column=end_column if end_line is not None else None,
        help_uri=help_uri if isinstance(help_uri, str) and help_uri.startswith("https://") else None,
    )


def legible(text: object) -> str:
    """One line without control characters and lone surrogates."""
    words = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)


def _count(value: object) -> int:
    return max(1, int(value)) if isinstance(value, int) and not isinstance(value, bool) else 1
