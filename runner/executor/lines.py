"""Bytes to clean lines: bounded, redacted, without control characters.

The standard library alone: in a pod it stands beside the agent, so that a secret never leaves it.

A secret is found also when it arrives in several writes, since a line is looked at as a whole. Values with
line breaks are looked for line by line, and each value also as base64 (wherever it begins in what was
encoded: `user:secret` as well), percent-encoded and as a JSON string. Whoever wants to get a secret out
finds another form: this keeps it out of the log by accident, not by intent.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MAX_LINE = 8_192
MASK = "***"
#: How a line begins that tells a value, which may be longer; bytes of one value.
VALUE_PREFIX = "::value"
MAX_VALUE = 48 * 1024

# C0 and C1 controls but the tab: escape sequences would let a job repaint the terminal of whoever reads its
# log.
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
MIN_SECRET = 4
#: Less of an encoded secret is no more than chance would write.
MIN_ENCODED = 8


class Redactor:
    """Replaces secrets in text. Lines of a secret shorter than four characters are left: they would blank out
    half the log and protect nothing."""

    def __init__(self, secrets: Iterable[str]) -> None:
        whole = {part.strip("\r") for secret in secrets for part in (secret, *secret.splitlines())}
        parts = {part for part in whole if len(part) >= MIN_SECRET}
        words = sorted(parts | {form for part in parts for form in _forms(part)}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, words))) if words else None
        self.longest = max((len(word.encode()) for word in words), default=0)

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text


def _forms(secret: str) -> Iterator[str]:
    """What a secret looks like when a library has written it on the way to the log."""
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(secret, safe="")
    yield quote_plus(secret)
    data = secret.encode()
    for before in range(3):  # bytes of something else in the group that it begins in
        encoded = base64.b64encode(b"\0" * before + data).decode().rstrip("=")
        # the first and the last letter also hold bits of its neighbours
        spoilt = (before + len(data)) % 3
        clean = encoded[(0, 2, 3)[before] : len(encoded) - (spoilt != 0)]
        if len(clean) >= MIN_ENCODED:
            yield clean
            yield clean.replace("+", "-").replace("/", "_")


class Lines:
    """Cuts a stream of bytes into lines of at most MAX_LINE bytes (a value may be longer), redacting before
    an overlong line is cut."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are now complete."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [piece for line in whole for piece in self._pieces(line)]
        if len(self._rest) > 2 * _bound(self._rest) + self._redact.longest:
            lines.extend(self._cut())
        return lines

    def end(self) -> list[str]:
        """What is left when the stream has ended."""
        rest, self._rest = self._rest, b""
        return self._pieces(rest) if rest else []

    def _pieces(self, line: bytes) -> list[str]:
        text, bound = self._clean(line), _bound(line)
        return [text[i : i + bound] for i in range(0, len(text), bound)] or [""]

    def _cut(self) -> list[str]:
        # Keep back as much as a secret may need to be completed by the next write.
        text = self._clean(self._rest)
        keep = min(len(text), max(self._redact.longest, 1))
        self._rest = text[len(text) - keep :].encode()
        head = text[: len(text) - keep]
        return [head[i : i + MAX_LINE] for i in range(0, len(head), MAX_LINE)]

    def _clean(self, line: bytes) -> str:
        text = line.removesuffix(b"\r").decode("utf-8", "replace")
        return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", self._redact(text))


def _bound(line: bytes) -> int:
    return 2 * MAX_VALUE if line.startswith(VALUE_PREFIX.encode()) else MAX_LINE
