"""Containers beyond what every box keeps in: images, leftovers, and work that outlives its runner.

Needs `scripts/test --with container`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from dev import podman as dev_podman
from dev.podman import Podman
from dev.stack.testbed import Database
from runner.dispatch.workspaces import Workspaces
from runner.executor import adoption, cgroup, container_host
from runner.executor.container import ContainerExecutor
from runner.executor.container_host import PREFIX, ContainerHost, NoContainerHost
from runner.executor.group import NoGroups
from runner.executor.sandbox import NOBODY
from runner.model.attempt import TaskImage
from runner.model.command import Command, Limits
from runner.model.outcome import PermanentFailure, RetryableFailure, Succeeded
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from tests.contract.conftest import HANGS_SECONDS, PythonPieces, Recorder, make_attempt, said, survivors
from tests.contract.houses import PostgresHouse
from tests.contract.test_runner import Runners, attempts

pytestmark = pytest.mark.needs("container")
OFFER = "code_validation/default"


async def left_in(host: ContainerHost, folder: Path) -> list[str]:
    """Containers and control groups of runners that work in this folder."""
    containers = [each.container for each in await host.daemon.list({PREFIX + "work": str(folder)})]
    return [*containers, *groups_left()]


def groups_left() -> list[str]:
    """Control groups around containers of attempts."""
    return [
        str(each)
        for each in Path("/sys/fs/cgroup").glob("*/control-room/containers/runner-*-control-room-a*")
    ]


async def test_nothing_is_left_of_an_attempt(
    container: PythonPieces, host: ContainerHost, folder: Path
) -> None:
    ended, hanging = container.play("succeed"), container.play("hang")
    await ended.end()
    await hanging.reporter.until("hanging")
    assert len(await left_in(host, folder)) > 0
    await hanging.stop(Stop.LOST)

    assert await left_in(host, folder) == []
    assert list(ended.workspace.kept.iterdir()) == []
    descriptors = len(os.listdir("/proc/self/fd"))
    await container.play("succeed").end()
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) <= descriptors


@pytest.mark.parametrize("milliseconds", [0, 5, 20, 50, 100, 200])
async def test_a_stop_while_the_container_is_being_made_leaves_nobody(
    container: PythonPieces, host: ContainerHost, folder: Path, milliseconds: int
) -> None:
    mark = f"/usr/bin/sleep 16181{milliseconds}"
    play = container.start(container.workspace(), make_attempt(), Command(argv=tuple(mark.split())))
    await asyncio.sleep(milliseconds / 1000)
    await play.stop(Stop.LOST)

    assert survivors(mark) == []
    assert await left_in(host, folder) == []


async def test_this_machine_is_out_of_sight(container: PythonPieces, folder: Path) -> None:
    lines = await said(
        container,
        f"import os; print(os.path.exists({str(folder)!r}), os.listdir('/root') if os.access('/root', 4) else [])",
    )

    assert lines == ["False []"]


async def test_a_container_is_named_and_labelled_by_its_attempt(
    container: PythonPieces, host: ContainerHost
) -> None:
    play = container.play("hang")
    await play.reporter.until("hanging")
    attempt = make_attempt(attempt_id=1)
    wanted = {"tenant": attempt.tenant_id, "run": "9", "attempt": "1", "lease": "3"}
    (found,) = await host.daemon.list({PREFIX + name: value for name, value in wanted.items()})
    await play.stop(Stop.LOST)

    assert found.labels[PREFIX + "name"].startswith("control-room-a1-l3-")
    assert play.reporter.outside == f"container:{found.labels[PREFIX + 'name']}"


async def test_an_image_that_is_not_here_is_not_fetched_without_a_digest(
    host: ContainerHost, folder: Path
) -> None:
    there = "127.0.0.1:1/some/image"
    unpinned = PythonPieces(ContainerExecutor(host, {OFFER: f"{there}:latest"}), folder, (NOBODY, NOBODY))
    refused = await unpinned.play("succeed").end()
    pinned = PythonPieces(
        ContainerExecutor(host, {OFFER: f"{there}@sha256:{'0' * 64}"}), folder / "b", (NOBODY, NOBODY)
    )
    tried = await pinned.play("succeed").end()

    assert isinstance(refused, PermanentFailure)
    assert refused.code is TerminationCode.NOT_GRANTED
    assert isinstance(tried, RetryableFailure)
    assert tried.code is TerminationCode.EXECUTOR_UNAVAILABLE


async def test_a_digest_names_an_image_that_is_here(
    host: ContainerHost, podman: Podman, folder: Path
) -> None:
    if isinstance(podman, dev_podman.Given):
        pytest.skip("an image that was loaded has no digest of a registry: needs a Podman of our own")
    name = podman.run("image", "inspect", "--format", "{{index .RepoDigests 0}}", dev_podman.BASE).strip()
    pieces = PythonPieces(ContainerExecutor(host, {OFFER: name}), folder, (NOBODY, NOBODY))

    assert "@sha256:" in name
    assert isinstance(await pieces.play("succeed").end(), Succeeded)


# ------------------------------------------------------------------------- images that tasks name


def image_of(name: str) -> TaskImage:
    return TaskImage(name, granted=True)


def made_image(podman: Podman, name: str, recipe: str) -> str:
    """An image of this recipe, in a moment: it copies nothing and runs nothing."""
    if isinstance(podman, dev_podman.Given):
        pytest.skip("builds an image: needs a Podman of our own")
    name = f"localhost/control-room/{name}:test"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Containerfile").write_text(recipe)
        podman.run("build", "--isolation=chroot", f"--tag={name}", folder)
    return name


async def test_a_task_runs_in_the_image_that_it_names(
    host: ContainerHost, podman: Podman, folder: Path
) -> None:
    name = made_image(
        podman, "own", f"FROM {dev_podman.BASE}\nCOPY Containerfile /mine\nENV MINE=1\nWORKDIR /usr\nUSER 0\n"
    )
    pieces = PythonPieces(ContainerExecutor(host, {}), folder, (NOBODY, NOBODY))
    lines = await said(
        pieces,
        "import os; print(os.path.exists('/mine'), os.getcwd(), os.getuid(), 'MINE' in os.environ)",
        image=image_of(name),
    )

    assert lines == ["True /job 65534 False"], "of what the image says for itself only its files count"


async def test_an_image_of_a_task_that_cannot_be_had_is_the_tenants_fault(
    host: ContainerHost, folder: Path
) -> None:
    pieces = PythonPieces(ContainerExecutor(host, {}), folder, (NOBODY, NOBODY))
    for name in ("127.0.0.1:1/some/image:latest", f"127.0.0.1:1/some/image@sha256:{'0' * 64}"):
        outcome = await pieces.python("pass", image=image_of(name)).end()

        assert isinstance(outcome, RetryableFailure), (
            "it was granted, so it is asked for; registries come back"
        )
        assert outcome.code is TerminationCode.IMAGE_UNAVAILABLE
        assert name in outcome.message


async def test_an_image_without_a_system_is_the_tenants_fault(
    host: ContainerHost, podman: Podman, folder: Path
) -> None:
    name = made_image(podman, "empty", "FROM scratch\nLABEL nothing=inside\n")
    pieces = PythonPieces(ContainerExecutor(host, {}), folder, (NOBODY, NOBODY))
    outcome = await pieces.python("pass", image=image_of(name)).end()

    # said by the daemon, or where it has a first process of its own by that
    assert isinstance(outcome, PermanentFailure | RetryableFailure)
    assert outcome.code in (TerminationCode.IMAGE_UNAVAILABLE, TerminationCode.USER_CODE_FAILED)
    assert "no such file" in outcome.message.lower()
    assert await left_in(host, folder) == []


async def test_volumes_that_an_image_wants_are_no_way_to_the_disk(
    host: ContainerHost, podman: Podman, folder: Path
) -> None:
    wanted = " ".join(f'"{each}",' for each in ("/data", "/var/lib/more/", "/job", "/tmp")).rstrip(",")
    name = made_image(podman, "volumes", f"FROM {dev_podman.BASE}\nVOLUME [{wanted}]\n")
    pieces = PythonPieces(ContainerExecutor(host, {}), folder, (NOBODY, NOBODY))
    lines = await said(
        pieces,
        """
        import os
        for place in ("/data", "/var/lib/more", "/job", "/tmp"):
            try:
                open(f"{place}/x", "w").close()
                print(place, os.path.exists("job.py"))
            except OSError as error:
                print(error.strerror)
        """,
        image=image_of(name),
    )

    assert lines == ["Read-only file system"] * 2 + ["/job True", "/tmp True"]
    assert podman.run("volume", "ls", "--quiet").split() == []


# -------------------------------------------------------------------------------------------------


async def test_without_a_group_around_it_the_daemons_word_counts(podman: Podman, folder: Path) -> None:
    made = await container_host.probe(podman.socket, NoGroups("for this test"), folder, network="none")
    assert isinstance(made, ContainerHost)
    assert await made.try_image(dev_podman.BASE) == ""
    pieces = PythonPieces(ContainerExecutor(made, {OFFER: dev_podman.BASE}), folder, (NOBODY, NOBODY))
    outcome = await pieces.play("run_out_of_memory").end()
    await made.daemon.close()

    assert outcome.usage.exit_code == 137
    assert isinstance(outcome, RetryableFailure)


async def test_a_daemon_that_is_none_is_told_with_the_mend(tmp_path: Path) -> None:
    nobody = await container_host.probe(tmp_path / "nobody.sock", cgroup.detect(), tmp_path, network="none")
    nowhere = await container_host.probe(None, cgroup.detect(), tmp_path, network="none")

    assert isinstance(nobody, NoContainerHost)
    assert "nobody.sock" in nobody.reason
    assert isinstance(nowhere, NoContainerHost)
    assert "CONTROL_ROOM_CONTAINER_SOCKET" in nowhere.reason


async def test_a_granted_network_is_that_jobs_alone(podman: Podman, folder: Path) -> None:
    if isinstance(podman, dev_podman.Given):
        pytest.skip("needs a Podman of our own, whose network is called podman")
    made = await container_host.probe(podman.socket, cgroup.detect(), folder, network="podman")
    assert isinstance(made, ContainerHost)
    assert await made.try_image(dev_podman.BASE) == ""
    pieces = PythonPieces(ContainerExecutor(made, {OFFER: dev_podman.BASE}), folder, (NOBODY, NOBODY))
    names = "import socket; print([name for _, name in socket.if_nameindex()])"
    granted, other = await said(pieces, names, network=True), await said(pieces, names)
    await made.daemon.close()

    assert granted != other
    assert other == ["['lo']"]


# --------------------------------------------------------------------- work that outlives its runner


@pytest.fixture
async def killed(podman: Podman, host: ContainerHost, folder: Path) -> AsyncIterator[Path]:
    """A runner was killed with kill -9 in the middle; the workspace that it left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.contract.doomed",
        str(podman.socket),
        str(folder),
        dev_podman.BASE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(HANGS_SECONDS):
            while (line := await process.stdout.readline()) != b"two\n":
                assert line, "the runner died by itself"
            ((place, _),) = adoption.found(folder, orphans=False)
            while adoption.Told(place / "kept").before() < 2:  # noqa: ASYNC110 - how far it has told is written later
                await asyncio.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    ((place, _),) = adoption.found(folder, orphans=True)
    yield place
    await host.sweep(patience=0)


async def test_work_goes_on_when_its_runner_is_killed_and_is_adopted(
    killed: Path, host: ContainerHost, folder: Path
) -> None:
    executor = ContainerExecutor(host, {OFFER: dev_podman.BASE})
    workspaces = Workspaces(folder, (NOBODY, NOBODY))
    workspaces.sweep(adoption.is_taken)
    attempt, reporter = make_attempt(lease=4, adopted=True), Recorder()
    left = await executor.inherit(attempt)
    assert left is not None
    async with workspaces.open(attempt.key, left.place) as workspace:
        (workspace.root / "go").touch()
        outcome = await executor.run(attempt, replace(workspace, command=left.command), reporter)
        written = (workspace.outputs / "a.txt").read_text()

    assert isinstance(outcome, Succeeded)
    assert outcome.values == {"found": 7}
    assert reporter.text() == ["three"], "what the first had told is not told again"
    assert written == "text"
    assert killed not in dict(adoption.found(folder, orphans=False))
    assert await left_in(host, folder) == []


async def test_work_that_ended_while_nobody_looked_is_adopted_as_well(
    killed: Path, host: ContainerHost, folder: Path
) -> None:
    (killed / "job" / "go").touch()
    ((_, left),) = adoption.found(folder, orphans=True)
    async with asyncio.timeout(HANGS_SECONDS):
        while (state := await host.daemon.inspect(left.container)) and state.running:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    executor, attempt, reporter = ContainerExecutor(host, {}), make_attempt(lease=4), Recorder()
    found = await executor.inherit(attempt)
    assert found is not None
    async with Workspaces(folder, None).open(attempt.key, found.place) as workspace:
        outcome = await executor.run(attempt, replace(workspace, command=found.command), reporter)

    assert isinstance(outcome, Succeeded)
    assert reporter.text() == ["three"]


async def test_groups_of_a_runner_killed_before_its_container_was_made_are_removed(
    host: ContainerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.executor.ownership.own_name", lambda: "runner-1-1")
    if host.nest(host.nest_name("control-room-a1-l1-x"), Limits()) is None:
        pytest.skip("needs control groups of version 1: those of version 2 are the daemon's")
    monkeypatch.undo()
    assert [each for each in groups_left() if "runner-1-1" in each] != []
    await host.sweep()

    assert [each for each in groups_left() if "runner-1-1" in each] == []


async def test_what_nobody_adopts_is_removed_when_patience_ends(
    killed: Path, host: ContainerHost, folder: Path
) -> None:
    assert await host.sweep() == 0
    assert len(await left_in(host, folder)) > 0

    assert await host.sweep(patience=0) == 1
    assert await left_in(host, folder) == []
    assert list(adoption.found(folder, orphans=False)) == []


async def test_other_work_of_the_attempt_is_not_adopted_but_ended(
    killed: Path, host: ContainerHost, folder: Path
) -> None:
    executor = ContainerExecutor(host, {})
    left = await executor.inherit(make_attempt(lease=4, job_type="spark_etl"))

    assert left is None
    assert [each for each in await left_in(host, folder) if "/" not in each] == []


async def test_work_of_a_runner_that_lives_is_not_adopted_but_ended(
    container: PythonPieces, host: ContainerHost
) -> None:
    play = container.play("hang")
    await play.reporter.until("hanging")
    left = await host.inherit(make_attempt(attempt_id=1, lease=4))
    outcome = await play.end()

    assert left is None
    assert isinstance(outcome, RetryableFailure)


# --------------------------------------------------------------------- with the runner and the database


def test_after_kill_9_the_next_runner_finishes_what_the_first_began(
    podman: Podman, database: Database, folder: Path
) -> None:
    """A run of spark_etl in a container, through both of its runners."""
    if isinstance(podman, dev_podman.Given):
        pytest.skip("builds an image: needs a Podman of our own")
    image = dev_podman.job_image(podman, "spark_etl", ENGINE="duckdb")
    house, runners = PostgresHouse(database, database.add_tenant("acme")), Runners(database, folder)
    settings = {
        "CONTROL_ROOM_EXECUTOR_SPARK_ETL": "container",
        "CONTROL_ROOM_IMAGE_SPARK_ETL_DUCKDB": image,
        "CONTROL_ROOM_CONTAINER_SOCKET": str(podman.socket),
    }
    code = """
        import os, time
        print("::progress 10 began"); print("began", os.environ["ATTEMPT"], flush=True)
        time.sleep(8)
        print("::value finished 1"); print("finished", flush=True)
        """
    try:
        first = runners.start(**settings)
        run = house.run(job_type="spark_etl", code={"files": {"job.py": textwrap.dedent(code)}})
        house.wait(lambda: ("stdout", "began 1") in house.logs(run), 60)
        time.sleep(2.5)  # how far it has told is written a moment later
        first.kill()
        first.wait()
        ((attempt,),) = house.sql("select id from queue.live_attempts where run_id = %s", run)
        house.expire(attempt)
        runners.start(**settings)
        found = house.until(run, "SUCCEEDED", "FAILED", seconds=60)
    finally:
        runners.end()

    assert found["state"] == "SUCCEEDED", found
    assert found["tasks"][0]["values"]["finished"] == 1
    lines = [line for _, line in house.logs(run)]
    assert (lines.count("began 1"), lines.count("finished")) == (1, 1)
    assert attempts(house, run) == [(1, 2, "SUCCEEDED")]
    assert "container_adopted" in runners.events(1)
