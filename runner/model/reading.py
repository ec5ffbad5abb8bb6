"""What an attempt reads from a target, past the sandbox: an input's `uri` with its `read`.

    {"name": "partners", "uri": "odoo://erp/res.partner",
     "read": {"fields": ["name", "email"], "domain": [["is_company", "=", true]], "after": "bronze.partners"}}

The target's name is granted to the tenant; its address and its key are the runner's. Without `after` all of
it is read; with it, what is newer than that table has (see docs/adr/035-odoo.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from runner.model.attempt import Input
from runner.model.errors import Permanent
from runner.model.termination import TerminationCode

URI = re.compile(r"(odoo|postgres)://([A-Za-z0-9_.-]{1,128})/([A-Za-z_][A-Za-z0-9_.]{0,511})")
#: How much is read again, against transactions that were open while the last one read: their times are those
#: of their beginnings. Odoo's workers end what takes longer than two minutes, unless they are told otherwise.
OVERLAP_SECONDS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`name` is a model of Odoo or `schema.table`; `domain` is in Odoo's words, and only for it."""

    kind: str
    target: str
    name: str
    fields: tuple[str, ...] = ()
    domain: tuple[Any, ...] = ()
    after: str | None = None
    watermark: str = "write_date"
    overlap: timedelta = timedelta(seconds=OVERLAP_SECONDS)
    limit: int | None = None


def of(each: Input) -> Reading:
    """What an input with a URI asks for. Raises Permanent(INPUT_UNAVAILABLE)."""
    match = URI.fullmatch(each.uri or "")
    if match is None:
        raise Permanent(
            TerminationCode.INPUT_UNAVAILABLE, f"input {each.name}: its uri names nothing that is read"
        )
    said = each.read or {}
    return Reading(
        kind=match[1],
        target=match[2],
        name=match[3],
        fields=tuple(said.get("fields") or ()),
        domain=tuple(said.get("domain") or ()),
        after=said.get("after"),
        watermark=said.get("watermark") or "write_date",
        overlap=timedelta(seconds=said.get("overlap_seconds", OVERLAP_SECONDS)),
        limit=said.get("limit"),
    )
