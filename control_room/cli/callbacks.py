"""`control-room callbacks`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from control_room.cli.context import Context, Json, Limit, Usage
from control_room.view import figures, theme

app = typer.Typer(no_args_is_help=True)


@app.command("ls")
def list_(
    run: Annotated[int | None, typer.Option(help="Only those of this run.")] = None,
    state: Annotated[
        str | None, typer.Option(help="PENDING, RUNNING, DELIVERED, DEAD, GONE or MERGED.")
    ] = None,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """List deliveries, newest first."""
    context = Context(json)
    with context.client() as client:
        page = client.deliveries.list(run_id=run, state=state.upper() if state else None, limit=limit)
    context.show_page(page, figures.deliveries(page.items))


@app.command()
def replay(  # noqa: PLR0917 - one option after another
    delivery: Annotated[int | None, typer.Argument(metavar="[DELIVERY]", help="One that has ended.")] = None,
    since: Annotated[str | None, typer.Option(help="All dead ones since then (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option(help="All dead ones before then.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only those of this endpoint.")] = None,
    missing: Annotated[bool, typer.Option(help="All that did not arrive, not only the dead.")] = False,
    json: Json = False,
) -> None:
    """Send again: one delivery, the dead ones of a range, or all that is missing. Event ids stay."""
    context = Context(json)
    ranged = since or until or endpoint or missing or None
    if (delivery is None) == (ranged is None):
        raise Usage(
            "give either a DELIVERY, or a range", "--since 2026-01-31T00:00:00Z replays what died since"
        )
    with context.client() as client:
        if delivery is not None:
            answer = client.deliveries.redeliver(delivery)
        else:
            answer = {
                "replayed": client.deliveries.replay(
                    since=since, until=until, endpoint_id=endpoint, missing=missing
                )
            }
    if context.json:
        theme.print_json(context.out, answer)
    elif delivery is not None:
        context.out.print(f"delivery {delivery} is due again")
    else:
        one = answer["replayed"] == 1
        context.out.print(f"{answer['replayed']} {'delivery is' if one else 'deliveries are'} due again")


@app.command()
def networks(limit: Limit = 100, json: Json = False) -> None:
    """List the private networks that callbacks may reach (admins)."""
    context = Context(json)
    with context.client() as client:
        page = client.networks.list(limit=limit)
    context.show_page(page, figures.networks(page.items))


@app.command()
def allow(
    cidr: Annotated[str, typer.Argument(metavar="CIDR", help="Such as 10.1.0.0/16.")],
    port: Annotated[
        list[int] | None, typer.Option(min=1, max=65535, help="At this port alone; again for more.")
    ] = None,
    json: Json = False,
) -> None:
    """Open a private network to callbacks, within the platform's bounds (admins)."""
    context = Context(json)
    with context.client() as client:
        opened = client.networks.allow(cidr, ports=port or None)
    context.show(opened, figures.networks([opened]))


@app.command()
def close(
    network: Annotated[int, typer.Argument(metavar="NETWORK", help="Its number, as `networks` shows it.")],
    json: Json = False,
) -> None:
    """Close a private network to callbacks again (admins)."""
    context = Context(json)
    with context.client() as client:
        client.networks.close(network)
    context.done("closed", f"network {network}")


Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Its id, as `endpoints` shows it.")]


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where messages are posted to.")],
    event: Annotated[
        list[str] | None,
        typer.Option(
            help="Of every run, such as run.failed; again for more. Else of runs that name the URL."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make an endpoint that is told (admins). `secret` is what it verifies messages with."""
    context = Context(json)
    with context.client() as client:
        made = client.endpoints.create(url, events=event)
    context.show(made, figures.endpoints([made]))


@app.command()
def secret(endpoint: Endpoint, json: Json = False) -> None:
    """Print the secret that an endpoint's messages are signed with (admins)."""
    context = Context(json)
    with context.client() as client:
        found = client.endpoints.secret(endpoint)
    context.show(found, Text(found.secret, no_wrap=True, overflow="ignore"))


@app.command()
def enable(endpoint: Endpoint, json: Json = False) -> None:
    """Take an endpoint back that was spared or disabled, when its receiver is mended (admins)."""
    context = Context(json)
    with context.client() as client:
        taken = client.endpoints.update(endpoint, enabled=True)
    context.show(taken, figures.endpoints([taken]))
    if not json:
        context.say(f"send what was missed: control-room callbacks replay --endpoint {endpoint} --missing")


@app.command()
def endpoints(limit: Limit = 50, json: Json = False) -> None:
    """List who is told."""
    context = Context(json)
    with context.client() as client:
        page = client.endpoints.list(limit=limit)
    context.show_page(page, figures.endpoints(page.items))
