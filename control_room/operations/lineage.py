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
from control_room.operation import Operation, Request, fetch, fetch_json, query
from control_room.operations.tokens import data_bearer


def graph(
    node: str,
    direction: Direction = "both",
    depth: int = 5,
    as_of: datetime | str | None = None,
    max_nodes: int | None = None,
) -> Operation[Graph]:
    """From `dataset:{namespace}:{name}` or `job:{namespace}:{name}`; depth counts dataset hops."""
    asked = query(nodeId=node, direction=direction, depth=depth, as_of=_when(as_of), max_nodes=max_nodes)
    return (yield from fetch(Graph, Request("GET", "/lineage", query=asked, repeatable=True)))


def columns(
    node: str, depth: int = 5, direction: Direction | None = None, as_of: datetime | str | None = None
) -> Operation[Graph]:
    """Where the columns of a dataset come from, or go to; nodes of type DATASET_FIELD."""
    asked = query(nodeId=node, depth=depth, direction=direction, as_of=_when(as_of))
    return (yield from fetch(Graph, Request("GET", "/column-lineage", query=asked, repeatable=True)))


def path(source: str, target: str, as_of: datetime | str | None = None) -> Operation[LineagePath]:
    """A shortest way from one dataset to another, along the flow."""
    asked = query(source=source, target=target, as_of=_when(as_of))
    return (yield from fetch(LineagePath, Request("GET", "/lineage/path", query=asked, repeatable=True)))


def impact(
    node: str, column: str | None = None, as_of: datetime | str | None = None, depth: int | None = None
) -> Operation[Impact]:
    """What a change of a dataset reaches, or of one of its columns."""
    if column is not None:
        node = f"datasetField:{node.removeprefix('dataset:')}:{column}"
    asked = query(nodeId=node, depth=depth, as_of=_when(as_of))
    return (yield from fetch(Impact, Request("GET", "/lineage/impact", query=asked, repeatable=True)))


def diff(
    node: str,
    since: datetime | str,
    until: datetime | str | None = None,
    depth: int | None = None,
    direction: Direction | None = None,
) -> Operation[LineageDiff]:
    """Which flows round a dataset came and went between two times."""
    asked = query(nodeId=node, to=_when(until), depth=depth, direction=direction)
    asked |= query(**{"from": _when(since)})
    return (yield from fetch(LineageDiff, Request("GET", "/lineage/diff", query=asked, repeatable=True)))


def coverage(window_hours: int | None = None, limit: int | None = None) -> Operation[Coverage]:
    """What is declared or was seen to flow, and what of it the graph lacks."""
    asked = query(window_hours=window_hours, limit=limit)
    return (yield from fetch(Coverage, Request("GET", "/lineage/coverage", query=asked, repeatable=True)))


def events(narrowed: Mapping[str, Any]) -> Operation[Page[LineageEvent]]:
    """OpenLineage events as they came, newest first."""
    asked = query(**{key: _when(it) if isinstance(it, datetime) else it for key, it in narrowed.items()})
    return (
        yield from fetch(Page[LineageEvent], Request("GET", "/lineage/events", query=asked, repeatable=True))
    )


def orphans(limit: int | None = None, cursor: str | int | None = None) -> Operation[Page[Orphan]]:
    """Datasets that no live edge touches."""
    asked = query(limit=limit, cursor=cursor)
    return (yield from fetch(Page[Orphan], Request("GET", "/lineage/orphans", query=asked, repeatable=True)))


def violations(limit: int | None = None, cursor: str | int | None = None) -> Operation[Page[Violation]]:
    """Live edges that break a layer rule."""
    asked = query(limit=limit, cursor=cursor)
    return (
        yield from fetch(Page[Violation], Request("GET", "/lineage/violations", query=asked, repeatable=True))
    )


def of_run(run_id: int) -> Operation[Graph]:
    """What a run read and wrote, with `columns`."""
    return (yield from fetch(Graph, Request("GET", f"/runs/{run_id}/lineage", repeatable=True)))


def ingest(events: Sequence[Mapping[str, Any]]) -> Operation[JsonObject]:
    """OpenLineage events; a replay changes nothing, so it may be sent again."""
    answer: JsonObject = yield from fetch_json(
        Request("POST", "/lineage/batch", body=list(events), repeatable=True)
    )
    return answer


def find(name: str, token: str) -> Operation[str]:
    """The node id of a dataset by its bare name, e.g. `gold.delays`; a full node id is given back as it is.

    Raises ApiError NODE_NOT_FOUND, or NODE_AMBIGUOUS where several namespaces have the name.
    """
    if name.startswith(("dataset:", "job:")):
        return name
    bearer = yield from data_bearer(token)
    asked = {"name": f"eq.{name}", "select": "node_id", "order": "node_id", "limit": "10"}
    rows = yield from fetch_json(
        Request("GET", "/datasets", query=asked, door="data", bearer=bearer, repeatable=True)
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
