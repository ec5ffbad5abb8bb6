"""`control-room tokens`."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.text import Text

from control_room.cli.context import Context, Json, Limit, Yes
from control_room.client import Client
from control_room.view import identity as identity_view
from control_room.view import theme

app = typer.Typer(no_args_is_help=True)


@app.command("ls")
def list_(limit: Limit = 100, json: Json = False) -> None:
    """List access tokens, never their text: one's own; admins see all."""
    context = Context(json)
    with context.client() as client:
        page = client.tokens.list(limit=limit)
    context.show_page(page, identity_view.tokens(page.items))


@app.command()
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    role: Annotated[
        str, typer.Option(help="viewer, operator or admin: no more than its work needs.")
    ] = "viewer",
    days: Annotated[int, typer.Option(min=0, max=3650, help="How long it lives; 0 is without end.")] = 90,
    json: Json = False,
) -> None:
    """Make an access token for a machine. Prints it, this once."""
    context = Context(json)
    until = datetime.now(UTC) + timedelta(days=days) if days else None
    with context.client() as client:
        made = client.tokens.create(name, role=role, expires_at=until)
    context.show(made, Text(made.token or ""))
    if not json:
        until_when = theme.when(made.expires_at) or "it is revoked"
        context.say(f"{made.token_id}  {made.role} until {until_when}; its text is not shown again")


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id, not its text.")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Revoke an access token: dead with the next request. One's own; admins any."""
    context = Context(json)
    context.confirm(f"Revoke the access token {token}?", yes)
    with context.client() as client:
        client.tokens.revoke(token)
    context.done("revoked", token)


@app.command()
def workflow(
    *,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Who trusts this workflow: slug or id.")],
    role: Annotated[str | None, typer.Option(help="No more than this.")] = None,
    audience: Annotated[
        str | None, typer.Option(help="The control room's, where it is not SUPABASE_URL.")
    ] = None,
    json: Json = False,
) -> None:
    """In GitHub Actions: print a short token for CONTROL_ROOM_TOKEN, without a stored secret."""
    context = Context(json)
    found = context.envelope(nobody=True)
    with Client(found.url, found.anon_key, found.token) as client:
        short = client.tokens.of_workflow(tenant, audience or found.url.rstrip("/"), role=role)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        # on standard error, which GitHub reads as well: standard output may be on its way into a variable
        context.err.print(Text(f"::add-mask::{short.access_token}"), soft_wrap=True)
    context.show(short, Text(short.access_token, no_wrap=True, overflow="ignore"))
