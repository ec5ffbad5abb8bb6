"""`control-room doctor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from control_room.cli.context import EXIT_NOT_SUCCEEDED, Context, Json
from control_room.doctor import Doctor
from control_room.errors import ControlRoomError
from control_room.view import doctor as view
from control_room.view import theme

_MIGRATIONS = Path("supabase/migrations")


def doctor(
    *,
    database_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="CONTROL_ROOM_DOCTOR_DATABASE_URL",
            help="Look inside as well: the project's database, as postgres. Best in the variable: "
            "arguments are seen by everybody on the machine.",
        ),
    ] = None,
    migrations: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="The migrations it should have (supabase/migrations, where it is there)."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 for a warning, too.")] = False,
    json: Json = False,
) -> None:
    """Check a project: doors, clocks, tokens, runners, and with --database-url its database from inside."""
    context = Context(json)
    try:
        envelope = context.envelope()
    except ControlRoomError:
        envelope = context.envelope(nobody=True)  # where there is no token, the doors can be looked at
    folder = migrations or (_MIGRATIONS if _MIGRATIONS.is_dir() else None)
    found = []
    for it in Doctor(envelope, database_url, folder).findings():
        found.append(it)
        if not json:
            context.out.print(view.line(it))
    if json:
        theme.print_json(context.out, [asdict(it) for it in found])
    else:
        context.out.print()
        context.out.print(view.summary(found))
    bad = {"fail", "warn"} if strict else {"fail"}
    if any(it.state in bad for it in found):
        raise typer.Exit(EXIT_NOT_SUCCEEDED)
