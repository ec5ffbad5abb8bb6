"""Podman's service for tests and benchmarks: a root of its own, a socket that a Docker client can speak to.

Works where root may not raise limits (no CAP_SYS_RESOURCE) and where control groups are of both versions:
runc, plain files instead of systemd, ulimits that are not above ours. Sessions share the images, each has a
socket of its own. `scripts/setup --with container` installs it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 20.0
_CONFIGURATION = """\
[engine]
runtime = "{runtime}"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
log_driver = "k8s-file"
"""


@dataclass(frozen=True)
class Podman:
    """A root of images and containers, with or without a service."""

    folder: Path

    @property
    def socket(self) -> Path:
        """Where the service listens."""
        return self.folder / f"podman-{os.getpid()}.sock"

    @property
    def environment(self) -> dict[str, str]:
        """What every call of podman needs."""
        return {**os.environ, "CONTAINERS_CONF": str(self.folder / "containers.conf")}

    def argv(self, *words: str) -> list[str]:
        """A call of podman."""
        roots = ["--root", str(self.folder / "root"), "--runroot", str(self.folder / "run")]
        # Each end of a container starts a podman that tidies up, and as its last it takes away the mount over
        # the images that the service has just mounted a root below: a container in ten cannot be removed.
        alone = ["--storage-driver=overlay", "--storage-opt=overlay.skip_mount_home=true"]
        return ["podman", *roots, *alone, "--log-level=error", *words]

    def run(self, *words: str, seconds: float = 900) -> str:
        """Call it, and what it printed. Raises RuntimeError with its last words."""
        done = subprocess.run(
            self.argv(*words),
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if done.returncode != 0:
            raise RuntimeError(f"podman {words[0]}: {(done.stdout + done.stderr)[-3000:]}")
        return done.stdout

    def has(self, image: str) -> bool:
        """Whether the image is here."""
        argv = self.argv("image", "exists", image)
        return subprocess.run(argv, env=self.environment, check=False, capture_output=True).returncode == 0


@dataclass(frozen=True)
class Given(Podman):
    """A daemon of Docker or Podman that runs already, named by CONTROL_ROOM_CONTAINER_SOCKET; our images are
    loaded into it by hand: `podman save` and `docker load`."""

    @property
    def socket(self) -> Path:
        """Its socket."""
        return self.folder


def missing() -> str:
    """What is not installed, with the mend; "" when all is there."""
    for program in ("podman", "runc", "mmdebstrap"):
        if shutil.which(program) is None:
            return f"{program} is not installed (scripts/setup --with container)"
    return "" if os.getuid() == 0 else "only root may start it here"


def lay_out(folder: Path) -> Podman:
    """Its folder and configuration; nothing runs yet."""
    folder.mkdir(parents=True, exist_ok=True)
    files = min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    text = _CONFIGURATION.format(runtime="runc", files=files, processes=4096)
    (folder / "containers.conf").write_text(text)
    return Podman(folder)


@contextlib.contextmanager
def service(folder: Path) -> Iterator[Podman]:
    """The service, ready; stopped afterwards."""
    made = lay_out(folder)
    made.socket.unlink(missing_ok=True)
    log = (folder / "service.log").open("wb")
    process = subprocess.Popen(
        made.argv("system", "service", "--time=0", f"unix://{made.socket}"),
        env=made.environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    try:
        _await(made, process)
        yield made
    finally:
        process.terminate()
        process.wait(10)
        log.close()
        made.socket.unlink(missing_ok=True)


def _await(made: Podman, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while not made.socket.is_socket():
        if process.poll() is not None or time.monotonic() > end:
            said = (made.folder / "service.log").read_text("utf-8", "replace")[-500:]
            raise RuntimeError(f"podman's service did not start: {said}")
        time.sleep(0.02)


BASE = "localhost/control-room-base:bookworm-3"
WHOLE_BASE = "localhost/control-room-base:bookworm-apt-1"
_PACKAGES = (
    "python3-minimal,python3,python3-venv,dash,coreutils,base-files,base-passwd,ca-certificates,libstdc++6"
)


def base_image(podman: Podman, *, whole: bool = False) -> str:
    """A small Debian with Python, made from packages: where no registry of images can be reached. The first
    time takes half a minute. `whole`: one that installs packages."""
    name, variant = (WHOLE_BASE, "minbase") if whole else (BASE, "extract")
    if not podman.has(name):
        tar = podman.folder / f"{variant}.tar"
        hooks = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"
        argv = ["mmdebstrap", "--quiet", f"--variant={variant}", f"--include={_PACKAGES}", hooks]
        argv += ["bookworm", str(tar)]
        subprocess.run(argv, check=True, capture_output=True, timeout=900)
        podman.run("import", str(tar), name)
        tar.unlink()
    return name


RECIPES = Path(__file__).resolve().parent.parent / "deploy" / "images"


def job_image(podman: Podman, job_type: str, **arguments: str) -> str:
    """The image of a job type, built from its recipe on our base; again where what it is made of changed."""
    root = RECIPES.parent.parent
    recipe = RECIPES / f"{job_type}.Containerfile"
    parts = [recipe, *sorted((root / "runner" / "jobtype" / job_type / "engines").glob("*.txt"))]
    if arguments.get("ODOO") == "yes":
        parts.append(root / "dev" / "odoo" / "build.py")
    text = recipe.read_text()
    asked = re.findall(r'if \[ "\$\{(\w+)\}" = (\w+) \]', text)
    # packages of the system are all recipes', or those' who ask for them
    whole = "apt-get" in text and (not asked or any(arguments.get(key) == value for key, value in asked))
    made_of = hashlib.sha256(
        b"".join(each.read_bytes() for each in parts) + (WHOLE_BASE if whole else BASE).encode()
    )
    said = "-".join([job_type, *(f"{key}-{value}".lower() for key, value in arguments.items())])
    name = f"localhost/control-room/{said}:{made_of.hexdigest()[:12]}"
    if not podman.has(name):
        build = ["build", "--isolation=chroot", "--network=host", f"--file={recipe}", f"--tag={name}"]
        # how this machine reaches its registry of packages; what packages write there is gone with the build
        build += [
            f"--volume={each}:{each}:{'O' if Path(each).is_dir() else 'ro'}"
            for each in ("/etc/ssl/certs", "/etc/pip.conf", "/etc/apt/apt.conf.d")
            if Path(each).exists()
        ]
        for key, value in {"BASE": base_image(podman, whole=whole), **arguments}.items():
            build.append(f"--build-arg={key}={value}")
        podman.run(*build, str(root), seconds=1800)
    return name
