"""What deploy/kubernetes holds is taken by a real API server: a dry run on its side, with every field known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.cluster import plane
from dev.cluster.plane import Plane
from tests.unit.kubernetes.test_deploy import KUSTOMIZE, OF_OTHERS, documents

#: Plural names, as the API's paths have them.
PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
}
STRICTLY = "?dryRun=All&fieldValidation=Strict"


@pytest.fixture(scope="module")
def server() -> Iterator[Plane]:
    if reason := plane.lacking():
        pytest.skip(f"needs a cluster: {reason}")
    with plane.without_node() as made:
        yield made


@pytest.mark.needs("kubernetes")
def test_the_api_server_takes_every_object(server: Plane) -> None:
    taken: list[str] = []
    for file, document in documents():
        if document["apiVersion"] in OF_OTHERS | KUSTOMIZE or file.name == "spark-executor.yaml":
            continue  # a template, which Spark completes
        kind, space = document["kind"], document["metadata"].get("namespace", "")
        if space:
            _make(server, space)
        elif document["metadata"]["name"] in _MADE:
            continue
        said = server.ask(PATHS[kind].format(space) + STRICTLY, "POST", document)
        taken.append(f"{said['kind']} {said['metadata']['name']}")
        if kind == "Namespace":
            _make(server, document["metadata"]["name"])

    assert {"Deployment runner", "PodDisruptionBudget runner", "NetworkPolicy runners"} <= {*taken}


_MADE: set[str] = {"default"}


def _make(server: Plane, name: str) -> None:
    """A dry run makes nothing, and what is in a namespace wants it to be there."""
    if name not in _MADE:
        server.ask("/api/v1/namespaces", "POST", {"metadata": {"name": name}})
        _MADE.add(name)
