"""The commands, and what becomes of errors."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import Annotated

import typer

from control_room.cli import (
    apply,
    artifacts,
    callbacks,
    catalog,
    doctor,
    figures,
    jobs,
    kb,
    lineage,
    members,
    run,
    runs,
    session,
    tokens,
    trusts,
)
from control_room.cli.context import (
    CHOSEN,
    EXIT_INTERRUPTED,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    Context,
    exit_code,
)
from control_room.errors import ControlRoomError

HELP = """Submit runs, watch them, and see what came of them.

Whom to ask, and as whom: `control-room login` keeps it in a profile; SUPABASE_URL, SUPABASE_ANON_KEY and
CONTROL_ROOM_TOKEN in the environment go first.
Results go to standard output, everything else to standard error; --json prints what the server said.
NO_COLOR takes the colours away.
"""

EPILOG = """Exit codes: 0 success · 1 the run did not succeed (or did not end in time) · 2 wrong usage ·
3 refused by the server · 4 the server cannot be reached or failed · 130 interrupted (the run goes on)."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"control-room {metadata.version('control-room')}")
        raise typer.Exit


app = typer.Typer(
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def before(
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The profile to use (else CONTROL_ROOM_PROFILE, else the default)."
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Say which version this is.")
    ] = False,
) -> None:
    """What stands before the command."""
    CHOSEN.set(profile)


app.command("login", rich_help_panel="Yourself")(session.login)
app.command("logout", rich_help_panel="Yourself")(session.logout)
app.command("whoami", rich_help_panel="Yourself")(session.whoami)
app.command("run", epilog=EPILOG)(run.run)
app.command("apply", rich_help_panel="Jobs as code")(apply.apply)
app.command("export", rich_help_panel="Jobs as code")(apply.export)
app.command("schema", rich_help_panel="Jobs as code")(apply.schema)
app.add_typer(runs.app, name="runs", help="See runs, their logs, and stop them.")
app.add_typer(jobs.app, name="jobs", help="See jobs: definitions that are run again and again.")
app.add_typer(artifacts.app, name="artifacts", help="Put, get and list files.")
app.add_typer(catalog.app, name="catalog", help="Find tables, columns and files; say what they are.")
app.add_typer(kb.app, name="kb", help="Find what knowledge bases hold.")
app.add_typer(lineage.app, name="lineage", help="What came from what.")
app.add_typer(callbacks.app, name="callbacks", help="What was announced, to whom, and what became of it.")
app.add_typer(members.app, name="members", help="Who is in, and as what.", rich_help_panel="Who comes in")
app.add_typer(
    members.invitations, name="invitations", help="Who is asked to come in.", rich_help_panel="Who comes in"
)
app.add_typer(
    trusts.app,
    name="trusts",
    help="Workflows that come in without a stored secret.",
    rich_help_panel="Who comes in",
)
app.add_typer(tokens.app, name="tokens", help="Access tokens for machines.", rich_help_panel="Who comes in")
app.command("slo", rich_help_panel="How it goes")(figures.slo)
app.command("health", rich_help_panel="How it goes")(figures.health)
app.command("doctor", rich_help_panel="How it goes")(doctor.doctor)


def main() -> None:
    """Entry point; exits with the codes of EPILOG."""
    try:
        app(prog_name="control-room")
    except ControlRoomError as error:
        Context().complain(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # `control-room runs ls | head`: the reader has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


__all__ = ["EXIT_UNREACHABLE", "EXIT_USAGE", "app", "main"]
