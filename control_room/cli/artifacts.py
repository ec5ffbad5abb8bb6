"""`control-room artifacts`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from control_room.cli.context import Context, Json, Limit
from control_room.view import artifact as artifact_view
from control_room.view import run as run_view
from control_room.view import theme

app = typer.Typer(no_args_is_help=True)


@app.command("ls")
def list_(
    *,
    name: Annotated[str | None, typer.Option(help="Only the artifact of this name.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="code, sql, diagram, notebook, report, log or data.")
    ] = None,
    run: Annotated[int | None, typer.Option(help="Only what this run made.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag: KEY or KEY=VALUE.")] = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List artifacts with their newest version."""
    context = Context(json)
    with context.client() as client:
        page = client.artifacts.list(name=name, kind=kind, run_id=run, tag=tag, limit=limit)
    context.show_page(page, run_view.artifacts(page.items))


@app.command()
def put(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)],
    name: Annotated[str | None, typer.Option(help="Its name in the registry (the file's name).")] = None,
    kind: Annotated[str, typer.Option(help="code, sql, diagram, notebook, report, log or data.")] = "data",
    description: Annotated[str | None, typer.Option()] = None,
    classification: Annotated[
        str | None, typer.Option("--class", help="internal (every member reads the bytes) or confidential.")
    ] = None,
    made_from: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="ARTIFACT", help="What it was made from, for the lineage."),
    ] = None,
    reuse: Annotated[bool, typer.Option(help="Make no new version of the same bytes.")] = False,
    json: Json = False,
) -> None:
    """Upload a file as a new version and wait until it is checked."""
    context = Context(json)
    with context.client() as client:
        origins = [{"artifact_id": client.artifacts.find(each).artifact_id} for each in made_from or []]
        made = client.artifacts.put(
            file,
            name=name,
            kind=kind,
            description=description,
            classification=classification,
            made_from=origins,
            reuse=reuse,
        )
    context.show(made, run_view.artifacts([made]))


@app.command()
def get(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="Its id or its name.")],
    target: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Where to: a file or a folder."),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="A number or an alias; the newest READY one, unless given.")
    ] = None,
    json: Json = False,
) -> None:
    """Download an artifact, checked against its sha256."""
    context = Context(json)
    with context.client() as client:
        found = client.artifacts.find(artifact)
        file = Path(found.name).name
        where = Path(file) if target is None else target / file if target.is_dir() else target
        sha256 = client.artifacts.download(found.artifact_id, where, version=version)
    if context.json:
        theme.print_json(
            context.out, {"file": str(where), "artifact_id": found.artifact_id, "sha256": sha256}
        )
    else:
        size = theme.size(where.stat().st_size)
        context.out.print(Text.assemble((str(where), "name"), f"  {size}  ", (sha256, "quiet")))


@app.command()
def show(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="Its id or its name.")],
    json: Json = False,
) -> None:
    """Show an artifact: aliases, tags, versions and what they were made from."""
    context = Context(json)
    with context.client() as client:
        found = client.artifacts.find(artifact)
    context.show(found, artifact_view.artifact(found))


@app.command()
def alias(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="Its id or its name.")],
    moves: Annotated[
        list[str],
        typer.Argument(metavar="ALIAS=VERSION…", help="`champion=3`, or `champion=` to take it away."),
    ],
    was: Annotated[
        int | None, typer.Option(help="Only if it points to this version now (0: to none).")
    ] = None,
    json: Json = False,
) -> None:
    """Point aliases to versions: all of them at once, or none."""
    context = Context(json)
    wanted: dict[str, object] = {}
    for name, value in map(_pair, moves):
        if value and not value.isdecimal():
            raise typer.BadParameter(f"{name}={value}: a version is a whole number")
        to = int(value) if value else None
        wanted[name] = to if was is None else {"version": to, "was": was or None}
    with context.client() as client:
        found = client.artifacts.find(artifact)
        changed = client.artifacts.update(found.artifact_id, aliases=wanted)
    context.show(changed, artifact_view.artifact(changed))


@app.command()
def tag(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="Its id or its name.")],
    tags: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE…", help="`team=risk`, or `team=` to take it away."),
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is.")] = None,
    classification: Annotated[
        str | None, typer.Option("--class", help="internal (every member reads the bytes) or confidential.")
    ] = None,
    json: Json = False,
) -> None:
    """Set tags, description and classification."""
    context = Context(json)
    changes: dict[str, object] = {}
    if tags:
        changes["tags"] = {key: value or None for key, value in map(_pair, tags)}
    if description is not None:
        changes["description"] = description or None
    if classification is not None:
        changes["classification"] = classification
    with context.client() as client:
        found = client.artifacts.find(artifact)
        changed = client.artifacts.update(found.artifact_id, **changes)
    context.show(changed, artifact_view.artifact(changed))


@app.command()
def diff(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="Its id or its name.")],
    old: Annotated[str, typer.Argument(metavar="OLD", help="A version or an alias.")],
    new: Annotated[
        str | None, typer.Argument(metavar="[NEW]", help="The newest READY version unless given.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what changed between two versions of a text."""
    context = Context(json)
    with context.client() as client:
        found = client.artifacts.diff(artifact, old, new)
    if context.json:
        theme.print_json(context.out, asdict(found))
    else:
        context.out.print(artifact_view.difference(found))


@app.command()
def preview(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="Its id or its name.")],
    target: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to: NAME.html here unless given.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="A number or an alias; the newest READY one, unless given.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a text, a drawing, a picture or a notebook as a page that can do nothing."""
    context = Context(json)
    with context.client() as client:
        found = client.artifacts.preview(artifact, version)
        name = Path(client.artifacts.find(artifact).name).name
    where = target or Path(f"{name}.html")
    where.write_text(found.page)
    if context.json:
        theme.print_json(context.out, {"file": str(where), "form": found.form, "truncated": found.truncated})
    else:
        context.out.print(Text.assemble((str(where), "name"), f"  {found.form}"))


@app.command()
def usage(json: Json = False) -> None:
    """Show how much of the quota is used."""
    context = Context(json)
    with context.client() as client:
        found = client.artifacts.usage()
    context.show(found, artifact_view.usage(found))


@app.command()
def rm(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="Its id or its name.")],
    json: Json = False,
) -> None:
    """Delete an artifact (admins): the record and the lineage stay, the bytes go after a week."""
    context = Context(json)
    with context.client() as client:
        found = client.artifacts.find(artifact)
        client.artifacts.delete(found.artifact_id)
    context.done("deleted", found.name)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} has no =")
    return name, value
