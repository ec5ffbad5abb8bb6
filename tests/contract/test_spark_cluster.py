"""Spark with many executors, `--master k8s://`: what its driver may, and what its executors are.

Needs `scripts/setup --with kubernetes --engines spark` (as root); runs with `--with kubernetes,spark`.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import socketserver
import subprocess
import threading
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
PROGRAM = """\
import json, os, time
from pyspark.sql import SparkSession, functions as f

spark = SparkSession.builder.appName("many").getOrCreate()

def where(_):
    time.sleep(0.5)  # or one of them does it all
    return os.environ["SPARK_EXECUTOR_POD_NAME"]

pods = set()
while len(pods) < 2:  # an executor that is slow to begin is waited for
    pods |= set(spark.sparkContext.parallelize(range(8), 8).map(where).collect())
left = spark.range(0, 10_000, 1, 8).withColumn("seventh", f.col("id") % 7)
right = spark.createDataFrame([(each, f"name {each}") for each in range(7)], "seventh long, name string")
joined = left.join(right.repartition(4), "seventh").groupBy("name").agg(f.count("*"), f.sum("id"))
print("FOUND", json.dumps([sorted(pods), sorted(map(list, joined.collect()))]), flush=True)
spark.stop()
"""
PATHS = {
    "ConfigMap": f"/api/v1/namespaces/{NAMESPACE}/configmaps",
    "Job": f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs",
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
    "ResourceQuota": f"/api/v1/namespaces/{NAMESPACE}/resourcequotas",
    "Role": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles",
    "RoleBinding": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings",
}
EXECUTOR = MANIFESTS / "spark-executor.yaml"
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


class Way(socketserver.ThreadingTCPServer):
    """The API server at an address that pods reach, for as long as a test wants them to."""

    daemon_threads = True

    def __init__(self, made: Plane) -> None:
        self.behind = ("127.0.0.1", made.ports["apiserver"])
        super().__init__((plane.HOST, 0), _Carried)

    @property
    def url(self) -> str:
        return f"https://{plane.HOST}:{self.server_address[1]}"


class _Carried(socketserver.BaseRequestHandler):
    server: Way

    def handle(self) -> None:
        with socket.create_connection(self.server.behind) as behind:
            back = threading.Thread(target=self._carry, args=(behind, self.request), daemon=True)
            back.start()
            self._carry(self.request, behind)
            back.join()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)


@pytest.fixture
def way(cluster_plane: Plane) -> Iterator[Way]:
    with Way(cluster_plane) as made:
        threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
        yield made
        made.shutdown()


def settled(text: str, **settings: str) -> str:
    """spark-defaults.conf with other values of settings that are in it."""
    for key, value in settings.items():
        text, count = re.subn(rf"(?m)^({re.escape(key)})( +)\S+$", rf"\g<1>\g<2>{value}", text)
        assert count == 1, key
    return text


def launch(made: Plane, way: Way) -> None:
    """spark-driver.yaml, with what a cluster of tests has: its own image, another address, two small cores."""
    (executor, settings, driver) = (
        {"metadata": {"name": "spark-executor"}, "data": {"spark-executor.yaml": EXECUTOR.read_text()}},
        *yaml.safe_load_all((MANIFESTS / "spark-driver.yaml").read_text()),
    )
    name = image.NAME.format("spark")
    settings["data"]["spark-defaults.conf"] = settled(
        settings["data"]["spark-defaults.conf"],
        **{
            "spark.master": f"k8s://{way.url}",
            "spark.kubernetes.container.image": name,
            "spark.executor.memory": "512m",
            "spark.kubernetes.executor.request.cores": "100m",
            "spark.scheduler.maxRegisteredResourcesWaitingTime": "600s",
            "spark.driver.memory": "512m",
        },
    )
    (container,) = driver["spec"]["template"]["spec"]["containers"]
    container["image"], container["imagePullPolicy"] = name, "Never"
    container["resources"]["requests"]["cpu"] = "100m"
    for each in (executor, settings, {"metadata": {"name": "spark-program"}, "data": {"job.py": PROGRAM}}):
        made.ask(PATHS["ConfigMap"], "POST", each)
    made.ask(PATHS["Job"], "POST", driver)


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


def test_executors_of_a_driver_in_a_job_do_its_work_and_go_with_it(
    cluster_plane: Plane, way: Way, tmp_path: Path
) -> None:
    made, pods = cluster_plane, f"/api/v1/namespaces/{NAMESPACE}/pods"
    plane.load(made, image.archive("spark")[1])
    furnish(made, tmp_path)
    launch(made, way)
    ran: dict[str, str] = {}
    seen: dict[str, Json] = {}

    def ended() -> Json:
        for each in made.ask(f"{pods}?labelSelector=spark-role=executor")["items"]:
            seen[each["metadata"]["name"]] = each["status"]
            if each["status"]["phase"] == "Running":
                ran[each["metadata"]["name"]] = each["spec"]["nodeName"]
        status: Json = made.ask(f"{PATHS['Job']}/spark-driver")["status"]
        return status if {"succeeded", "failed"} & set(status) else {}

    status = until(ended, 600)
    (driver_pod,) = made.ask(f"{pods}?labelSelector=job-name=spark-driver")["items"]
    log = made.ask(f"{pods}/{driver_pod['metadata']['name']}/log")["text"]
    assert status.get("succeeded") == 1, (log, seen)
    assert "forbidden" not in log
    (found,) = (line.removeprefix("FOUND ") for line in log.splitlines() if line.startswith("FOUND "))
    where, rows = json.loads(found)

    assert len(where) == 2
    assert set(where) <= set(ran)
    assert set(ran.values()) == {"127.0.0.1"}
    numbers = [range(seventh, 10_000, 7) for seventh in range(7)]
    assert rows == [[f"name {n}", len(numbers[n]), sum(numbers[n])] for n in range(7)]
    # they are the driver's, and it has ended
    until(lambda: not made.ask(f"{pods}?labelSelector=spark-role=executor")["items"], 60)
