"""`control-room kb`."""

from __future__ import annotations

from typing import Annotated

import typer

from control_room.cli.context import Context, Json, Limit
from control_room.view import entries

app = typer.Typer(no_args_is_help=True)


@app.command()
def find(
    words: Annotated[
        str | None, typer.Argument(metavar="[WORDS]", help='"a phrase", or, -without; none: the newest.')
    ] = None,
    collection: Annotated[str | None, typer.Option(help="Only this knowledge base.")] = None,
    language: Annotated[str | None, typer.Option(help="How words are bent (english).")] = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """Find entries of knowledge bases by their words."""
    context = Context(json)
    with context.client() as client:
        page = client.entries.find(words, collection=collection, language=language, limit=limit)
    context.show_page(page, entries.found(page.items))


@app.command()
def show(entry_id: Annotated[int, typer.Argument(metavar="ENTRY")], json: Json = False) -> None:
    """Show an entry with its text."""
    context = Context(json)
    with context.client() as client:
        found = client.entries.get(entry_id)
    context.show(found, entries.whole(found))
