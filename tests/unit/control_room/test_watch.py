"""A watched run, with a terminal and without."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from control_room import AsyncClient
from control_room.view import theme
from control_room.watch import Watch


def run_of(state: str, percent: float | None = None, message: str | None = None) -> dict[str, Any]:
    progress = {"percent": percent, "message": message}
    task = {"task_run_id": 1, "task_key": "execute", "state": state, "progress": progress, "attempts": []}
    return {"run_id": 7, "state": state, "tasks": [task]}


async def watched(stub: Any, console: Console, *, follow: bool) -> str:
    async with AsyncClient(stub.url, "anon", "token") as client:
        await Watch(console, follow=follow).wait(client, 7)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def answer(stub: Any) -> None:
    for looked in (run_of("QUEUED"), run_of("RUNNING", 40, "joins"), run_of("SUCCEEDED", 100, "done")):
        stub.on("GET", "/runs/7", looked)
    events = 'id: 1\ndata: {"seq":1,"line":"hello [red]\\u001b[2J"}\n\nevent: end\ndata: {}\n\n'
    stub.on("GET", "/runs/7/logs", events.encode())


async def test_without_a_terminal_each_change_is_a_plain_line(stub: Any) -> None:
    answer(stub)

    told = await watched(stub, theme.console(io.StringIO()), follow=True)

    words = [line.split(maxsplit=1)[1] for line in told.splitlines() if "execute" in line]
    assert [" ".join(it.split()) for it in words] == [
        "execute QUEUED",
        "execute RUNNING 40 % joins",
        "execute SUCCEEDED 100 % done",
    ]
    assert "│ hello [red]␛[2J" in told
    assert "\x1b" not in told


async def test_with_a_terminal_there_is_a_bar(stub: Any) -> None:
    answer(stub)
    console = Console(
        file=io.StringIO(), theme=theme.THEME, force_terminal=True, width=100, color_system=None
    )

    told = await watched(stub, console, follow=False)

    assert "execute" in told
    assert "100 %" in told
    assert "━" in told


async def test_a_log_that_one_may_not_read_does_not_end_the_watching(stub: Any) -> None:
    stub.on("GET", "/runs/7", run_of("RUNNING")).on("GET", "/runs/7", run_of("SUCCEEDED"))
    stub.on("GET", "/runs/7/logs", {"code": "ROLE_INSUFFICIENT", "message": "no"}, 403)

    told = await watched(stub, theme.console(io.StringIO()), follow=True)

    assert "the log cannot be followed: ROLE_INSUFFICIENT" in told
    assert "SUCCEEDED" in told
