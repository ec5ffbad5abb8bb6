"""A Debian machine of its own, as a droplet is one: a fresh root, a real systemd, cloud-init.

The root is made once by mmdebstrap; each machine is a layer over it. Network and kernel are those of this
machine; where its control groups are of version 1, units get no controllers by delegation.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dev.stack import state
from dev.stack.errors import StackError

BOOT = Path(__file__).with_name("boot")
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "cloud-init", "ca-certificates", "procps", "util-linux", "iproute2"),
    *("bubblewrap", "curl", "libseccomp2", "postgresql-client", "python3", "python3-venv"),
)
PROGRAMS = ("mmdebstrap", "unshare", "nsenter", "pivot_root")
#: What a machine needs to reach the package registries that this one reaches.
KNOWN_HERE = ("/etc/pip.conf", "/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt")
START_SECONDS = 60.0


def lacking() -> str:
    """Why there can be no machine here, with the mend; "" when there can."""
    if os.geteuid() != 0:
        return "machines are made by root"
    missing = [each for each in PROGRAMS if shutil.which(each) is None]
    return f"{', '.join(missing)} missing (scripts/setup --with droplet)" if missing else ""


@dataclass(frozen=True)
class Machine:
    """A machine that runs."""

    root: Path
    pid: int

    def run(self, *argv: str, check: bool = True, seconds: float = 600) -> str:
        """Run something as root in there; what it said."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-C", "--"]
        done = subprocess.run(
            [*enter, "env", "-i", "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", *argv],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            cwd="/",
        )
        if check and done.returncode != 0:
            raise StackError(f"{' '.join(argv)} ended with {done.returncode}", done.stdout[-3000:])
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """A file in there, for root alone."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o600)


def root() -> Path:
    """The folder of a fresh root, made once. Raises StackError."""
    folder = state.home() / "droplet"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"root-{hashlib.sha256(' '.join(PACKAGES).encode()).hexdigest()[:12]}"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            fresh = target.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            argv = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
            made = subprocess.run(
                [*argv, "bookworm", str(fresh)], check=False, capture_output=True, text=True
            )
            if made.returncode != 0:
                raise StackError("no root could be made", made.stderr[-3000:])
            fresh.rename(target)
    return target


@contextlib.contextmanager
def machine(*, user_data: str | None = None, files: dict[str, Path] | None = None) -> Iterator[Machine]:
    """One that has booted; `user_data` is what cloud-init finds, `files` lie in it already."""
    with tempfile.TemporaryDirectory(prefix="control-room-machine-", dir="/var/tmp") as scratch:
        place = Path(scratch)
        # an upper layer of an overlay lies on no overlay
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", scratch], check=True)
        try:
            for each in ("upper", "work", "root"):
                (place / each).mkdir()
            options = f"lowerdir={root()},upperdir={place / 'upper'},workdir={place / 'work'}"
            subprocess.run(
                ["mount", "-t", "overlay", "overlay", "-o", options, str(place / "root")], check=True
            )
            yield from _booted(place / "root", user_data, files or {})
        finally:
            for mounted in (place / "root", place):
                subprocess.run(["umount", "--lazy", str(mounted)], check=False, capture_output=True)


def _booted(root: Path, user_data: str | None, files: dict[str, Path]) -> Iterator[Machine]:
    for known in map(Path, KNOWN_HERE):
        if known.exists():
            shutil.copyfile(known.resolve(), root / known.relative_to("/"))
    for target, source in files.items():
        (root / target.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, root / target.lstrip("/"))
    (root / "etc/default/locale").write_text("LANG=C.UTF-8\n")  # as an image of Debian's has it
    seed = root / "var/lib/cloud/seed/nocloud"
    if user_data is not None:
        seed.mkdir(parents=True)
        (seed / "meta-data").write_text("instance-id: one\nlocal-hostname: droplet\n")
        (seed / "user-data").write_text(user_data)
        (root / "etc/cloud/cloud.cfg.d/99-here.cfg").write_text(
            "datasource_list: [NoCloud]\nnetwork: {config: disabled}\napt: {preserve_sources_list: true}\n"
        )
    name = f"control-room-machine-{os.getpid()}"
    process = subprocess.Popen(
        [str(BOOT), str(root), name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            if process.poll() is not None:
                raise StackError("systemd did not start", f"boot ended with {process.returncode}")
            if (pid := _first(process.pid)) is not None:
                made = Machine(root, pid)
                said = made.run("systemctl", "is-system-running", check=False).strip()
                if said in ("running", "degraded", "starting"):
                    break
            if time.monotonic() > end:
                raise StackError("systemd did not start", f"within {START_SECONDS:g} s")
            time.sleep(0.2)
        yield made
    finally:
        # its children die with it
        process.send_signal(signal.SIGKILL)
        process.wait()
        _forget_groups(name)


def _first(unshare: int) -> int | None:
    """The process that is the first of its namespace."""
    children = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()
    for child in children:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
    return None


def _forget_groups(name: str) -> None:
    groups = Path("/sys/fs/cgroup")
    for _ in range(50):
        left = [each for each in (groups / name, *groups.glob(f"*/{name}")) if each.is_dir()]
        if not left:
            return
        for top in left:
            folders = sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True)
            for folder in [*folders, top]:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        time.sleep(0.1)
