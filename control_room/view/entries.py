"""Entries of knowledge bases: what was found, and one of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from control_room.model import Entry, EntryFound
from control_room.view import theme

_MARK = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)


def found(entries: Sequence[EntryFound]) -> RenderableType:
    if not entries:
        return Text("no entries", style="quiet")
    table = theme.table("entry", "title", "where it stands", "collection", right=("entry",))
    for it in entries:
        table.add_row(
            str(it.entry_id),
            Text(it.title, style="name"),
            _marked(it.snippet),
            Text(it.collection, style="quiet"),
        )
    return table


def whole(entry: Entry) -> RenderableType:
    head = Text.assemble((entry.title, "name"), "  ", (f"{entry.collection} · {entry.key}", "quiet"))
    told = f"run {entry.published_by_run} · {entry.media_type} · {entry.words} words · {entry.classification}"
    return Group(head, Text(told, style="quiet"), Text(), Text(entry.body))


def _marked(snippet: str) -> Text:
    """The words that were looked for stand between two stars each."""
    text = Text()
    end = 0
    flat = " ".join(snippet.split())
    for match in _MARK.finditer(flat):
        text.append(flat[end : match.start()])
        text.append(match[1], style="good")
        end = match.end()
    return text.append(flat[end:])
