"""A job that a real runner carries out in a real cluster: Spark code, tables, artifacts, lineage, a cancel, a kill.

Needs `scripts/setup --with kubernetes` (as root); runs with `--with kubernetes`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from dev.cluster import image, plane
from dev.cluster.plane import Plane
from tests.acceptance.rescue.conftest import TENANT, Receiver, Room, stop

pytestmark = pytest.mark.needs("kubernetes")

ETL = """
import time
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
frame = spark.read.option("header", True).option("inferSchema", True).csv("inputs/letters")
print("::progress 40 made", flush=True)
frame.filter("id > 1").write.parquet("outputs/letters")
open("outputs/note.txt", "w").write("three letters")
{more}
"""


class Relay:
    """The stack's gateway, which listens on the loopback alone, at the address that pods reach."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server = socket.create_server((plane.HOST, 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                threading.Thread(target=_carry, args=(near, self._target), daemon=True).start()


def _carry(near: socket.socket, target: tuple[str, int]) -> None:
    """One connection to its end: requests of the standard library close it behind them."""
    with contextlib.suppress(OSError), near, socket.create_connection(target) as far:
        back = threading.Thread(target=_pump, args=(far, near), daemon=True)
        back.start()
        _pump(near, far)
        back.join()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Plane]:
    if reason := plane.lacking():
        pytest.skip(f"needs a cluster: {reason}")
    images = dict([image.archive(), image.archive("duckdb")])
    with plane.running(images) as made:
        plane.namespace(made, "jobs")
        yield made


@pytest.fixture
def settings(nodes: Plane, room: Room) -> Iterator[dict[str, str]]:
    """What a runner needs to know to make Jobs."""
    gateway = urlsplit(room.environment["SUPABASE_URL"])
    assert gateway.hostname is not None
    assert gateway.port is not None
    relay = Relay((gateway.hostname, gateway.port))
    room.query("update queue.settings set lease_seconds = 6, heartbeat_seconds = 1")
    grant(room, "namespace", "jobs")
    yield {
        "KUBECONFIG": str(nodes.kubeconfig),
        "CONTROL_ROOM_EXECUTOR_SPARK_ETL": "kubernetes",
        "CONTROL_ROOM_IMAGE_SPARK_ETL_DUCKDB": image.NAME.format("duckdb"),
        "CONTROL_ROOM_KUBE_NAMESPACE": "jobs",
        "CONTROL_ROOM_KUBE_FUNCTIONS_URL": f"http://{plane.HOST}:{relay.port}/functions/v1/api",
        "CONTROL_ROOM_KUBE_CPU_SHARE": "0.05",
        "CONTROL_ROOM_DRAIN_SECONDS": "0",
    }
    relay.close()


def grant(room: Room, kind: str, name: str) -> None:
    room.query(
        "insert into tenancy.grants (tenant_id, kind, name) select id, %s, %s from tenancy.tenants where slug = %s "
        "on conflict do nothing",
        kind,
        name,
        TENANT,
    )


def letters(room: Room) -> str:
    """An artifact to read, checked by a runner."""
    form = {"name": f"letters/{uuid.uuid4()}.csv", "kind": "data", "content": "id,name\n1,a\n2,b\n3,c\n"}
    artifact_id: str = room.ask("POST", "/artifacts", json=form)["artifact_id"]
    ready = "select 1 from artifact.versions where artifact_id = %s and state = 'READY'"
    room.until("it is checked", lambda: room.query(ready, artifact_id))
    return artifact_id


def submit(room: Room, more: str = "") -> int:
    body: dict[str, Any] = {
        "inputs": [{"name": "letters", "artifact_id": letters(room)}],
        "job_type": "spark_etl",
        "spec": "three letters",
        "code": {"files": {"job.py": ETL.format(more=more)}},
        "outputs": [{"name": "letters", "table": "letters", "layer": "bronze"}],
        "timeout_seconds": 120,
    }
    return int(room.ask("POST", "/jobs/run", json=body)["run_id"])


def run(room: Room, run_id: int) -> dict[str, Any]:
    return room.ask("GET", f"/runs/{run_id}")


def test_a_job_runs_in_a_pod_from_door_to_callback(
    room: Room, receiver: Receiver, settings: dict[str, str], nodes: Plane
) -> None:
    runner = room.start_runner(**settings)
    run_id = submit(room)
    room.until("the run ends", lambda: run(room, run_id)["times"]["finished_at"], 90)
    ended = run(room, run_id)

    assert ended["state"] == "SUCCEEDED", f"{ended['tasks']}\n{logs(room, run_id)}\n{room.log(0)[-3000:]}"
    assert [each["name"].rpartition("/")[2] for each in ended["artifacts"]] == ["note.txt"]
    assert room.query(f"select id, name from bronze_{TENANT}.letters order by id") == [(2, "b"), (3, "c")]
    graph = room.ask("GET", f"/runs/{run_id}/lineage")
    assert f"dataset:control-room://{TENANT}:bronze.letters" in {each["id"] for each in graph["graph"]}
    assert ended["tasks"][0]["attempts"][0]["external_id"].startswith("jobs/control-room-")
    room.until("the callback comes", lambda: receiver.messages)
    left = room.query("select name from storage.objects where bucket_id = 'parcels'")
    assert left == [], "parcels are removed when they have arrived"
    room.until(
        "what is over is swept", lambda: not nodes.ask("/apis/batch/v1/namespaces/jobs/jobs")["items"], 60
    )
    assert stop(runner) == 0


def test_a_runner_that_is_killed_costs_neither_the_work_nor_a_retry(
    room: Room, settings: dict[str, str], nodes: Plane
) -> None:
    first = room.start_runner(**settings)
    run_id = submit(room, "print('at work', flush=True)\ntime.sleep(10)")
    room.until("it is at work", lambda: "at work" in logs(room, run_id), 60)
    first.kill()
    first.wait()
    room.start_runner(**settings)
    room.until("the run ends", lambda: run(room, run_id)["times"]["finished_at"], 90)
    ended = run(room, run_id)

    assert ended["state"] == "SUCCEEDED", (ended, room.log(1)[-3000:])
    (attempt,) = ended["tasks"][0]["attempts"]
    assert attempt["lease"] == 2
    said = logs(room, run_id)
    assert any(line.startswith("adopted Job control-room-") for line in said)
    assert (
        len(
            nodes.ask("/api/v1/namespaces/jobs/pods?labelSelector=" + f"control-room%2Frun={run_id}")["items"]
        )
        <= 1
    )


def test_a_cancel_ends_the_pod(room: Room, settings: dict[str, str], nodes: Plane) -> None:
    room.start_runner(**settings)
    run_id = submit(room, "print('at work', flush=True)\ntime.sleep(600)")
    room.until("it is at work", lambda: "at work" in logs(room, run_id), 60)
    room.ask("POST", f"/runs/{run_id}/cancel")
    room.until("the run ends", lambda: run(room, run_id)["state"] == "CANCELED", 30)

    selector = f"control-room%2Frun={run_id}"
    assert nodes.ask(f"/api/v1/namespaces/jobs/pods?labelSelector={selector}")["items"] == []
    assert "the pod has stopped" in logs(room, run_id)


def test_a_tenant_that_was_granted_no_namespace_is_refused(room: Room, settings: dict[str, str]) -> None:
    room.query("delete from tenancy.grants where kind = 'namespace'")
    room.start_runner(**settings)
    run_id = submit(room)
    room.until("the run ends", lambda: run(room, run_id)["times"]["finished_at"], 60)

    assert run(room, run_id)["termination_code"] == "NOT_GRANTED"


def logs(room: Room, run_id: int) -> list[str]:
    return [
        each[0] for each in room.query("select line from queue.logs where run_id = %s order by seq", run_id)
    ]


@pytest.mark.needs("spark")
def test_spark_in_a_pod_is_real_spark(room: Room, settings: dict[str, str], nodes: Plane) -> None:
    name, archive = image.archive("spark")
    plane.load(nodes, archive)
    room.start_runner(**settings, CONTROL_ROOM_IMAGE_SPARK_ETL_SPARK=name)
    body: dict[str, Any] = {
        "inputs": [{"name": "letters", "artifact_id": letters(room)}],
        "job_type": "spark_etl",
        "engine": "spark",
        "spec": "three letters",
        "code": {"files": {"job.py": ETL.format(more="print(spark.sparkContext.master, spark.version)")}},
        "outputs": [{"name": "letters", "table": "sparks", "layer": "bronze"}],
        "timeout_seconds": 300,
    }
    run_id = int(room.ask("POST", "/jobs/run", json=body)["run_id"])
    room.until("the run ends", lambda: run(room, run_id)["times"]["finished_at"], 240)
    ended = run(room, run_id)

    assert ended["state"] == "SUCCEEDED", f"{ended['tasks']}\n{logs(room, run_id)}"
    assert any(line.startswith("local[") for line in logs(room, run_id))
    assert room.query(f"select id from bronze_{TENANT}.sparks order by id") == [(2,), (3,)]


MANY = """
def host(_):
    import socket
    time.sleep(0.2)
    return socket.gethostname()

hosts = set(spark.sparkContext.parallelize(range(16), 16).map(host).collect())
print("at work on", sorted(name.rpartition("spark-etl-")[2] for name in hosts), flush=True)
time.sleep(15)
print("still", len(set(spark.sparkContext.parallelize(range(16), 16).map(host).collect())), flush=True)
"""


@pytest.mark.needs("spark")
def test_a_run_that_asks_for_executors_gets_them_whoever_is_killed(
    room: Room, settings: dict[str, str], nodes: Plane
) -> None:
    name, archive = image.archive("spark")
    plane.load(nodes, archive)
    plane.shared_volumes(nodes, 1)
    many = settings | {
        "CONTROL_ROOM_IMAGE_SPARK_ETL_SPARK": name,
        "CONTROL_ROOM_KUBE_SHARED_STORAGE": plane.SHARED,
        "CONTROL_ROOM_KUBE_PENDING_SECONDS": "240",
    }
    first = room.start_runner(**many)
    body: dict[str, Any] = {
        "inputs": [{"name": "letters", "artifact_id": letters(room)}],
        "job_type": "spark_etl",
        "engine": "spark",
        "executors": 2,
        "spec": "three letters",
        "code": {"files": {"job.py": ETL.format(more=MANY)}},
        "outputs": [{"name": "letters", "table": "many", "layer": "bronze"}],
        "timeout_seconds": 900,
    }
    run_id = int(room.ask("POST", "/jobs/run", json=body)["run_id"])
    room.until("it is at work", lambda: any(x.startswith("at work") for x in logs(room, run_id)), 600)
    first.kill()
    first.wait()
    room.start_runner(**many)
    room.until("the run ends", lambda: run(room, run_id)["times"]["finished_at"], 600)
    ended = run(room, run_id)

    assert ended["state"] == "SUCCEEDED", f"{ended['tasks']}\n{logs(room, run_id)}"
    (task,) = ended["tasks"]
    (attempt,) = task["attempts"]
    assert (task["executors"], attempt["lease"]) == (2, 2)
    said = logs(room, run_id)
    assert "at work on ['crew-0', 'crew-1']" in said
    assert "still 2" in said
    assert room.query(f"select id from bronze_{TENANT}.many order by id") == [(2,), (3,)]
    graph = room.ask("GET", f"/runs/{run_id}/lineage")
    assert f"dataset:control-room://{TENANT}:bronze.many" in {each["id"] for each in graph["graph"]}
    assert "note.txt" in [each["name"].rpartition("/")[2] for each in ended["artifacts"]]

    def left() -> list[Any]:
        core = "/api/v1/namespaces/jobs"
        places = ("/apis/batch/v1/namespaces/jobs/jobs", f"{core}/pods", f"{core}/persistentvolumeclaims")
        return [each for place in places for each in nodes.ask(place)["items"]]

    room.until("what is over is swept", lambda: not left(), 90)
