"""Lineage: what came from what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from control_room.errors import ApiError
from control_room.model import (
    Coverage,
    Direction,
    Graph,
    Impact,
    JsonObject,
    LineageDiff,
    LineageEvent,
    LineagePath,
    Orphan,
    Page,
    Violation,
)
from control_room.talk import Ask, Talk, ask_json, ask_word, query
from control_room.talks.tokens import data_bearer


def graph(
    node: str,
    direction: Direction = "both",
    depth: int = 5,
    as_of: datetime | str | None = None,
    max_nodes: int | None = None,
) -> Talk[Graph]:
    """From `dataset:{namespace}:{name}` or `job:{namespace}:{name}`; depth counts dataset hops."""
    asked = query(nodeId=node, direction=direction, depth=depth, as_of=_when(as_of), max_nodes=max_nodes)
    return (yield from ask_word(Graph, Ask("GET", "/lineage", query=asked, repeatable=True)))


def columns(
    node: str, depth: int = 5, direction: Direction | None = None, as_of: datetime | str | None = None
) -> Talk[Graph]:
    """Where the columns of a dataset come from, or go to; nodes of type DATASET_FIELD."""
    asked = query(nodeId=node, depth=depth, direction=direction, as_of=_when(as_of))
    return (yield from ask_word(Graph, Ask("GET", "/column-lineage", query=asked, repeatable=True)))


def path(source: str, target: str, as_of: datetime | str | None = None) -> Talk[LineagePath]:
    """A shortest way from one dataset to another, along the flow."""
    asked = query(source=source, target=target, as_of=_when(as_of))
    return (yield from ask_word(LineagePath, Ask("GET", "/lineage/path", query=asked, repeatable=True)))


def impact(node: str, column: str | None = None, as_of: datetime | str | None = None) -> Talk[Impact]:
    """What a change of a dataset reaches, or of one of its columns."""
    if column is not None:
        node = f"datasetField:{node.removeprefix('dataset:')}:{column}"
    asked = query(nodeId=node, as_of=_when(as_of))
    return (yield from ask_word(Impact, Ask("GET", "/lineage/impact", query=asked, repeatable=True)))


def diff(node: str, since: datetime | str, until: datetime | str | None = None) -> Talk[LineageDiff]:
    """Which flows round a dataset came and went between two times."""
    asked = query(nodeId=node, to=_when(until)) | query(**{"from": _when(since)})
    return (yield from ask_word(LineageDiff, Ask("GET", "/lineage/diff", query=asked, repeatable=True)))


def coverage(window_hours: int | None = None, limit: int | None = None) -> Talk[Coverage]:
    """What is declared or was seen to flow, and what of it the graph lacks."""
    asked = query(window_hours=window_hours, limit=limit)
    return (yield from ask_word(Coverage, Ask("GET", "/lineage/coverage", query=asked, repeatable=True)))


def events(narrowed: Mapping[str, Any]) -> Talk[Page[LineageEvent]]:
    """OpenLineage events as they came, newest first."""
    asked = query(**{key: _when(it) if isinstance(it, datetime) else it for key, it in narrowed.items()})
    return (
        yield from ask_word(Page[LineageEvent], Ask("GET", "/lineage/events", query=asked, repeatable=True))
    )


def orphans(limit: int | None = None, cursor: str | int | None = None) -> Talk[Page[Orphan]]:
    """Datasets that no live edge touches."""
    asked = query(limit=limit, cursor=cursor)
    return (yield from ask_word(Page[Orphan], Ask("GET", "/lineage/orphans", query=asked, repeatable=True)))


def violations(limit: int | None = None, cursor: str | int | None = None) -> Talk[Page[Violation]]:
    """Live edges that break a layer rule."""
    asked = query(limit=limit, cursor=cursor)
    return (
        yield from ask_word(Page[Violation], Ask("GET", "/lineage/violations", query=asked, repeatable=True))
    )


def of_run(run_id: int) -> Talk[Graph]:
    """What a run read and wrote, with `columns`."""
    return (yield from ask_word(Graph, Ask("GET", f"/runs/{run_id}/lineage", repeatable=True)))


def ingest(events: Sequence[Mapping[str, Any]]) -> Talk[JsonObject]:
    """OpenLineage events; a replay changes nothing, so it may be sent again."""
    answer: JsonObject = yield from ask_json(
        Ask("POST", "/lineage/batch", body=list(events), repeatable=True)
    )
    return answer


def find(name: str, token: str) -> Talk[str]:
    """The node id of a dataset by its bare name, e.g. `gold.delays`; a full node id is given back as it is.

    Raises ApiError NODE_NOT_FOUND, or NODE_AMBIGUOUS where several namespaces have the name.
    """
    if name.startswith(("dataset:", "job:")):
        return name
    bearer = yield from data_bearer(token)
    asked = {"name": f"eq.{name}", "select": "node_id", "order": "node_id", "limit": "10"}
    rows = yield from ask_json(
        Ask("GET", "/datasets", query=asked, door="data", bearer=bearer, repeatable=True)
    )
    found = [str(row["node_id"]) for row in rows]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ApiError(
            404,
            "NODE_NOT_FOUND",
            "The lineage graph has no such dataset.",
            name,
            "use <layer>.<table>, an artifact's name, or dataset:{namespace}:{name}",
        )
    raise ApiError(
        409, "NODE_AMBIGUOUS", "Several namespaces have a dataset of that name.", ", ".join(found),
        "use one of these node ids",
    )  # fmt: skip


def _when(at: datetime | str | None) -> str | None:
    return at.isoformat() if isinstance(at, datetime) else at
