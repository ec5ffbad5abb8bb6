"""The loop from an editor: a server of the Model Context Protocol, over standard input and output.

    python -m control_room.mcp      SUPABASE_URL, SUPABASE_ANON_KEY, CONTROL_ROOM_TOKEN in its environment

What the agent of an editor (Continue's, or any other that speaks MCP) may ask for is what the token may do,
by the same doors as everybody's. See docs/loop.md for the editor's side of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

try:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
except ImportError:
    sys.exit("control_room.mcp needs the package mcp: pip install 'control-room[mcp]'")
from pydantic import Field

from control_room.async_client import AsyncClient
from control_room.errors import ControlRoomError, NotInTime
from control_room.model import JsonObject, Run

INSTRUCTIONS = """\
Control Room runs jobs. Submit a specification in words (`submit`): code is written for it, validated, and
executed in a sandbox; or send the code along in `files`, with job.py as the entry. Then `wait`, and look at
the logs, artifacts (report.sarif says what validation found), tables and lineage of the run. A run that
FAILED says why in termination_code and termination_message.
"""
#: What an agent is told of a run and of a task: not its code, which it can read as artifacts.
RUN = (
    *("run_id", "name", "job_type", "state", "termination_code", "termination_message"),
    *("queue_reason", "progress", "tables", "url"),
)
TASK = (
    *("task_key", "job_type", "state", "termination_code", "termination_message"),
    *("queue_reason", "depends_on", "values", "round", "rounds"),
)
MAX_TEXT = 256 * 1024
LOG_LINES = 200

RunId = Annotated[int, Field(description="the run's number, as submit gives it")]

server = MCPServer(
    "control-room", instructions=INSTRUCTIONS, version=version("control-room"), log_level="WARNING"
)


@contextlib.asynccontextmanager
async def _room() -> AsyncIterator[AsyncClient]:
    """A client of the environment; what the server refuses is told with its code and its mend."""
    try:
        async with AsyncClient.from_environment() as client:
            yield client
    except ControlRoomError as error:
        raise ToolError(f"{error}. {error.hint}" if error.hint else str(error)) from error


@server.tool()
async def submit(  # noqa: PLR0917 - called by name
    spec: Annotated[str, Field(description="what the run is for, in a sentence or more")],
    job_type: Annotated[
        str, Field(description="spark_etl, schema_migration, code_validation, diagram_export or kb_catalog")
    ] = "spark_etl",
    files: Annotated[
        dict[str, str] | None, Field(description="code by file name; absent: written from the spec")
    ] = None,
    inputs: Annotated[
        list[JsonObject] | None,
        Field(
            description='[{"name", "artifact_id"}] or [{"name", "table": "silver.orders"}] or '
            '[{"name", "uri": "odoo://<target>/<model>"}]'
        ),
    ] = None,
    outputs: Annotated[
        list[JsonObject] | None, Field(description='[{"name", "layer": "gold", "table": "by_country"}]')
    ] = None,
    params: Annotated[JsonObject | None, Field(description="what the code finds in /job/params.json")] = None,
    more: Annotated[
        JsonObject | None,
        Field(
            description="other fields of POST /api/v1/jobs/run: generation, validation, secrets, callbacks …"
        ),
    ] = None,
) -> JsonObject:
    """Submit a run: {run_id, state, url}."""
    said: JsonObject = {
        "spec": spec,
        "job_type": job_type,
        "inputs": inputs,
        "outputs": outputs,
        "params": params,
    }
    said["code"] = {"files": files} if files else None
    said = {name: it for name, it in said.items() if it is not None} | (more or {})
    async with _room() as client:
        return (await client.runs.submit(said)).raw()


@server.tool()
async def get_run(run_id: RunId) -> JsonObject:
    """How a run stands: its state, its tasks with their attempts, what they say and why they wait."""
    async with _room() as client:
        return _told(await client.runs.get(run_id))


@server.tool()
async def wait(
    run_id: RunId,
    seconds: Annotated[float, Field(description="how long at most", ge=0, le=600)] = 60,
) -> JsonObject:
    """Wait until a run has ended, or for so long; how it stands then. final says whether it has ended."""
    async with _room() as client:
        with contextlib.suppress(NotInTime):
            return _told(await client.runs.wait(run_id, timeout=seconds))
        return _told(await client.runs.get(run_id))


@server.tool()
async def read_logs(
    run_id: RunId,
    after: Annotated[int, Field(description="only lines after this seq")] = 0,
    task_key: Annotated[str | None, Field(description="only of this task, e.g. execute")] = None,
) -> JsonObject:
    """Log lines of a run, 200 at a time: {lines, next}; go on with after=next."""
    async with _room() as client:
        lines = await client.runs.logs(run_id, after=after, limit=LOG_LINES, task_key=task_key)
    told = [f"{each.seq} {each.task_key} {each.stream}: {each.line}" for each in lines]
    return {"lines": told, "next": lines[-1].seq if lines else after}


@server.tool()
async def list_artifacts(run_id: RunId) -> list[JsonObject]:
    """What a run has left behind: code, prompts, reports, data, each with its artifact_id and version."""
    async with _room() as client:
        return [each.raw() for each in (await client.runs.get(run_id)).artifacts]


@server.tool()
async def read_artifact(
    artifact_id: Annotated[str, Field(description="as list_artifacts gives it")],
    artifact_version: Annotated[int | None, Field(description="the newest unless given")] = None,
) -> str:
    """The text of an artifact, up to 256 KiB."""
    async with _room() as client:
        with tempfile.TemporaryDirectory(prefix="control-room-") as folder:
            file = Path(folder) / "bytes"
            await client.artifacts.download(artifact_id, file, version=artifact_version)
            data = await asyncio.to_thread(file.read_bytes)
    try:
        text = data[:MAX_TEXT].decode("utf-8", "strict" if len(data) <= MAX_TEXT else "ignore")
    except UnicodeDecodeError:
        raise ToolError(f"artifact {artifact_id} is no text ({len(data)} bytes)") from None
    return text if len(data) <= MAX_TEXT else f"{text}\n[the first {MAX_TEXT} of {len(data)} bytes]"


@server.tool()
async def read_table(
    layer: Annotated[str, Field(description="bronze, silver or gold")],
    table: str,
    limit: Annotated[int, Field(ge=1, le=1000)] = 20,
) -> JsonObject:
    """Rows of a table that runs have published."""
    async with _room() as client:
        return (await client.tables.read(layer, table, limit=limit)).raw()


@server.tool()
async def lineage(
    run_id: Annotated[int | None, Field(description="what this run read and wrote")] = None,
    dataset: Annotated[str | None, Field(description="or from this dataset, e.g. gold.by_country")] = None,
    depth: Annotated[int, Field(ge=1, le=20)] = 3,
) -> JsonObject:
    """Where data comes from and goes to: {graph: [{id, type, inEdges, outEdges}]}."""
    if (run_id is None) == (dataset is None):
        raise ToolError("name either run_id or dataset")
    async with _room() as client:
        if run_id is not None:
            return (await client.lineage.of_run(run_id)).raw()
        node = await client.lineage.find(str(dataset))
        return (await client.lineage.graph(node, depth=depth)).raw()


@server.tool()
async def cancel(run_id: RunId) -> JsonObject:
    """Cancel a run; how it stands then."""
    async with _room() as client:
        return _told(await client.runs.cancel(run_id))


@server.tool()
async def repair(
    run_id: RunId,
    tasks: Annotated[
        list[str] | None, Field(description="do these again; all that failed unless given")
    ] = None,
) -> JsonObject:
    """Do what failed in a run again, in the same run, and what comes after it."""
    async with _room() as client:
        return (await client.runs.repair(run_id, tasks=tasks, dependents=True if tasks else None)).raw()


def _told(run: Run) -> JsonObject:
    said = run.raw()
    tasks = [
        {name: each[name] for name in TASK if each.get(name) is not None}
        | {"attempts": len(each.get("attempts") or ())}
        for each in said.get("tasks") or ()
    ]
    return {**{name: said.get(name) for name in RUN}, "final": run.final, "tasks": tasks}


if __name__ == "__main__":
    server.run("stdio")
