"""Secrets in files: which line, which rule, never the secret itself.

Small on purpose: keys with an unmistakable form, values that we handed out ourselves, and assignments of a
long random value to something that is called a secret. Compressed or encoded secrets are out of reach.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1024**2
OVERLAP = 4096
MAX_FINDINGS = 100
MIN_KNOWN = 6
_TEXT_SAMPLE = 8192

_FORMS: dict[str, str] = {
    "private_key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "aws_access_key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    "aws_secret_key": r"(?i:aws_?secret_?(?:access_?)?key)[\"']?\s*[:=]\s*[\"']?[A-Za-z0-9/+]{40}\b",
    "jwt": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}",
    "control_room_token": r"\bcr(?:at)?_[A-Za-z0-9_-]{24,}",
    "webhook_secret": r"\bwhsec_[A-Za-z0-9+/]{24,}",
    "github_token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})",
    "gitlab_token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "slack_token": r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}",
    "stripe_key": r"\b[rs]k_live_[A-Za-z0-9]{20,}",
    "google_api_key": r"\bAIza[A-Za-z0-9_-]{35}\b",
    "supabase_key": r"\b(?:sbp_[0-9a-f]{40}|sb_secret_[A-Za-z0-9_-]{20,})",
    "url_password": r"\b[a-z][a-z0-9+.-]{2,20}://[^\s:/@\"']{1,64}:[^\s/@\"'$<{*]{3,128}@[\w.-]+",
}
_ASSIGNMENT = (
    r"(?i:secret|token|passwd|password|pwd|api_?-?key|access_?-?key|private_?-?key|credential)s?"
    r"[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?P<value>[A-Za-z0-9+/_.=-]{20,200})"
)
_RULES = re.compile(
    "|".join(
        [*(f"(?P<{name}>{form})" for name, form in _FORMS.items()), f"(?P<assigned_secret>{_ASSIGNMENT})"]
    ).encode()
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"[0-9a-fA-F]+")
_HEX_BITS = 3.0
_TEXT_BITS = 3.7


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Line (from 1; 0 for a file that is not text) and name of the rule."""

    line: int
    rule: str


def scan(path: Path, known: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Findings in one file, in order, at most MAX_FINDINGS. `known` are values that must not appear at all.

    Forms are looked for in text only (no NUL in the first 8 KiB); known values also in other files. Blocking.
    """
    words = [word.encode() for word in known if len(word) >= MIN_KNOWN]
    exact = re.compile(b"|".join(map(re.escape, words))) if words else None
    found: set[Finding] = set()
    with path.open("rb") as file:
        is_text = b"\0" not in file.read(_TEXT_SAMPLE)
        file.seek(0)
        lines_before = 0
        tail = b""
        # One regular expression over a whole file would hold the interpreter for seconds: a piece at a time
        # instead.
        while piece := file.read(CHUNK):
            data = tail + piece
            for offset, rule in _matches(data, exact, is_text=is_text):
                found.add(Finding(lines_before + data.count(b"\n", 0, offset) + 1 if is_text else 0, rule))
            if len(found) >= MAX_FINDINGS:
                break
            keep = max(OVERLAP, *(2 * len(word) for word in words)) if words else OVERLAP
            lines_before += data.count(b"\n", 0, max(len(data) - keep, 0))
            tail = data[-keep:]
    return tuple(sorted(found)[:MAX_FINDINGS])


def _matches(data: bytes, exact: re.Pattern[bytes] | None, *, is_text: bool) -> Iterable[tuple[int, str]]:
    if exact is not None:
        for match in exact.finditer(data):
            yield match.start(), "granted_secret"
    if is_text:
        for match in _RULES.finditer(data):
            rule = match.lastgroup or ""
            if match["assigned_secret"] is not None:
                if not _looks_random(match["value"].decode("ascii", "replace")):
                    continue
                rule = "assigned_secret"
            yield match.start(), rule


def _looks_random(value: str) -> bool:
    if _UUID.fullmatch(value) or not any(c.isdigit() for c in value) or not any(c.isalpha() for c in value):
        return False
    return _bits_per_character(value) >= (_HEX_BITS if _HEX.fullmatch(value) else _TEXT_BITS)


def _bits_per_character(value: str) -> float:
    """Shannon's entropy of the characters' frequencies."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values())
