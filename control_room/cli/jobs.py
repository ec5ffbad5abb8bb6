"""`control-room jobs`."""

from __future__ import annotations

from typing import Annotated

import typer

from control_room.cli.desk import Desk, Json, Limit
from control_room.view import figures

app = typer.Typer(no_args_is_help=True)


@app.command("ls")
def list_(limit: Limit = 20, json: Json = False) -> None:
    """List jobs, newest first."""
    desk = Desk(json)
    with desk.client() as client:
        page = client.jobs.list(limit=limit)
    desk.show_page(page, figures.jobs(page.items))


@app.command()
def show(
    job: Annotated[int, typer.Argument(metavar="JOB", help="The job's number.")], json: Json = False
) -> None:
    """Show a job with its tasks."""
    desk = Desk(json)
    with desk.client() as client:
        found = client.jobs.get(job)
    desk.show(found, figures.job(found))
