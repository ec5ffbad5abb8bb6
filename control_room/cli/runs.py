"""`control-room runs`."""

from __future__ import annotations

import sys
from typing import Annotated, cast

import typer
from rich.text import Text

from control_room.cli.context import Context, Json, Limit, RunId, pairs, value
from control_room.cli.run import finish
from control_room.model import LogLine, State
from control_room.view import run as run_view

Wait = Annotated[bool, typer.Option("--wait", "-w", help="Wait for the end; exit 0 only on SUCCEEDED.")]

app = typer.Typer(no_args_is_help=True)


@app.command("ls")
def list_(
    state: Annotated[str | None, typer.Option(help="QUEUED, RUNNING, SUCCEEDED, FAILED …")] = None,
    type_: Annotated[str | None, typer.Option("--type", "-t", help="Only this job type.")] = None,
    job: Annotated[int | None, typer.Option(help="Only runs of this job.")] = None,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    context = Context(json)
    wanted = cast(State, state.upper()) if state else None  # the server says which states there are
    with context.client() as client:
        page = client.runs.list(state=wanted, job_type=type_, job_id=job, limit=limit)
    context.show_page(page, run_view.summaries(page.items))


@app.command()
def show(
    run: RunId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Watch it to its end; exit 0 only on SUCCEEDED.")
    ] = False,
    json: Json = False,
) -> None:
    """Show a run with its tasks, tables and artifacts."""
    context = Context(json)
    if follow:
        finish(context, run, follow=True)
        return
    with context.client() as client:
        found = client.runs.get(run)
    context.show(found, run_view.detail(found))


@app.command()
def logs(
    run: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    task: Annotated[str | None, typer.Option(help="Only this task's lines.")] = None,
    after: Annotated[int, typer.Option(help="Only what comes after this seq.")] = 0,
    json: Json = False,
) -> None:
    """Print a run's log: its lines on standard output as they are."""
    context = Context(json)
    with context.client() as client:
        if follow:
            for line in client.runs.follow(run, after=after, task_key=task):
                _print(context, line)
        else:
            for line in client.runs.logs(run, after=after, task_key=task):
                _print(context, line)


def _print(context: Context, line: LogLine) -> None:
    if context.json:
        sys.stdout.write(line.model_dump_json(exclude_unset=True) + "\n")
    elif context.out.is_terminal:
        style = {"stdout": "none", "stderr": "warn", "system": "quiet"}[line.stream]
        context.out.print(Text(line.line, style=style), soft_wrap=True)
    else:
        sys.stdout.write(line.line + "\n")
    sys.stdout.flush()


@app.command()
def cancel(run: RunId, json: Json = False) -> None:
    """Stop a run: what waits ends at once, what runs is stopped."""
    context = Context(json)
    with context.client() as client:
        found = client.runs.cancel(run)
    context.show(found, run_view.headline(found))


@app.command()
def repair(  # noqa: PLR0917  options of a command, given by name
    run: RunId,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="This task, instead of all failed.")
    ] = None,
    alone: Annotated[bool, typer.Option(help="Without the tasks that come after.")] = False,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", metavar="KEY=VALUE")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait for the end; exit 0 only on SUCCEEDED.")
    ] = False,
    json: Json = False,
) -> None:
    """Do again, in the same run, what did not succeed, and what comes after it."""
    context = Context(json)
    with context.client() as client:
        made = client.runs.repair(
            run,
            tasks=task,
            dependents=False if alone else None,
            params={key: value(text) for key, text in pairs("--param", param or [], "KEY=VALUE")} or None,
        )
    if wait:
        context.say(f"repair {made.number}: {', '.join(made.tasks)}")
        finish(context, run, follow=False)
        return
    context.show(made, Text.assemble((f"repair {made.number}", "name"), f"  {', '.join(made.tasks)}"))


@app.command()
def rerun(
    run: RunId,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="TASK", help="Take over what is not after this task.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait for the end; exit 0 only on SUCCEEDED.")
    ] = False,
    json: Json = False,
) -> None:
    """Run the same version with the same parameters again: a new run, whole or from a task on."""
    context = Context(json)
    with context.client() as client:
        made = client.runs.rerun(run, from_task=from_)
    if wait:
        context.say(f"run {made.run_id}")
        finish(context, made.run_id, follow=False)
        return
    context.show(made, Text.assemble((f"run {made.run_id}", "name"), f"  {made.state}"))


@app.command()
def events(run: RunId, after: int = 0, json: Json = False) -> None:
    """List what a run announced, by seq: what a receiver missed stands here."""
    context = Context(json)
    with context.client() as client:
        page = client.runs.events(run, after=after)
    context.show(page, run_view.events(page.items))
