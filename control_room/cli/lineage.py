"""`control-room lineage`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from control_room import picture
from control_room.cli.context import Context, Json, Usage
from control_room.client import Client
from control_room.flow import Flow
from control_room.model import Direction, Graph
from control_room.view import lineage as lineage_view
from control_room.view import theme

app = typer.Typer(no_args_is_help=True)

NodeArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NODE", help="<layer>.<table>, an artifact's name, dataset:{ns}:{name} or job:{ns}:{name}."
    ),
]
Source = Annotated[str, typer.Argument(metavar="DATASET", help="<layer>.<table> or dataset:{ns}:{name}.")]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="Where the way is to lead.")]
Run = Annotated[int | None, typer.Option("--run", help="What this run read and wrote, instead of NODE.")]
Depth = Annotated[int, typer.Option("--depth", "-d", min=0, max=100, help="Dataset hops.")]
ColumnDepth = Annotated[
    int, typer.Option("--depth", "-d", min=1, max=100, help="Hops from column to column.")
]
Way = Annotated[str, typer.Option("--direction", help="upstream, downstream or both.")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="The graph as it was known then (ISO 8601).")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000)]
Columns = Annotated[bool, typer.Option("--columns/--no-columns", help="With the columns.")]


@app.command()
def tree(
    *,
    node: NodeArgument = None,
    run: Run = None,
    depth: Depth = 5,
    direction: Way = "upstream",
    as_of: AsOf = None,
    columns: Columns = True,
    json: Json = False,
) -> None:
    """Show as a tree what something comes from."""
    context = Context(json)
    with context.client() as client:
        graph, flow, root = _asked(
            client, node, run, depth=depth, direction=direction, as_of=as_of, columns=columns
        )
    shown = root if direction == "upstream" and root in flow.datasets else None
    context.show(graph, lineage_view.tree(flow, shown, columns=columns))


@app.command()
def svg(
    *,
    node: NodeArgument = None,
    run: Run = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; - is standard output.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="svg, dot or mermaid.")] = "svg",
    depth: Depth = 5,
    direction: Way = "both",
    as_of: AsOf = None,
    columns: Columns = True,
) -> None:
    """Draw a picture (lineage.svg, unless --output says otherwise)."""
    context = Context()
    if form not in get_args(picture.Form):
        raise Usage(f"--format {form}: there is no such form", "use svg, dot or mermaid")
    with context.client() as client:
        _, flow, _ = _asked(client, node, run, depth=depth, direction=direction, as_of=as_of, columns=columns)
    drawn = picture.draw(flow, cast(picture.Form, form), columns=columns)
    target = output or Path(
        "lineage.svg" if form == "svg" else f"lineage.{ {'dot': 'dot', 'mermaid': 'mmd'}[form] }"
    )
    if str(target) == "-":
        sys.stdout.write(drawn)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(drawn, encoding="utf-8")
    drawn_sets, drawn_edges = len(flow.datasets), len(flow.columns)
    context.say(f"{target}: {theme.count(drawn_sets, 'dataset')}, {theme.count(drawn_edges, 'column edge')}")


@app.command()
def columns(
    node: Annotated[str, typer.Argument(metavar="TABLE")],
    depth: ColumnDepth = 5,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Show where each column of a dataset comes from."""
    context = Context(json)
    with context.client() as client:
        found = client.lineage.find(node)
        fields = client.lineage.columns(found, depth=depth, as_of=as_of)
        if context.json:
            theme.print_json(context.out, fields.raw())
            return
        graph = client.lineage.graph(found, direction="upstream", depth=depth, as_of=as_of)
    flow = Flow.of(graph, fields)
    context.out.print(lineage_view.columns(flow, found))


@app.command()
def path(source: Source, target: Target, *, as_of: AsOf = None, json: Json = False) -> None:
    """Show a shortest way from one dataset to another; the exit code is 1 where there is none."""
    context = Context(json)
    with context.client() as client:
        way = client.lineage.path(source, target, as_of=as_of)
    context.show(way, lineage_view.path(way))
    if not way.found:
        raise typer.Exit(1)


@app.command()
def impact(
    node: Source,
    *,
    column: Annotated[str | None, typer.Option("--column", "-c", help="Of this column alone.")] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", "-d", min=1, max=100, help="No further than so many hops.")
    ] = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Show what a change of a dataset, or of one of its columns, reaches."""
    context = Context(json)
    with context.client() as client:
        reached = client.lineage.impact(node, column=column, depth=depth, as_of=as_of)
    context.show(reached, lineage_view.impact(reached))


@app.command()
def diff(
    node: Source,
    *,
    since: Annotated[str, typer.Option("--since", help="From this time on (ISO 8601).")],
    until: Annotated[str | None, typer.Option("--until", help="Up to this time; without it, now.")] = None,
    depth: Depth = 5,
    direction: Way = "both",
    json: Json = False,
) -> None:
    """Show which flows round a dataset came and went between two times."""
    context = Context(json)
    with context.client() as client:
        change = client.lineage.diff(
            node, since=since, until=until, depth=depth, direction=cast(Direction, direction)
        )
    context.show(change, lineage_view.diff(change))


@app.command()
def coverage(
    *,
    hours: Annotated[
        int | None, typer.Option("--hours", min=1, max=8760, help="Look back so long (24).")
    ] = None,
    json: Json = False,
) -> None:
    """Show which declared and observed flows the graph lacks; the exit code is 1 where it lacks one."""
    context = Context(json)
    with context.client() as client:
        found = client.lineage.coverage(window_hours=hours)
    context.show(found, lineage_view.coverage(found))
    if found.covered < found.flows:
        raise typer.Exit(1)


@app.command()
def events(
    *,
    run: Annotated[int | None, typer.Option("--run", help="Of this run alone.")] = None,
    faulty: Annotated[
        bool, typer.Option("--faulty", help="With a facet that is not as it should be.")
    ] = False,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """Show OpenLineage events as they came, newest first, with what is wrong with their facets."""
    context = Context(json)
    with context.client() as client:
        page = client.lineage.events(run_id=run, faulty=faulty or None, limit=limit)
    context.show_page(page, lineage_view.events(page.items))


@app.command()
def orphans(*, limit: Limit = 100, json: Json = False) -> None:
    """Show datasets that no live edge touches."""
    context = Context(json)
    with context.client() as client:
        page = client.lineage.orphans(limit=limit)
    context.show_page(page, lineage_view.orphans(page.items))


@app.command()
def violations(*, limit: Limit = 100, json: Json = False) -> None:
    """Show flows that break a layer rule; the exit code is 1 where one does."""
    context = Context(json)
    with context.client() as client:
        page = client.lineage.violations(limit=limit)
    context.show_page(page, lineage_view.violations(page.items))
    if page.items:
        raise typer.Exit(1)


def _asked(
    client: Client,
    node: str | None,
    run: int | None,
    *,
    depth: int,
    direction: str,
    as_of: str | None,
    columns: bool,
) -> tuple[Graph, Flow, str | None]:
    if (node is None) == (run is None):
        raise Usage("give either a NODE or --run")
    if run is not None:
        graph = client.lineage.of_run(run)
        return graph, Flow.of(graph), None
    assert node is not None
    found = client.lineage.find(node)
    graph = client.lineage.graph(found, direction=cast(Direction, direction), depth=depth, as_of=as_of)
    fields = []
    if columns:
        # columns are known upstream of a dataset: asked of every end, they cover the graph
        ends = [found] if direction == "upstream" else list(Flow.of(graph).ends)
        fields = [
            client.lineage.columns(end, depth=max(depth, 1), as_of=as_of)
            for end in ends
            if end.startswith("dataset:")
        ]
    merged = Graph(
        graph=[it for field in fields for it in field.graph], truncated=any(it.truncated for it in fields)
    )
    return graph, Flow.of(graph, merged), found
