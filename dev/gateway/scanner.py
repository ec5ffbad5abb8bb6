"""A position in a text, and the small words of the query grammar."""

import re

from dev.gateway.terms import Arrow, Field

_NAME = re.compile(r"(?:[\w $]|-(?!>))+")
_KEY = re.compile(r"(?:[^\-:.,()>\"]|-(?!>))+")
_INDEX = re.compile(r"-?\d{1,9}(?=->|::|[.,)]|$)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class Unreadable(Exception):
    """The text stops making sense at `position`."""

    def __init__(self, position: int, wanted: str) -> None:
        super().__init__(wanted)
        self.position = position
        self.wanted = wanted


class Scanner:
    """A position in a text, and the small words of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def ended(self) -> bool:
        return self.at >= len(self.text)

    def peek(self, word: str) -> bool:
        return self.text.startswith(word, self.at)

    def take(self, word: str) -> bool:
        if self.peek(word):
            self.at += len(word)
            return True
        return False

    def need(self, word: str) -> None:
        if not self.take(word):
            raise Unreadable(self.at, f'"{word}"')

    def match(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found.group()

    def blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1

    def end(self) -> None:
        if not self.ended:
            raise Unreadable(self.at, "end of input")

    def quoted(self) -> str | None:
        found = _QUOTED.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return re.sub(r"\\(.)", r"\1", found.group(1), flags=re.DOTALL)

    def name(self) -> str:
        name = self.quoted()
        if name is None:
            name = (self.match(_NAME) or "").strip()
        if not name:
            raise Unreadable(self.at, "field name (* or [a..z0..9_$])")
        return name

    def field(self) -> Field:
        self.blanks()
        name = self.name()
        path: list[tuple[Arrow, str | int]] = []
        while self.peek("->"):
            arrow: Arrow = "->>" if self.take("->>") else "->"
            if arrow == "->":
                self.need("->")
            index = self.match(_INDEX)
            if index is not None:
                path.append((arrow, int(index)))
                continue
            key = self.quoted()
            if key is None:
                key = self.match(_KEY)
            if not key:
                raise Unreadable(self.at, "json key")
            path.append((arrow, key))
        self.blanks()
        return Field(name, tuple(path))
