"""Dashboard and alerts, asked of a real Prometheus that scrapes a real runner."""

from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import prometheus
from dev.prometheus import Prometheus
from tests.contract.houses import PostgresHouse
from tests.contract.test_runner import Receiver, Runners, until
from tests.contract.test_watching import folder, free_port, house, receiver, runners

__all__ = ["folder", "house", "receiver", "runners"]

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
#: What Grafana puts in. The window is wide enough for scrapes of half a second.
FILLED_IN = {"$job": "control-room-runner", "$instance": ".*", "$__rate_interval": "10s"}
#: Shown only when something is wrong with us.
NONE_WHILE_WELL = {"control_room_loop_failures_total", "control_room_listening"}


def told(text: str) -> str:
    for name, value in FILLED_IN.items():
        text = text.replace(name, value)
    return text


def questions() -> list[str]:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    return [told(each["expr"]) for panel in dashboard["panels"] for each in panel.get("targets", ())]


@pytest.mark.skipif(
    prometheus.program("promtool") is None, reason="needs promtool: scripts/setup --with watching"
)
def test_each_alert_fires_when_it_should_and_alone() -> None:
    scenes = (FOLDER / "alerts.test.yaml").read_text()
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"][0]["rules"]

    prometheus.check("check", "config", "scrape.yaml", folder=FOLDER)
    prometheus.check("test", "rules", "alerts.test.yaml", folder=FOLDER)
    assert [rule["alert"] for rule in rules if rule["alert"] not in scenes] == []


def configure(folder: Path, port: int) -> None:
    """What is shipped, with this runner's address, and in seconds what is minutes there."""
    said: dict[str, Any] = yaml.safe_load((FOLDER / "scrape.yaml").read_text())
    said["global"] = {"evaluation_interval": "500ms"}
    (job,) = said["scrape_configs"]
    job |= {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
    job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    folder.mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(said))
    rules = (FOLDER / "alerts.yaml").read_text()
    (folder / "alerts.yaml").write_text(re.sub(r"\bfor: \w+", "for: 1s", rules))


def without_data(watcher: Prometheus, asked: list[str]) -> list[str]:
    """Questions whose answer is empty, or no number."""

    def has(question: str) -> bool:
        return any(not math.isnan(float(each["value"][1])) for each in watcher.query(question))

    return [each for each in asked if not has(each)]


@pytest.mark.needs("watching")
def test_every_panel_has_data_and_a_dead_runner_is_told_of(
    house: PostgresHouse, runners: Runners, receiver: Receiver, folder: Path
) -> None:
    port = free_port()
    process = runners.start(CONTROL_ROOM_HEALTH_LISTEN=f"127.0.0.1:{port}")
    configure(folder / "prometheus", port)
    with prometheus.running(folder / "prometheus") as watcher:
        until(lambda: watcher.query("control_room_capacity"))
        receiver.answers = [500]  # the first one is told no
        bad = house.submit(max_retries=0, script=[{"exit": 3}])
        left, end = questions(), time.monotonic() + 40
        while {_name(each) for each in left} - NONE_WHILE_WELL:
            assert time.monotonic() < end, left
            house.run(params={"script": [{"log": "a"}]}, callbacks={"on_complete": receiver.url})
            house.sql(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'runner' and state = 'idle'"
                " and query !~ 'listen' limit 1"
            )
            time.sleep(0.5)
            left = without_data(watcher, left)
        chosen = watcher.ask("series", **{"match[]": told('control_room_capacity{job=~"$job"}')})
        before = watcher.firing()

        house.until(bad, "FAILED")
        process.kill()
        until(lambda: watcher.firing() >= {"ControlRoomNoRunner", "ControlRoomRunnerDown"}, 20)

    assert [(each["job"], each["instance"]) for each in chosen] == [
        ("control-room-runner", f"127.0.0.1:{port}")
    ]
    assert before & {"ControlRoomNoRunner", "ControlRoomRunnerDown", "ControlRoomDeaf"} == set()


def _name(question: str) -> str:
    """Of the first figure that it asks for."""
    found = re.search(r"\b(control_room|process)_\w+", question)
    assert found is not None
    return found[0]
