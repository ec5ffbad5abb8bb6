"""What a scripted model says to whom.

A script is a list of parts; the first whose words all stand in the conversation speaks:

    [{"when": ["count the orders", "findings"], "turns": [{"write": {"job.py": "…"}}, {"say": "mended"}]},
     {"turns": [{"status": 503}]}]

One turn for each answer of the model; a turn is over when the tools that it called have answered:

    {"say": "text"}                                    text, and the end of the work
    {"write": {"job.py": "text", …}}                   a call of the tool Write for each file
    {"call": "Bash", "arguments": {"command": "id"}}   a call of any tool
    {"status": 429, "retry_after": 2}                  an answer that is none
    {"hang": 60}                                       silence, in seconds
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]
DONE: JsonObject = {"say": "done"}


@dataclass(frozen=True)
class Part:
    """Turns for conversations that hold all of these words."""

    when: tuple[str, ...]
    turns: tuple[JsonObject, ...]


@dataclass(frozen=True)
class Script:
    """All parts, the first that fits speaks."""

    parts: tuple[Part, ...] = field(default=())

    @classmethod
    def of(cls, said: Sequence[JsonObject]) -> Script:
        """From the form above."""
        return cls(tuple(Part(tuple(each.get("when", ())), tuple(each["turns"])) for each in said))

    @classmethod
    def read(cls, file: Path) -> Script:
        """From a JSON file."""
        return cls.of(json.loads(file.read_text("utf-8")))

    def turn(self, messages: Sequence[JsonObject]) -> JsonObject:
        """What to say next in this conversation."""
        text = "\n".join(_text(each) for each in messages if each.get("role") in ("user", "system"))
        answers = sum(each.get("role") == "tool" for each in messages)
        for part in self.parts:
            if all(word in text for word in part.when):
                return _after(answers, part.turns)
        return DONE


def calls(turn: JsonObject) -> list[tuple[str, JsonObject]]:
    """The tools that a turn calls, with their arguments."""
    made = [("Write", {"filepath": name, "content": text}) for name, text in turn.get("write", {}).items()]
    return [*made, (turn["call"], turn.get("arguments", {}))] if "call" in turn else made


def _after(answers: int, turns: Sequence[JsonObject]) -> JsonObject:
    """The turn that comes after so many answers of tools."""
    for turn in turns:
        called = len(calls(turn))
        if not called or answers < called:
            return turn
        answers -= called
    return DONE


def _text(message: JsonObject) -> str:
    content = message.get("content")
    if isinstance(content, list):  # parts of a message
        return "\n".join(str(each.get("text", "")) for each in content if isinstance(each, dict))
    return str(content or "")
