"""Secrets in files: which line, which rule, never the secret itself.

Small on purpose: keys with an unmistakable form, values that we handed out ourselves, and assignments of a
long random value to something that is called a secret. Compressed or encoded secrets are out of reach.

A rule is looked for where its anchor stands, a literal that any match begins with: finding a literal is far
faster than trying a regular expression at every byte of 50 MiB.
"""

from __future__ import annotations

import codecs
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CHUNK = 1024**2
OVERLAP = 4096
MAX_FINDINGS = 100
MIN_KNOWN = 6
_TEXT_SAMPLE = 8192
#: Kinds of artifacts that are text, whatever their bytes look like.
TEXTS = frozenset({"code", "sql", "notebook", "log"})
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Line (from 1; 0 for a file that is not text) and name of the rule."""

    line: int
    rule: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """`pattern` is tried where an anchor stands. Anchors in lower case are looked for in any case."""

    name: str
    anchors: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    any_case: bool = False


def _rule(name: str, anchors: str, pattern: str, *, any_case: bool = False) -> _Rule:
    return _Rule(name, tuple(anchors.encode().split()), re.compile(pattern.encode()), any_case)


_ASSIGNED = (
    "secret token passwd password pwd api_key apikey api-key "
    "access_key accesskey access-key private_key credential"
)
_RULES = (
    _rule("private_key", "-----BEGIN", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    _rule("aws_access_key", "AKIA ASIA ABIA ACCA", r"\b....[A-Z2-7]{16}\b"),
    _rule(
        "aws_secret_key",
        "aws_secret awssecret",
        r"(?i:aws_?secret_?(?:access_?)?key)[\"']?\s*[:=]\s*[\"']?[A-Za-z0-9/+]{40}\b",
        any_case=True,
    ),
    _rule("jwt", "eyJ", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}"),
    _rule("control_room_token", "cr_ crat_", r"\bcr(?:at)?_[A-Za-z0-9_-]{24,}"),
    _rule("webhook_secret", "whsec_", r"\bwhsec_[A-Za-z0-9+/]{24,}"),
    _rule("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh._[A-Za-z0-9]{36,}"),
    _rule("github_token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{40,}"),
    _rule("gitlab_token", "glpat-", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    _rule("slack_token", "xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}"),
    _rule("stripe_key", "sk_live_ rk_live_", r"\b[rs]k_live_[A-Za-z0-9]{20,}"),
    _rule("google_api_key", "AIza", r"\bAIza[A-Za-z0-9_-]{35}\b"),
    _rule("supabase_key", "sbp_", r"\bsbp_[0-9a-f]{40}"),
    _rule("supabase_key", "sb_secret_", r"\bsb_secret_[A-Za-z0-9_-]{20,}"),
    _rule("url_password", "://", r"://[^\s:/@\"']{1,64}:[^\s/@\"'$<{*]{3,128}@[\w.-]+"),
    _rule(
        "assigned_secret",
        _ASSIGNED,
        r"[A-Za-z_-]{3,12}s?[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?P<value>[A-Za-z0-9+/_.=-]{20,200})",
        any_case=True,
    ),
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"[0-9a-fA-F]+")
_HEX_BITS = 3.0
_TEXT_BITS = 3.7


def scan(path: Path, known: Iterable[str] = (), *, text: bool = False) -> tuple[Finding, ...]:
    """Findings in one file, in order, at most MAX_FINDINGS. `known` are values that must not appear at all.

    Forms are looked for in text only: what has no NUL in its first 8 KiB, what begins as UTF-16 does (it is
    read as such), and whatever is said to be `text`, so that a NUL does not hide the rest. Known values are
    looked for in all files. Blocking.
    """
    words = tuple(word.encode() for word in known if len(word) >= MIN_KNOWN)
    keep = max((OVERLAP, *(2 * len(word) for word in words)))
    found: set[Finding] = set()
    with path.open("rb") as file:
        sample = file.read(_TEXT_SAMPLE)
        is_wide = sample.startswith(_WIDE)
        is_text = text or is_wide or b"\0" not in sample
        file.seek(0)
        lines_before = 0
        tail = b""
        # A piece at a time, so that a large file does not hold the interpreter while others' leases wait.
        for piece in _narrow(file) if is_wide else iter(lambda: file.read(CHUNK), b""):
            data = tail + piece
            for offset, rule in _matches(data, words, is_text=is_text):
                found.add(Finding(lines_before + data.count(b"\n", 0, offset) + 1 if is_text else 0, rule))
                if len(found) >= MAX_FINDINGS:
                    return _sorted(found)
            lines_before += data.count(b"\n", 0, max(len(data) - keep, 0))
            tail = data[-keep:]
    return _sorted(found)


def _narrow(file: BinaryIO) -> Iterator[bytes]:
    """UTF-16 as UTF-8; what is no UTF-16 after all becomes marks."""
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    while piece := file.read(CHUNK):
        yield decoder.decode(piece).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def scan_text(text: str, known: Iterable[str] = ()) -> tuple[str, ...]:
    """The rules that a text breaks, in order."""
    words = tuple(word.encode() for word in known if len(word) >= MIN_KNOWN)
    data = text.encode("utf-8", "replace")
    return tuple(sorted({rule for _, rule in _matches(data, words, is_text=True)}))


def _sorted(found: set[Finding]) -> tuple[Finding, ...]:
    """In order; that a key with a known form is also assigned to something is not said twice."""
    known_forms = {each.line for each in found if each.rule != "assigned_secret"}
    return tuple(sorted(e for e in found if e.rule != "assigned_secret" or e.line not in known_forms))


def _matches(data: bytes, words: tuple[bytes, ...], *, is_text: bool) -> Iterator[tuple[int, str]]:
    for word in words:
        for offset in _offsets(data, word):
            yield offset, "granted_secret"
    if not is_text:
        return
    lower = data.lower()
    for rule in _RULES:
        for anchor in rule.anchors:
            for offset in _offsets(lower if rule.any_case else data, anchor):
                match = rule.pattern.match(data, offset)
                if match and ("value" not in match.groupdict() or _looks_random(match["value"].decode())):
                    yield offset, rule.name


def _offsets(data: bytes, word: bytes) -> Iterator[int]:
    offset = data.find(word)
    while offset >= 0:
        yield offset
        offset = data.find(word, offset + 1)


def _looks_random(value: str) -> bool:
    if _UUID.fullmatch(value) or not any(c.isdigit() for c in value) or not any(c.isalpha() for c in value):
        return False
    return _bits_per_character(value) >= (_HEX_BITS if _HEX.fullmatch(value) else _TEXT_BITS)


def _bits_per_character(value: str) -> float:
    """Shannon's entropy of the characters' frequencies."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values())
