"""127.0.0.1 → model.sock, then `cn -p` with the prompt on its standard input. Exits as Continue does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path

JOB = Path("/job")
SIDE = JOB / ".control-room"
HOME = Path("/tmp/home")  # noqa: S108 - the sandbox's own
CHUNK = 65_536
#: Writing is what it is for. It runs nothing and fetches nothing.
TOOLS = (
    "--allow",
    "Write",
    "--allow",
    "Edit",
    "--allow",
    "MultiEdit",
    "--exclude",
    "Bash",
    "--exclude",
    "Fetch",
)


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes of one connection, both ways."""
    try:
        there_reader, there_writer = await asyncio.open_unix_connection(str(SIDE / "model.sock"))
    except OSError as error:
        print(f"the way to the model is closed: {error}", file=sys.stderr)
        writer.close()
        return
    await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes of one direction, to their end."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def main() -> int:
    """The exit code of Continue."""
    request = json.loads((SIDE / "request.json").read_text("utf-8"))
    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    (HOME / ".continue").mkdir(parents=True, exist_ok=True)
    config = json.loads((SIDE / "continue.json").read_text("utf-8"))
    for model in config["models"]:
        model["apiBase"] = f"http://127.0.0.1:{port}/"
    # JSON is YAML
    (HOME / "config.yaml").write_text(json.dumps(config), "utf-8")
    with (SIDE / "prompt.md").open("rb") as prompt:
        # -p comes last: what follows it would be taken for the prompt, and standard input not be read
        process = await asyncio.create_subprocess_exec(
            *request["command"],
            "--config",
            str(HOME / "config.yaml"),
            *TOOLS,
            "--rule",
            str(SIDE / "rules.md"),
            "-p",
            cwd=JOB / "code",
            stdin=prompt,
            env={
                "PATH": request["path"],
                "HOME": str(HOME),
                "LANG": "C.UTF-8",
                "TZ": "UTC",
                "CONTINUE_GLOBAL_DIR": str(HOME / ".continue"),
                "CONTINUE_CLI_ENABLE_TELEMETRY": "0",
                "CONTINUE_METRICS_ENABLED": "0",
            },
        )
        return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
