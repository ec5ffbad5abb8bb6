"""A double of the Continue CLI, as far as `cn -p` writes code: the same flags, the same tools, the same ends.

    cn --config FILE [--allow TOOL] [--exclude TOOL] [--rule FILE] -p < prompt

It asks the first model of its configuration, does what the tools say that it is told to call, and ends when
no more are called. One file of the standard library, because it runs inside sandboxes (`dev.model.engine`).
What it must do as the real one does is said by `tests/contract/test_continue.py`, which runs on both.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]
TRIES = 3
PAUSE_SECONDS = 0.3
MOST_TURNS = 50


class Ended(Exception):
    """The model ends the work itself, with this exit code."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def read(filepath: str) -> str:
    """The text of a file."""
    return Path(filepath).read_text("utf-8")


def write(filepath: str, content: str) -> str:
    """A whole file, its folders made."""
    path = Path(filepath)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return f"Successfully created file: {filepath}"


def edit(file_path: str, old_string: str, new_string: str) -> str:
    """One place of a file changed."""
    path = Path(file_path)
    text = path.read_text("utf-8")
    if text.count(old_string) != 1:
        return f"Error: {old_string!r} stands {text.count(old_string)} times in {file_path}"
    path.write_text(text.replace(old_string, new_string), "utf-8")
    return f"Successfully edited {file_path}"


def end(status: int = 0) -> str:
    """The end, with an exit code."""
    raise Ended(status)


TOOLS: dict[str, Callable[..., str]] = {"Read": read, "Write": write, "Edit": edit, "Exit": end}
#: What the real one hides where nobody can be asked, unless it is allowed.
HIDDEN = frozenset({"Write", "Edit"})


def offered(allowed: list[str], excluded: list[str]) -> dict[str, Callable[..., str]]:
    """The tools that the model is told of."""
    hidden = (HIDDEN - set(allowed)) | set(excluded)
    return {name: tool for name, tool in TOOLS.items() if name not in hidden}


def ask(model: JsonObject, messages: list[JsonObject], tools: list[str]) -> tuple[str, list[JsonObject]]:
    """What the model says, and the tools that it calls. Raises OSError when it stays away."""
    body = {
        "model": model["model"],
        "messages": messages,
        "tools": [{"type": "function", "function": {"name": name, "parameters": {}}} for name in tools],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    request = urllib.request.Request(  # noqa: S310 - the address is that of its configuration
        f"{model['apiBase'].rstrip('/')}/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310 - as above
                return heard(json.loads(line[5:]) for line in answer if line.startswith(b"data: {"))
        except urllib.error.HTTPError as error:
            if error.code < 500 or not left:
                raise
        time.sleep(PAUSE_SECONDS)
    raise AssertionError("the last try ends by itself")


def heard(chunks: Iterator[JsonObject]) -> tuple[str, list[JsonObject]]:
    """A streamed answer in one piece."""
    text, calls = "", []
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            text += delta.get("content") or ""
            for piece in delta.get("tool_calls", ()):
                if "id" in piece:
                    calls.append({**piece, "function": {**piece["function"]}})
                else:
                    calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    return text, calls


def call(tools: dict[str, Callable[..., str]], said: JsonObject) -> str:
    """What a tool answers; what it cannot do it says."""
    name = said["function"]["name"]
    if name not in tools:
        return f"Tool {name} not found"
    try:
        return tools[name](**json.loads(said["function"]["arguments"] or "{}"))
    except (OSError, TypeError, ValueError) as error:
        return f"Error: {error}"


def main() -> int:
    """The exit code, as the real one's."""
    parser = argparse.ArgumentParser(prog="cn", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--allow", action="append", default=[])
    parser.add_argument("--exclude", action="append", default=[])
    parser.add_argument("--rule", action="append", default=[], type=Path)
    parser.add_argument("-p", "--print", action="store_true", required=True)
    chosen = parser.parse_args()
    model = json.loads(chosen.config.read_text("utf-8"))["models"][0]
    tools = offered(chosen.allow, chosen.exclude)
    rules = "\n".join(each.read_text("utf-8") for each in chosen.rule)
    messages: list[JsonObject] = [
        {"role": "system", "content": rules},
        {"role": "user", "content": sys.stdin.read()},
    ]
    try:
        for _ in range(MOST_TURNS):
            text, calls = ask(model, messages, list(tools))
            messages.append({"role": "assistant", "content": text, "tool_calls": calls})
            if not calls:
                print(text)
                return 0
            for each in calls:
                messages.append({"role": "tool", "tool_call_id": each["id"], "content": call(tools, each)})
    except Ended as ended:
        return ended.status
    except OSError as error:
        print(json.dumps({"status": "error", "message": str(error)}), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
