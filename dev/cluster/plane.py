"""The processes of a cluster of one node, in a folder of their own.

    etcd, containerd → API server → controllers, scheduler, kubelet → a node that is Ready

They die with the process that started them. What containerd and the kubelet leave outside of their folder
(mounts, network namespaces, control groups) is removed at the end.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.cluster import build
from dev.cluster.pki import ADMIN, NODE, Authority
from dev.stack import process, state
from dev.stack.errors import StackError
from dev.stack.process import Command
from dev.stack.state import Daemon

JsonObject = dict[str, Any]

#: An address of this machine that pods reach; there is nothing there but what a test puts there.
HOST = "10.244.78.1"
PODS = "10.244.77.0/24"
SERVICES = "10.96.0.0/24"
#: The storage class of `shared_volumes`.
SHARED = "shared"
PAUSE = "localhost/control-room/pause:1"
START_SECONDS = 120.0
STOP_SECONDS = 15.0
CONTROLLERS = (
    "job-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "garbage-collector-controller",
    "ttl-after-finished-controller",
    "pod-garbage-collector-controller",
    "root-ca-certificate-publisher-controller",
    "resourcequota-controller",
    "node-lifecycle-controller",
    "persistentvolume-binder-controller",
    "persistentvolumeclaim-protection-controller",
    "ephemeral-volume-controller",
)
_CNI = Path("/usr/lib/cni")


def lacking() -> str:
    """Why there can be no cluster here, with the mend; "" when there can."""
    if os.geteuid() != 0:
        return "pods are made by root"
    if not build.built():
        return "Kubernetes is not built here (scripts/setup --with kubernetes)"
    for program in ("containerd", "ctr", "runc"):
        if shutil.which(program) is None:
            return f"{program} is missing (scripts/setup --with kubernetes)"
    if not (_CNI / "ptp").exists():
        return "containernetworking-plugins is missing (scripts/setup --with kubernetes)"
    return ""


@dataclass
class Plane:
    """A running cluster."""

    folder: Path
    ports: Mapping[str, int]
    authority: Authority
    daemons: dict[str, Daemon] = field(default_factory=dict)

    @property
    def server(self) -> str:
        """Where the API server listens."""
        return f"https://127.0.0.1:{self.ports['apiserver']}"

    @property
    def kubeconfig(self) -> Path:
        """An administrator's."""
        return self.folder / "admin.kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.folder / "containerd.sock"

    def start(self, name: str) -> None:
        """Start one of the processes, again if need be."""
        argv = _ARGV[name](self)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "GOMAXPROCS": "2", "GOGC": "50"}
        self.daemons[name] = process.start(
            Command(argv, environment, self.folder / f"{name}.log", self.folder, dies_with_parent=True)
        )

    def stop(self, name: str, *, kill: bool = False) -> None:
        """End one of the processes."""
        daemon = self.daemons.pop(name, None)
        if daemon is not None:
            process.stop(daemon, signal.SIGKILL if kill else signal.SIGTERM, patience=STOP_SECONDS)

    def ask(self, path: str, method: str = "GET", body: JsonObject | None = None) -> JsonObject:
        """One call to the API server as an administrator. Raises urllib.error.HTTPError."""
        headers = {
            "authorization": f"Bearer {self.authority.tokens[ADMIN]}",
            "content-type": "application/json",
        }
        if method == "PATCH":
            headers["content-type"] = "application/merge-patch+json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.server + path, data, headers, method=method)  # noqa: S310 - ours
        context = ssl.create_default_context(cafile=str(self.authority.path))
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:  # noqa: S310 - ours
            text = answer.read()
        try:
            found: JsonObject = json.loads(text)
        except ValueError:
            return {"text": text.decode("utf-8", "replace")}
        return found

    def wait(self, what: str, holds: Callable[[], bool], name: str, seconds: float = START_SECONDS) -> None:
        """Wait until something holds. Raises StackError with the end of a process's log."""

        def quietly() -> bool:
            try:
                return holds()
            except (OSError, urllib.error.URLError, KeyError):
                return False

        end = time.monotonic() + seconds
        while not quietly():
            daemon = self.daemons.get(name)
            if time.monotonic() > end or (daemon is not None and not process.alive(daemon)):
                raise StackError(
                    f"the cluster does not get so far that {what}",
                    f"see {self.folder / name}.log",
                    process.tail(self.folder / f"{name}.log"),
                )
            time.sleep(0.1)

    def wait_ready(self) -> None:
        """Wait until the API server answers."""
        self.wait("its API server answers", lambda: "text" in self.ask("/readyz"), "apiserver")


@contextlib.contextmanager
def running(images: Mapping[str, Path]) -> Iterator[Plane]:
    """A cluster with these images (name to archive) while the context is open. Raises StackError."""
    if reason := lacking():
        raise StackError("there can be no cluster here", reason)
    with _alone():
        yield from _running(images)


@contextlib.contextmanager
def without_node() -> Iterator[Plane]:
    """An API server alone, for what is admitted and what is allowed: nothing is ever scheduled. Raises
    StackError."""
    if not build.built():
        raise StackError("there can be no cluster here", "scripts/setup --with kubernetes")
    folder = Path(tempfile.mkdtemp(prefix="control-room-k8s-"))
    names = ("etcd", "peer", "apiserver", "kubelet", "containerd-stream")
    plane = Plane(folder, dict(zip(names, _free_ports(len(names)), strict=True)), Authority(folder / "pki"))
    _write(plane)
    try:
        plane.start("etcd")
        plane.start("apiserver")
        plane.wait_ready()
        yield plane
    finally:
        for name in ("apiserver", "etcd"):
            with contextlib.suppress(StackError):
                plane.stop(name)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One cluster at a time: a kubelet takes another's pods for orphans, and pods of all have one network."""
    with (state.home() / "kubernetes" / "plane.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _running(images: Mapping[str, Path]) -> Iterator[Plane]:
    folder = Path(tempfile.mkdtemp(prefix="control-room-k8s-"))
    names = ("etcd", "peer", "apiserver", "kubelet", "containerd-stream")
    plane = Plane(folder, dict(zip(names, _free_ports(len(names)), strict=True)), Authority(folder / "pki"))
    _write(plane)
    subprocess.run(["ip", "address", "replace", f"{HOST}/32", "dev", "lo"], check=True)
    try:
        for name in ("etcd", "containerd"):
            plane.start(name)
        plane.start("apiserver")
        for archive in images.values():
            load(plane, archive)
        plane.wait_ready()
        for name in ("controllers", "scheduler", "kubelet"):
            plane.start(name)
        plane.wait("its node is Ready", lambda: _node_is_ready(plane), "kubelet")
        yield plane
    finally:
        _end(plane)


def namespace(plane: Plane, name: str) -> None:
    """Make a namespace, and wait for its service account: no pod is admitted before."""
    plane.ask("/api/v1/namespaces", "POST", {"metadata": {"name": name}})
    plane.wait(
        f"namespace {name} has a service account",
        lambda: bool(plane.ask(f"/api/v1/namespaces/{name}/serviceaccounts/default")),
        "controllers",
    )


def shared_volumes(plane: Plane, count: int) -> list[Path]:
    """So many volumes of the class SHARED, each a folder of this machine that all pods of a claim may write:
    one node needs no more to be many machines' disk."""
    folders = []
    for _ in range(count):
        name = f"shared-{secrets.token_hex(6)}"
        folder = plane.folder / name
        folder.mkdir()
        folder.chmod(0o777)
        folders.append(folder)
        spec = {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteMany"],
            "storageClassName": SHARED,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(folder), "type": "Directory"},
        }
        plane.ask("/api/v1/persistentvolumes", "POST", {"metadata": {"name": name}, "spec": spec})
    return folders


def _write(plane: Plane) -> None:
    """Certificates, kubeconfigs and configuration files."""
    authority, folder = plane.authority, plane.folder
    for name, group in (("apiserver", "system:masters"), ("kubelet", "system:nodes")):
        authority.issue(name, "127.0.0.1", HOST, group=group)
    authority.kubeconfig(plane.server, authority.tokens[ADMIN], plane.kubeconfig)
    authority.kubeconfig(plane.server, authority.tokens[NODE], folder / "node.kubeconfig")
    (folder / "cni").mkdir()
    (folder / "cni" / "10-ptp.conflist").write_text(json.dumps(_network(folder)))
    stream = plane.ports["containerd-stream"]
    (folder / "containerd.toml").write_text(
        _CONTAINERD.format(folder=folder, pause=PAUSE, cni=_CNI, port=stream)
    )
    (folder / "kubelet.json").write_text(json.dumps(_kubelet(plane)))
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")


def _network(folder: Path) -> JsonObject:
    ranges = [[{"subnet": PODS}]]
    ipam = {
        "type": "host-local",
        "ranges": ranges,
        "routes": [{"dst": f"{HOST}/32"}],
        "dataDir": str(folder / "ipam"),
    }
    # one route, to one address of this machine: for a pod the network is unreachable
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{"type": "ptp", "ipMasq": False, "ipam": ipam}],
    }


_CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-run"
oom_score = 0
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "{port}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


def _kubelet(plane: Plane) -> JsonObject:
    pki = plane.authority.folder
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": plane.ports["kubelet"],
        "healthzPort": 0,
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(plane.authority.path)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{plane.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "resolvConf": str(plane.folder / "resolv.conf"),
        "podLogsDir": str(plane.folder / "pods"),
        "volumePluginDir": str(plane.folder / "plugins"),
        "evictionHard": {"memory.available": "20Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "syncFrequency": "5s",
        "nodeStatusUpdateFrequency": "5s",
    }


def _etcd(plane: Plane) -> list[str]:
    client, peer = (f"http://127.0.0.1:{plane.ports[name]}" for name in ("etcd", "peer"))
    return [
        str(build.folder() / "etcd"),
        f"--data-dir={plane.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _apiserver(plane: Plane) -> list[str]:
    pki = plane.authority.folder
    return [
        str(build.folder() / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{plane.ports['etcd']}",
        f"--secure-port={plane.ports['apiserver']}",
        "--bind-address=127.0.0.1",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={plane.authority.path}",
        f"--token-auth-file={plane.authority.token_file}",
        "--authorization-mode=RBAC",
        f"--service-account-key-file={plane.authority.service_account_key}",
        f"--service-account-signing-key-file={plane.authority.service_account_key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICES}",
        "--endpoint-reconciler-type=none",
        f"--kubelet-client-certificate={pki / 'apiserver.crt'}",
        f"--kubelet-client-key={pki / 'apiserver.key'}",
        f"--kubelet-certificate-authority={plane.authority.path}",
        "--profiling=false",
        "--watch-cache=true",
        "-v=1",
    ]


def _controllers(plane: Plane) -> list[str]:
    return [
        str(build.folder() / "kube-controller-manager"),
        f"--kubeconfig={plane.kubeconfig}",
        f"--controllers={','.join(CONTROLLERS)}",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={plane.authority.service_account_key}",
        f"--root-ca-file={plane.authority.path}",
        "--leader-elect=false",
        "--secure-port=0",
        "--concurrent-gc-syncs=5",
    ]


def _scheduler(plane: Plane) -> list[str]:
    return [
        str(build.folder() / "kube-scheduler"),
        f"--kubeconfig={plane.kubeconfig}",
        "--leader-elect=false",
        "--secure-port=0",
    ]


def _kubelet_argv(plane: Plane) -> list[str]:
    return [
        str(build.folder() / "kubelet"),
        f"--kubeconfig={plane.folder / 'node.kubeconfig'}",
        f"--config={plane.folder / 'kubelet.json'}",
        f"--root-dir={plane.folder / 'kubelet'}",
        f"--cert-dir={plane.folder / 'kubelet-pki'}",
        "--hostname-override=127.0.0.1",
    ]


def _containerd(plane: Plane) -> list[str]:
    return ["containerd", "--config", str(plane.folder / "containerd.toml"), "--log-level", "warn"]


_ARGV: Mapping[str, Callable[[Plane], list[str]]] = {
    "etcd": _etcd,
    "apiserver": _apiserver,
    "controllers": _controllers,
    "scheduler": _scheduler,
    "kubelet": _kubelet_argv,
    "containerd": _containerd,
}


def ctr(plane: Plane, *words: str, seconds: float = 120) -> str:
    """A call of containerd's own client."""
    argv = ["ctr", "--address", str(plane.containerd_socket), "--namespace", "k8s.io", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=seconds)
    if done.returncode != 0:
        raise StackError(f"ctr {words[0]} failed", "see the line above", done.stderr[-2000:])
    return done.stdout


def load(plane: Plane, archive: Path) -> None:
    """Give the node an image."""
    plane.wait("containerd answers", plane.containerd_socket.exists, "containerd")
    ctr(plane, "images", "import", str(archive), seconds=600)


def _node_is_ready(plane: Plane) -> bool:
    conditions = plane.ask("/api/v1/nodes/127.0.0.1")["status"]["conditions"]
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _end(plane: Plane) -> None:
    for name in ("kubelet", "scheduler", "controllers"):
        with contextlib.suppress(StackError):
            plane.stop(name)
    if "containerd" in plane.daemons:
        with contextlib.suppress(StackError, OSError, subprocess.TimeoutExpired):
            for task in ctr(plane, "tasks", "list", "--quiet").split():
                with contextlib.suppress(StackError):
                    ctr(plane, "tasks", "delete", "--force", task)
    for name in ("containerd", "apiserver", "etcd"):
        with contextlib.suppress(StackError):
            plane.stop(name)
    _end_shims(plane)
    _unmount_below(plane.folder)
    _remove_network()
    shutil.rmtree(plane.folder, ignore_errors=True)


def _end_shims(plane: Plane) -> None:
    """Shims outlive their containerd by design; ours name its socket on their command line."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            if "containerd-shim" in words[0] and str(plane.containerd_socket) in words:
                os.kill(int(entry.name), signal.SIGKILL)


def _unmount_below(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((each for each in mounts if each.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)


def _remove_network() -> None:
    subprocess.run(["ip", "address", "del", f"{HOST}/32", "dev", "lo"], check=False, capture_output=True)
    for place in Path("/run/netns").glob("cni-*") if Path("/run/netns").exists() else ():
        subprocess.run(["ip", "netns", "delete", place.name], check=False, capture_output=True)


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in state.PORT_RANGE:
        if len(found) == count:
            break
        if port > state.PORT_RANGE.start + os.getpid() % 7000 and state.port_is_free(port):
            found.append(port)
    return found
