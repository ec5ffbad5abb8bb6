"""The report: SARIF 2.1.0, one run per tool (https://docs.oasis-open.org/sarif/sarif/v2.1.0/).

Places are relative to the code (`%SRCROOT%`), lines and columns count from 1 in characters. A tool that could
not check has `executionSuccessful: false` and says why.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from .finding import Check, Finding, Level

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
FINGERPRINT = "controlRoom/v1"
MAX_RESULTS = 500


def log(checks: Sequence[Check], lines: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The whole report. `lines` are those of the code, for fingerprints that survive a shift of lines."""
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(each, lines) for each in checks]}


def _run(check: Check, lines: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    # the worst first: what is cut off is the least
    ranked = sorted(check.findings, key=lambda f: (list(Level).index(f.level), f.path, f.line, f.column))
    kept = ranked[:MAX_RESULTS]
    rules = sorted({each.rule for each in kept})
    places = {rule: index for index, rule in enumerate(rules)}
    help_uris = {each.rule: each.help_uri for each in kept if each.help_uri}
    seen: Counter[str] = Counter()
    notices = [{"level": "error", "message": {"text": text}} for text in check.problems]
    if len(ranked) > len(kept):
        text = f"{len(ranked)} results; the {len(kept)} worst are listed"
        notices.append({"level": "warning", "message": {"text": text}})
    return {
        "tool": {
            "driver": {
                "name": check.tool,
                "version": check.version,
                "informationUri": check.uri,
                "rules": [
                    {"id": rule, **({"helpUri": help_uris[rule]} if rule in help_uris else {})}
                    for rule in rules
                ],
            }
        },
        "automationDetails": {"id": f"control-room/{check.tool}/"},
        "invocations": [
            {
                "executionSuccessful": not check.problems,
                **({"toolExecutionNotifications": notices} if notices else {}),
            }
        ],
        "originalUriBaseIds": {ROOT: {"description": {"text": "the code that was submitted"}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, places[each.rule], lines, seen) for each in kept],
        "properties": {"files": check.files, "milliseconds": round(check.seconds * 1000)},
    }


def _result(
    each: Finding, rule_index: int, lines: Mapping[str, Sequence[str]], seen: Counter[str]
) -> dict[str, Any]:
    region: dict[str, int] = {"startLine": each.line, "startColumn": each.column}
    if each.end_line is not None:
        region["endLine"] = each.end_line
        if each.end_column is not None:
            region["endColumn"] = each.end_column
    return {
        "ruleId": each.rule,
        "ruleIndex": rule_index,
        "level": each.level.value,
        "message": {"text": each.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(each.path), "uriBaseId": ROOT},
                    "region": region,
                }
            }
        ],
        "partialFingerprints": {FINGERPRINT: _fingerprint(each, lines, seen)},
    }


def _fingerprint(each: Finding, lines: Mapping[str, Sequence[str]], seen: Counter[str]) -> str:
    """Rule, file and the text of the line; the first, second … of the same. Of a line with a secret nothing,
    for a hash of little is that little."""
    text = ""
    if not each.about_secret and 0 < each.line <= len(lines.get(each.path, ())):
        text = " ".join(lines[each.path][each.line - 1].split())
    same = "\0".join((each.rule, each.path, text))
    seen[same] += 1
    return hashlib.sha256(f"{same}\0{seen[same]}".encode()).hexdigest()[:32]
