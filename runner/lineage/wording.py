"""Postgres' words for which sqlglot 30 has no ear, said in words that it understands.

sqlglot keeps what it cannot read as plain text, or refuses the statement. These few forms move data all the
same, or are common in scripts that do; each is replaced in the text by one that moves the same data. What
stands in strings, comments and quoted names is never touched: the work is done on tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import sqlglot

#: Words that carry nothing, wherever they stand: `_` is any one token.
_EMPTY = (
    "overriding system value",
    "overriding user value",
    "where current of _",
    "at local",
)
#: The same, in statements that begin with CREATE.
_EMPTY_IN_CREATE = (
    "on commit drop",
    "on commit delete rows",
    "on commit preserve rows",
    "with check option",
    "with local check option",
    "with cascaded check option",
    "tablespace _",
    "with no data",
    "with data",
)
_SAID_OTHERWISE = {
    "local temporary": "temporary",
    "global temporary": "temporary",
    "local temp": "temp",
    "global temp": "temp",
}

_RECURSIVE_VIEW = re.compile(
    r"^\s*create\s+(or\s+replace\s+)?(?:temp(?:orary)?\s+)?recursive\s+view\s+(?P<name>\S+)\s*"
    r"\((?P<columns>[^()]*)\)\s*as\b(?P<query>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_EXPLAINED = re.compile(
    r"^\s*explain\s*(?:\([^)]*\banalyze\b(?!\s+(?:off|false))[^)]*\)|analyze(?:\s+verbose)?)\s+(?P<statement>\S.*)$",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class _Word:
    text: str  # lower case; of quoted things a text that matches no word
    start: int
    end: int


def understood(text: str, dialect: str) -> str:
    """The statement in words for sqlglot. Other dialects than Postgres' are handed on as they are."""
    if dialect != "postgres":
        return text
    if done := _EXPLAINED.match(text):  # EXPLAIN ANALYZE does what it explains
        return understood(done["statement"], dialect)
    words = list(_words(text, dialect))
    if not words:
        return text
    edits = [(*span, "") for phrase in _EMPTY for span in _spans(words, phrase)]
    edits += [(*span, text[slice(*_inner(words, span))]) for span in _only(words)]
    if words[0].text == "create":
        edits += [(*span, "") for phrase in _EMPTY_IN_CREATE for span in _spans(words, phrase)]
        edits += [
            (*span, said) for phrase, said in _SAID_OTHERWISE.items() for span in _spans(words[:4], phrase)
        ]
        edits += [(*span, "") for span in _view_options(words)]
    if [w.text for w in words[:3]] == ["alter", "materialized", "view"]:
        edits.append((words[1].start, words[2].end, "view"))
    for start, end, said in sorted(edits, reverse=True):
        text = text[:start] + said + text[end:]
    if found := _RECURSIVE_VIEW.match(text):
        name, columns = found["name"], found["columns"]
        bare = name.rsplit(".", 1)[-1]
        recursion = f"with recursive {bare} ({columns}) as ({found['query']})"
        text = f"create view {name} as {recursion} select {columns} from {bare}"  # noqa: S608 - parsed, never run
    return text


def _words(text: str, dialect: str) -> Iterator[_Word]:
    for token in sqlglot.Dialect.get_or_raise(dialect).tokenize(text):
        quoted = token.token_type.name in ("STRING", "IDENTIFIER", "HEREDOC_STRING", "RAW_STRING")
        yield _Word('"' if quoted else token.text.lower(), token.start, token.end + 1)


def _spans(words: list[_Word], phrase: str) -> Iterator[tuple[int, int]]:
    wanted = phrase.split()
    for i in range(len(words) - len(wanted) + 1):
        if all(want in ("_", words[i + n].text) for n, want in enumerate(wanted)):
            yield words[i].start, words[i + len(wanted) - 1].end


def _only(words: list[_Word]) -> Iterator[tuple[int, int]]:
    """ONLY (t), which is ONLY t."""
    for i, word in enumerate(words[:-2]):
        if word.text == "only" and words[i + 1].text == "(":
            for close in range(i + 2, len(words)):
                if words[close].text == ")":
                    yield word.start, words[close].end
                    break


def _inner(words: list[_Word], span: tuple[int, int]) -> tuple[int, int]:
    inside = [w for w in words if span[0] <= w.start and w.end <= span[1]][2:-1]
    return inside[0].start, inside[-1].end


def _view_options(words: list[_Word]) -> Iterator[tuple[int, int]]:
    """CREATE VIEW v WITH (…) AS: how it is read is no matter of where it comes from."""
    before_as = next((i for i, w in enumerate(words) if w.text == "as"), 0)
    if not any(w.text == "view" for w in words[:6]):
        return
    for i in range(before_as - 1):
        if words[i].text == "with" and words[i + 1].text == "(":
            yield words[i].start, words[before_as - 1].end
