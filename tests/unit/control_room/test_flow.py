"""A lineage answer taken apart into steps."""

from __future__ import annotations

from control_room.flow import Flow
from control_room.model import Graph, Node

NS = "control-room://demo"
GOLD = f"dataset:{NS}:gold.delay_by_state"


def names(ids: tuple[str, ...] | frozenset[str]) -> list[str]:
    return sorted(it.removeprefix("dataset:").removeprefix(NS).lstrip(":/") for it in ids)


def test_a_job_through_several_layers_becomes_one_step_per_layer(run_graph: Graph) -> None:
    flow = Flow.of(run_graph)

    assert [(names(it.ins), names(it.outs)) for it in flow.steps] == [
        (["artifacts:flights-2k.json"], ["bronze.flights"]),
        (["artifacts:airports.csv"], ["bronze.airports"]),
        (["bronze.airports", "bronze.flights"], ["silver.flights"]),
        (["silver.flights"], ["gold.delay_by_state"]),
        (["gold.delay_by_state"], ["artifacts:runs/1/report"]),
    ]


def test_from_gold_back_to_every_file(run_graph: Graph) -> None:
    behind = names(Flow.of(run_graph).sources_of(GOLD))

    assert {"artifacts:flights-2k.json", "artifacts:airports.csv"} <= set(behind)


def test_a_column_s_first_columns_are_found_over_all_steps(run_graph: Graph) -> None:
    roots = Flow.of(run_graph).roots_of(GOLD, "mean_delay")

    assert roots == {(f"dataset:{NS}/artifacts:flights-2k.json", "delay")}


def test_what_only_grouped_or_joined_is_no_origin_of_values(run_graph: Graph) -> None:
    flow = Flow.of(run_graph)

    kinds = {(it.source_field, it.direct) for it in flow.origins_of(GOLD, "mean_delay")}

    assert kinds == {("delay", True), ("origin_state", False)}


def test_names_with_colons_are_told_apart_by_what_is_known() -> None:
    nodes = [
        Node(id="dataset:s3://a:9000:b", type="DATASET", data={"namespace": "s3://a:9000", "name": "b"}),
        Node(id="dataset:s3://a:9000:b:c", type="DATASET", data={"namespace": "s3://a:9000", "name": "b:c"}),
    ]
    columns = [{"origin": "s3://a:9000:b:x:y", "destination": "s3://a:9000:b:c:z"}]

    (flow,) = Flow.of(Graph.model_validate({"graph": nodes, "columns": columns})).columns

    assert (flow.source, flow.source_field) == ("dataset:s3://a:9000:b", "x:y")
    assert (flow.target, flow.target_field) == ("dataset:s3://a:9000:b:c", "z")


def test_where_no_column_tells_an_earlier_layer_was_read() -> None:
    def node(name: str) -> dict[str, object]:
        return {"id": f"dataset:{NS}:{name}", "type": "DATASET", "data": {"namespace": NS, "name": name}}

    def edges(*found: str) -> list[dict[str, str]]:
        return [{"origin": f"dataset:{NS}:{it}", "destination": f"dataset:{NS}:{it}"} for it in found]

    job = {"id": f"job:{NS}:j", "type": "JOB", "data": {"name": "j"}}
    job |= {"inEdges": edges("raw", "bronze.a"), "outEdges": edges("bronze.a", "gold.a")}
    graph = {"graph": [node("raw"), node("bronze.a"), node("gold.a"), job]}

    flow = Flow.of(Graph.model_validate(graph))

    assert [(names(it.ins), names(it.outs)) for it in flow.steps] == [
        (["raw"], ["bronze.a"]),
        (["bronze.a", "raw"], ["gold.a"]),
    ]


def test_an_answer_without_anything_is_an_empty_flow() -> None:
    flow = Flow.of(Graph(graph=[]))

    assert (flow.steps, flow.ends) == ((), ())
