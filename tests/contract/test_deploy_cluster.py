"""What deploy/kubernetes holds, put together by a real kustomize and taken by a real API server: a dry run on its
side, with every field known."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.cluster import build, plane
from dev.cluster.plane import Plane
from dev.stack.testbed import Database
from tests.acceptance import pages
from tests.unit.kubernetes.test_deploy import CLONE, FOLDER, KUSTOMIZE, OF_OTHERS, documents

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
#: The one that is built with the cluster, else that of this machine.
KUBECTL = (
    str(build.folder() / "kubectl") if (build.folder() / "kubectl").exists() else shutil.which("kubectl")
)
STRICTLY = "?dryRun=All&fieldValidation=Strict"


def kubectl(*words: str, said: str | None = None) -> str:
    assert KUBECTL is not None
    done = subprocess.run([KUBECTL, *words], input=said, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def built(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What `kubectl apply -k` would apply, by kind and name."""
    found = yaml.safe_load_all(kubectl("kustomize", str(folder)))
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """The one of docs/operations.md, word for word, beside a checkout of ours."""
    shutil.copytree(FOLDER, tmp_path / "control-room" / "deploy" / "kubernetes")
    page = (CLONE / "docs" / "operations.md").read_text()
    (text,) = re.findall(r"```yaml\n# kustomization.yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "kustomization.yaml").write_text(text.replace("sha256:…", f"sha256:{'0' * 64}"))
    return tmp_path / "ours"


needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="needs kubectl: scripts/setup --with kubernetes")


@needs_kubectl
def test_kustomize_builds_every_object_that_is_not_applied_by_hand(overlay: Path) -> None:
    applied = built(FOLDER)
    here = {
        (each["kind"], each["metadata"]["name"]): each
        for file, each in documents()
        if each["apiVersion"] not in KUSTOMIZE and not file.name.startswith("spark")
    }
    with_components = built(overlay)

    assert applied == {name: each for name, each in here.items() if each["apiVersion"] not in OF_OTHERS}
    assert with_components.keys() == here.keys()
    # what the page says is somebody's own is theirs, and all else is ours
    (container,) = with_components["Deployment", "runner"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example/control-room-runner@sha256:{'0' * 64}"
    assert container["env"][0] == {"name": "CONTROL_ROOM_SUPABASE_URL", "value": "https://abc.supabase.co"}
    (own,) = here["Deployment", "runner"]["spec"]["template"]["spec"]["containers"]
    own["image"], own["env"][0] = container["image"], container["env"][0]
    assert with_components == here


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


@pytest.mark.needs("kubernetes")
def test_kubectl_applies_the_overlay_of_the_docs(server: Plane, overlay: Path) -> None:
    """The kinds of KEDA and of the Prometheus operator included, by their own definitions."""

    def apply(*words: str, said: str | None = None) -> list[str]:
        config = ("--kubeconfig", str(server.kubeconfig), "--cache-dir", str(server.folder / "kubectl"))
        return kubectl(*config, *words, said=said).splitlines()

    kinds = ("scaledobjects", "triggerauthentications", "podmonitors")
    definitions = [file for file in build.definitions() if file.stem.rpartition("_")[2] in kinds]
    apply("apply", "--server-side", *(f"--filename={file}" for file in definitions))
    lists = [f"/apis/keda.sh/v1alpha1/{kind}" for kind in kinds[:2]]
    lists.append("/apis/monitoring.coreos.com/v1/podmonitors")
    server.wait("it knows their kinds", lambda: all(server.ask(each) for each in lists), "apiserver")
    objects = [*yaml.safe_load_all(kubectl("kustomize", str(overlay)))]
    for each in objects:
        if each["kind"] == "Namespace":
            _make(server, each["metadata"]["name"])
    said = apply(
        *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"),
        "--filename=-",
        said=yaml.safe_dump_all(objects),
    )

    assert len(definitions) == len(kinds)
    assert len(said) == len(objects)
    assert {line.partition(" ")[0] for line in said} >= {
        "deployment.apps/runner",
        "scaledobject.keda.sh/runner",
        "triggerauthentication.keda.sh/control-room-scaler",
        "podmonitor.monitoring.coreos.com/control-room-runner",
    }


@pytest.mark.needs("kubernetes")
def test_what_the_page_tells_to_type_is_taken(server: Plane, database: Database, tmp_path: Path) -> None:
    (tmp_path / "deploy").symlink_to(CLONE / "deploy")
    environment = {
        "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "KUBECONFIG": str(server.kubeconfig), "DATABASE_URL": database.postgres,
    }  # fmt: skip
    blocks = pages.at("docs/operations.md", "cluster")

    done = subprocess.run(
        ["bash", "-c", "\n".join(["set -euo pipefail", *blocks])],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "deployment.apps/runner" in done.stdout
    assert (tmp_path / "token").read_text().count(".") == 2


_MADE: set[str] = {"default"}


def _make(server: Plane, name: str) -> None:
    """A dry run makes nothing, and what is in a namespace wants it to be there."""
    if name not in _MADE:
        server.ask("/api/v1/namespaces", "POST", {"metadata": {"name": name}})
        _MADE.add(name)
