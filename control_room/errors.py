"""What can go wrong for a caller, as one tree.

ControlRoomError                  every error of this package
├── ApiError                      the server answered, and refused (4xx) or failed (5xx)
├── Unreachable                   no answer: no connection, a timeout, a broken one
├── ArtifactRefused               the runner's check refused an uploaded artifact
├── TransferDamaged               the bytes of a download are not those that the server promised
└── NotInTime                     `wait` gave up; the run or the check goes on without us
"""

from __future__ import annotations

import json
from collections.abc import Mapping


class ControlRoomError(Exception):
    """`message` says what happened, `hint` how to mend it (or None)."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ApiError(ControlRoomError):
    """The server's own words, `{"code", "message", "details", "hint"}`; docs/errors.md lists the codes."""

    def __init__(
        self, status: int, code: str, message: str, details: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code
        self.details = details

    def __str__(self) -> str:
        details = f" ({self.details})" if self.details else ""
        return f"{self.code}: {self.message}{details}"

    @classmethod
    def of(cls, status: int, text: str, reason: str = "") -> ApiError:
        """Reads an error body; what is no error of ours (a proxy's page) keeps its first line."""
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        if not isinstance(body, Mapping):
            first = text.strip().splitlines()[0][:200] if text.strip() else reason
            return cls(status, f"HTTP_{status}", first or "no body")
        code = str(body.get("code") or body.get("error") or f"HTTP_{status}")
        message = str(body.get("message") or body.get("msg") or reason or "no message")
        return cls(status, code, message, _text(body.get("details")), _text(body.get("hint")))


class Unreachable(ControlRoomError):
    """Nothing answered at the address."""


class ArtifactRefused(ControlRoomError):
    """The version stays REFUSED; `findings` says why, e.g. `[{"line": 3, "rule": "aws-access-key"}]`."""

    def __init__(self, name: str, findings: object) -> None:
        super().__init__(
            f"the artifact {name} was refused: {_findings(findings)}",
            "mend the file and upload it again: a new version is made",
        )
        self.findings = findings


class TransferDamaged(ControlRoomError):
    """Size or sha256 differ from what the server has on record."""


class NotInTime(ControlRoomError):
    """Only the waiting ended."""


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value if isinstance(value, str) else json.dumps(value)


def _findings(findings: object) -> str:
    if not isinstance(findings, list) or not findings:
        return "its size, checksum or content is not what was announced"
    return ", ".join(
        " ".join(f"{key} {value}" for key, value in item.items()) if isinstance(item, Mapping) else str(item)
        for item in findings[:5]
    )
