"""`control-room apply`, `export` and `schema`: jobs as code."""

from __future__ import annotations

import json as words
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from control_room import definition, document, source
from control_room.cli.context import Context, Json, Usage
from control_room.client import Client
from control_room.document import Written
from control_room.errors import ApiError, ControlRoomError
from control_room.model import Job, JsonObject
from control_room.view import plan as plan_view
from control_room.view import theme

#: As `terraform plan -detailed-exitcode` has it.
EXIT_ERROR, EXIT_CHANGES = 1, 2

Source = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Who owns the jobs (unless a document says it): only it changes and prunes them."
    ),
]


def apply(
    *,
    files: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", metavar="PATH", help="A document, a folder of them, or - (often)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    source: Source = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete the source's jobs that stand in no document any more.")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over jobs that belong to another source.")
    ] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="0: no changes, 1: an error, 2: changes.")
    ] = False,
    json: Json = False,
) -> None:
    """Make jobs as documents say: what differs is changed, all of it or nothing."""
    context = Context(json)
    try:
        changes = _apply(context, files or [], dry_run=dry_run, source_=source, prune=prune, adopt=adopt)
    except ControlRoomError as error:
        if not detailed_exitcode:
            raise
        context.complain(error)
        raise typer.Exit(EXIT_ERROR) from error
    if detailed_exitcode and changes:
        raise typer.Exit(EXIT_CHANGES)


def _apply(
    context: Context, files: Sequence[Path], *, dry_run: bool, source_: str | None, prune: bool, adopt: bool
) -> int:
    if not files:
        raise Usage("nothing to apply", "name documents: control-room apply -f jobs.yaml")
    stdin = sys.stdin.read() if any(str(it) == "-" for it in files) else None
    gathered = document.gathered(files, stdin)
    folders = {id(it): folder for folder, found in gathered for it in found}
    jobs, named = document.jobs_of([it for _, found in gathered for it in found])
    if not jobs and not any(isinstance(it.value, dict) for _, found in gathered for it in found):
        raise Usage(
            "the documents hold no jobs", "to delete all of a source: jobs: [] in a document, with --prune"
        )
    definitions = [source.sent(it, folders[id(it.document)]) for it in jobs]
    with context.client() as client, _placed(context, jobs):
        found = client.jobs.apply(
            definitions, source=source_ or named, prune=prune, adopt=adopt, dry_run=dry_run
        )
    context.show(found, plan_view.applied(found))
    return found.changes


@contextmanager
def _placed(context: Context, jobs: Sequence[Written]) -> Iterator[None]:
    """A refusal of the server, and where in the documents it belongs."""
    try:
        yield
    except ApiError as error:
        steps = document.steps_of(error.details or "") or ()
        match steps:
            case ("jobs", int(place), *rest) if place < len(jobs):
                context.err.print(plan_view.place(jobs[place].spot(tuple(rest))))
        raise


def export(
    *,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[JOB…]", help="Names or numbers; all jobs unless given.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--source", metavar="NAME", help="Only what this source has applied.")
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option("--directory", "-d", help="A document for each job there, its code in files beside it."),
    ] = None,
    json: Json = False,
) -> None:
    """Write jobs as documents that `apply` takes: applied again, they change nothing."""
    context = Context(json)
    with context.client() as client:
        known = {it.job_id: it.name for it in _all(client)}
        chosen = (
            [find(client, it).job_id for it in names] if names else sorted(known, key=lambda it: known[it])
        )
        found = [client.jobs.get(it) for it in chosen]
    if owner is not None:
        found = [it for it in found if (it.raw().get("tags") or {}).get(source.SOURCE_TAG) == owner]
    jobs = [written(it, known) for it in found]
    if directory is not None:
        _lay_out(context, jobs, directory)
    elif json:
        theme.print_json(context.out, {"jobs": jobs})
    else:
        sys.stdout.write("---\n".join(document.write(it) for it in jobs))


def written(job: Job, names: dict[int, str]) -> JsonObject:
    raw = job.raw()
    if "parameters" not in raw:
        raise ControlRoomError("a viewer does not see what a job does", "export with an operator's token")
    return source.written(raw, names)


def _lay_out(context: Context, jobs: Sequence[JsonObject], directory: Path) -> None:
    for job in jobs:
        stem = str(job["name"]).replace(" ", "-")
        made, files = source.laid_out(job, stem)
        for name, text in {f"{stem}.yaml": document.write(made), **files}.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        context.say(str(directory / f"{stem}.yaml"))


def _all(client: Client) -> Iterator[Job]:
    cursor: str | int | None = None
    while True:
        page = client.jobs.list(limit=1000, cursor=cursor)
        yield from page.items
        if page.next is None:
            return
        cursor = page.next


def find(client: Client, name_or_number: str) -> Job:
    """A job as people name it. Raises Usage where there is none."""
    if name_or_number.isdecimal():
        return client.jobs.get(int(name_or_number))
    found = client.jobs.list(name=name_or_number).items
    if not found:
        raise Usage(f"there is no job {name_or_number}", "control-room jobs ls lists them")
    return client.jobs.get(found[0].job_id)


def schema() -> None:
    """Print the JSON Schema of job documents, for editors: control-room schema > jobs.schema.json."""
    sys.stdout.write(words.dumps(definition.schema(), indent=2, ensure_ascii=False) + "\n")
