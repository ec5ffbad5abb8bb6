"""Pictures: always drawable, nothing lies on anything else, everything runs from left to right."""

from __future__ import annotations

from itertools import combinations, pairwise
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from control_room import picture
from control_room.flow import Column, ColumnFlow, Dataset, Flow, Step
from control_room.layout import Size, lay_out
from control_room.model import Graph

SVG = "{http://www.w3.org/2000/svg}"


def dataset(name: str, columns: int = 2) -> Dataset:
    return Dataset(name, "control-room://x", name, tuple(Column(f"c{it}", "bigint") for it in range(columns)))


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """Any graph, circles and all."""
    ids = [f"t{it}" for it in range(draw(st.integers(1, 12)))]
    known = {it: dataset(it, draw(st.integers(0, 4))) for it in ids}
    some = st.lists(st.sampled_from(ids), max_size=3, unique=True)
    steps = draw(st.lists(st.builds(Step, st.just("job"), some.map(tuple), some.map(tuple)), max_size=12))
    return Flow(known, tuple(dict.fromkeys(steps)), ())


@given(flows())
@settings(max_examples=200, deadline=None)
def test_no_box_lies_on_another(flow: Flow) -> None:
    sizes = {name: Size(100, 30.0 + 20 * len(it.columns)) for name, it in flow.datasets.items()}

    layout = lay_out(flow, sizes, {it: Size(60, 24) for it in flow.steps}, anchor=15)

    for one, other in combinations(layout.places.values(), 2):
        apart = (
            one.x + one.size.width <= other.x + 1e-6
            or other.x + other.size.width <= one.x + 1e-6
            or one.y + one.size.height <= other.y + 1e-6
            or other.y + other.size.height <= one.y + 1e-6
        )
        assert apart
    assert all(place.y >= -1e-6 for place in layout.places.values())


@given(flows())
@settings(max_examples=100, deadline=None)
def test_every_graph_is_a_well_formed_picture(flow: Flow) -> None:
    drawn = ElementTree.fromstring(picture.svg(flow))

    titles = [it.text for it in drawn.iter(f"{SVG}text") if it.get("class") == "name"]
    assert sorted(titles) == sorted(flow.datasets)


def test_what_is_made_stands_right_of_what_it_is_made_from(run_graph: Graph) -> None:
    flow = Flow.of(run_graph)
    sizes = {name: Size(100, 60) for name in flow.datasets}

    layout = lay_out(flow, sizes, {it: Size(60, 24) for it in flow.steps}, anchor=15)

    for step in flow.steps:
        for source in step.ins:
            for out in step.outs:
                assert layout.places[source].x + 100 < layout.places[out].x


def test_a_long_line_goes_around_the_boxes_between() -> None:
    ids = ("a", "b", "c")
    steps = (Step("j", ("a",), ("b",)), Step("k", ("a", "b"), ("c",)))
    flow = Flow({it: dataset(it) for it in ids}, steps, ())

    layout = lay_out(flow, dict.fromkeys(ids, Size(100, 60)), dict.fromkeys(steps, Size(60, 24)), anchor=15)

    between = layout.places["b"]
    for _, y in layout.lanes["a", 2]:
        assert not between.y < y < between.y + between.size.height


def test_any_name_can_be_drawn_and_none_can_break_out() -> None:
    nasty = "<script>alert(1)</script>\"'&\x00\x1f\\ 世界"
    flow = Flow(
        {"d": Dataset("d", nasty, nasty, (Column(nasty, nasty),)), "e": dataset("e")},
        (Step(nasty, ("d",), ("e",)),),
        (ColumnFlow("d", nasty, "e", "c0", how=nasty),),
    )

    drawn = ElementTree.fromstring(picture.svg(flow))

    assert not list(drawn.iter(f"{SVG}script"))
    assert "<script" not in picture.mermaid(flow)
    assert picture.dot(flow).count("\n  d") == 3  # two boxes, one line from the first to the job


def test_a_wide_table_is_cut(run_graph: Graph) -> None:
    wide = dataset("wide", columns=60)

    drawn = picture.svg(Flow({"wide": wide}, (), ()))

    assert "and 36 more" in drawn
    assert drawn.count('class="column"') == picture.SHOWN_COLUMNS


def test_columns_that_hold_values_are_joined_by_lines(run_graph: Graph) -> None:
    drawn = picture.svg(Flow.of(run_graph))

    assert "silver.flights.delay → gold.delay_by_state.mean_delay (aggregation)" in drawn
    assert "(group_by)" not in drawn
    assert 'class="value"' not in picture.svg(Flow.of(run_graph), columns=False)


def test_a_chain_of_a_thousand_tables_is_drawn() -> None:
    ids = [f"t{it}" for it in range(1000)]
    steps = tuple(Step("j", (a,), (b,)) for a, b in pairwise(ids))

    drawn = picture.svg(Flow({it: dataset(it, 0) for it in ids}, steps, ()))

    assert drawn.count('class="name"') == 1000


def test_mermaid_and_dot_name_every_box_and_job(run_graph: Graph) -> None:
    flow = Flow.of(run_graph)

    mermaid, dot = picture.mermaid(flow), picture.dot(flow)

    assert mermaid.startswith("flowchart LR")
    for it in flow.datasets.values():
        assert f'"{it.name}"' in mermaid
        assert f'"{it.name}"' in dot
    assert mermaid.count(":::job") == dot.count("shape=ellipse") == len(flow.steps)
