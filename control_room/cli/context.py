"""What every command has at hand: the two consoles, the clients, and words for errors."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from control_room.async_client import AsyncClient
from control_room.client import Client
from control_room.document import DocumentInvalid
from control_room.envelope import Envelope
from control_room.errors import ApiError, ArtifactRefused, ControlRoomError, NotInTime, Unreachable
from control_room.model import Page, Word
from control_room.view import plan, theme

#: The profile that stands after --profile, before the command.
CHOSEN: ContextVar[str | None] = ContextVar("profile", default=None)

EXIT_NOT_SUCCEEDED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_UNREACHABLE = 4
EXIT_INTERRUPTED = 130

Json = Annotated[bool, typer.Option("--json", help="Print what the server said, for programs.")]
RunId = Annotated[int, typer.Argument(metavar="RUN", help="The run's number.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many at most.")]


class Usage(ControlRoomError):
    """The command line itself is wrong."""


@dataclass
class Context:
    json: bool = False
    out: Console = field(default_factory=theme.console)
    err: Console = field(default_factory=lambda: theme.console(stderr=True))

    def profile(self) -> str | None:
        """The profile that was asked for: by --profile or CONTROL_ROOM_PROFILE."""
        return CHOSEN.get() or os.environ.get("CONTROL_ROOM_PROFILE") or None

    def envelope(self, *, nobody: bool = False) -> Envelope:
        return Envelope.of_environment(nobody=nobody, profile=CHOSEN.get())

    def client(self) -> Client:
        found = self.envelope()
        return Client(found.url, found.anon_key, found.token)

    def async_client(self) -> AsyncClient:
        found = self.envelope()
        return AsyncClient(found.url, found.anon_key, found.token)

    def show(self, word: Word, shown: RenderableType) -> None:
        """The word itself for programs, or what people see of it."""
        if self.json:
            theme.print_json(self.out, word.raw())
        else:
            self.out.print(shown)

    def show_page(self, page: Page[Any], shown: RenderableType) -> None:
        self.show(page, shown)
        if page.next is not None and not self.json:
            self.say("there are more: --limit shows up to 1000")

    def confirm(self, question: str, yes: bool) -> None:
        """Asks before what cannot be taken back. Raises Usage where nobody can be asked, Abort on a no."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise Usage("this cannot be taken back, and nobody can be asked here", "say --yes")
        typer.confirm(question, abort=True, err=True)

    def secret(self, what: str, mend: str) -> str:
        """From a prompt, or from standard input where it is no terminal: arguments are seen by everybody on
        the machine, and kept by the shell. Raises Usage where there is none."""
        said = getpass.getpass(f"{what}: ") if sys.stdin.isatty() else sys.stdin.read()
        said = said.strip()
        if not said or any(it.isspace() for it in said):
            raise Usage(f"no {what.lower()} was given", mend)
        return said

    def done(self, what: str, thing: str, **said: object) -> None:
        """One line for what has no answer: `deleted  report.csv`."""
        if self.json:
            theme.print_json(self.out, {what: thing, **said})
        else:
            self.out.print(Text.assemble(f"{what}  ", (thing, "name")))

    def say(self, text: str, style: str = "quiet") -> None:
        self.err.print(Text(text, style=style))

    def complain(self, error: ControlRoomError) -> None:
        if isinstance(error, DocumentInvalid):
            for it in error.faults:
                self.err.print(plan.fault(it), soft_wrap=True)
        lines: list[Text] = [Text.assemble(("error ", "bad"), str(error) or type(error).__name__)]
        if isinstance(error, ApiError) and error.status == 401:
            lines.append(
                Text.assemble(("mend  ", "warn"), "control-room login, or another CONTROL_ROOM_TOKEN")
            )
        elif error.hint:
            lines.append(Text.assemble(("mend  ", "warn"), error.hint))
        for line in lines:
            self.err.print(line, soft_wrap=True)


def exit_code(error: ControlRoomError) -> int:
    match error:
        case Unreachable():
            return EXIT_UNREACHABLE
        case ApiError() if error.status >= 500:
            return EXIT_UNREACHABLE
        case ApiError() | ArtifactRefused():
            return EXIT_REFUSED
        case NotInTime():
            return EXIT_NOT_SUCCEEDED
        case _:
            return EXIT_USAGE


def pairs(option: str, given: Sequence[str], form: str) -> list[tuple[str, str]]:
    """`name=value` options. Raises Usage."""
    found = []
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise Usage(f"{option} {text}: not of the form {form}", f"write {option} {form}")
        found.append((name, value))
    return found


def value(text: str) -> object:
    """JSON where it is JSON (numbers, true, lists …), else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
