"""What was submitted → what the harness and the workflow are asked, the same for both."""

from __future__ import annotations

import re
from typing import Any

from runner.model.attempt import Attempt
from runner.model.errors import Permanent
from runner.model.termination import TerminationCode

LANGUAGES = frozenset(
    (
        "simple", "danish", "dutch", "english", "finnish", "french", "german", "hungarian", "italian",
        "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "turkish",
    )
)  # fmt: skip
CLASSES = frozenset(("internal", "confidential"))
MAX_KEY = 512
_SLUG = re.compile(r"[a-z][a-z0-9_]{0,40}")
_ODOO = ("url", "database", "secret", "model")


def of(attempt: Attempt) -> dict[str, Any]:
    """`request.json`. Raises Permanent(INVALID_CODE) for what makes no sense."""
    params = attempt.params
    documents = [*_inputs(attempt), *_texts(params), *_files(attempt)]
    records = _odoo(attempt)
    if not documents and not records:
        raise _invalid("there are no documents: send inputs, params.documents or params.odoo")
    collection(attempt)
    _choice(params, "mode", frozenset(("merge", "replace")), "merge")
    return {
        "documents": documents,
        "odoo": records,
        "language": _choice(params, "language", LANGUAGES, "english"),
        "classification": _choice(params, "classification", CLASSES, "internal"),
    }


def collection(attempt: Attempt) -> str:
    """The knowledge base that the entries go to; the database reads it from the same place."""
    name = attempt.params.get("collection", "documents")
    if not isinstance(name, str) or not _SLUG.fullmatch(name):
        raise _invalid("params.collection must be a plain lower-case name")
    return name


def _inputs(attempt: Attempt) -> list[dict[str, Any]]:
    columns = attempt.params.get("columns", {})
    if not isinstance(columns, dict) or not all(isinstance(each, str) for each in columns.values()):
        raise _invalid("params.columns must be an object of names of columns")
    return [
        {"key": each.name, "table": each.name, "columns": columns}
        if each.is_table
        else {"key": (each.artifact_name or each.name)[:MAX_KEY], "input": each.name}
        for each in attempt.inputs
    ]


def _texts(params: dict[str, Any]) -> list[dict[str, Any]]:
    given = params.get("documents", [])
    if not isinstance(given, list):
        raise _invalid("params.documents must be a list")
    texts = []
    for number, each in enumerate(given):
        if not isinstance(each, dict) or not isinstance(each.get("text"), str):
            raise _invalid(f"params.documents[{number}] must be an object with a text")
        key = each.get("key", each.get("title", f"document-{number + 1}"))
        if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY:
            raise _invalid(f"params.documents[{number}].key must be 1 to {MAX_KEY} characters")
        texts.append({**each, "key": key})
    return texts


def _files(attempt: Attempt) -> list[dict[str, Any]]:
    files = attempt.code.files if attempt.code is not None else None
    return [{"key": name, "text": text} for name, text in (files or {}).items()]


def _odoo(attempt: Attempt) -> list[dict[str, Any]]:
    given = attempt.params.get("odoo", [])
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise _invalid("params.odoo must be a list of objects")
    for number, each in enumerate(given):
        for name in _ODOO:
            if not isinstance(each.get(name), str) or not each[name]:
                raise _invalid(f"params.odoo[{number}].{name} is missing")
        if each["secret"] not in attempt.secrets:
            raise _invalid(f"params.odoo[{number}].secret must be one of the job's secrets")
    return given


def _choice(params: dict[str, Any], name: str, choices: frozenset[str], default: str) -> str:
    value = params.get(name, default)
    if value not in choices:
        raise _invalid(f"params.{name} must be one of {', '.join(sorted(choices))}")
    return str(value)


def _invalid(message: str) -> Permanent:
    return Permanent(TerminationCode.INVALID_CODE, message)
