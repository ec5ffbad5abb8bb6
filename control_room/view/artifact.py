"""Artifacts on the screen."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from control_room.difference import Difference
from control_room.model import Artifact, ArtifactUsage
from control_room.view import theme

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def artifact(it: Artifact) -> RenderableType:
    aliases: dict[int, list[str]] = {}
    for alias, number in it.aliases.items():
        aliases.setdefault(number, []).append(alias)
    head = Text.assemble((it.name, "name"), f"  {it.kind}, {it.classification}  ", (it.artifact_id, "quiet"))
    lines: list[RenderableType] = [head]
    if it.description:
        lines.append(Text(it.description))
    if it.tags:
        lines.append(
            Text("  ".join(f"{key}={value}" for key, value in sorted(it.tags.items())), style="quiet")
        )
    table = theme.table("no.", "state", "aliases", "size", "sha256", "from", right=("no.", "size"))
    for version in it.versions:
        origins = (version.provenance or {}).get("inputs") or []
        made_from = [f"{each.get('name')} v{each.get('version')}" for each in origins if each.get("name")]
        if version.run_id is not None:
            made_from.insert(0, f"run {version.run_id}")
        gone = f" (bytes gone: {version.gone.get('reason')})" if version.gone else ""
        table.add_row(
            str(version.version),
            Text.assemble(theme.state(version.state), gone),
            Text(", ".join(sorted(aliases.get(version.version, []))), style="name"),
            theme.size(version.size),
            Text((version.sha256 or "")[:10], style="quiet"),
            Text(", ".join(made_from), style="quiet"),
        )
    return Group(*lines, table)


def difference(it: Difference) -> RenderableType:
    if not it.lines:
        return Text("no difference", style="quiet")
    shown = Text()
    for place, line in enumerate(it.lines):
        style = "bold" if place < 2 else _STYLES.get(line[:1], "")
        shown.append(_harmless(line) + "\n", style=style)
    shown.append(f"{it.added} added, {it.removed} removed" + (", more is not shown" if it.truncated else ""))
    return shown


def usage(it: ArtifactUsage) -> RenderableType:
    share = 100 * it.used_bytes / it.max_stored_bytes if it.max_stored_bytes else 100.0
    kept = "until deleted" if it.artifact_retention_days is None else f"for {it.artifact_retention_days} days"
    return Text(
        f"{theme.size(it.used_bytes)} of {theme.size(it.max_stored_bytes)} used ({share:.1f} %), "
        f"{it.contents} contents, kept {kept}"
    )


def _harmless(line: str) -> str:
    """Without what a terminal would obey."""
    return "".join(sign if sign.isprintable() or sign == "\t" else "\ufffd" for sign in line)
