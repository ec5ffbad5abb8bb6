"""An attempt with executors of its own: real Spark in real pods, made by the runner, on one /job.

Needs `scripts/setup --with kubernetes --engines spark` (as root); runs with `--with kubernetes,spark`.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dev.cluster import image, plane
from dev.cluster.plane import Plane
from dev.stack.errors import StackError
from runner.executor.kubernetes.executor import KubernetesExecutor
from runner.executor.kubernetes.manifest import Placement
from runner.jobtype.base import Exit, Place
from runner.jobtype.spark_etl import SparkEtl
from runner.model.attempt import Attempt, Output
from runner.model.errors import Retryable
from runner.model.outcome import Succeeded
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from tests.contract.conftest import Play, Recorder
from tests.contract.pods import NAMESPACE, ParcelDoor, PodPieces, workbench
from tests.unit.spark_etl.conftest import Bench

pytestmark = pytest.mark.needs("kubernetes", "spark")
#: A machine that is busy takes its time for five JVMs.
PATIENCE_SECONDS = 600.0
JOB = SparkEtl(Place(None, image=True))
_NUMBERS = itertools.count(random.randrange(10**9, 2 * 10**9))
PROGRAM = """
import json, os, socket, time
from pyspark.sql import SparkSession, functions as f
from pyspark import TaskContext
import prices

spark = SparkSession.builder.getOrCreate()
print("::progress 10 begun", flush=True)

@f.udf("string")
def who(_):
    time.sleep(0.01)
    return socket.gethostname()

orders = spark.read.option("header", True).csv("inputs/orders.csv").repartition(8)
priced = orders.withColumn("price", f.udf(prices.price, "double")("amount")).withColumn("host", who("amount"))
priced.cache()
print("DRIVER", socket.gethostname(), flush=True)
for row in priced.groupBy("host").count().collect():
    print("HOST", row["host"], row["count"], flush=True)

def speak(_):
    os.write(1, f"a word of an executor and its {os.environ['TOKEN']}\\n".encode())  # whole: there are two of them
    return len(os.environ["TOKEN"])

print("SECRET", set(spark.sparkContext.parallelize(range(8), 8).map(speak).collect()), flush=True)
country = priced.groupBy("country").agg(f.count("*").alias("orders"), f.sum("price").alias("revenue"))
country.write.parquet("outputs/revenue")
priced.select("id", "price").write.csv("outputs/prices.csv")
time.sleep(3)  # what executors print is on its way
print("::progress 100 done", flush=True)
"""
PRICES = "def price(amount):\n    return 2.0 * float(amount)\n"
ORDERS = "id,country,amount\n" + "".join(f"{n},{'DE' if n % 3 else 'PT'},{n}\n" for n in range(900))
WAITS = """
import os, time
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
print(spark.sparkContext.parallelize(range(8), 8).map(lambda n: n * n).sum(), flush=True)
print("begun", flush=True)
while not os.path.exists("on"):
    time.sleep(0.1)
print(spark.sparkContext.parallelize(range(8), 8).map(lambda n: n + 1).sum(), flush=True)
"""
OUTPUTS = (Output("revenue", table="revenue", layer="gold"), Output("prices.csv"))


@pytest.fixture(scope="session")
def spark_plane(cluster_plane: Plane) -> Plane:
    """The cluster, with the image of the engine."""
    try:
        _, archive = image.archive("spark")
    except StackError as error:
        pytest.skip(str(error))
    plane.load(cluster_plane, archive)
    return cluster_plane


@pytest.fixture
def placement(parcel_door: ParcelDoor) -> Placement:
    return Placement(
        namespace=NAMESPACE,
        door_url=parcel_door.url,
        public_url=parcel_door.url,
        images={"": image.NAME.format("spark")},
        pull_policy="Never",
        cpu_share=0.02,
        pending_seconds=240.0,
        shared_storage=plane.SHARED,
    )


@pytest.fixture
async def bench(
    spark_plane: Plane, parcel_door: ParcelDoor, placement: Placement, folder: Path
) -> AsyncIterator[PodPieces]:
    async with workbench(spark_plane, parcel_door, placement, folder) as made:
        yield made


class Team:
    """One attempt with executors, as the workshop begins it."""

    def __init__(self, bench: PodPieces, folder: Path, executors: int = 2) -> None:
        self.number = next(_NUMBERS)
        self.folder = folder
        self.attempt = Attempt(
            attempt_id=self.number, lease=3, number=1, run_id=9, task_run_id=8, task_key="execute",
            tenant_id="0b9b7f0e-7a54-4e0a-9c0f-5d9d9f3f1a11", tenant_slug="acme", job_type="spark_etl",
            engine="spark", requires="spark_etl/spark+executors", timeout_seconds=900, executors=executors,
            token=bench.door.token, granted={"namespace": (NAMESPACE,)},
        )  # fmt: skip

    def begin(
        self,
        bench: PodPieces,
        code: str | dict[str, str],
        lease: int = 3,
        secrets: dict[str, str] | None = None,
        **laid_out: Any,
    ) -> Play:
        laid, workspace = Bench(Path("/nonexistent"), "spark", self.folder / str(lease)).lay_out(
            code, **laid_out
        )
        self.attempt = replace(
            self.attempt, lease=lease, inputs=laid.inputs, outputs=laid.outputs, secrets=tuple(secrets or ())
        )
        command = JOB.prepare(self.attempt, workspace)
        prepared = replace(workspace, command=command, secrets=secrets or {})
        reporter = Recorder()
        return Play(
            asyncio.create_task(bench.executor.run(self.attempt, prepared, reporter)), reporter, prepared
        )

    def job(self, bench: PodPieces) -> str:
        return f"control-room-{bench.placement.house}-a{self.number}-spark-etl"


async def end(play: Play) -> Any:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await play.task


async def begun(play: Play) -> None:
    """The driver works, and its executors do."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while "begun" not in play.reporter.text():
            assert not play.task.done(), (play.task.result(), play.reporter.lines)
            play.reporter.spoke.clear()
            await asyncio.wait([asyncio.create_task(play.reporter.spoke.wait()), play.task], timeout=5)


async def until(what: Any, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until something of the cluster holds."""
    async with asyncio.timeout(seconds):
        while not (found := await asyncio.to_thread(what)):  # noqa: ASYNC110 - it is another process that changes
            await asyncio.sleep(0.3)
    return found


def jobs(bench: PodPieces, team: Team) -> list[str]:
    """The Jobs of an attempt, as they end."""
    selector = f"control-room%2Fattempt={team.number}"
    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs?labelSelector={selector}"
    names = [each["metadata"]["name"] for each in bench.plane.ask(path)["items"]]
    return sorted(name.removeprefix(team.job(bench)) for name in names)


def pods(bench: PodPieces, team: Team) -> list[str]:
    return sorted(each["metadata"]["labels"]["control-room/crew"] for each in bench.pods(team.number))


def claims(bench: PodPieces, team: Team) -> list[str]:
    """The volumes of an attempt, each of the pod that it is named by."""
    names = [each["metadata"]["name"] for each in bench.ask("persistentvolumeclaims")["items"]]
    return [name for name in names if name.startswith(team.job(bench))]


async def test_rows_are_computed_on_executors_and_the_results_arrive(
    bench: PodPieces, spark_plane: Plane, folder: Path
) -> None:
    plane.shared_volumes(spark_plane, 1)
    team = Team(bench, folder)
    play = team.begin(
        bench,
        {"job.py": PROGRAM, "prices.py": PRICES},
        files={"orders.csv": ORDERS},
        outputs=OUTPUTS,
        secrets={"TOKEN": "hunter-2-hunter"},
    )
    outcome = await end(play)
    assert isinstance(outcome, Succeeded), (outcome, play.reporter.lines)
    said = play.reporter.text()
    hosts = {words[1]: int(words[2]) for line in said if (words := line.split())[0] == "HOST"}
    told = [line for _, line in play.reporter.lines if line.startswith("[executor ")]

    assert "DRIVER sandbox" in said
    assert set(hosts) == {f"{team.job(bench)}-crew-{n}" for n in (0, 1)}
    assert sum(hosts.values()) == 900
    assert f"SECRET {{{len('hunter-2-hunter')}}}" in said  # it is there, as at the driver
    assert {line.partition("] ")[2] for line in told if "word" in line} == {
        "a word of an executor and its ***"
    }
    assert {line.partition("] ")[0] for line in told} == {"[executor 0", "[executor 1"}
    assert not [line for line in told if "Spark Executor Command" in line or " -Dspark" in line]
    assert [percent for percent, _ in play.reporter.progressed] == [10, 100]

    collected = JOB.collect(team.attempt, play.workspace, Exit(0))
    (table,) = collected.tables
    rows = (play.workspace.root / table.path).read_text().splitlines()
    assert (table.layer, table.table, rows[0]) == ("gold", "revenue", "country,orders,revenue")
    assert sorted(rows[1:]) == ["DE,600,540000.0", "PT,300,269100.0"]
    assert (
        sum(len((play.workspace.root / each.path).read_text().splitlines()) for each in collected.artifacts)
        == 900
    )
    assert collected.values["lineage"] == {"events": 2, "confidence": "high"}
    assert [each["inputs"][0]["name"] for each in collected.lineage] == ["orders.csv"] * 2

    # the executors went when the work had ended; the rest is swept as that of any attempt
    assert await asyncio.to_thread(jobs, bench, team) == [""]
    executor = bench.executor
    assert isinstance(executor, KubernetesExecutor)
    await executor.forget((await executor.left())[team.number])
    await until(lambda: (pods(bench, team), claims(bench, team)) == ([], []))


async def test_a_cancel_takes_the_executors_and_the_volume_too(
    bench: PodPieces, spark_plane: Plane, folder: Path
) -> None:
    plane.shared_volumes(spark_plane, 1)
    team = Team(bench, folder)
    play = team.begin(bench, WAITS)
    await begun(play)
    assert await asyncio.to_thread(pods, bench, team) == ["hand", "hand", "lead"]
    assert len(await asyncio.to_thread(claims, bench, team)) == 1
    play.reporter.stop = Stop.CANCELED
    play.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await end(play)

    assert await asyncio.to_thread(lambda: (jobs(bench, team), pods(bench, team))) == ([], [])
    await until(lambda: not claims(bench, team))


async def test_another_runner_goes_on_with_the_driver_and_gives_it_executors_anew(
    bench: PodPieces, spark_plane: Plane, parcel_door: ParcelDoor, placement: Placement, folder: Path
) -> None:
    (shared,) = plane.shared_volumes(spark_plane, 1)
    team = Team(bench, folder)
    first = team.begin(bench, WAITS)
    await begun(first)
    first.reporter.stop = Stop.LOST
    first.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await end(first)
    assert await asyncio.to_thread(pods, bench, team) == ["hand", "hand", "lead"]
    # as though the first had died before it made them
    name = f"jobs/{team.job(bench)}-crew?propagationPolicy=Background"
    await asyncio.to_thread(bench.ask, name, "DELETE")
    await until(lambda: pods(bench, team) == ["lead"])

    async with workbench(spark_plane, parcel_door, placement, folder) as other:
        second = team.begin(other, WAITS, lease=4)
        await until(lambda: pods(bench, team) == ["hand", "hand", "lead"])
        (shared / "on").touch()
        outcome = await end(second)
    assert isinstance(outcome, Succeeded), (outcome, second.reporter.lines)
    adopted = [line for stream, line in second.reporter.lines if stream == "system"]

    assert adopted == [f"adopted Job {team.job(bench)}, begun under lease 3"]
    assert second.reporter.text()[-1] == "36"  # by those that were made for it
    assert await asyncio.to_thread(jobs, bench, team) == [""]


async def test_executors_end_by_themselves_when_the_work_has_and_no_runner_looks(
    bench: PodPieces, spark_plane: Plane, folder: Path
) -> None:
    (shared,) = plane.shared_volumes(spark_plane, 1)
    team = Team(bench, folder)
    play = team.begin(bench, WAITS)
    await begun(play)
    play.reporter.stop = Stop.LOST
    play.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await end(play)
    (shared / "on").touch()

    def phases() -> set[str]:
        return {each["status"]["phase"] for each in bench.pods(team.number)}

    await until(lambda: phases() == {"Succeeded"})
    await asyncio.to_thread(bench.ask, f"jobs/{team.job(bench)}?propagationPolicy=Background", "DELETE")
    await until(lambda: (jobs(bench, team), pods(bench, team), claims(bench, team)) == ([], [], []))


@pytest.mark.parametrize("missing", ["a volume", "room"])
async def test_who_cannot_have_executors_is_told_why_and_leaves_nothing(
    missing: str,
    spark_plane: Plane,
    parcel_door: ParcelDoor,
    placement: Placement,
    folder: Path,
) -> None:
    quota = {"metadata": {"name": "room"}, "spec": {"hard": {"pods": "2"}}}
    changed = replace(placement, pending_seconds=15.0)
    if missing == "a volume":
        changed = replace(changed, shared_storage="nowhere")
    async with workbench(spark_plane, parcel_door, changed, folder) as bench:
        if missing == "room":
            plane.shared_volumes(spark_plane, 1)
            await asyncio.to_thread(bench.ask, "resourcequotas", "POST", quota)
            await asyncio.sleep(3)  # until it is enforced
        try:
            team = Team(bench, folder)
            play = team.begin(bench, WAITS)
            with pytest.raises(Retryable) as failure:
                await end(play)
        finally:
            if missing == "room":
                await asyncio.to_thread(bench.ask, "resourcequotas/room", "DELETE")

        assert failure.value.code is TerminationCode.EXECUTOR_UNAVAILABLE
        wanted = "exceeded quota" if missing == "room" else "PersistentVolume"
        assert wanted.lower() in failure.value.message.lower()
        await until(lambda: (jobs(bench, team), pods(bench, team), claims(bench, team)) == ([], [], []))
