"""What a cluster does to an attempt, and what it must not: real pods, a real API server that is killed."""

from __future__ import annotations

import asyncio
import json
import urllib.error
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dev.cluster import plane
from dev.cluster.plane import Plane
from runner.dispatch.upkeep import Sweeper
from runner.executor.kubernetes.cluster import Gone
from runner.executor.kubernetes.executor import KubernetesExecutor
from runner.executor.kubernetes.manifest import Placement
from runner.jobtype import harvest
from runner.model.attempt import Attempt, TaskImage
from runner.model.command import Command, Limits
from runner.model.errors import Permanent
from runner.model.outcome import PermanentFailure, RetryableFailure, Succeeded
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from runner.store.memory import MemoryStore
from tests.contract.conftest import HANGS_SECONDS, MIB, Play, Recorder, make_attempt
from tests.contract.pods import NAMESPACE, ParcelDoor, PodPieces, workbench

pytestmark = pytest.mark.needs("kubernetes")

WAITS = """
import os, time
print("begun", flush=True)
print("::value first 1", flush=True)
while not os.path.exists("/tmp/on"): time.sleep(0.1)
"""


async def said(bench: PodPieces, code: str, **options: Any) -> list[str]:
    play = bench.python(code, **options)
    outcome = await play.end()
    assert isinstance(outcome, Succeeded), (outcome, play.reporter.lines)
    return play.reporter.text()


async def until(what: Any, seconds: float = HANGS_SECONDS) -> Any:
    """Wait until something of the cluster holds."""
    async with asyncio.timeout(seconds):
        while not (found := await asyncio.to_thread(what)):  # noqa: ASYNC110 - it is another process that changes
            await asyncio.sleep(0.2)
    return found


async def again(bench: PodPieces, play: Play, number: int) -> Play:
    """The same attempt, claimed anew: by whatever runner this bench is, under the next lease."""
    workspace = bench.workspace()
    (workspace.root / "job.py").write_text((play.workspace.root / "job.py").read_text())
    reporter = Recorder()
    attempt = replace(
        make_attempt(lease=4),
        attempt_id=number,
        token=bench.door.token,
        granted={"namespace": (NAMESPACE,)},
    )
    prepared = replace(workspace, command=play.workspace.command)
    return Play(asyncio.create_task(bench.executor.run(attempt, prepared, reporter)), reporter, prepared)


# ------------------------------------------------------------------------------------- what is inside


async def test_the_view_is_that_of_every_executor(kubernetes: PodPieces) -> None:
    lines = await said(
        kubernetes,
        """
        import os
        print(sorted(os.environ.items()))
        print(os.getcwd(), os.getuid(), os.getgid())
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        print(int(status["CapEff"], 16), status["NoNewPrivs"].strip(), status["Seccomp"].strip())
        """,
        secrets={"API_TOKEN": "value-of-token"},
    )

    expected = {
        "API_TOKEN": "***",
        "ATTEMPT": "2",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "RUN_ID": "9",
        "TENANT_SLUG": "acme",
        "TZ": "UTC",
    }
    assert lines == [str(sorted(expected.items())), "/job 65534 65534", "0 1 2"]


async def test_the_code_reaches_neither_token_nor_cluster_nor_network(kubernetes: PodPieces) -> None:
    lines = await said(
        kubernetes,
        """
        import glob, os, socket
        def attempt(name, act):
            try:
                print(name, act())
            except Exception as error:
                print("no", name)
        attempt("token", lambda: open("/control-room/token/token").read())
        attempt("service account", lambda: os.listdir("/var/run/secrets/kubernetes.io/serviceaccount"))
        attempt("memory of the agent", lambda: open("/proc/1/mem", "rb").read(1))
        attempt("environment of the agent", lambda: open("/proc/1/environ", "rb").read(1))
        attempt("descriptors of the agent", lambda: os.listdir("/proc/1/fd"))
        attempt("the order", lambda: open("/control-room/order/order.json", "w"))
        attempt("the root", lambda: open("/usr/x", "w"))
        for place in (("1.1.1.1", 53), ("169.254.169.254", 80), ("10.96.0.1", 443)):
            attempt("network", lambda: socket.create_connection(place, 1))
        """,
    )

    assert lines == [
        "no token",
        "no service account",
        "no memory of the agent",
        "no environment of the agent",
        "no descriptors of the agent",
        "no the order",
        "no the root",
        *["no network"] * 3,
    ]


async def test_a_secret_does_not_leave_the_pod_in_its_log(kubernetes: PodPieces) -> None:
    play = kubernetes.play("tell", secret="hunter-2-hunter", secrets={"TOKEN": "hunter-2-hunter"})
    await play.end()
    (pod,) = await asyncio.to_thread(kubernetes.pods)
    log = await asyncio.to_thread(kubernetes.ask, f"pods/{pod['metadata']['name']}/log?container=work")

    assert log["text"] == "1 the value is ***\n"
    assert "hunter-2-hunter" not in json.dumps(pod)


async def test_a_secret_of_the_namespace_is_referred_to_and_never_read(kubernetes: PodPieces) -> None:
    body = {"metadata": {"name": "vault"}, "stringData": {"API_TOKEN": "from-the-vault"}}
    await asyncio.to_thread(kubernetes.ask, "secrets", "POST", body)
    try:
        lines = await _of_the_vault(kubernetes)
    finally:
        await asyncio.to_thread(kubernetes.ask, "secrets/vault", "DELETE")

    assert lines == ["*** True"]


async def _of_the_vault(bench: PodPieces) -> list[str]:
    workspace = bench.workspace()
    code = "import os; v = os.environ['API_TOKEN']; print(v, v == 'from-the-' + 'vault')"
    (workspace.root / "job.py").write_text(code)
    command = Command(argv=("/usr/bin/python3", "job.py"), limits=Limits(memory_bytes=256 * MIB))
    play = bench.start(workspace, make_attempt(secrets=("API_TOKEN",)), command)
    assert isinstance(await play.end(), Succeeded)
    return play.reporter.text()


async def test_files_come_and_go_and_what_is_no_file_is_refused(kubernetes: PodPieces) -> None:
    play = kubernetes.python(
        """
        import os
        os.makedirs("outputs/deep")
        open("outputs/deep/a.bin", "wb").write(os.urandom(3_000_000))
        open("outputs/b.txt", "w").write(open("job.py").read()[:6])
        os.symlink("/etc/passwd", "outputs/link")
        """
    )
    outcome = await play.end()

    assert isinstance(outcome, Succeeded)
    assert (play.workspace.outputs / "deep/a.bin").stat().st_size == 3_000_000
    with pytest.raises(Permanent, match="outputs/link is not a regular file"):
        harvest.find(play.workspace.root, "outputs")
    assert kubernetes.door.parcels == {}, "parcels that have arrived are removed"


async def test_too_much_below_the_job_s_folder_is_refused(kubernetes: PodPieces) -> None:
    outcome = await kubernetes.python(
        "open('outputs/big', 'wb').write(bytes(9_000_000))",
        limits=Limits(memory_bytes=256 * MIB, disk_bytes=8 * MIB),
    ).end()

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.OUTPUT_TOO_LARGE


async def test_survivors_end_with_the_command_and_results_cannot_change_any_more(
    kubernetes: PodPieces,
) -> None:
    play = kubernetes.python(
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            while True:
                open("/job/outputs/a", "a").write("x"); time.sleep(0.001)
        time.sleep(0.5)
        """
    )
    assert isinstance(await play.end(), Succeeded)

    assert (play.workspace.outputs / "a").read_text().strip("x") == ""


# ---------------------------------------------------------------------------- what ends it from outside


async def test_a_cancel_is_over_when_the_last_pod_is_gone(kubernetes: PodPieces) -> None:
    play = kubernetes.python(
        """
        import signal, sys, time
        def bye(*_):
            print("goodbye", flush=True); sys.exit(0)
        signal.signal(signal.SIGTERM, bye)
        print("begun", flush=True); time.sleep(600)
        """
    )
    await play.reporter.until("begun")
    await play.stop(Stop.CANCELED)

    assert await asyncio.to_thread(kubernetes.pods) == []
    with pytest.raises(urllib.error.HTTPError, match="404"):
        await asyncio.to_thread(kubernetes.ask, f"jobs/{kubernetes.job()}")
    assert play.reporter.text() == ["begun", "goodbye"]
    assert play.reporter.text("system") == ["the pod has stopped"]


async def test_a_pod_that_is_taken_away_may_be_tried_again(kubernetes: PodPieces) -> None:
    play = kubernetes.python(WAITS)
    await play.reporter.until("begun")
    (pod,) = await asyncio.to_thread(kubernetes.pods)
    await asyncio.to_thread(kubernetes.ask, f"pods/{pod['metadata']['name']}?gracePeriodSeconds=0", "DELETE")
    outcome = await play.end()

    assert isinstance(outcome, RetryableFailure)
    assert outcome.code is TerminationCode.EXECUTOR_UNAVAILABLE


# ------------------------------------------------------------------------- what never begins, fails early


async def test_an_image_that_is_not_there_fails_before_the_deadline(
    cluster_plane: Plane, parcel_door: ParcelDoor, placement: Placement, folder: Path
) -> None:
    absent = replace(placement, images={"": "localhost/control-room/absent:1"})
    async with workbench(cluster_plane, parcel_door, absent, folder) as bench:
        outcome = await bench.play("succeed").end()

        assert isinstance(outcome, PermanentFailure)
        assert outcome.code is TerminationCode.EXECUTOR_UNAVAILABLE
        assert "ErrImageNeverPull" in outcome.message
        await until(lambda: not bench.pods())


async def test_an_image_that_the_task_names_is_that_of_its_work_alone(kubernetes: PodPieces) -> None:
    play = kubernetes.python("print('here')", image=TaskImage(plane.PAUSE, granted=True))
    await play.reporter.until("here")
    (pod,) = await asyncio.to_thread(kubernetes.pods)
    outcome = await play.end()
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    images = {each["name"]: each["image"] for each in containers}

    assert isinstance(outcome, Succeeded)
    assert images["work"] == plane.PAUSE
    assert images["fetch"] == images["deliver"] == kubernetes.placement.images[""], "they know the token"


async def test_an_image_of_the_task_that_is_not_there_is_the_tenants_fault(kubernetes: PodPieces) -> None:
    absent = TaskImage("localhost/control-room/absent:1", granted=True)
    outcome = await kubernetes.python("pass", image=absent).end()

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.IMAGE_UNAVAILABLE
    assert "ErrImageNeverPull" in outcome.message


async def test_a_secret_that_is_nowhere_fails_before_the_deadline(kubernetes: PodPieces) -> None:
    workspace = kubernetes.workspace()
    (workspace.root / "job.py").write_text("pass")
    command = Command(argv=("/usr/bin/python3", "job.py"), limits=Limits(memory_bytes=256 * MIB))
    outcome = await kubernetes.start(workspace, make_attempt(secrets=("NOWHERE",)), command).end()

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.SECRET_UNAVAILABLE
    assert "vault" in outcome.message


@pytest.mark.parametrize(
    ("seconds", "patience", "waited"),
    [(10, 110, 8), (600, 6, 6)],
    ids=["before its deadline", "when patience ends"],
)
async def test_a_quota_that_is_used_up_is_told_and_may_be_tried_again(
    kubernetes: PodPieces, folder: Path, seconds: float, patience: float, waited: float
) -> None:
    body = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    patient = replace(kubernetes.placement, pending_seconds=patience)
    async with workbench(kubernetes.plane, kubernetes.door, patient, folder / "other") as bench:
        await asyncio.to_thread(bench.ask, "resourcequotas", "POST", body)
        await until(lambda: "hard" in bench.ask("resourcequotas/none").get("status", {}))
        try:
            outcome = await bench.python("pass", timeout_seconds=seconds).end()
        finally:
            await asyncio.to_thread(bench.ask, "resourcequotas/none", "DELETE")

    assert isinstance(outcome, RetryableFailure)
    assert outcome.code is TerminationCode.EXECUTOR_UNAVAILABLE
    assert f"within {waited} s" in outcome.message
    assert "exceeded quota" in outcome.message


async def test_a_tenant_without_a_namespace_is_refused(kubernetes: PodPieces) -> None:
    outcome = await kubernetes.python("pass", granted={"namespace": ()}).end()

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.NOT_GRANTED


# ---------------------------------------------------------------------------------- runners come and go


@pytest.mark.parametrize("why", [Stop.LOST, Stop.DRAIN])
async def test_another_runner_adopts_what_it_finds(
    cluster_plane: Plane, placement: Placement, kubernetes: PodPieces, folder: Path, why: Stop
) -> None:
    play = kubernetes.python(
        """
        import time
        print("begun", flush=True)
        print("::value first 1", flush=True)
        time.sleep(8)
        print("done", flush=True)
        open("outputs/a", "w").write("by the first")
        """
    )
    await play.reporter.until("begun")
    await play.stop(why)
    (pod,) = await asyncio.to_thread(kubernetes.pods)
    kubernetes.door.token = "crat_second"  # the first lease's is dead

    async with workbench(cluster_plane, kubernetes.door, placement, folder / "other") as other:
        second = await again(other, play, kubernetes.number)
        outcome = await second.end()

    assert isinstance(outcome, Succeeded)
    assert outcome.values == {"first": 1}
    assert "done" in second.reporter.text()
    assert (second.workspace.outputs / "a").read_text() == "by the first"
    (same,) = await asyncio.to_thread(kubernetes.pods)
    assert same["metadata"]["uid"] == pod["metadata"]["uid"]
    assert second.reporter.text("system")[0].startswith("adopted Job ")


async def test_what_ended_while_nobody_looked_is_not_run_again(
    cluster_plane: Plane, placement: Placement, kubernetes: PodPieces, folder: Path
) -> None:
    play = kubernetes.python(
        "import time; print('begun', flush=True); time.sleep(1); open('outputs/a', 'w').write('once')"
    )
    await play.reporter.until("begun")
    await play.stop(Stop.LOST)
    name = kubernetes.job()
    await until(lambda: kubernetes.ask(f"jobs/{name}")["status"].get("succeeded"))
    kubernetes.door.token = "crat_second"

    async with workbench(cluster_plane, kubernetes.door, placement, folder / "other") as other:
        second = await again(other, play, kubernetes.number)
        outcome = await second.end()

    assert isinstance(outcome, Succeeded)
    assert (second.workspace.outputs / "a").read_text() == "once"
    assert len(await asyncio.to_thread(kubernetes.pods)) == 1


async def test_what_is_over_is_swept(kubernetes: PodPieces) -> None:
    await kubernetes.play("succeed").end()
    running = kubernetes.python(WAITS)
    await running.reporter.until("begun")
    store = MemoryStore()
    store.submit(Attempt(**{**vars_of(make_attempt()), "attempt_id": kubernetes.number}))
    executor = kubernetes.executor
    assert isinstance(executor, KubernetesExecutor)
    ours = {number: each for number, each in (await executor.left()).items() if number == kubernetes.number}
    await Sweeper(store, executor).sweep()

    assert set(await executor.left()) == set(ours)
    await running.stop(Stop.CANCELED)


def vars_of(attempt: Attempt) -> dict[str, Any]:
    """The fields of an attempt."""
    return {name: getattr(attempt, name) for name in attempt.__dataclass_fields__}


# ----------------------------------------------------------------------------- the API server and the door


async def test_an_api_server_that_is_killed_and_comes_back_costs_nothing(
    cluster_plane: Plane, kubernetes: PodPieces
) -> None:
    play = kubernetes.python("import time\nfor n in range(12):\n    print(n, flush=True)\n    time.sleep(1)")
    await play.reporter.until("1")
    await asyncio.to_thread(cluster_plane.stop, "apiserver", kill=True)
    await asyncio.sleep(2)
    cluster_plane.start("apiserver")
    await asyncio.to_thread(cluster_plane.wait_ready)
    async with asyncio.timeout(90):
        outcome = await play.task

    assert isinstance(outcome, Succeeded)
    assert play.reporter.text() == [str(n) for n in range(12)], "no line is lost, none told twice"


async def test_a_watch_from_a_version_that_is_gone_says_so(
    cluster_plane: Plane, kubernetes: PodPieces
) -> None:
    executor = kubernetes.executor
    assert isinstance(executor, KubernetesExecutor)
    with pytest.raises(Gone):
        async for _ in executor._cluster.watch_pods(NAMESPACE, "a=b", "1"):
            pass


async def test_a_watch_that_is_gone_begins_anew(
    kubernetes: PodPieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = kubernetes.executor
    assert isinstance(executor, KubernetesExecutor)
    really, versions = executor._cluster.watch_pods, []

    def watch(namespace: str, selector: str, version: str) -> Any:
        versions.append(version)
        return really(namespace, selector, "1" if len(versions) < 3 else version)

    monkeypatch.setattr(executor._cluster, "watch_pods", watch)
    outcome = await kubernetes.play("speak").end()

    assert isinstance(outcome, Succeeded)
    assert len(versions) >= 3


async def test_a_door_that_is_away_is_waited_for(kubernetes: PodPieces) -> None:
    play = kubernetes.python("import time; print('begun', flush=True); time.sleep(1)")
    await play.reporter.until("begun")
    kubernetes.door.away = True
    await asyncio.sleep(6)
    assert not play.task.done()
    kubernetes.door.away = False

    assert isinstance(await play.end(), Succeeded)
