"""The sandbox: bubblewrap, as an argument list.

    sh (enters the control group) → prlimit → setpriv (drops to nobody) → bwrap → env -u PWD → the command

What is inside is said in full by `arguments`: own namespaces for everything, no capabilities, no further user
namespaces, a read-only root made of /usr, and one writable directory, /job. The arguments travel over a
file descriptor and not on the command line, because they hold the values of secrets and every user of the
machine may read command lines. For the same reason they are not in the environment of the programs that
start as root.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.executor import egress, orphans, ownership, seccomp
from runner.executor.egress import EgressNetworks
from runner.executor.group import Groups
from runner.model.command import Bind, Command
from runner.model.workspace import JOB

NOBODY = 65534
#: What the programs before bwrap see; nothing of the runner's own environment.
LAUNCH_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
PROBE_SECONDS = 10.0

# Each program becomes the next one, so that the pid of the first is the pid of bwrap.
_ENTER = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 125; shift; done; shift; exec "$@"'


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The sandbox of this machine: which programs make it, as whom it runs, and what bounds it."""

    groups: Groups
    etc: Path
    drops: bool
    filter: bytes | None
    network: str = "none"
    egress_networks: EgressNetworks | None = None

    @property
    def owner(self) -> tuple[int, int] | None:
        """The user and group that a workspace must belong to; None when it is our own."""
        return (NOBODY, NOBODY) if self.drops else None

    @property
    def share_network(self) -> bool:
        """Attempts that were granted a network get one: the machine's own, or a way to the internet alone."""
        return self.network == "host" or self.egress_networks is not None

    @property
    def description(self) -> dict[str, object]:
        """What `health` says about us."""
        return {
            "mechanism": "bubblewrap",
            "user": self._user,
            "seccomp": self.filter is not None,
            "network": self.network,
            **self.groups.description,
        }

    def launch(
        self, entrances: tuple[Path, ...], command: Command, descriptor: int, way_out: Path | None = None
    ) -> list[str]:
        """The argument list of the whole chain; bwrap reads its own arguments from `descriptor`."""
        limits = command.limits
        argv = ["/bin/sh", "-c", _ENTER, "control-room", *map(str, entrances), "--"]
        if way_out is not None:
            argv += ["nsenter", f"--net={way_out}", "--"]
        argv += ["prlimit", "--core=0", f"--fsize={limits.file_bytes}", f"--nofile={limits.open_files}"]
        if not self.groups.bounded:
            # Per process and per user: weaker than a control group, and said so in the description.
            # RLIMIT_AS would be stricter than RLIMIT_DATA, but no JVM starts under it.
            argv += [f"--data={limits.memory_bytes}", f"--nproc={_tasks_of(self._user) + limits.pids}"]
        if self.drops:
            argv += ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
        # bwrap sets PWD for itself; user code is promised an exact environment.
        argv += ["bwrap", "--args", str(descriptor), *orphans.mark(), "--"]
        return [*argv, "/usr/bin/env", "-u", "PWD", *command.argv]

    def arguments(
        self,
        root: Path,
        command: Command,
        environment: Mapping[str, str],
        *,
        network: bool,
        status: int | None = None,
        filter_descriptor: int | None = None,
    ) -> list[str]:
        """Everything bwrap is told but the command. `status` and `filter_descriptor` are descriptors that
        bwrap inherits."""
        limits = command.limits
        argv = ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
        argv += ["--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "sandbox", "--cap-drop", "ALL"]
        if network and self.share_network:
            argv += ["--share-net"]
        argv += ["--clearenv"]
        for name, value in environment.items():
            argv += ["--setenv", name, value]
        argv += _system()
        argv += self._etc(network=network and self.share_network)
        argv += ["--proc", "/proc", "--dev", "/dev"]
        argv += ["--size", str(limits.tmp_bytes), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
        argv += ["--size", str(limits.tmp_bytes), "--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108 - inside
        argv += ["--bind", str(root), JOB]
        for bind in command.binds:
            argv += _bind(bind)
        argv += ["--chdir", JOB, "--remount-ro", "/"]
        if status is not None:
            argv += ["--json-status-fd", str(status)]
        if filter_descriptor is not None:
            argv += ["--seccomp", str(filter_descriptor)]
        return argv

    @property
    def _user(self) -> int:
        return NOBODY if self.drops else os.getuid()

    def _etc(self, *, network: bool) -> list[str]:
        argv: list[str] = []
        for name in ("passwd", "group", "hosts", "nsswitch.conf"):
            argv += ["--ro-bind", str(self.etc / name), f"/etc/{name}"]
        for name in ("alternatives", "ld.so.cache", "localtime"):
            argv += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        if network:
            for name in ("ssl", "ca-certificates"):
                argv += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
            resolver = egress.resolv_conf(self.etc) if self.egress_networks else Path("/etc/resolv.conf")
            argv += ["--ro-bind-try", str(resolver), "/etc/resolv.conf"]
        return argv


@dataclass(frozen=True, slots=True)
class NoSandbox:
    """This machine cannot make a sandbox; job types that need one are not offered."""

    reason: str

    @property
    def description(self) -> dict[str, object]:
        """What `health` says about us."""
        return {"mechanism": "none", "reason": self.reason}


async def probe(groups: Groups, folder: Path, *, network: str = "none") -> Sandbox | NoSandbox:
    """Make a sandbox around `true` and see whether it works. `folder` receives its few files of /etc.
    `network`, for attempts that were granted one: none, internet (see `egress`) or host."""
    for program in ("bwrap", "prlimit", "setpriv"):
        if shutil.which(program, path=LAUNCH_ENVIRONMENT["PATH"]) is None:
            package = "bubblewrap" if program == "bwrap" else "util-linux"
            return NoSandbox(f"{program} is not installed (apt-get install {package})")
    egress_networks = await egress.probe() if network == "internet" else None
    if isinstance(egress_networks, str):
        network, egress_networks = f"none ({egress_networks})", None
    sandbox = Sandbox(
        groups=groups,
        etc=_write_etc(folder / "etc"),
        drops=os.getuid() == 0,
        filter=seccomp.program(),
        network=network,
        egress_networks=egress_networks,
    )
    command = Command(argv=("/usr/bin/true",))
    mine = folder / ownership.own_name()  # where a sweep finds it if we are killed in the middle
    mine.mkdir(exist_ok=True)
    mine.chmod(0o711)
    with tempfile.TemporaryDirectory(dir=mine, prefix="probe-") as root:
        if sandbox.owner:
            os.chown(root, *sandbox.owner)
        code, said = await _try(sandbox, Path(root), command)
    if code == 0:
        return sandbox
    return NoSandbox(f"bwrap does not work here (exit {code}): {said or 'it said nothing'}")


async def _try(sandbox: Sandbox, root: Path, command: Command) -> tuple[int, str]:
    descriptors = [memory_file(nul_separated(sandbox.arguments(root, command, {}, network=False)))]
    try:
        process = await asyncio.create_subprocess_exec(
            *sandbox.launch((), command, descriptors[0]),
            pass_fds=descriptors,
            env=LAUNCH_ENVIRONMENT,
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                _, error = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            return -1, f"no answer within {PROBE_SECONDS:.0f} s"
        return process.returncode or 0, error.decode("utf-8", "replace").strip()[:500]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def memory_file(data: bytes) -> int:
    """An inheritable descriptor from which `data` can be read."""
    descriptor = os.memfd_create("control-room", 0)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def nul_separated(argv: list[str]) -> bytes:
    """The form `bwrap --args` reads. Raises ValueError for an argument that holds a NUL."""
    if any("\0" in each for each in argv):
        raise ValueError("an argument holds a NUL character")
    return b"".join(os.fsencode(each) + b"\0" for each in argv)


def _system() -> list[str]:
    argv = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/") / name
        if path.is_symlink():
            argv += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            argv += ["--ro-bind", str(path), str(path)]
    return argv


def _bind(bind: Bind) -> list[str]:
    return ["--ro-bind-try" if bind.optional else "--ro-bind", str(bind.source), bind.target]


def _write_etc(folder: Path) -> Path:
    """The few files without which getpwuid, localhost and name lookup fail in there."""
    folder.mkdir(exist_ok=True)
    content = {
        "passwd": "root:x:0:0:root:/:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/tmp:/usr/sbin/nologin\n",
        "group": "root:x:0:\nnogroup:x:65534:\n",
        "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    folder.chmod(0o755)
    for name, text in content.items():
        place = folder / name
        if not place.exists() or place.read_text() != text:
            # whole or not at all: other runners share the folder, and sandboxes are being made of it
            fresh = folder / f".{name}-{os.getpid()}"
            fresh.write_text(text)
            fresh.chmod(0o644)
            fresh.replace(place)
    return folder


def _tasks_of(user: int) -> int:
    # RLIMIT_NPROC counts every task of the user, so those there are come on top of what the attempt may have.
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == user:
                    count += len(os.listdir(f"/proc/{entry.name}/task"))
            except OSError:
                continue
    return count
