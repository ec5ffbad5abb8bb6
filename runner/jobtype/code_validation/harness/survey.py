"""What there is to check, and what static tools are given: a copy without configuration and without orders.

The code may not choose how it is judged. Three things that would let it are taken out of the copy:

    configuration     files that a tool would read by itself (CONFIGURATION) are not in the copy at all
    suppressions      `# noqa` and its like lose a letter, so that places stay where they are;
                      they are counted, and honoured only when the job says so
    what is no text   binary files, other encodings and links become findings

Tests are code, not configuration: pytest runs on the code as it is, `conftest.py` included, last and alone.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .finding import Finding, Level, finding

MAX_SOURCE = 1024**2

CONFIGURATION = frozenset(
    [
        "pyproject.toml",
        "setup.cfg",
        "tox.ini",
        ".flake8",
        "ruff.toml",
        ".ruff.toml",
        "mypy.ini",
        ".mypy.ini",
        "pytest.ini",
        ".pytest.ini",
        "pytest.toml",
        ".pytest.toml",
        ".coveragerc",
        ".bandit",
        "bandit.yaml",
        "bandit.yml",
        ".secrets.baseline",
        ".pylintrc",
        "pylintrc",
        ".pylintrc.toml",
        "pylintrc.toml",
        ".pylintrc-mandatory",
        ".sqlfluff",
        ".sqlfluffignore",
        ".squawk.toml",
        ".shellcheckrc",
        "shellcheckrc",
        ".hadolint.yaml",
        ".hadolint.yml",
        "hadolint.yaml",
        "hadolint.yml",
        ".semgrepignore",
        ".semgrep.yml",
        ".semgrep.yaml",
        "semgrep.yml",
        "semgrep.yaml",
        "deno.json",
        "deno.jsonc",
        "deno.lock",
        "package.json",
        "package-lock.json",
        "tsconfig.json",
        "jsconfig.json",
        ".npmrc",
        ".gitignore",
        ".ignore",
        ".dockerignore",
        ".editorconfig",
        ".pre-commit-config.yaml",
    ]
)

_LANGUAGES = {
    ".py": "python", ".pyi": "python",
    ".sql": "sql",
    ".sh": "shell", ".bash": "shell", ".ksh": "shell", ".dash": "shell",
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "typescript",
    ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript",
    ".dockerfile": "dockerfile",
}  # fmt: skip
_DOCKERFILE = re.compile(r"(Docker|Container)file(\..+)?", re.IGNORECASE)
_SHEBANG = re.compile(rb"#!\s*\S*?(?:\benv\s+(?:-S\s+)?)?(?:\S*/)?(sh|bash|dash|ksh|python[0-9.]*)\b")
#: Files that run or unpack, and that no tool of ours can look into.
_EXECUTABLE = (
    b"\x7fELF",
    b"MZ",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"\xca\xfe\xba\xbe",
    b"\xcf\xfa\xed\xfe",
    b"\0asm",
)
_COMPILED = frozenset({".pyc", ".pyo", ".so", ".dll", ".dylib", ".exe", ".jar", ".class", ".whl", ".egg"})
#: Characters that make code read otherwise than it runs (CVE-2021-42574).
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")

_SUPPRESSION = re.compile(
    r"(?:type:\s*ignore|(?:mypy|ruff|pylint|sqlfluff):|shellcheck\s|hadolint\s)"
    r"|(?:noqa|nosec|nosemgrep|nosem)\b(?=[:\s,]|$)"
    r"|(?:deno-lint-ignore|squawk-ignore|eslint-disable|@ts-(?:ignore|nocheck|expect-error))"
    r"|pragma:\s*(?:allow|white)list",
    re.IGNORECASE | re.MULTILINE,
)
#: Before an order there is one of these on its line. (Those of TypeScript and SQL that stand in comments of
#: several lines cannot be mistaken for code, and need none.)
_COMMENT = re.compile(r"#|--|//|/\*")
_UNMISTAKABLE = re.compile(r"deno-lint|squawk|eslint|@ts-", re.IGNORECASE)


@dataclass
class Survey:
    """Files of the copy by language; everything in it, of whatever kind, is in `text`. Paths are relative.

    `refused` is configuration that was not read; `unknown` files that no tool but the search for secrets
    looks at.
    """

    by_language: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    text: list[str] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=dict, repr=False)
    refused: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    binary: list[str] = field(default_factory=list)
    suppressions: int = 0
    findings: list[Finding] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def of(self, *languages: str) -> tuple[str, ...]:
        """The files of these languages, in order."""
        return tuple(sorted(path for each in languages for path in self.by_language.get(each, ())))

    @property
    def odoo_modules(self) -> tuple[str, ...]:
        """Folders with a manifest."""
        return tuple(
            str(PurePosixPath(path).parent)
            for path in self.of("python")
            if PurePosixPath(path).name in ("__manifest__.py", "__openerp__.py")
        )

    @property
    def tests(self) -> tuple[str, ...]:
        """What pytest would collect; tests of Odoo modules need Odoo around them and are not among them."""
        modules = self.odoo_modules
        return tuple(
            path
            for path in self.of("python")
            if re.fullmatch(r"test_.*\.py|.*_test\.py", PurePosixPath(path).name)
            and not any(each == "." or path.startswith(f"{each}/") for each in modules)
        )


def survey(source: Path, checked: Path, links: list[str], *, honour: bool) -> Survey:
    """Look at every file below `source` and make the copy."""
    found = Survey()
    checked.mkdir(parents=True, exist_ok=True)
    for each in links:
        found.findings.append(
            finding("link", Level.ERROR, "a link, device or sparse file: it was left out", each)
        )
    for path in _paths(source):
        _take(found, source / path, path, checked, honour=honour)
    # without one, semgrep has a list of its own of what it does not look at, tests/ among it
    (checked / ".semgrepignore").write_text("")
    return found


def _paths(source: Path) -> list[str]:
    found = []
    for folder, _, files in os.walk(source):
        found += [str((Path(folder) / name).relative_to(source)) for name in files]
    return sorted(found)


def _take(found: Survey, file: Path, path: str, checked: Path, *, honour: bool) -> None:
    name = PurePosixPath(path)
    data = file.read_bytes()
    language = _language(name, data)
    if name.suffix.lower() in _COMPILED or (data.startswith(_EXECUTABLE) and not _is_text(data)):
        found.binary.append(path)
        message = "compiled code or an archive: nothing here can look into it"
        found.findings.append(finding("opaque", Level.ERROR, message, path))
        return
    if not _is_text(data):
        found.binary.append(path)
        if language:
            found.findings.append(
                finding("not-text", Level.ERROR, f"a {language} file that is not UTF-8 text", path)
            )
        return
    text = data.decode("utf-8-sig")
    for match in list(_BIDI.finditer(text))[:10]:
        line = text.count("\n", 0, match.start()) + 1
        message = "a character that changes the direction of text: code reads otherwise than it runs"
        found.findings.append(finding("bidirectional", Level.ERROR, message, path, (line, 1)))
    if len(data) > MAX_SOURCE:
        found.problems.append(f"{path} is larger than {MAX_SOURCE} bytes and was not looked at")
        return
    found.text.append(path)
    found.lines[path] = text.split("\n")
    if name.name.lower() in CONFIGURATION:
        found.refused.append(path)
        return
    if language:
        orders = [match for match in _SUPPRESSION.finditer(text) if _is_order(match)]
        found.suppressions += len(orders)
        if not honour:
            text = _without(text, orders)
    target = checked / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8", newline="")
    if language:
        found.by_language[language].append(path)
    else:
        found.unknown.append(path)


def _language(name: PurePosixPath, data: bytes) -> str | None:
    if _DOCKERFILE.fullmatch(name.name):
        return "dockerfile"
    if known := _LANGUAGES.get(name.suffix.lower()):
        return known
    match = _SHEBANG.match(data[:256])
    if match is None:
        return None
    return "python" if match[1].startswith(b"python") else "shell"


def _is_order(match: re.Match[str]) -> bool:
    """Whether it stands in a comment, as far as one line shows."""
    before = match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.start()]
    return bool(_COMMENT.search(before) or _UNMISTAKABLE.match(match[0]))


def _without(text: str, orders: list[re.Match[str]]) -> str:
    """The same text with the first letter of each order replaced: nothing moves, nothing is suppressed."""
    letters = list(text)
    for match in orders:
        letters[match.start()] = "_"
    return "".join(letters)


def _is_text(data: bytes) -> bool:
    if b"\0" in data:
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
