"""Images without a registry: a Debian root made by mmdebstrap, an engine as a second layer, one archive.

python        Python and nothing else: what a pod of any job needs
<engine>      the same with the engine's environment at /opt/engine (of `scripts/setup --engines`)
odoo          the tools of code_validation at /opt/engine, an Odoo at /opt/odoo, and its Postgres
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from dev.cluster.plane import PAUSE
from dev.stack import state
from dev.stack.errors import StackError

NAME = "localhost/control-room/{}:1"
_PACKAGES = (
    "python3-minimal,python3,libstdc++6,libgomp1,dash,coreutils,base-files,base-passwd,ca-certificates"
)
#: What an engine needs beside its environment: (the root's name, packages); what starts Spark is a script.
_ROOTS = {
    "spark": ("java", ",openjdk-17-jre-headless,bash"),
    "odoo": ("odoo", ",postgresql-15,libmagic1"),
}
#: Where an image has which environments, if not its own at /opt/engine alone.
_PLACES = {"odoo": (("validation", "opt/engine"), ("odoo", "opt/odoo"))}
_SLEEP = ["/usr/bin/python3", "-S", "-c", "import signal; signal.pause()"]


def archive(engine: str | None = None) -> tuple[str, Path]:
    """Name and archive of an image, made once. Raises StackError."""
    kind = engine or "python"
    name = NAME.format(kind)
    folder = state.home() / "kubernetes" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    places = _PLACES.get(kind, ((kind, "opt/engine"),)) if engine is not None else ()
    stamps = []
    for each, _ in places:
        environment = state.home() / "engines" / each
        if not (environment / "bin" / "python").exists():
            raise StackError(f"the engine {each} is not here", f"scripts/setup --engines {each}")
        stamps.append((environment / ".control-room-setup").read_text()[:12].strip())
    stamp = "-".join(stamps) or "root"
    target = folder / f"{kind}-{stamp}.tar"
    if target.exists():
        return name, target
    with (folder / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        layers = [_debian(folder, *_ROOTS.get(kind, ("python", "")))]
        for (each, place), own in zip(places, stamps, strict=True):
            environment = state.home() / "engines" / each
            layers.append(_layer(folder / f"{each}-{own}.layer.tar", environment, place))
        if not target.exists():
            _write(target, [name, PAUSE] if engine is None else [name], layers)
    return name, target


def _debian(folder: Path, root: str, more: str) -> Path:
    target = folder / f"{root}.root.tar"
    if target.exists():
        return target
    if shutil.which("mmdebstrap") is None:
        raise StackError("mmdebstrap is missing", "scripts/setup --with kubernetes")
    fresh = target.with_suffix(f".new-{os.getpid()}.tar")
    options = ["--quiet", "--variant=extract", "--dpkgopt=path-exclude=/usr/share/doc/*"]
    hooks = [
        "--extract-hook=mkdir -p $1/tmp $1/job $1/opt/engine && chmod 1777 $1/tmp",
        "--extract-hook=printf 'root:x:0:0:root:/:/usr/sbin/nologin\\n"
        "nobody:x:65534:65534:nobody:/tmp:/usr/sbin/nologin\\n' > $1/etc/passwd",
        "--extract-hook=printf 'root:x:0:\\nnogroup:x:65534:\\n' > $1/etc/group",
    ]
    if root == "java":
        hooks.append("--extract-hook=ln -s /usr/lib/jvm/java-17-openjdk-amd64 $1/opt/java")
    wanted = f"--include={_PACKAGES}{more}"
    done = subprocess.run(
        ["mmdebstrap", *options, *hooks, wanted, _release(), str(fresh)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise StackError("no Debian root could be made", "see the lines above", done.stderr[-2000:])
    fresh.rename(target)
    return target


def _release() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return "bookworm"


def _layer(target: Path, environment: Path, place: str) -> Path:
    """An engine's environment, at the place where job types expect it."""
    if not target.exists():
        fresh = target.with_suffix(f".new-{os.getpid()}")
        with tarfile.open(fresh, "w") as layer:
            layer.add(environment, place, filter=_roots)
        fresh.rename(target)
    return target


def _roots(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _write(target: Path, names: list[str], layers: list[Path]) -> None:
    """The form of `docker save`, which `ctr images import` reads."""
    digests = []
    for layer in layers:
        with layer.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    config = json.dumps(
        {
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "config": {"Cmd": _SLEEP, "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each}" for each in digests]},
        }
    ).encode()
    about = {
        "Config": "config.json",
        "RepoTags": names,
        "Layers": [f"{each}/layer.tar" for each in digests],
    }
    fresh = target.with_suffix(f".new-{os.getpid()}")
    with tarfile.open(fresh, "w") as file:
        for digest, layer in zip(digests, layers, strict=True):
            file.add(layer, f"{digest}/layer.tar", filter=_roots)
        for name, data in (("config.json", config), ("manifest.json", json.dumps([about]).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    fresh.rename(target)
