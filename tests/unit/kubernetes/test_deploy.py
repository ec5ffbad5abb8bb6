"""deploy/kubernetes is what an API server takes, and speaks of what is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from runner import settings

CLONE = Path(__file__).resolve().parents[3]
FOLDER = CLONE / "deploy" / "kubernetes"
#: Kinds that others bring along; what they take is in their own documentation.
OF_OTHERS = {"keda.sh/v1alpha1", "monitoring.coreos.com/v1"}
KUSTOMIZE = {"kustomize.config.k8s.io/v1beta1", "kustomize.config.k8s.io/v1alpha1"}
#: Applied by hand, for tenants that are trusted with a namespace (docs/operations.md).
BY_HAND = {"spark.yaml", "spark-driver.yaml", "spark-executor.yaml"}


def documents(folder: Path = FOLDER) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in sorted(folder.rglob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            if document is not None:
                yield file, document


def names() -> list[Any]:
    return [
        pytest.param(document, id=f"{file.relative_to(FOLDER)}:{document['kind']}")
        for file, document in documents()
        if document["apiVersion"] not in OF_OTHERS | KUSTOMIZE
    ]


def found(kind: str, name: str) -> dict[str, Any]:
    (one,) = (x for _, x in documents() if x["kind"] == kind and x.get("metadata", {}).get("name") == name)
    return one


@pytest.mark.parametrize("document", names())
@pytest.mark.parametrize("version", ["1.31", "1.34"])
def test_every_object_has_the_schema_of_its_kind(document: dict[str, Any], version: str) -> None:
    if document["kind"] == "Pod":  # a template: the one who uses it names the image
        document = {**document, "metadata": {"name": "template"}}
        document["spec"]["containers"][0].setdefault("image", "x")
    kubernetes_validate.validate(document, version, strict=True)


def test_kustomize_is_told_of_every_file() -> None:
    for file in FOLDER.rglob("kustomization.yaml"):
        listed = {file.parent / each for each in yaml.safe_load(file.read_text())["resources"]}
        here = {each for each in file.parent.glob("*.yaml") if each != file and each.name not in BY_HAND}

        assert listed == here


def test_the_runner_is_told_what_it_understands() -> None:
    (container,) = found("Deployment", "runner")["spec"]["template"]["spec"]["containers"]
    said = {each["name"]: each.get("value", "runner-1") for each in container["env"]}
    source = (CLONE / "runner" / "settings.py").read_text()
    known = set(re.findall(r'"(CONTROL_ROOM_[A-Z_]+)"', source))
    prefixes = (settings.EXECUTOR_PREFIX, settings.IMAGE_PREFIX)

    assert {name for name in said if name not in known and not name.startswith(prefixes)} == set()
    assert settings._listen(said, "CONTROL_ROOM_HEALTH_LISTEN") == (
        "0.0.0.0",
        container["ports"][0]["containerPort"],
    )
    settings._images(said)
    settings._executors(said)


def test_what_selects_runners_selects_them() -> None:
    labels = found("Deployment", "runner")["spec"]["template"]["metadata"]["labels"]
    disruption = found("PodDisruptionBudget", "runner")["spec"]["selector"]["matchLabels"]
    network = found("NetworkPolicy", "runners")["spec"]["podSelector"]["matchLabels"]
    monitor = found("PodMonitor", "control-room-runner")["spec"]

    assert labels == disruption == network == monitor["selector"]["matchLabels"]
    assert monitor["podMetricsEndpoints"][0]["port"] == "health"


def test_draining_fits_into_the_grace_of_a_pod() -> None:
    pod = found("Deployment", "runner")["spec"]["template"]["spec"]
    said = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}

    # what is left is written for 15 s, callbacks for 5 (runner.main)
    assert float(said["CONTROL_ROOM_DRAIN_SECONDS"]) + 15 + 5 + 10 <= pod["terminationGracePeriodSeconds"]


def test_the_scaler_scales_the_runners_and_asks_what_it_may() -> None:
    scaled = found("ScaledObject", "runner")["spec"]
    (trigger,) = scaled["triggers"]
    secret = found("TriggerAuthentication", "control-room-scaler")["spec"]["secretTargetRef"]
    migration = (CLONE / "supabase" / "migrations" / "20261123000997_worker_demand.sql").read_text()

    assert scaled["scaleTargetRef"]["name"] == found("Deployment", "runner")["metadata"]["name"]
    assert scaled["minReplicaCount"] >= 1  # somebody sends callbacks, and is the clock
    assert trigger["authenticationRef"]["name"] == "control-room-scaler"
    assert [each["parameter"] for each in secret] == ["connection"]
    assert trigger["metadata"]["query"] == "select worker.demand()"
    assert "grant execute on function worker.demand() to scaler" in migration
