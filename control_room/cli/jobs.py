"""`control-room jobs`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from control_room.cli import apply
from control_room.cli.context import Context, Json, Limit, Usage, pairs, value
from control_room.view import figures

app = typer.Typer(no_args_is_help=True)

Number = Annotated[int, typer.Argument(metavar="JOB", help="The job's number.")]


@app.command("ls")
def list_(limit: Limit = 20, json: Json = False) -> None:
    """List jobs, newest first."""
    context = Context(json)
    with context.client() as client:
        page = client.jobs.list(limit=limit)
    context.show_page(page, figures.jobs(page.items))


@app.command()
def show(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Its number or its name.")], json: Json = False
) -> None:
    """Show a job with its tasks."""
    context = Context(json)
    with context.client() as client:
        found = apply.find(client, job)
    context.show(found, figures.job(found))


@app.command("get")
def get(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Its number or its name.")],
    output: Annotated[str, typer.Option("--output", "-o", help="yaml or json.")] = "yaml",
) -> None:
    """Print a job as a document that `control-room apply` takes."""
    if output not in {"yaml", "json"}:
        raise Usage(f"--output {output}: yaml or json")
    apply.export(names=[job], json=output == "json")


@app.command()
def rm(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Its number or its name.")], json: Json = False
) -> None:
    """Delete a job; its runs stay."""
    context = Context(json)
    with context.client() as client:
        found = apply.find(client, job)
        client.jobs.delete(found.job_id)
    context.done("deleted", found.name)


@app.command()
def pause(job: Number, json: Json = False) -> None:
    """Stop a job from starting by itself; it can still be run by hand."""
    context = Context(json)
    with context.client() as client:
        found = client.jobs.pause(job)
    context.show(found, figures.paused(found))


@app.command()
def resume(job: Number, json: Json = False) -> None:
    """Let a job start by itself again, from its next time on."""
    context = Context(json)
    with context.client() as client:
        found = client.jobs.resume(job)
    context.show(found, figures.paused(found))


@app.command()
def schedule(
    job: Number,
    count: Annotated[int, typer.Option(min=1, max=100, help="How many times ahead.")] = 5,
    json: Json = False,
) -> None:
    """Show what starts a job by itself, and when."""
    context = Context(json)
    with context.client() as client:
        found = client.jobs.schedule(job, count=count)
    context.show(found, figures.clock(found))


BackfillId = Annotated[int, typer.Argument(metavar="BACKFILL", help="The backfill's number.")]


@app.command()
def backfill(  # noqa: PLR0917  options of a command, given by name
    job: Number,
    parameter: Annotated[str, typer.Argument(metavar="PARAMETER", help="The parameter that is filled in.")],
    given: Annotated[list[str] | None, typer.Argument(metavar="VALUE…", help="Its values.")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="The first: a number, or a date or time.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="The last.")] = None,
    step: Annotated[str | None, typer.Option(help='1 for numbers, "1 day" for times unless set.')] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", metavar="KEY=VALUE", help="Another parameter.")
    ] = None,
    max_concurrent: Annotated[int | None, typer.Option(help="How many may be under way at once.")] = None,
    json: Json = False,
) -> None:
    """Run a job once for each value of a parameter; asked twice, each value is still run once."""
    context = Context(json)
    if bool(given) == (from_ is not None):
        raise Usage("give either values, or --from and --to", "see control-room jobs backfill --help")
    span: dict[str, Any] = {"from": from_, "to": to, "step": step}
    span = {name: value(text) for name, text in span.items() if text is not None}
    with context.client() as client:
        made = client.jobs.backfill(
            job,
            parameter,
            values=[value(it) for it in given] if given else None,
            range=None if given else span,
            params={key: value(text) for key, text in pairs("--param", param or [], "KEY=VALUE")} or None,
            max_concurrent=max_concurrent,
        )
    context.show(made, figures.backfill(made))
    context.say(f"how it stands: control-room jobs backfills {job} {made.backfill_id}")


@app.command()
def backfills(
    job: Number,
    backfill: Annotated[int | None, typer.Argument(metavar="[BACKFILL]", help="One of them.")] = None,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """List the backfills of a job, or show one with its runs."""
    context = Context(json)
    with context.client() as client:
        if backfill is not None:
            found = client.jobs.get_backfill(job, backfill)
            context.show(found, figures.backfill(found))
            return
        page = client.jobs.backfills(job, limit=limit)
    context.show_page(page, figures.backfills(page.items))


@app.command("cancel-backfill")
def cancel_backfill(job: Number, backfill: BackfillId, json: Json = False) -> None:
    """Cancel every run of a backfill that has not ended."""
    context = Context(json)
    with context.client() as client:
        found = client.jobs.cancel_backfill(job, backfill)
    context.show(found, figures.backfill(found))
