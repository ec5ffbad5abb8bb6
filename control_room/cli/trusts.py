"""`control-room trusts`."""

from __future__ import annotations

from typing import Annotated

import typer

from control_room.cli.context import Context, Json, Limit, Yes
from control_room.view import identity as identity_view

app = typer.Typer(no_args_is_help=True)


@app.command("ls")
def list_(limit: Limit = 100, json: Json = False) -> None:
    """List the workflows that are trusted (admins)."""
    context = Context(json)
    with context.client() as client:
        page = client.trusts.list(limit=limit)
    context.show_page(page, identity_view.trusts(page.items))


@app.command()
def add(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the trust is called here.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The repository, in full.")],
    role: Annotated[str, typer.Option(help="viewer, operator or admin: no more than its work needs.")],
    ref: Annotated[
        str | None, typer.Option(help="refs/heads/main, refs/tags/v*, or * for any; this or --environment.")
    ] = None,
    environment: Annotated[str | None, typer.Option(help="The environment that the job runs in.")] = None,
    repository_id: Annotated[
        str | None, typer.Option(help="The repository's number: who takes its name later is not trusted.")
    ] = None,
    pull_requests: Annotated[bool, typer.Option(help="Also workflows of pull requests.")] = False,
    seconds: Annotated[
        int | None, typer.Option(min=60, max=3600, help="How long its tokens live (900).")
    ] = None,
    issuer: Annotated[
        str | None, typer.Option(help="GitHub.com's, unless the control room is set to another.")
    ] = None,
    json: Json = False,
) -> None:
    """Let the workflows of a repository in, without a stored secret (admins)."""
    context = Context(json)
    with context.client() as client:
        made = client.trusts.create(
            name,
            repository=repository,
            role=role,
            ref=ref,
            environment=environment,
            repository_id=repository_id,
            pull_requests=pull_requests or None,
            token_seconds=seconds,
            issuer=issuer,
        )
    context.show(made, identity_view.trusts([made]))


@app.command("rm")
def delete(
    trust: Annotated[str, typer.Argument(metavar="TRUST", help="Its id.")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take a trust away (admins), and every token that it gave."""
    context = Context(json)
    context.confirm(f"Take the trust {trust} and its tokens away?", yes)
    with context.client() as client:
        client.trusts.delete(trust)
    context.done("removed", trust)
