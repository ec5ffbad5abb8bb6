"""What applying a file changes, as a diff of documents; and what is wrong with documents, where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from control_room.difference import between
from control_room.document import Fault, Spot, write
from control_room.model import Applied, AppliedJob
from control_room.source import SOURCE_TAG, written
from control_room.view import theme

_SIGNS = {"create": ("+", "good"), "update": ("~", "warn"), "delete": ("-", "bad")}
_STYLES = {"+": "good", "-": "bad", "@": "busy"}
_WORDS = {
    "create": ("created", "to create"),
    "update": ("changed", "to change"),
    "delete": ("deleted", "to delete"),
}


def applied(found: Applied) -> RenderableType:
    parts: list[RenderableType] = []
    for it in found.jobs:
        if it.action != "none":
            parts += [*_changed(it, found.names), Text()]
    return Group(*parts, summary(found))


def summary(found: Applied) -> Text:
    line = Text()
    for action, words in _WORDS.items():
        count = sum(it.action == action for it in found.jobs)
        if count:
            line.append(f"{count} {words[found.dry_run]}, ", style=_SIGNS[action][1])
    same = sum(it.action == "none" for it in found.jobs)
    line.append(
        f"{same} unchanged"
        if found.changes
        else f"no changes: {theme.count(same, 'job is', 'jobs are')} as they shall be"
    )
    return line


def _changed(it: AppliedJob, names: Mapping[int, str]) -> Iterator[RenderableType]:
    sign, style = _SIGNS[it.action]
    number = f"job {it.job_id}  " if it.job_id is not None and it.action != "create" else ""
    version = (
        f"version {it.version}"
        if it.action != "update"
        else f"version {(it.version or 1) - 1} → {it.version}"
    )
    yield Text.assemble((f"{sign} {it.name}", style), (f"  {number}{version}", "quiet"))
    before = _document(it.before, names)
    after = _document(it.after, names)
    if it.action == "update":
        found = between(before.encode(), after.encode())
        for line in found.lines[2:]:
            yield Text(f"  {line}", style=_STYLES.get(line[:1], ""))
        if not found.lines:
            yield Text("  what the server fills in", style="quiet")
        if found.truncated:
            yield Text("  … more is not shown", style="quiet")
        yield from _owner(it)
    elif it.action == "create":
        for line in after.splitlines():
            yield Text(f"  +{line}", style="good")


def _document(definition: dict[str, object] | None, names: Mapping[int, str]) -> str:
    return "" if definition is None else write(written(definition, names))


def _owner(it: AppliedJob) -> Iterator[Text]:
    def source(definition: dict[str, object] | None) -> object:
        tags = (definition or {}).get("tags")
        return tags.get(SOURCE_TAG) if isinstance(tags, dict) else None

    old, new = source(it.before), source(it.after)
    if old != new:
        yield Text(f"  owned by {new or 'nobody'}, before by {old or 'nobody'}", style="warn")


def fault(it: Fault) -> RenderableType:
    path = f"{it.path}  " if it.path else ""
    return Group(
        Text.assemble((f"{it.spot}", "name"), "  ", (path, "quiet"), (it.message, "bad")), *_snippet(it.spot)
    )


def _snippet(spot: Spot) -> Iterator[Text]:
    if not spot.text.strip():
        return
    gutter = f"{spot.line:>6} │ "
    shown = spot.text[:160]
    yield Text.assemble((gutter, "quiet"), shown)
    width = len(shown[spot.column - 1 :].split(":")[0].split(" #")[0].rstrip()) or 1
    yield Text.assemble((" " * 7 + "│ ", "quiet"), (" " * (spot.column - 1) + "^" * width, "bad"))


def place(spot: Spot) -> RenderableType:
    """Where the server's refusal stands in the file."""
    return Group(Text(str(spot), style="name"), *_snippet(spot))
