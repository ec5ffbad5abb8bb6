"""Ways out of the box that hostile code tries, in the sandbox and in the container: all of them are shut."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import tempfile
import zipfile
from pathlib import Path

import psycopg
import pytest

from dev.stack.testbed import Database
from runner.executor import disk
from runner.jobtype import bundle, harvest
from runner.model.command import Limits
from runner.model.errors import Permanent
from runner.model.outcome import PermanentFailure, Succeeded
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from tests.contract.conftest import MIB, PythonPieces, said, survivors

TRY = """
import os
reached = []
def attempt(name, act):
    try:
        act()
    except Exception:
        return
    reached.append(name)
"""


async def tried(box: PythonPieces, code: str, **options: object) -> list[str]:
    """What the code reached, of all that it tried."""
    lines = await said(box, f"{TRY}\n{code}\nprint('\\n'.join(reached))", **options)
    return [line for line in lines if line]


def escaped(folder: Path) -> list[Path]:
    """Files of that name."""
    return list(folder.rglob("escaped"))


async def test_nothing_outside_the_workspace_is_written(box: PythonPieces, folder: Path) -> None:
    beside = folder / "beside"
    beside.mkdir(mode=0o777)
    beside.chmod(0o777)
    reached = await tried(
        box,
        f"""
places = ["..", "/job/..", {str(beside)!r}, "/proc/1/root{folder}/beside", "/proc/self/root/etc", "/usr", "/etc",
          "/proc/sys/kernel", "/sys", "/dev", "/run", "/var/run", "/root", "/opt", "/home", "/boot", "/srv"]
for place in places:
    attempt("write " + place, lambda: open(place + "/escaped", "w").write("x"))
os.symlink("/etc/passwd", "link")
attempt("through a link", lambda: open("link", "a").write("x"))
attempt("core pattern", lambda: open("/proc/sys/kernel/core_pattern", "w").write("|/job/x"))
attempt("memory", lambda: open("/dev/mem", "rb").read(1))
attempt("device", lambda: os.mknod("disk", 0o60666, os.makedev(254, 0)) or open("disk", "rb").read(1))
attempt("owner", lambda: os.chown("job.py", 0, 0))
attempt("nobody no more", lambda: os.setuid(0))
attempt("another root", lambda: os.chroot("/tmp"))
attempt("priority", lambda: os.nice(-5))
""",
    )

    assert reached == []
    assert escaped(folder) == []


async def test_a_set_user_id_bit_gives_nothing(box: PythonPieces) -> None:
    """Neither one that is there nor one that the job sets itself."""
    lines = await said(
        box,
        """
        import os, shutil, subprocess
        shutil.copy("/usr/bin/python3", "outputs/python")
        os.chmod("outputs/python", 0o6755)
        print(subprocess.run(["outputs/python", "-c", "import os; print(os.geteuid(), os.getegid())"],
                             capture_output=True, text=True).stdout.strip())
        print([line.split()[1] for line in open("/proc/self/status") if line.startswith(("NoNewPrivs", "CapPrm"))])
        """,
    )

    assert lines == ["65534 65534", "['0000000000000000', '1']"]


async def test_the_runners_environment_is_not_read(box: PythonPieces) -> None:
    """Every environment that can be read in there is the job's own."""
    names = await said(
        box,
        """
        import os
        names = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                data = open(f"/proc/{pid}/environ").read()
            except OSError:
                continue
            names |= {each.partition("=")[0] for each in data.split("\\0") if each}
        print("\\n".join(sorted(names)))
        """,
        secrets={"API_TOKEN": "value-of-token"},
    )

    promised = {"API_TOKEN", "ATTEMPT", "HOME", "LANG", "PATH", "RUN_ID", "TENANT_SLUG", "TZ"}
    # the first process of a box is not the job's, and is told nothing that matters
    assert set(names) - {"HOSTNAME", "TERM", "container", "PWD"} == promised


async def test_no_address_is_reached(box: PythonPieces) -> None:
    own = {each[4][0] for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    with socket.create_server(("0.0.0.0", 0)) as server, contextlib.ExitStack() as stack:
        port = server.getsockname()[1]
        path = f"{stack.enter_context(tempfile.TemporaryDirectory())}/sock"
        for address in (path, "\0control-room-escape"):
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(address)
            listening.listen()
        os.chmod(path, 0o777)
        reached = await tried(
            box,
            f"""
import socket
def connect(family, kind, address):
    with socket.socket(family, kind) as s:
        s.settimeout(2); s.connect(address); s.send(b"x")
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
for host in {sorted(own | {"127.0.0.1"})!r}:
    attempt("own " + host, lambda: connect(socket.AF_INET, TCP, (host, {port})))
attempt("metadata", lambda: connect(socket.AF_INET, TCP, ("169.254.169.254", 80)))
attempt("metadata of version 6", lambda: connect(socket.AF_INET6, TCP, ("fd00:ec2::254", 80)))
attempt("loopback of version 6", lambda: connect(socket.AF_INET6, TCP, ("::1", {port})))
attempt("the world", lambda: connect(socket.AF_INET, TCP, ("1.1.1.1", 53)))
attempt("the world without a connection", lambda: connect(socket.AF_INET, UDP, ("1.1.1.1", 53)))
attempt("everybody", lambda: connect(socket.AF_INET, UDP, ("255.255.255.255", 9)))
attempt("a raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packets", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("a socket in a file", lambda: connect(socket.AF_UNIX, TCP, {path!r}))
attempt("a socket without a file", lambda: connect(socket.AF_UNIX, TCP, "\\0control-room-escape"))
attempt("the virtual machine", lambda: connect(socket.AF_VSOCK, TCP, (2, 1024)))
attempt("a name", lambda: socket.getaddrinfo("example.com", 80))
""",
        )

    assert reached == []


async def test_the_database_is_not_reached(box: PythonPieces, database: Database) -> None:
    with psycopg.connect(database.superuser) as connection:
        info = connection.info
        host, port, folders = (
            info.host,
            info.port,
            connection.execute("show unix_socket_directories").fetchone(),
        )
    assert folders is not None
    reached = await tried(
        box,
        f"""
import socket
def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(2); s.connect(address)
attempt("tcp", lambda: connect(socket.AF_INET, ("127.0.0.1", {port})))
for folder in {[each.strip() for each in str(folders[0]).split(",")] + [str(host), "/var/run/postgresql", "/tmp"]!r}:
    attempt(folder, lambda: connect(socket.AF_UNIX, folder + "/.s.PGSQL.{port}"))
""",
    )

    assert reached == []


async def test_a_fork_bomb_goes_off_inside(box: PythonPieces) -> None:
    """Every process makes others, each in a session of its own, as fast as it can."""
    play = box.python(
        """
        import os, sys
        print("lit", flush=True)
        while True:
            try:
                if os.fork() == 0:
                    os.setsid()
                    os.execv(sys.executable, [sys.executable, "-c", open("job.py").read(), "forked-to-escape"])
            except OSError:
                pass
        """,
        limits=Limits(memory_bytes=256 * MIB, pids=48, cpus=0.5),
    )
    await play.reporter.until("lit")
    took = await play.stop(Stop.DEADLINE)

    assert took < 10
    assert survivors("forked-to-escape") == []


async def test_many_empty_files_fill_the_disk_as_well(
    box: PythonPieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.executor.disk.LOOK_SECONDS", 0.2)
    play = box.python(
        """
        import time
        for i in range(20_000): open(f"outputs/{i}", "w").close()
        time.sleep(600)
        """,
        limits=Limits(memory_bytes=256 * MIB, disk_bytes=8 * MIB),
    )
    outcome = await play.end()

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.OUTPUT_TOO_LARGE


async def test_outputs_that_grow_when_read_do_not_come_out(box: PythonPieces) -> None:
    """A file with a hole says that it is large, and is refused before a byte of it is read."""
    play = box.python("open('outputs/hole', 'wb').truncate(60 * 1024**2)")
    assert isinstance(await play.end(), Succeeded)

    with pytest.raises(Permanent) as refusal:
        harvest.find(play.workspace.root, "outputs", max_bytes=50 * MIB)
    assert refusal.value.code is TerminationCode.OUTPUT_TOO_LARGE


async def test_links_in_outputs_lead_nowhere(box: PythonPieces) -> None:
    play = box.python(
        """
        import os
        os.symlink("/etc/shadow", "outputs/a")
        os.mkdir("outputs/b"); os.symlink("/etc", "outputs/b/c")
        """
    )
    assert isinstance(await play.end(), Succeeded)

    for path in ("outputs/a", "outputs/b/c/shadow", "outputs/../../kept"):
        with pytest.raises(Permanent) as refusal:
            harvest.take(play.workspace.root, path, play.workspace.kept)
        assert refusal.value.code is TerminationCode.OUTPUT_INVALID


@pytest.mark.parametrize("lies", [False, True])
def test_a_zip_bomb_is_refused_before_it_goes_off(tmp_path: Path, lies: bool) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("job.py", b"#" * (64 * MIB))
    data = made.getvalue()
    if lies:  # in both places where the size is said
        data = data.replace((64 * MIB).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path = tmp_path / "code"
    path.write_bytes(data)

    if lies:
        try:
            files = bundle.unpack(path)
        except (Permanent, zipfile.BadZipFile):
            files = {}
        assert sum(map(len, files.values())) <= 100
    else:
        with pytest.raises(Permanent) as refusal:
            bundle.unpack(path)
        assert refusal.value.code is TerminationCode.INVALID_CODE


def test_a_name_counts_on_the_disk(tmp_path: Path) -> None:
    for each in range(20):
        (tmp_path / str(each)).touch()

    assert disk.used(tmp_path, 10**9) >= 20 * disk.LEAST
