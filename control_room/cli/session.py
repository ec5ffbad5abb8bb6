"""`control-room login`, `logout`, `whoami`."""

from __future__ import annotations

import os
import re
from typing import Annotated

import typer
from rich.text import Text

from control_room import profiles
from control_room.cli.context import Context, Json, Usage
from control_room.client import Client
from control_room.model import Identity
from control_room.profiles import Profile
from control_room.view import identity as identity_view


def login(
    *,
    url: Annotated[
        str | None, typer.Option(help="The project's address (SUPABASE_URL unless given).")
    ] = None,
    anon_key: Annotated[
        str | None, typer.Option(help="Its publishable key (SUPABASE_ANON_KEY unless given).")
    ] = None,
    workflow: Annotated[
        str | None,
        typer.Option(
            metavar="TENANT", help="In GitHub Actions: by the workflow's own OIDC token; nothing is stored."
        ),
    ] = None,
    role: Annotated[str | None, typer.Option(help="With --workflow: no more than this.")] = None,
    default: Annotated[bool, typer.Option("--default", help="Make it the profile that is used.")] = False,
    json: Json = False,
) -> None:
    """Keep a token for later commands: from a prompt, or from standard input where it is no terminal.

    The token (`cr_…`, made by `control-room tokens create`, or a member's JWT) is tried before it is kept,
    in a file that only its owner reads.
    """
    context = Context(json)
    book = profiles.read()
    name = context.profile() or book.default or "default"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise Usage(f"--profile {name}: a plain name of at most 64 characters")
    known = book.known.get(name)
    address = url or os.environ.get("SUPABASE_URL") or (known.url if known else None)
    key = anon_key or os.environ.get("SUPABASE_ANON_KEY")
    if key is None and known is not None and known.url == address:
        key = known.anon_key
    if not address or not key:
        raise Usage(
            "whom to log in to is not known",
            "control-room login --url https://PROJECT.supabase.co --anon-key KEY (from its settings)",
        )
    address = address.rstrip("/")
    if workflow is not None:
        with Client(address, key, "") as client:
            token = client.tokens.of_workflow(workflow, address, role=role).access_token
        if os.environ.get("GITHUB_ACTIONS") == "true":
            context.err.print(Text(f"::add-mask::{token}"), soft_wrap=True)
    else:
        token = context.secret("Token", "control-room login < token.txt, or at the prompt")
    with Client(address, key, token) as client:
        found = client.whoami()
    kept = book.with_one(name, Profile(address, key, token))
    if default:
        kept = profiles.Profiles(kept.path, name, kept.known)
    kept.save()
    context.show(found, identity_view.whoami(found))
    context.say(f"kept as profile {name} in {kept.path}")
    if name != kept.default:
        context.say(f"use it: control-room --profile {name} …, or CONTROL_ROOM_PROFILE={name}")
    hiding = [it for it in ("SUPABASE_URL", "CONTROL_ROOM_TOKEN") if os.environ.get(it)]
    if hiding:
        context.say(f"{' and '.join(hiding)} in the environment go first, unless you say --profile", "warn")


def logout(
    json: Json = False,
) -> None:
    """Forget the token of a profile. It stays valid: `control-room tokens revoke` ends it."""
    context = Context(json)
    book = profiles.read()
    name = context.profile() or book.default
    if name is None or name not in book.known:
        raise Usage(f"there is nothing to forget: {name or 'no profile'} is not in {book.path}")
    book.without(name).save()
    context.done("forgotten", name)


def whoami(json: Json = False) -> None:
    """Show who one is, in which tenant, as what, and until when."""
    context = Context(json)
    with context.client() as client:
        found: Identity = client.whoami()
    context.show(found, identity_view.whoami(found))
