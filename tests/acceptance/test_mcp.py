"""The server of the Model Context Protocol, as an editor starts it: spoken to by the official client over stdio."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from dev.stack.state import CLONE
from tests.acceptance.rescue.conftest import Room, room, stack_folder

__all__ = ["room", "stack_folder"]  # fixtures

ORDERS = b"country,orders\nNL,2\nBE,1\n"
JOB = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
frame = spark.read.option("header", True).csv("/job/inputs/orders")
frame.write.mode("overwrite").parquet("/job/outputs/out")
print("two countries")
"""


@asynccontextmanager
async def editor(room: Room, token: str) -> AsyncIterator[Client]:
    """An editor that has started the server."""
    environment = {
        "SUPABASE_URL": room.environment["SUPABASE_URL"],
        "SUPABASE_ANON_KEY": room.environment["SUPABASE_ANON_KEY"],
        "CONTROL_ROOM_TOKEN": token,
    }
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "control_room.mcp"], env=environment, cwd=str(CLONE)
    )
    async with Client(server, read_timeout_seconds=120) as client:
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """What a tool answers, read from its text."""
    answer = await client.call_tool(tool, arguments)
    text = [part.text for part in answer.content]  # type: ignore[union-attr]  # all of ours are texts
    assert not answer.is_error, text
    return [json.loads(each) for each in text] if len(text) > 1 else _read(text[0])


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


async def test_an_editor_submits_watches_and_reads_over_stdio(room: Room) -> None:
    room.start_runner()
    content = base64.b64encode(ORDERS).decode()
    body = {
        "name": "orders.csv",
        "kind": "data",
        "size": len(ORDERS),
        "content": content,
        "encoding": "base64",
    }
    artifact = room.ask("POST", "/artifacts", json=body)["artifact_id"]
    ready = "select version from artifact.versions where artifact_id = %s and state = 'READY'"
    room.until("the upload is judged", lambda: room.query(ready, artifact))
    async with editor(room, room.tokens["operator"]) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        submitted = await call(
            client,
            "submit",
            spec="Two countries and their orders, for the test of the editor.",
            files={"job.py": JOB},
            inputs=[{"name": "orders", "artifact_id": artifact}],
            outputs=[{"name": "out", "layer": "gold", "table": "of_the_editor"}],
        )
        run = await call(client, "wait", run_id=submitted["run_id"], seconds=90)
        logs = await call(client, "read_logs", run_id=submitted["run_id"], task_key="execute")
        text = await call(client, "read_artifact", artifact_id=artifact)
        rows = await call(client, "read_table", layer="gold", table="of_the_editor")
        flow = await call(client, "lineage", run_id=submitted["run_id"])
        graph = await call(client, "lineage", dataset="gold.of_the_editor", depth=1)

    assert {
        "submit",
        "get_run",
        "wait",
        "read_logs",
        "list_artifacts",
        "read_artifact",
        "lineage",
    } <= tools.keys()
    assert "spec" in tools["submit"].input_schema["required"]
    assert (run["state"], run["final"], [task["task_key"] for task in run["tasks"]]) == (
        "SUCCEEDED",
        True,
        ["execute"],
    )
    assert any("two countries" in line for line in logs["lines"])
    assert text.strip() == ORDERS.decode().strip()
    assert "NL" in json.dumps(rows)
    for said in (flow, graph):
        assert any("gold.of_the_editor" in node["id"] for node in said["graph"]), said


@pytest.mark.parametrize(("token", "words"), [("cr_nobody", "TOKEN_INVALID"), ("operator", "RUN_NOT_FOUND")])
async def test_what_is_refused_is_told_with_its_code(room: Room, token: str, words: str) -> None:
    async with editor(room, room.tokens.get(token, token)) as client:
        answer = await client.call_tool("get_run", {"run_id": 999_999})

    assert answer.is_error
    assert words in answer.content[0].text  # type: ignore[union-attr]  # all of ours are texts
