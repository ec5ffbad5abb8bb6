"""Secrets in any text file: detect-secrets, whose findings are told without the secret."""

from __future__ import annotations

import json
from typing import Any

from ..finding import Heard, Level, finding
from ..tool import Bench, report

#: These go by looks or by the name beside the value; the others know the form of a key.
_LOOKS = ("Base64 High Entropy String", "Hex High Entropy String")
_NAME = "Secret Keyword"

#: Left out: addresses (no secrets), the network (they ask whether a key is valid), comments that allow one,
#: and names of files that would excuse them.
_PROGRAM = """
import json, sys
from detect_secrets import SecretsCollection
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.settings import transient_settings
heuristics = ("is_sequential_string", "is_potential_uuid", "is_likely_id_string", "is_swagger_file",
              "is_templated_secret", "is_prefixed_with_dollar_sign", "is_indirect_reference", "is_lock_file",
              "is_not_alphanumeric_string")
limits = {"Base64HighEntropyString": {"limit": 4.5}, "HexHighEntropyString": {"limit": 3.0}}
names = sorted(c.__name__ for c in get_mapping_from_secret_type_to_class().values())
with transient_settings({
    "plugins_used": [
        {"name": n, **limits.get(n, {})} for n in names if n != "IPPublicDetector"],
    "filters_used": [{"path": f"detect_secrets.filters.heuristic.{h}"} for h in heuristics],
}):
    found = SecretsCollection()
    for path in json.load(open(sys.argv[1])):
        found.scan_file(path)
    print(json.dumps([[path, s.line_number, s.type, s.secret_value] for path, s in found]))
"""


class DetectSecrets:
    """Keys, tokens and passwords."""

    name = "detect-secrets"
    distribution = "detect-secrets"
    uri = "https://github.com/Yelp/detect-secrets"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return tuple(bench.survey.text)

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        # the code as it is: configuration may hold a secret too
        listed = bench.home / "files.json"
        listed.write_text(json.dumps(files))
        argv = (bench.program("python"), "-B", "-E", "-P", "-s", "-c", _PROGRAM, str(listed))
        return parse_secrets(bench, report(bench.run(argv, folder=bench.request.source), 0))


def parse_secrets(bench: Bench, form: Any) -> Heard:
    """Path, line, type and value of each. The value goes no further than to where it is struck out."""
    findings, secrets = [], []
    for path, line, kind, value in form:
        level = Level.WARNING if kind in _LOOKS or (kind == _NAME and _is_word(value)) else Level.ERROR
        rule = "".join(word.capitalize() for word in str(kind).replace("-", " ").split())
        findings.append(
            finding(rule, level, f"what looks like a secret: {kind}", bench.relative(path), (line, 1))
        )
        if isinstance(value, str):
            secrets.append((bench.relative(path), int(line), value))
    return Heard(tuple(findings), secrets=tuple(secrets))


def _is_word(value: object) -> bool:
    """`TOKEN_EXPIRED`, `changeme`: what people write where a password would stand, and what is seldom one."""
    text = str(value)
    return len(text) < 6 or not (any(c.isdigit() for c in text) and any(c.isalpha() for c in text))
