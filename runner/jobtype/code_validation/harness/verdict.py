"""What follows from the checks: passed, failed or inconclusive, in numbers and in a page for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .finding import Check, Finding, Level
from .request import Request
from .survey import Survey

MAX_LISTED = 50


def summary(request: Request, survey: Survey, checks: Sequence[Check]) -> dict[str, Any]:
    """The verdict and what it rests on. A finding at the gate fails; else whatever was not checked keeps from
    a pass, unless the job accepts that of the tool by name."""
    counts = Counter(each.level for check in checks for each in check.findings)
    unchecked = [
        {"tool": check.tool, "reason": reason, "accepted": check.tool in request.accept_unchecked}
        for check in checks
        for reason in check.problems
    ]
    languages = {name: len(files) for name, files in sorted(survey.by_language.items()) if files}
    if not languages:
        reason = "there is no file of a language that is checked"
        unchecked.append({"tool": "control-room", "reason": reason, "accepted": False})
    if request.tests == "required" and not survey.tests:
        unchecked.append({"tool": "pytest", "reason": "there are no tests", "accepted": False})
    if any(counts[level] for level in Level if level.reaches(request.fail_on)):
        verdict = "failed"
    elif any(not each["accepted"] for each in unchecked):
        verdict = "inconclusive"
    else:
        verdict = "passed"
    return {
        "verdict": verdict,
        "fail_on": request.fail_on.value,
        "counts": {level.value: counts[level] for level in Level},
        "unchecked": unchecked,
        "languages": languages,
        "files": len(survey.text) + len(survey.binary),
        "tools": [
            {
                "name": each.tool,
                "version": each.version,
                "files": each.files,
                "findings": len(each.findings),
                "milliseconds": round(each.seconds * 1000),
            }
            for each in checks
        ],
        "not_read": survey.refused[:MAX_LISTED],
        "suppressions": {"found": survey.suppressions, "honoured": request.honours_suppressions},
        "searched_for_secrets_only": survey.unknown[:MAX_LISTED],
        "binary": survey.binary[:MAX_LISTED],
        "worst": [_line(each, check.tool) for check, each in _ranked(checks)[:5]],
    }


def page(summary: dict[str, Any], checks: Sequence[Check]) -> str:
    """The summary in Markdown. What the code and the tools say is quoted: it is not ours."""
    counts = summary["counts"]
    found = ", ".join(f"{number} {level}{'s' if number != 1 else ''}" for level, number in counts.items())
    lines = [f"# {summary['verdict'].capitalize()}", "", f"{found}; the gate is `{summary['fail_on']}`.", ""]
    lines += ["| tool | version | files | findings | |", "|---|---|---|---|---|"]
    for check in checks:
        state = "could not check" if check.problems else ""
        lines.append(f"| {check.tool} | {check.version} | {check.files} | {len(check.findings)} | {state} |")
    if summary["unchecked"]:
        lines += ["", "## Not checked", ""]
        lines += [
            f"- {each['tool']}: {_quoted(each['reason'])}{' (accepted)' if each['accepted'] else ''}"
            for each in summary["unchecked"][:MAX_LISTED]
        ]
    ranked = _ranked(checks)
    if ranked:
        lines += ["", "## Findings", ""]
        lines += [
            f"- **{each.level.value}** {_quoted(f'{each.path}:{each.line}')} "
            f"{check.tool} {_quoted(each.rule)}: {_quoted(each.message)}"
            for check, each in ranked[:MAX_LISTED]
        ]
        if len(ranked) > MAX_LISTED:
            lines.append(f"- … {len(ranked) - MAX_LISTED} more in report.sarif")
    said = summary["suppressions"]
    if said["found"]:
        how = "were honoured" if said["honoured"] else "had no effect"
        lines += ["", f"{said['found']} comments that tell a tool to look away {how}."]
    if summary["not_read"]:
        lines += [
            "",
            "Configuration in the code that was not read: " + ", ".join(map(_quoted, summary["not_read"])),
        ]
    return "\n".join(lines) + "\n"


def _ranked(checks: Sequence[Check]) -> list[tuple[Check, Finding]]:
    order = list(Level)
    pairs = [(check, each) for check in checks for each in check.findings]
    return sorted(pairs, key=lambda p: (order.index(p[1].level), p[1].path, p[1].line, p[0].tool, p[1].rule))


def _line(each: Finding, tool: str) -> str:
    return f"{each.path}:{each.line}: {tool} {each.rule}: {each.message}"[:300]


def _quoted(text: str) -> str:
    return "`" + text.replace("`", "'")[:300] + "`"
