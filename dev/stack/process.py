"""Daemons: started in a session of their own, known again by pid and birth, ended within a bound."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.stack.errors import StackError
from dev.stack.state import Daemon

POLL_SECONDS = 0.02
LOG_LIMIT = 20 * 1024 * 1024


@dataclass(frozen=True)
class Account:
    """The unprivileged user that a process runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Command:
    """How a daemon is started."""

    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    cwd: Path
    account: Account | None = None
    """None: the user who runs the stack."""
    dies_with_parent: bool = False
    """For throw-away clusters of tests: a killed pytest leaves nothing behind."""


def start(command: Command) -> Daemon:
    """Starts the daemon and returns at once; whoever needs it ready waits for that by itself."""
    # setpriv becomes the command, so that the pid is the command's own
    argv = [*_setpriv(command), *command.argv]
    if command.log.exists() and command.log.stat().st_size > LOG_LIMIT:
        command.log.replace(command.log.with_suffix(".log.1"))
    with command.log.open("ab") as log:
        log.write(f"\n--- started {time.strftime('%Y-%m-%d %H:%M:%S')} ---\n".encode())
        log.flush()
        child = subprocess.Popen(
            argv,
            env=dict(command.env),
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # It outlives this command on purpose; without this Popen warns about a forgotten child.
    child.returncode = 0
    return Daemon(pid=child.pid, born=_born(child.pid) or "never")


def _setpriv(command: Command) -> list[str]:
    options = as_account(command.account)
    if command.dies_with_parent:
        options = [*(options or ["setpriv"]), "--pdeathsig=INT"]
    return [*options, "--"] if options else []


def as_account(account: Account | None) -> list[str]:
    """The beginning of an argv that runs the rest as that user; close it with "--"."""
    if account is None:
        return []
    return ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]


def alive(daemon: Daemon) -> bool:
    """Whether this very process still runs; a zombie does not, nor does another one with the same pid."""
    return _born(daemon.pid) == daemon.born


def exists(daemon: Daemon) -> bool:
    """Whether anything of it is left, a zombie included."""
    return alive(daemon) or Path(f"/proc/{daemon.pid}").exists()


def _born(pid: int) -> str | None:
    """Boot and clock tick at which a running process was born; None if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in {"Z", "X"}:
        # ours if it was started by this very command: nobody else would clear it away
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return None
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}:{fields[19]}"


def stop(daemon: Daemon, gentle: signal.Signals, *, patience: float) -> None:
    """Asks the process to end, kills it and its process group when it does not do so in time."""
    if not alive(daemon):
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(daemon.pid, gentle)
        # one that was stopped would never hear it
        os.kill(daemon.pid, signal.SIGCONT)
    if wait_until(lambda: not alive(daemon), seconds=patience):
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(daemon.pid, signal.SIGKILL)
    if not wait_until(lambda: not alive(daemon), seconds=5):
        raise StackError(f"process {daemon.pid} does not end, not even by SIGKILL", "look at it with ps")


def wait_until(holds: Callable[[], bool], *, seconds: float) -> bool:
    """Polls until `holds()`; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def living_in(folder: Path) -> list[int]:
    """The pids of this user's processes whose working directory is `folder`, as all of Postgres' have it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(process / "cwd") == str(folder):
                found.append(int(process.name))
    return found


def listener(port: int) -> str:
    """Who listens on a port, as far as this user may see: "pid 12 (nginx)", else "another process"."""
    inodes = {
        fields[9]
        for fields in (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[3] == "0A" and int(fields[1].partition(":")[2], 16) == port
    }
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for handle in (process / "fd").iterdir():
                if os.readlink(handle).removeprefix("socket:[").removesuffix("]") in inodes:
                    return f"pid {process.name} ({(process / 'comm').read_text().strip()})"
    return "another process"


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
