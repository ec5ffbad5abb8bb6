"""A container, said in full: what the Engine API is asked to create.

No capability and no way to get one, a read-only root, an unprivileged user, no network unless it is granted,
one writable directory that lasts (/job) and two that do not (/tmp, /dev/shm), and a bound for everything that
can be used up.
"""

from __future__ import annotations

import posixpath
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.executor.daemon import Image
from runner.model.command import Command, Limits
from runner.model.errors import Retryable
from runner.model.termination import TerminationCode
from runner.model.workspace import JOB

JsonObject = dict[str, Any]

#: A job's log as the daemon keeps it, for whoever adopts the container; the log in full is kept by us.
LOG_BYTES = "64m"
CPU = 1_000_000_000  # NanoCpus
SLACK = 4 * 1024**2
#: What daemons and their runtimes put into the environment without being asked.
UNWANTED = ("/run", "/var/tmp", "/dev/mqueue")  # noqa: S108 - Podman makes them writable in a read-only root
UNASKED = ("HOSTNAME", "TERM", "container", "PWD", "SHLVL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is the same for every container of this runner. `user` is uid:gid; `init`: the daemon has a first
    process to reap what is orphaned inside; `network` is what those get that were granted one; `seccomp` is
    the profile as the daemon wants it: Docker in full, Podman as a path."""

    user: str
    init: bool
    network: str
    userns: str = ""
    seccomp: str = ""


def form(
    frame: Frame,
    *,
    image: Image,
    command: Command,
    environment: Mapping[str, str],
    root: Path,
    labels: Mapping[str, str],
    network: bool,
    parent: str | None = None,
) -> JsonObject:
    """The body of `POST /containers/create`. `parent` is a control group that bounds and measures what is
    inside. Of what the image says for itself nothing counts: no variable, no user, no command, no volume (of
    which nobody bounds the size), no check of its health."""
    limits = command.limits
    kind = frame.network if network else "none"
    host: JsonObject = {
        "NetworkMode": kind,
        "Mounts": [_mount(root, JOB, read_only=False), *_binds(command)],
        "ReadonlyRootfs": True,
        "Tmpfs": {
            "/tmp": f"rw,nosuid,nodev,size={limits.tmp_bytes},mode=1777",  # noqa: S108 - inside
            **dict.fromkeys(
                [*UNWANTED, *_unbounded(image, command)], "ro,nosuid,nodev,noexec,size=4k,mode=755"
            ),
        },
        "ShmSize": limits.tmp_bytes,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", *([f"seccomp={frame.seccomp}"] if frame.seccomp else [])],
        "Privileged": False,
        "IpcMode": "private",
        "PidsLimit": limits.pids,
        # A control group around the container is met first, because it can be asked afterwards.
        "Memory": limits.memory_bytes + (SLACK if parent else 0),
        "MemorySwap": limits.memory_bytes + (SLACK if parent else 0),
        "NanoCpus": int(limits.cpus * CPU),
        "Ulimits": _ulimits(limits),
        "Init": frame.init,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": LOG_BYTES}},
    }
    if parent:
        host["CgroupParent"] = parent
    if frame.userns:
        host["UsernsMode"] = frame.userns
    return {
        "Image": image.id,
        "Entrypoint": ["/usr/bin/env", *_without(image.variables, environment)],
        "Cmd": list(command.argv),
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "User": frame.user,
        "WorkingDir": JOB,
        "Hostname": "sandbox",
        "Labels": dict(labels),
        "NetworkDisabled": kind == "none",
        "Tty": False,
        "OpenStdin": False,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": host,
    }


def _without(variables: tuple[str, ...], environment: Mapping[str, str]) -> list[str]:
    # User code is promised an exact environment; values would show in command lines, names may.
    unwanted = {*variables, *UNASKED} - environment.keys()
    return [word for name in sorted(unwanted) for word in ("-u", name)]


def _unbounded(image: Image, command: Command) -> list[str]:
    """Folders for which the image wants volumes; where something of ours lies it gets none."""
    ours = {JOB, "/tmp", "/dev/shm", *(each.target for each in command.binds)}  # noqa: S108 - inside
    return [each for each in image.volumes if posixpath.normpath(each) not in ours]


def _mount(source: Path, target: str, *, read_only: bool = True) -> JsonObject:
    return {
        "Type": "bind",
        "Source": str(source),
        "Target": target,
        "ReadOnly": read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _binds(command: Command) -> Iterator[JsonObject]:
    for each in command.binds:
        if each.source.exists():
            yield _mount(each.source, each.target)
        elif not each.optional:
            # Docker's API refuses it by itself; Podman's makes a folder.
            raise Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, f"what belongs at {each.target} is missing")


def _ulimits(limits: Limits) -> list[JsonObject]:
    # nproc counts every process of the user on the machine, so it bounds nothing here; left out, Podman asks
    # for more than a root without CAP_SYS_RESOURCE may have, and the container does not start.
    bounds = {
        "nofile": limits.open_files,
        "fsize": limits.file_bytes,
        "core": 0,
        "nproc": _processes(),
    }
    return [{"Name": name, "Soft": value, "Hard": value} for name, value in bounds.items()]


def _processes() -> int:
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    ours = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    return most if ours == resource.RLIM_INFINITY else min(most, ours)
