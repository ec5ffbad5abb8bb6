"""`control-room slo` and `control-room health`."""

from __future__ import annotations

from typing import Annotated

import typer

from control_room.cli.context import EXIT_NOT_SUCCEEDED, Context, Json
from control_room.view import figures


def slo(
    window: Annotated[int, typer.Option(min=1, max=8760, help="Hours to look back.")] = 24, json: Json = False
) -> None:
    """Show the success figures beside their targets."""
    context = Context(json)
    with context.client() as client:
        found = client.slo(window_hours=window)
    context.show(found, figures.slo(found))


def health(json: Json = False) -> None:
    """Show whether the doors and the runners are there; exits 1 if not all is well."""
    context = Context(json)
    with context.client() as client:
        found = client.health()
    context.show(found, figures.health(found))
    if found.status != "ok":
        raise typer.Exit(EXIT_NOT_SUCCEEDED)
