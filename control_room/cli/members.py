"""`control-room members` and `control-room invitations`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from control_room.cli.context import Context, Json, Limit, Yes
from control_room.view import identity as identity_view

app = typer.Typer(no_args_is_help=True)
invitations = typer.Typer(no_args_is_help=True)

User = Annotated[str, typer.Argument(metavar="USER", help="The member's user id, as `members ls` shows it.")]
Role = Annotated[str, typer.Option(help="viewer, operator or admin.")]


@app.command("ls")
def list_(limit: Limit = 100, json: Json = False) -> None:
    """List the members; oidc:… are workflows that are trusted."""
    context = Context(json)
    with context.client() as client:
        page = client.members.list(limit=limit)
    context.show_page(page, identity_view.members(page.items))


@app.command()
def invite(
    *,
    who: Annotated[str, typer.Argument(metavar="WHO", help="An email address, or a user id.")],
    role: Role,
    hours: Annotated[
        int | None, typer.Option(min=1, max=720, help="How long the invitation stands (a week).")
    ] = None,
    json: Json = False,
) -> None:
    """Invite a person (admins). Prints what opens the invitation, this once."""
    context = Context(json)
    named = {"email": who} if "@" in who else {"user_id": who}
    with context.client() as client:
        made = client.invitations.create(role, **named, expires_in_hours=hours)
    context.show(made, Text(made.token or ""))
    if not json:
        context.say(f"for {who} alone, once: control-room invitations accept; it is not shown again")


@app.command("role")
def set_role(
    user: User,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")],
    json: Json = False,
) -> None:
    """Change a member's role (admins); it counts with his next request."""
    context = Context(json)
    with context.client() as client:
        changed = client.members.set_role(user, role)
    context.show(changed, identity_view.members([changed]))


@app.command("rm")
def remove(user: User, yes: Yes = False, json: Json = False) -> None:
    """Remove a member (admins), with his tokens and open invitations."""
    context = Context(json)
    context.confirm(f"Remove {user} and all tokens of his?", yes)
    with context.client() as client:
        client.members.remove(user)
    context.done("removed", user)


@invitations.command("ls")
def list_invitations(limit: Limit = 100, json: Json = False) -> None:
    """List invitations and what became of them (admins)."""
    context = Context(json)
    with context.client() as client:
        page = client.invitations.list(limit=limit)
    context.show_page(page, identity_view.invitations(page.items))


@invitations.command("rm")
def revoke(
    invitation: Annotated[str, typer.Argument(metavar="INVITATION", help="Its id.")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Revoke an invitation that is open (admins)."""
    context = Context(json)
    context.confirm(f"Revoke the invitation {invitation}?", yes)
    with context.client() as client:
        client.invitations.revoke(invitation)
    context.done("revoked", invitation)


@invitations.command()
def accept(
    token: Annotated[
        str | None,
        typer.Argument(
            metavar="[TOKEN]", help="crin_…; unless given, from a prompt, or from standard input."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Become the member that one was invited to be, by one's own JWT (CONTROL_ROOM_TOKEN)."""
    context = Context(json)
    said = token or context.secret("Invitation", "crin_… at the prompt, or < invitation.txt")
    with context.client() as client:
        member = client.invitations.accept(said)
    context.show(member, identity_view.members([member]))
    if not json:
        context.say("sign in again: the next JWT names the tenant")
