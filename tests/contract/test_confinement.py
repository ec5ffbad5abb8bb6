"""What every box keeps in, the sandbox and the container alike: DESIGN 5.4 and law 6, from inside and outside."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from runner.jobtype import harvest
from runner.model.command import Bind, Command, Limits
from runner.model.errors import Permanent
from runner.model.outcome import PermanentFailure, RetryableFailure, Succeeded
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from tests.contract.conftest import MIB, PythonPieces, make_attempt, said, survivors


async def test_the_environment_is_exactly_what_is_promised(box: PythonPieces) -> None:
    lines = await said(
        box,
        "import os; print(sorted(os.environ.items()))",
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
    assert [str(sorted(expected.items()))] == lines


async def test_code_finds_the_span_it_belongs_to(box: PythonPieces) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    lines = await said(box, "import os; print(os.environ['TRACEPARENT'])", traceparent=parent)

    assert lines == [parent]


async def test_a_secret_reaches_the_job_and_no_command_line(box: PythonPieces) -> None:
    play = box.python(
        """
        import os, time
        assert os.environ["API_TOKEN"] == "value-" + "of-token"
        print("ready", flush=True); time.sleep(600)
        """,
        secrets={"API_TOKEN": "value-of-token"},
    )
    await play.reporter.until("ready")

    assert survivors("value-of-token") == []
    await play.stop(Stop.LOST)


async def test_nobody_without_capabilities_runs_the_code(box: PythonPieces) -> None:
    lines = await said(
        box,
        """
        import os
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        print(os.getuid(), os.getgid(), int(status["CapEff"], 16), int(status["CapBnd"], 16))
        print(status["NoNewPrivs"].strip(), status["Seccomp"].strip())
        """,
    )

    assert lines == ["65534 65534 0 0", "1 2"]


async def test_only_the_job_and_temporary_folders_are_writable(box: PythonPieces) -> None:
    lines = await said(
        box,
        """
        import os
        for folder, below, _ in os.walk("/"):
            if folder.startswith("/proc") or folder.count("/") > 3:
                below.clear()
                continue
            try:
                with open(folder + "/.probe", "w"):
                    pass
                os.unlink(folder + "/.probe")
                print(folder)
            except OSError:
                pass
        """,
    )

    writable = {line for line in lines if not line.startswith("/job")}
    assert {"/tmp", "/dev/shm"} == writable


async def test_there_is_no_network(box: PythonPieces) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        lines = await said(
            box,
            f"""
            import socket
            TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
            for kind, address in ((TCP, ("127.0.0.1", {port})), (TCP, ("1.1.1.1", 53)),
                                  (TCP, ("169.254.169.254", 80)), (UDP, ("1.1.1.1", 53))):
                try:
                    with socket.socket(socket.AF_INET, kind) as s:
                        s.settimeout(2); s.connect(address); s.send(b"x"); print("reached", address)
                except OSError as error:
                    print("refused")
            print([name for _, name in socket.if_nameindex()])
            """,
        )
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()

    assert lines == ["refused"] * 4 + ["['lo']"]


async def test_network_that_this_sandbox_does_not_give_is_refused(box: PythonPieces) -> None:
    outcome = await box.python("pass", network=True).end()

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.NOT_GRANTED


async def test_no_further_namespaces_or_mounts(box: PythonPieces) -> None:
    lines = await said(
        box,
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        CLONE_NEWUSER = 0x10000000
        def tried(result):
            print(result, ctypes.get_errno())
        tried(libc.unshare(CLONE_NEWUSER))
        tried(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
        tried(libc.chroot(b"/tmp"))
        """,
    )

    assert lines == ["-1 1"] * 3


async def test_other_attempts_cannot_be_seen(box: PythonPieces) -> None:
    other = box.play("hang")
    await other.reporter.until("hanging")
    lines = await said(
        box,
        "import os; print(sorted(p for p in os.listdir('/proc') if p.isdigit())); "
        "print(os.path.exists('/job/../2')), print(os.listdir('/job'))",
    )
    await other.stop(Stop.LOST)

    assert len(lines[0].split(",")) <= 3
    assert str(sorted(eval(lines[2]))) == "['.control-room', 'inputs', 'job.py', 'outputs']"


async def test_a_fork_bomb_is_bounded(box: PythonPieces) -> None:
    lines = await said(
        box,
        """
        import os, time
        children = 0
        try:
            while children < 5000:
                if os.fork() == 0:
                    time.sleep(600)
                children += 1
        except OSError as error:
            print(error.errno)
        print(children < 100)
        """,
        limits=Limits(memory_bytes=256 * MIB, pids=64),
    )

    assert lines == ["11", "True"]


async def test_a_survivor_in_its_own_session_is_killed(box: PythonPieces) -> None:
    play = box.python(
        """
        import os, sys, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv("/usr/bin/sleep", ["sleep", "31415"])
            os._exit(0)
        time.sleep(0.2)
        print("ready", flush=True)
        if "wait" in open("job.py").read().split("#")[-1]: time.sleep(600)
        #wait"""
    )
    await play.reporter.until("ready")
    assert [line.strip() for line in survivors("sleep 31415")] == ["sleep 31415"]

    await play.stop(Stop.CANCELED)

    assert survivors("sleep 31415") == []


async def test_a_survivor_dies_with_the_job_that_ends_by_itself(box: PythonPieces) -> None:
    await said(
        box,
        """
        import os
        if os.fork() == 0:
            os.setsid()
            os.execv("/usr/bin/sleep", ["sleep", "27182"])
        """,
    )

    assert survivors("sleep 27182") == []


async def test_a_stop_gives_the_job_a_moment_to_clean_up(box: PythonPieces) -> None:
    code = """
    import os, signal, time
    def bye(*_):
        os.write(1, b"goodbye\\n"); os._exit(0)
    signal.signal(signal.SIGTERM, bye)
    print("ready", flush=True)
    while True: time.sleep(0.1)
    """
    asked = box.python(code)
    await asked.reporter.until("ready")
    await asked.stop(Stop.CANCELED)
    lost = box.python(code)
    await lost.reporter.until("ready")
    await lost.stop(Stop.LOST)

    assert asked.reporter.text() == ["ready", "goodbye"]
    assert lost.reporter.text() == ["ready"]


async def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(box: PythonPieces) -> None:
    play = box.python(
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        while True: time.sleep(1)
        """
    )
    await play.reporter.until("ready")

    assert await play.stop(Stop.DEADLINE) > 0.8  # and by itself it never ends


async def test_a_memory_bomb_in_a_child_is_out_of_memory(box: PythonPieces) -> None:
    if not box.tells_out_of_memory:
        pytest.skip("needs control groups (run as root, or delegate a group)")
    play = box.python(
        """
        import subprocess, sys
        child = subprocess.run([sys.executable, "-c", "b=[]\\nwhile True: b.append(bytearray(8_000_000))"])
        sys.exit(1)
        """
    )
    outcome = await play.end()

    assert isinstance(outcome, RetryableFailure)
    assert (outcome.code, outcome.usage.exit_code) == (TerminationCode.OUT_OF_MEMORY, 1)
    assert outcome.usage.peak_memory_bytes is not None
    assert outcome.usage.peak_memory_bytes <= 256 * MIB


async def test_processor_time_is_measured_and_bounded(box: PythonPieces) -> None:
    if not box.tells_out_of_memory:
        pytest.skip("needs control groups (run as root, or delegate a group)")
    play = box.python(
        "import time\nend = time.monotonic() + 1.0\nwhile time.monotonic() < end: pass",
        limits=Limits(memory_bytes=256 * MIB, cpus=0.25),
    )
    outcome = await play.end()

    assert outcome.usage.cpu_ms is not None
    assert 100 < outcome.usage.cpu_ms < 600


async def test_a_file_larger_than_the_limit_cannot_be_written(box: PythonPieces) -> None:
    lines = await said(
        box,
        """
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            with open("outputs/big", "wb") as f:
                for _ in range(20): f.write(bytes(1_000_000))
        except OSError as error:
            print(error.errno)
        """,
        limits=Limits(memory_bytes=256 * MIB, file_bytes=4 * MIB),
    )

    assert lines == ["27"]


async def test_temporary_space_is_bounded(box: PythonPieces) -> None:
    lines = await said(
        box,
        """
        for place in ("/tmp/a", "/dev/shm/a"):
            try:
                with open(place, "wb") as f:
                    for _ in range(64): f.write(bytes(1_000_000))
                print("written")
            except OSError as error:
                print(error.errno)
        """,
        limits=Limits(memory_bytes=256 * MIB, tmp_bytes=8 * MIB),
    )

    assert lines == ["28", "28"]


async def test_a_job_that_fills_the_disk_is_stopped(
    box: PythonPieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.executor.disk.LOOK_SECONDS", 0.2)
    play = box.python(
        """
        import time
        for i in range(100):
            with open(f"outputs/{i}", "wb") as f: f.write(bytes(1_000_000))
        time.sleep(600)
        """,
        limits=Limits(memory_bytes=256 * MIB, disk_bytes=10 * MIB),
    )
    outcome = await play.end()

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.OUTPUT_TOO_LARGE


async def test_a_secret_split_over_two_writes_is_redacted(box: PythonPieces) -> None:
    play = box.python(
        """
        import os, time
        secret = os.environ["TOKEN"]
        for half in (secret[:5], secret[5:] + "\\n"):
            os.write(1, half.encode()); time.sleep(0.1)
        os.write(1, ("x" * 20_000 + secret).encode())
        """,
        secrets={"TOKEN": "correct-horse"},
    )
    await play.end()

    everything = "".join(play.reporter.text())
    assert "correct-horse" not in everything
    assert everything.count("***") == 2


async def test_a_flood_is_truncated_and_kept_whole_on_disk(box: PythonPieces) -> None:
    play = box.python("for i in range(30_000): print('line', i)")
    await play.end()

    lines = play.reporter.lines
    assert len(lines) == 10_000
    assert "truncated" in lines[-1][1]
    assert len((play.workspace.kept / "log").read_text().splitlines()) == 30_000


async def test_a_short_log_leaves_no_file(box: PythonPieces) -> None:
    play = box.python("print('one')")
    await play.end()

    assert list(play.workspace.kept.iterdir()) == []


@pytest.mark.parametrize(
    "trap",
    [
        "os.symlink('/etc/passwd', 'outputs/x')",
        "os.symlink('..', 'outputs/x')",
        "os.mkfifo('outputs/x')",
        "open('outputs/y', 'w').close(); os.link('outputs/y', 'outputs/x')",
        "s = __import__('socket').socket(1); s.bind('outputs/x')",
        "open('outputs/a\\nb', 'w').close()",
        "open(b'outputs/\\xff', 'w').close()",
    ],
    ids=["link", "link to a folder", "pipe", "hard link", "socket", "line break", "not utf-8"],
)
async def test_a_trap_in_outputs_is_refused(box: PythonPieces, trap: str) -> None:
    play = box.python(f"import os\n{trap}")
    assert isinstance(await play.end(), Succeeded)

    with pytest.raises(Permanent) as refusal:
        harvest.find(play.workspace.root, "outputs")
    assert refusal.value.code is TerminationCode.OUTPUT_INVALID


async def test_the_outputs_folder_itself_cannot_be_a_link(box: PythonPieces) -> None:
    play = box.python("import os; os.rmdir('outputs'); os.symlink('/etc', 'outputs')")
    await play.end()

    with pytest.raises(Permanent):
        harvest.find(play.workspace.root, "outputs")


async def test_binds_are_read_only(box: PythonPieces, folder: Path) -> None:
    given = folder / "given"
    given.mkdir(mode=0o755)
    (given / "file").write_text("from outside")
    (given / "file").chmod(0o644)
    workspace = box.workspace()
    (workspace.root / "job.py").write_text(
        "print(open('/harness/file').read())\n"
        "try: open('/harness/new', 'w')\nexcept OSError as error: print(error.errno)"
    )
    play = box.start(
        workspace,
        make_attempt(),
        Command(
            argv=("/usr/bin/python3", "job.py"),
            binds=(Bind(given, "/harness"), Bind(folder / "absent", "/absent", optional=True)),
        ),
    )
    await play.end()

    assert play.reporter.text() == ["from outside", "30"]


async def test_a_sandbox_that_cannot_be_made_is_the_platforms_fault(box: PythonPieces) -> None:
    play = box.start(
        box.workspace(),
        make_attempt(),
        Command(argv=("/usr/bin/true",), binds=(Bind(Path("/nonexistent"), "/x"),)),
    )
    outcome = await play.end()

    assert isinstance(outcome, RetryableFailure)
    assert outcome.code is TerminationCode.EXECUTOR_UNAVAILABLE


async def test_controls_in_the_log_are_replaced(box: PythonPieces) -> None:
    play = box.python("import sys; sys.stdout.write('a\\x1b[31mb\\x00c\\r\\nd\\u2028e\\n')")
    await play.end()

    assert play.reporter.text() == ["a\ufffd[31mb\ufffdc", "d\ufffde"]
