"""`work` as it runs in a pod: the first process of its container, here one of bubblewrap's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.executor import lines
from runner.executor.kubernetes import pod_agent

LIMITS = {"file_bytes": 1 << 26, "open_files": 256, "disk_bytes": 1 << 26}


@dataclass
class Pod:
    """One container's folder and what it said."""

    folder: Path
    said: dict[str, Any]
    log: list[str]
    code: int


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    argv = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
    if shutil.which("bwrap") is None or subprocess.run(argv, check=False).returncode != 0:
        pytest.skip("needs bubblewrap and user namespaces (apt-get install bubblewrap)")
    for name in ("job/outputs", "order"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "message").touch()
    for module in (pod_agent, lines):
        shutil.copy(str(module.__file__), tmp_path / "order")
    return tmp_path


def work(
    folder: Path, code: str, secrets: dict[str, str] | None = None, crew: dict[str, Any] | None = None
) -> Pod:
    """Run a program as the pod's `work` does."""
    (folder / "job" / "job.py").write_text(code)
    order = {
        "argv": ["/usr/bin/python3", "job.py"],
        "environment": {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "RUN_ID": "9"},
        "secrets": sorted(secrets or ()),
        "closed": True,
        "limits": LIMITS,
        **({"crew": crew} if crew else {}),
    }
    (folder / "order" / "order.json").write_text(json.dumps(order))
    argv = ["bwrap", "--unshare-all", "--as-pid-1", "--die-with-parent", "--clearenv"]
    argv += ["--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]
    for name, value in (secrets or {}).items():
        argv += ["--setenv", f"SECRET_{name}", value]
    for path in ("/usr", "/lib", "/lib64", "/bin", *({sys.base_prefix} - {"/usr"})):
        argv += ["--ro-bind-try", path, path]
    argv += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    argv += ["--bind", str(folder / "message"), "/dev/termination-log"]
    argv += ["--bind", str(folder / "job"), "/job"]
    argv += ["--ro-bind", str(folder / "order"), "/control-room/order"]
    argv += [os.path.realpath(sys.executable), "-I", "/control-room/order/pod_agent.py", "work"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    said = (folder / "message").read_text()
    assert said, done.stderr
    return Pod(folder, json.loads(said), done.stdout.splitlines(), done.returncode)


@pytest.mark.parametrize("code", [0, 3])
def test_the_last_word_says_how_the_command_ended_and_the_container_ends_well(
    folder: Path, code: int
) -> None:
    pod = work(folder, f"raise SystemExit({code})")

    assert (pod.said["exit"], pod.code) == (code, 0)


def test_a_signal_is_told_as_a_shell_would(folder: Path) -> None:
    assert work(folder, "import os; os.kill(os.getpid(), 9)").said["exit"] == 137


def test_streams_are_marked_and_secrets_do_not_leave(folder: Path) -> None:
    pod = work(
        folder,
        "import os, sys\nprint('out', os.environ['TOKEN'], flush=True)\nprint('err', file=sys.stderr)",
        {"TOKEN": "hunter-2-hunter"},
    )

    assert sorted(pod.log) == ["1 out ***", "2 err"]


def test_what_a_crew_prints_comes_as_the_work_s_own_with_whose_it_is(folder: Path) -> None:
    pod = work(
        folder,
        """
import os
for number, kind, text in (
    ("0", "stderr", "the command line\\n====\\n\\nwarning\\n"),
    ("0", "stdout", "out hunter-2-hunter"),
    ("1", "stderr", "has not begun"),
    ("1", "stdout", "out\\n"),
):
    os.makedirs(f"crew/{number}/app", exist_ok=True)
    open(f"crew/{number}/app/{kind}", "w").write(text)
os.mkfifo("crew/1/app/std-fifo")
os.mkdir("crew/1/app/std-folder")
os.symlink("/job/job.py", "crew/1/app/std-link-out")
print("the work's", flush=True)
""",
        {"TOKEN": "hunter-2-hunter"},
        crew={"called": "executor", "logs": "crew/*/*/std*", "begins": "===="},
    )

    expected = ["1 [executor 0] out ***", "1 [executor 1] out", "1 the work's", "2 [executor 0] warning"]
    assert (sorted(pod.log), pod.said["exit"]) == (expected, 0)


def test_the_environment_is_exactly_what_is_ordered(folder: Path) -> None:
    pod = work(folder, "import os; print(sorted(os.environ))", {"TOKEN": "hunter-2-hunter"})

    assert pod.log == ["1 ['LANG', 'PATH', 'RUN_ID', 'TOKEN']"]


def test_the_last_word_is_ours_whoever_wrote_before(folder: Path) -> None:
    pod = work(
        folder,
        """
import os, time
if os.fork() == 0:
    os.setsid()
    while True:
        open("/dev/termination-log", "w").write('{"exit": 0}')
        open("/job/outputs/a", "a").write("x")
        time.sleep(0.001)
time.sleep(0.3)
raise SystemExit(7)
""",
    )

    assert pod.said["exit"] == 7
    size = (folder / "job/outputs/a").stat().st_size
    assert size > 0
    assert size == (folder / "job/outputs/a").stat().st_size


def test_nobody_in_there_reads_or_ends_the_first_process(folder: Path) -> None:
    pod = work(
        folder,
        """
import os, signal
for path in ("/proc/1/mem", "/proc/1/environ"):
    try:
        open(path, "rb").read(1); print("read", path)
    except OSError:
        print("no")
os.kill(1, signal.SIGKILL)
print("still here")
""",
    )

    assert pod.log == ["1 no", "1 no", "1 still here"]
    assert pod.said["exit"] == 0
