"""A model of somebody else's Odoo, by its external API.

Nobody outside sees Odoo's open transactions, and what commits late has an old time. So what is newer than
`after` less the overlap is read again: at least once, never not at all, as long as no transaction is open for
longer than the overlap. Whoever merges takes the newest of each id.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from runner.model.collected import Column
from runner.model.errors import Retryable
from runner.model.reading import Reading
from runner.model.termination import TerminationCode
from runner.odoo import records
from runner.odoo.client import Client, Refused
from runner.odoo.records import Field
from runner.odoo.site import Site
from runner.target.source import Extract, too_large, unavailable

#: Odoo's words for types -> the columns'. What is not here is text.
_TYPES = {
    "boolean": "boolean",
    "integer": "bigint",
    "many2one": "bigint",
    "many2one_reference": "bigint",
    "float": "double precision",
    "monetary": "numeric",
    "date": "date",
    "datetime": "timestamptz",
    "one2many": "jsonb",
    "many2many": "jsonb",
    "json": "jsonb",
    "properties": "jsonb",
    "properties_definition": "jsonb",
}


class OdooSource:
    """See `target.source.Source`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def dataset(self, name: str) -> tuple[str, str]:
        """A model of this Odoo."""
        return self._site.namespace, name

    async def read(self, reading: Reading, after: datetime | None, csv: Path, max_bytes: int) -> Extract:
        """See `target.source.Source`. A read that is canceled ends with the page that is under way."""
        canceled = threading.Event()
        try:
            return await asyncio.to_thread(self._read, reading, after, csv, max_bytes, canceled)
        except Refused as error:
            if error.passing:
                raise Retryable(
                    TerminationCode.INPUT_UNAVAILABLE, f"{reading.kind}://{reading.target}: {error}"
                ) from error
            raise unavailable(reading, str(error)) from error
        finally:
            canceled.set()

    def _read(
        self,
        reading: Reading,
        after: datetime | None,
        csv: Path,
        max_bytes: int,
        canceled: threading.Event,
    ) -> Extract:
        client = Client(self._site)
        mark = [reading.watermark] if reading.after and reading.fields else []
        fields = records.fields_of(client, reading.name, (*reading.fields, *mark))
        domain: list[Any] | None = list(reading.domain)
        limit = reading.limit
        if reading.after is not None:
            if all(each.name != reading.watermark for each in fields):
                raise unavailable(reading, f"it has no field {reading.watermark}")
            timeline = records.Timeline(client, reading.name, reading.domain, reading.watermark)
            window = timeline.window(after, reading.overlap, limit)
            domain = None if window is None else [*reading.domain, *window.domain]
            limit = None  # the window has been made for it
        rows = 0
        with csv.open("w", encoding="utf-8", newline="") as file:
            file.write(_line([each.name for each in fields]))
            if domain is not None:
                for page in records.pages(
                    client, reading.name, fields, domain, limit=limit, going_on=lambda: not canceled.is_set()
                ):
                    rows += len(page)
                    _write(file, fields, page)
                    if file.tell() > max_bytes:
                        raise too_large(reading, max_bytes)
        return Extract(rows, tuple(Column(each.name, _TYPES.get(each.type, "text")) for each in fields))


def _write(file: IO[str], fields: Sequence[Field], page: Sequence[records.Record]) -> None:
    for record in page:
        file.write(_line([_cell(each.type, record.get(each.name)) for each in fields]))


def _line(cells: Sequence[str | None]) -> str:
    """A line of Postgres' CSV: nothing at all is NULL, and a text is always quoted."""
    return ",".join("" if each is None else _quoted(each) for each in cells) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\0", "").replace('"', '""') + '"'


def _cell(kind: str, value: Any) -> str | None:
    """Odoo says `false` for what is empty, and [id, name] for a record that is pointed at."""
    if kind == "boolean":
        return "true" if value else "false"
    if value is False or value is None:
        return None
    match _TYPES.get(kind, "text"):
        case "jsonb":
            return json.dumps(value, default=str, ensure_ascii=False)
        case "bigint" if isinstance(value, list):
            return str(value[0]) if value else None
        case "timestamptz":
            return f"{value}+00"
        case _:
            return str(value)
