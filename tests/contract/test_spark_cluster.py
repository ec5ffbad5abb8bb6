"""Spark with many executors, `--master k8s://`: what its driver may, and what its executors are.

Needs `scripts/setup --with kubernetes --engines spark` (as root); runs with `--with kubernetes,spark`.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.cluster import image, plane
from dev.cluster.plane import Plane
from dev.stack import state

pytestmark = pytest.mark.needs("kubernetes", "spark")
CLONE = Path(__file__).resolve().parents[2]
MANIFESTS = CLONE / "deploy" / "kubernetes"
NAMESPACE = "control-room-spark"
PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
    "ResourceQuota": f"/api/v1/namespaces/{NAMESPACE}/resourcequotas",
    "Role": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles",
    "RoleBinding": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings",
}
Json = dict[str, Any]


def furnish(made: Plane, folder: Path) -> None:
    """The manifest, and a token of the driver's account in a file."""
    for each in yaml.safe_load_all((MANIFESTS / "spark.yaml").read_text()):
        made.ask(PATHS[each["kind"]], "POST", each)
    account = f"{PATHS['ServiceAccount']}/spark-driver/token"
    answer = made.ask(account, "POST", {"spec": {"expirationSeconds": 3600}})
    (folder / "token").write_text(answer["status"]["token"])


@contextmanager
def driver(made: Plane, folder: Path, host: str, work: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A driver in client mode, with nothing but its account."""
    settings = {
        "spark.kubernetes.namespace": NAMESPACE,
        "spark.kubernetes.authenticate.oauthTokenFile": str(folder / "token"),
        "spark.kubernetes.authenticate.caCertFile": str(made.authority.path),
        "spark.kubernetes.container.image": image.NAME.format("spark"),
        "spark.kubernetes.container.image.pullPolicy": "Never",
        "spark.kubernetes.executor.podTemplateFile": str(MANIFESTS / "spark-executor.yaml"),
        "spark.kubernetes.executor.limit.cores": "1",
        "spark.executor.memory": "512m",
        "spark.driver.host": host,
        "spark.driver.memory": "512m",
        "spark.ui.enabled": "false",
        "spark.log.level": "ERROR",
        **more,
    }
    program = folder / "driver.py"
    program.write_text(
        "from pyspark.sql import SparkSession\n"
        f"builder = SparkSession.builder.master('k8s://{made.server}').appName('many')\n"
        f"for key, value in {settings!r}.items():\n    builder = builder.config(key, value)\n"
        f"spark = builder.getOrCreate()\n{work}\nspark.stop()\n"
    )
    python = state.home() / "engines" / "spark" / "bin" / "python"
    argv = [str(python), str(program)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def may(made: Plane, token: str, verb: str, what: str, namespace: str = NAMESPACE) -> bool:
    """What the API server says to whoever has this token."""
    resource, _, sub = what.partition("/")
    group, _, resource = resource.rpartition(".")
    asked = {"namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": sub}
    body = {"spec": {"resourceAttributes": asked}}
    request = urllib.request.Request(
        f"{made.server}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        json.dumps(body).encode(),
        {"authorization": f"Bearer {token}", "content-type": "application/json"},
    )
    context = plane.ssl.create_default_context(cafile=str(made.authority.path))
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return bool(json.load(answer)["status"]["allowed"])


def until(what: Any, seconds: float) -> Any:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.5)
    return found


def test_the_drivers_account_makes_executors_that_are_admitted_and_no_more(tmp_path: Path) -> None:
    with plane.without_node() as made:
        furnish(made, tmp_path)
        made.ask(PATHS["ServiceAccount"], "POST", {"metadata": {"name": "default"}})
        token = (tmp_path / "token").read_text()
        pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
        more = {"spark.executor.instances": "2"}
        with driver(made, tmp_path, "127.0.0.1", "import time; time.sleep(600)", **more):
            found = until(lambda: len(x := made.ask(pods)["items"]) == 2 and x, 180)

        # the namespace admits pods of the strictest kind alone, so that they are there says it
        assert {each["metadata"]["labels"]["spark-role"] for each in found} == {"executor"}
        assert not any(each["spec"]["automountServiceAccountToken"] for each in found)
        assert may(made, token, "create", "pods")
        for verb, what in (
            ("get", "secrets"), ("list", "secrets"), ("create", "pods/exec"), ("get", "pods/log"),
            ("create", "batch.jobs"), ("create", "rbac.authorization.k8s.io.rolebindings"),
        ):  # fmt: skip
            assert not may(made, token, verb, what), what
        assert not may(made, token, "create", "pods", "kube-system")
