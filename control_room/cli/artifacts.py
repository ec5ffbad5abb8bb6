"""`control-room artifacts`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from control_room.cli.desk import Desk, Json, Limit
from control_room.view import ink
from control_room.view import run as run_view

app = typer.Typer(no_args_is_help=True)


@app.command("ls")
def list_(
    name: Annotated[str | None, typer.Option(help="Only the artifact of this name.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="code, sql, diagram, notebook, report, log or data.")
    ] = None,
    run: Annotated[int | None, typer.Option(help="Only what this run made.")] = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List artifacts with their newest version."""
    desk = Desk(json)
    with desk.client() as client:
        page = client.artifacts.list(name=name, kind=kind, run_id=run, limit=limit)
    desk.show_page(page, run_view.artifacts(page.items))


@app.command()
def put(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)],
    name: Annotated[str | None, typer.Option(help="Its name in the registry (the file's name).")] = None,
    kind: Annotated[str, typer.Option(help="code, sql, diagram, notebook, report, log or data.")] = "data",
    description: Annotated[str | None, typer.Option()] = None,
    reuse: Annotated[bool, typer.Option(help="Make no new version of the same bytes.")] = False,
    json: Json = False,
) -> None:
    """Upload a file as a new version and wait until it is checked."""
    desk = Desk(json)
    with desk.client() as client:
        made = client.artifacts.put(file, name=name, kind=kind, description=description, reuse=reuse)
    desk.show(made, run_view.artifacts([made]))


@app.command()
def get(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="Its id or its name.")],
    target: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Where to: a file or a folder."),
    ] = None,
    version: Annotated[int | None, typer.Option(help="The newest READY one, unless given.")] = None,
    json: Json = False,
) -> None:
    """Download an artifact, checked against its sha256."""
    desk = Desk(json)
    with desk.client() as client:
        found = client.artifacts.find(artifact)
        file = Path(found.name).name
        where = Path(file) if target is None else target / file if target.is_dir() else target
        sha256 = client.artifacts.download(found.artifact_id, where, version=version)
    if desk.json:
        ink.print_json(desk.out, {"file": str(where), "artifact_id": found.artifact_id, "sha256": sha256})
    else:
        size = ink.size(where.stat().st_size)
        desk.out.print(Text.assemble((str(where), "name"), f"  {size}  ", (sha256, "quiet")))
