"""The dashboard and the alert rules name nothing that a runner does not tell, and lead to chapters that are there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from runner.model.termination import TerminationCode
from tests.unit.runner.test_meter import OPENMETRICS, used

CLONE = Path(__file__).resolve().parents[3]
FOLDER = CLONE / "deploy" / "grafana"
#: What Prometheus itself adds.
OF_THE_SCRAPE = {"job", "instance"}


def told() -> dict[str, set[str]]:
    """Each name with its labels."""
    found: dict[str, set[str]] = {"up": set()}
    for family in text_string_to_metric_families(used().told(OPENMETRICS)[0].decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Names and the labels that are asked of them, in what Grafana has filled in."""
    expression = re.sub(r"\$__rate_interval", "5m", expression)
    expression = re.sub(r"\$(job|instance)\b", ".*", expression)
    yield from _of(promql_parser.parse(expression))


def _of(node: Any) -> Iterator[tuple[str, set[str]]]:
    match node:
        case promql_parser.VectorSelector():
            yield node.name, {each.name for each in node.matchers.matchers}
        case promql_parser.MatrixSelector():
            yield from _of(node.vector_selector)
        case promql_parser.BinaryExpr():
            yield from _of(node.lhs)
            yield from _of(node.rhs)
        case promql_parser.AggregateExpr() | promql_parser.ParenExpr() | promql_parser.UnaryExpr():
            yield from _of(node.expr)
        case promql_parser.Call():
            for each in node.args:
                yield from _of(each)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[str]:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    shown = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", ())]
    return [*shown, *(rule["expr"] for rule in rules())]


@pytest.mark.parametrize("expression", expressions())
def test_every_name_is_one_that_a_runner_tells(expression: str) -> None:
    known = told()
    asked = list(selectors(expression))

    assert asked
    assert {name for name, _ in asked} - known.keys() == set()
    for name, labels in asked:
        assert labels - known[name] - OF_THE_SCRAPE == set()


def test_every_figure_is_shown_or_watched() -> None:
    asked = {name for expression in expressions() for name, _ in selectors(expression)}
    families = {
        family.name
        for family in text_string_to_metric_families(used().told(OPENMETRICS)[0].decode())
        if family.name.startswith("control_room_")
    }
    shown = {re.sub(r"_(total|bucket|count|sum|info)$", "", name) for name in asked}

    assert families - shown - {"control_room_runner"} == set()


def test_codes_in_rules_are_codes() -> None:
    text = (FOLDER / "alerts.yaml").read_text()
    (codes,) = re.findall(r'code=~"([A-Z_|]+)"', text)

    assert {*codes.split("|")} <= {each.value for each in TerminationCode}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_leads_to_a_chapter(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    titles = re.findall(r"^## (.+)$", (CLONE / page).read_text(), re.MULTILINE)

    assert anchor in {title.lower().replace(" ", "-") for title in titles}
