"""`control-room run`: submit, and wait if asked to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from control_room.cli.apply import find
from control_room.cli.context import EXIT_INTERRUPTED, EXIT_NOT_SUCCEEDED, Context, Json, pairs, value
from control_room.cli.submission import code_of, input_of, inputs_of_files, output_of, spec_of, takes_code
from control_room.client import Client
from control_room.model import Run
from control_room.view import run as run_view
from control_room.watch import Watch


def run(
    *,
    type_: Annotated[
        str | None,
        typer.Option(
            "--type", "-t", metavar="TYPE", help="Job type: spark_etl, code_validation, diagram_export …"
        ),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE…", help="The code (entry job.py, else the only .py); folders are walked."
        ),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option(
            "--job", metavar="JOB", help="Run this job (its number or name) instead of a one-time submission."
        ),
    ] = None,
    spec: Annotated[
        str | None,
        typer.Option(help="What the run is for; @FILE reads it. Default: the code's docstring."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for lists and lineage.")] = None,
    engine: Annotated[str | None, typer.Option(help="spark_etl: duckdb (default) or spark.")] = None,
    executors: Annotated[int | None, typer.Option(help="Of Spark, each in a pod of its own.")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", metavar="KEY=VALUE")] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option(
            "--input", "-i", metavar="NAME=WHAT", help="WHAT: a file, an artifact's id, or <layer>.<table>."
        ),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="NAME[:LAYER.TABLE][:KIND][:append|:merge=COLUMN,…]",
            help="With a table it is published there, else it becomes an artifact of KIND.",
        ),
    ] = None,
    secret: Annotated[list[str] | None, typer.Option(help="A granted secret's name.")] = None,
    network: Annotated[bool, typer.Option(help="Ask for network access (must be granted).")] = False,
    on_complete: Annotated[str | None, typer.Option(metavar="URL")] = None,
    on_fail: Annotated[str | None, typer.Option(metavar="URL")] = None,
    on_progress: Annotated[str | None, typer.Option(metavar="URL")] = None,
    timeout: Annotated[int | None, typer.Option(help="Seconds for each attempt (600).")] = None,
    run_timeout: Annotated[int | None, typer.Option(help="Seconds for the whole run (none).")] = None,
    retries: Annotated[int | None, typer.Option(help="Retries after a failed attempt (3).")] = None,
    priority: Annotated[int | None, typer.Option(help="-100 to 100.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Submitted twice, it is one run.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait for the end; exit 0 only on SUCCEEDED.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait, and show the log.")] = False,
    wait_seconds: Annotated[
        float | None, typer.Option(help="Stop waiting after so long; the run goes on.")
    ] = None,
    json: Json = False,
) -> None:
    """Submit a run of FILE…, and with --wait see it through."""
    context = Context(json)
    if (type_ is None) == (job is None):
        raise typer.BadParameter("give either --type with files, or --job", param_hint="--type")
    with context.client() as client:
        submission: dict[str, Any]
        if job is not None:
            submission = {"job_id": int(job) if job.isdecimal() else find(client, job).job_id}
        else:
            assert type_ is not None
            submission = {"job_type": type_, **_what(context, client, type_, files or [], input_ or [])}
            submission["spec"] = spec_of(spec, type_, files or [])
        submission |= _present(
            name=name,
            engine=engine,
            executors=executors,
            params={key: value(text) for key, text in pairs("--param", param or [], "KEY=VALUE")} or None,
            outputs=[output_of(it) for it in output or []] or None,
            secrets=secret or None,
            network=network or None,
            callbacks=_present(on_complete=on_complete, on_fail=on_fail, on_progress=on_progress) or None,
            timeout_seconds=timeout,
            run_timeout_seconds=run_timeout,
            max_retries=retries,
            priority=priority,
            idempotency_key=idempotency_key,
        )
        submitted = client.runs.submit(submission)
    if not wait and not follow:
        context.show(submitted, Text.assemble((f"run {submitted.run_id}", "name"), f"  {submitted.state}"))
        context.say(f"follow it: control-room runs show {submitted.run_id} --follow")
        return
    context.say(f"run {submitted.run_id}")
    finish(context, submitted.run_id, follow=follow, wait_seconds=wait_seconds)


def finish(context: Context, run_id: int, *, follow: bool, wait_seconds: float | None = None) -> None:
    """Watches a run to its end, shows what came of it, and exits 1 unless it SUCCEEDED."""
    try:
        ended = asyncio.run(_watched(context, run_id, follow=follow, wait_seconds=wait_seconds))
    except KeyboardInterrupt:
        context.say(f"run {run_id} goes on; come back: control-room runs show {run_id} --follow", "warn")
        context.say(f"or stop it: control-room runs cancel {run_id}")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if context.err.is_terminal:
        context.err.print()
    context.show(ended, run_view.detail(ended))
    if not ended.succeeded:
        raise typer.Exit(EXIT_NOT_SUCCEEDED)


async def _watched(context: Context, run_id: int, *, follow: bool, wait_seconds: float | None) -> Run:
    async with context.async_client() as client:
        return await Watch(context.err, follow=follow).wait(client, run_id, wait_seconds)


def _what(
    context: Context, client: Client, type_: str, files: list[Path], inputs: list[str]
) -> dict[str, Any]:
    """Code and inputs; local files go up as artifacts first."""
    asked = [input_of(name, what) for name, what in pairs("--input", inputs, "NAME=WHAT")]
    code = None
    if takes_code(type_):
        code = code_of(files)
    else:
        asked += inputs_of_files(files)
    made = []
    for it in asked:
        if it.path is not None:
            uploaded = client.artifacts.put(it.path, reuse=True)
            context.say(f"{it.path} is artifact {uploaded.artifact_id} version {uploaded.version}")
            made.append({"name": it.name, "artifact_id": uploaded.artifact_id, "version": uploaded.version})
        else:
            made.append({"name": it.name, **it.reference})
    return _present(code=code, inputs=made or None)


def _present(**values: Any) -> dict[str, Any]:
    return {name: it for name, it in values.items() if it is not None}
