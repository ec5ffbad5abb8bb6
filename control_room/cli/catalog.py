"""`control-room catalog`."""

from __future__ import annotations

import json as words
from pathlib import Path
from typing import Annotated, Any

import typer

from control_room.cli.context import Context, Json, Limit, Usage
from control_room.cli.run import finish
from control_room.view import catalog as view

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="main.gold.orders; erp.models.`account.move`.")]


@app.command()
def find(
    *,
    text: Annotated[
        str | None, typer.Argument(metavar="[WORDS]", help='"a phrase", or, -without; the last may be cut.')
    ] = None,
    kind: Annotated[str | None, typer.Option(help="catalog, schema, table, volume or column.")] = None,
    within: Annotated[str | None, typer.Option("--in", help="Only below this object.")] = None,
    layer: Annotated[str | None, typer.Option(help="bronze, silver or gold.")] = None,
    tag: Annotated[str | None, typer.Option(help="name, or name=text.")] = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """Find what is in the catalog, by words or by place."""
    context = Context(json)
    with context.client() as client:
        page = client.catalog.find(text, kind=kind, within=within, layer=layer, tag=tag, limit=limit)
    context.show_page(page, view.found(page.items))


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show an object with all that is known of it."""
    context = Context(json)
    with context.client() as client:
        found = client.catalog.get(name)
    context.show(found, view.whole(found))


@app.command()
def describe(
    name: Name,
    *,
    comment: Annotated[str | None, typer.Option(help="What it is.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="NAME=TEXT; all of its tags.")] = None,
    owner: Annotated[str | None, typer.Option(help="Whose it is (admins).")] = None,
    classification: Annotated[
        str | None, typer.Option("--class", help="internal or confidential (admins).")
    ] = None,
    json: Json = False,
) -> None:
    """Say what an object is; an empty text takes a word back."""
    said: dict[str, Any] = {
        key: value or None
        for key, value in (("comment", comment), ("owner", owner), ("classification", classification))
        if value is not None
    }
    if tag is not None:
        if any("=" not in each for each in tag):
            raise Usage("a tag is NAME=TEXT")
        said["tags"] = dict(each.split("=", 1) for each in tag)
    if not said:
        raise Usage("say something: --comment, --tag, --owner, --class")
    context = Context(json)
    with context.client() as client:
        found = client.catalog.describe(name, **said)
    context.show(found, view.whole(found))


@app.command()
def freshness(
    within: Annotated[str | None, typer.Option("--in", help="Of this schema or table alone.")] = None,
    status: Annotated[str | None, typer.Option(help="pass, warn or error.")] = None,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """Show whether data are as fresh as they have to be; the exit code is 1 where one is not at all."""
    context = Context(json)
    with context.client() as client:
        page = client.catalog.freshness(within, status=status, limit=limit)
    context.show_page(page, view.fresh(page.items))
    if any(it.status == "error" for it in page.items):
        raise typer.Exit(1)


@app.command()
def verdicts(
    run: Annotated[int | None, typer.Option("--run", help="Of this run alone.")] = None,
    table: Annotated[str | None, typer.Option(metavar="LAYER.TABLE", help="Of this table alone.")] = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """Show what publications were found to be, newest first."""
    layer, _, name = (table or "").partition(".")
    if table is not None and not name:
        raise Usage("a table is LAYER.TABLE")
    context = Context(json)
    with context.client() as client:
        page = client.catalog.verdicts(run_id=run, layer=layer or None, table=name or None, limit=limit)
    context.show_page(page, view.verdicts(page.items))


@app.command()
def refresh(
    target: Annotated[str, typer.Argument(metavar="LAYER.TABLE", help="What is to be brought up to date.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="All of it, changed or not.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan alone.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait for the end; exit 0 only on SUCCEEDED.")
    ] = False,
    json: Json = False,
) -> None:
    """Run the jobs that a table is made by and of, as far as something has changed."""
    context = Context(json)
    with context.client() as client:
        found = client.catalog.refresh(target, force=force, dry_run=dry_run)
    if wait and found.run_id is not None:
        if not json:
            context.out.print(view.plan(found))
        finish(context, found.run_id, follow=False)
        return
    context.show(found, view.plan(found))


@app.command()
def sync(json: Json = False) -> None:
    """Bring the catalog up to date with the database."""
    context = Context(json)
    with context.client() as client:
        taken = client.catalog.sync()
    context.show(taken, view.taken(taken))


@app.command()
def ingest(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON: {catalog, schemas} or {catalog, models}.")
    ],
    json: Json = False,
) -> None:
    """Take what another system tells of itself."""
    context = Context(json)
    try:
        document = words.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Usage(f"{file}: {error}") from error
    if not isinstance(document, dict):
        raise Usage(f"{file}: a JSON object is expected")
    with context.client() as client:
        taken = client.catalog.ingest(document)
    context.show(taken, view.taken(taken))
