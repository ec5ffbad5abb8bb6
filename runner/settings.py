"""The environment of the runner, read once. Every fault is one line that says how to mend it."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from runner.callback.proxy import Proxy
from runner.model.errors import SettingsError
from runner.odoo import site

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

JOB_TYPES = (
    "spark_etl",
    "diagram_export",
    "schema_migration",
    "kb_catalog",
    "code_validation",
    "code_generation",
)
EXECUTORS = ("process", "scripted", "container", "kubernetes", "n8n", "continue_cli")
#: What this version can do; the other names are known and refused with a reason.
IMPLEMENTED = ("process", "scripted", "container", "kubernetes", "continue_cli", "n8n")
#: What n8n can carry out: the job types whose workflow ships (deploy/n8n).
FOR_N8N = ("kb_catalog",)
DEFAULT_CAPACITY = 4
DEFAULT_DRAIN_SECONDS = 30.0
#: What models write is written by this executor alone.
GENERATION = "code_generation"
EXECUTOR_PREFIX = "CONTROL_ROOM_EXECUTOR_"
IMAGE_PREFIX = "CONTROL_ROOM_IMAGE_"
NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
TARGET = re.compile(r"CONTROL_ROOM_TARGET_([A-Z0-9_]+)_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class N8n:
    """Where n8n is. `report_url` is where it finds the API, which may have another name from there."""

    url: str
    token: str = field(repr=False)
    api_key: str | None = field(repr=False)
    report_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubernetes:
    """Where pods run and what they need besides an image; see `executor.kubernetes.manifest.Placement`."""

    namespace: str
    door_url: str
    secret: str | None
    pull_secrets: tuple[str, ...]
    runtime_class: str | None
    open_network: bool
    pending_seconds: float
    cpu_share: float
    shared_storage: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Values, not names of variables. `environment` is kept for secrets alone."""

    database_url: str = field(repr=False)
    functions_url: str
    anon_key: str | None = field(repr=False)
    master_key: str = field(repr=False)
    name: str
    capacity: int
    drain_seconds: float
    executors: Mapping[str, str]
    targets: Mapping[str, str] = field(repr=False)
    n8n: N8n | None
    engines: Path | None
    continue_config: Path | None
    work_dir: Path
    callback_allow: tuple[Network, ...]
    callback_proxy: Proxy | None
    sandbox_network: str
    container_socket: Path | None
    container_network: str
    images: Mapping[str, str]
    log_format: str
    log_level: str
    audit_heads: Path | None
    health_file: Path | None
    health_listen: tuple[str, int] | None
    notify_socket: str
    traced: bool
    failpoints: str
    kubernetes: Kubernetes | None
    environment: Mapping[str, str] = field(repr=False)


def read(environment: Mapping[str, str]) -> Settings:
    """The settings of this environment. Raises SettingsError."""
    supabase_url = _url(environment, "CONTROL_ROOM_SUPABASE_URL")
    functions_url = environment.get("CONTROL_ROOM_FUNCTIONS_URL") or f"{supabase_url}/functions/v1/api"
    executors = _executors(environment)
    return Settings(
        database_url=_database_url(environment),
        functions_url=functions_url,
        anon_key=environment.get("SUPABASE_ANON_KEY") or None,
        master_key=_wanted(environment, "CONTROL_ROOM_MASTER_KEY", "the key that the edge function has too"),
        name=environment.get("CONTROL_ROOM_RUNNER_NAME") or socket.gethostname(),
        capacity=int(_number(environment, "CONTROL_ROOM_CAPACITY", DEFAULT_CAPACITY, 1, 10_000)),
        drain_seconds=_number(environment, "CONTROL_ROOM_DRAIN_SECONDS", DEFAULT_DRAIN_SECONDS, 0, 86_400),
        executors=executors,
        targets=_targets(environment),
        n8n=_n8n(environment, functions_url) if "n8n" in executors.values() else None,
        engines=_folder(environment, "CONTROL_ROOM_ENGINES"),
        continue_config=_path(environment, "CONTROL_ROOM_CONTINUE_CONFIG"),
        work_dir=_work_dir(environment),
        callback_allow=_networks(environment, "CONTROL_ROOM_CALLBACK_ALLOW"),
        callback_proxy=_proxy(environment, "CONTROL_ROOM_CALLBACK_PROXY"),
        sandbox_network=_choice(environment, "CONTROL_ROOM_SANDBOX_NETWORK", ("none", "internet", "host")),
        container_socket=_socket(environment),
        container_network=environment.get("CONTROL_ROOM_CONTAINER_NETWORK", "").strip() or "none",
        images=_images(environment),
        log_format=_choice(environment, "CONTROL_ROOM_LOG_FORMAT", ("json", "text")),
        log_level=_choice(environment, "CONTROL_ROOM_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
        audit_heads=_folder(environment, "CONTROL_ROOM_AUDIT_HEADS"),
        health_file=_path(environment, "CONTROL_ROOM_HEALTH_FILE"),
        health_listen=_listen(environment, "CONTROL_ROOM_HEALTH_LISTEN"),
        notify_socket=environment.get("NOTIFY_SOCKET", ""),
        traced=_traced(environment),
        failpoints=environment.get("CONTROL_ROOM_FAILPOINTS", ""),
        kubernetes=_kubernetes(environment, functions_url) if "kubernetes" in executors.values() else None,
        environment=environment,
    )


def _wanted(environment: Mapping[str, str], name: str, what: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise SettingsError(
            f"{name} is not set: give it {what} (scripts/stack env prints those of the local stack)"
        )
    return value


def _database_url(environment: Mapping[str, str]) -> str:
    name = "CONTROL_ROOM_DATABASE_URL"
    url = _wanted(environment, name, "postgresql://runner:…@host:5432/postgres")
    return _session_url(name, url, "LISTEN does")


def _targets(environment: Mapping[str, str]) -> dict[str, str]:
    """Databases that migrations may change, and what jobs may read from, by name in capitals."""
    return {
        match[1]: _target_url(variable, value.strip())
        for variable, value in environment.items()
        if value.strip() and (match := TARGET.fullmatch(variable))
    }


def _target_url(name: str, url: str) -> str:
    if not url.startswith(site.SCHEMES):
        return _session_url(name, url, "locks of a session do")
    try:
        site.of_url(url)
    except site.Unclear as error:
        raise SettingsError(f"{name}: {error}") from None
    return url


def _session_url(name: str, url: str, why: str) -> str:
    if urlsplit(url).scheme not in ("postgres", "postgresql"):
        raise SettingsError(f"{name} must start with postgresql://")
    if urlsplit(url).port == 6543:
        raise SettingsError(
            f"{name} points at port 6543, the transaction pooler, through which {why} not work: "
            "use the session pooler or the direct connection (port 5432)"
        )
    return url


def _url(environment: Mapping[str, str], name: str) -> str:
    url = _wanted(environment, name, "https://<project>.supabase.co").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{name} must be an http(s) URL, not {url!r}")
    return url


def _number(environment: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise SettingsError(f"{name} must be a number from {least:g} to {most:g}, not {text!r}")
    return value


def _choice(environment: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = environment.get(name, "").strip() or choices[0]
    if value not in choices:
        raise SettingsError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _executors(environment: Mapping[str, str]) -> dict[str, str]:
    executors = {**dict.fromkeys(JOB_TYPES, "process"), GENERATION: "continue_cli"}
    for variable, value in environment.items():
        if not variable.startswith(EXECUTOR_PREFIX) or not value.strip():
            continue
        job_type = variable.removeprefix(EXECUTOR_PREFIX).lower()
        executor = value.strip()
        if job_type not in executors:
            raise SettingsError(f"{variable} names no job type: use one of {', '.join(JOB_TYPES)}")
        if executor not in EXECUTORS:
            raise SettingsError(f"{variable} must be one of {', '.join(EXECUTORS)}, not {executor!r}")
        if executor not in IMPLEMENTED:
            raise SettingsError(
                f"{variable}={executor}: this version of the runner has no such executor yet, "
                f"use one of {', '.join(IMPLEMENTED)} or leave it out"
            )
        if (job_type == GENERATION) != (executor == "continue_cli") and executor != "scripted":
            raise SettingsError(
                f"{variable}={executor}: continue_cli carries {GENERATION}, and nothing else does"
            )
        if executor == "n8n" and job_type not in FOR_N8N:
            raise SettingsError(f"{variable}=n8n: there is a workflow for {', '.join(FOR_N8N)} alone")
        executors[job_type] = executor
    return executors


def _images(environment: Mapping[str, str]) -> dict[str, str]:
    """`CONTROL_ROOM_IMAGE_SPARK_ETL_DUCKDB`, or without the engine for all of a job type, as
    `spark_etl/duckdb` and `spark_etl`."""
    images: dict[str, str] = {}
    for variable, value in environment.items():
        if variable.startswith(IMAGE_PREFIX) and value.strip():
            said = variable.removeprefix(IMAGE_PREFIX).lower()
            job_type = next((each for each in JOB_TYPES if f"{said}_".startswith(f"{each}_")), None)
            if job_type is None:
                raise SettingsError(f"{variable} names no job type: use one of {', '.join(JOB_TYPES)}")
            images[said.replace(f"{job_type}_", f"{job_type}/", 1)] = value.strip()
    return images


def _socket(environment: Mapping[str, str]) -> Path | None:
    """The socket that is named, else the first that is there at the usual places of Docker and Podman."""
    if named := environment.get("CONTROL_ROOM_CONTAINER_SOCKET", "").strip():
        return Path(named.removeprefix("unix://"))
    host = environment.get("DOCKER_HOST", "")
    own = Path(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    usual = [
        *([Path(host.removeprefix("unix://"))] if host.startswith("unix://") else []),
        Path("/var/run/docker.sock"),
        Path("/run/podman/podman.sock"),
        own / "docker.sock",
        own / "podman" / "podman.sock",
    ]
    return next((each for each in usual if _is_socket(each)), None)


def _is_socket(path: Path) -> bool:
    """What a hardened unit may not even look at is none."""
    try:
        return path.is_socket()
    except PermissionError:
        return False


def _n8n(environment: Mapping[str, str], functions_url: str) -> N8n:
    wanted = ("CONTROL_ROOM_N8N_URL", "CONTROL_ROOM_N8N_TOKEN")
    if missing := [name for name in wanted if not environment.get(name, "").strip()]:
        raise SettingsError(
            f"{EXECUTOR_PREFIX}KB_CATALOG=n8n needs {' and '.join(missing)} as well (see docs/n8n.md)"
        )
    return N8n(
        url=_url(environment, "CONTROL_ROOM_N8N_URL"),
        token=environment["CONTROL_ROOM_N8N_TOKEN"].strip(),
        api_key=environment.get("CONTROL_ROOM_N8N_API_KEY") or None,
        report_url=(environment.get("CONTROL_ROOM_N8N_REPORT_URL") or functions_url).rstrip("/"),
    )


def _kubernetes(environment: Mapping[str, str], functions_url: str) -> Kubernetes:
    name = "CONTROL_ROOM_KUBE_NAMESPACE"
    namespace = _wanted(environment, name, "the namespace for Jobs, e.g. control-room-jobs")
    if not NAMESPACE.fullmatch(namespace):
        raise SettingsError(f"{name} must be the name of a namespace, not {namespace!r}")
    return Kubernetes(
        namespace=namespace,
        door_url=environment.get("CONTROL_ROOM_KUBE_FUNCTIONS_URL", "").strip() or functions_url,
        secret=environment.get("CONTROL_ROOM_KUBE_SECRET", "").strip() or None,
        pull_secrets=tuple(environment.get("CONTROL_ROOM_KUBE_PULL_SECRETS", "").replace(",", " ").split()),
        runtime_class=environment.get("CONTROL_ROOM_KUBE_RUNTIME_CLASS", "").strip() or None,
        open_network=_choice(environment, "CONTROL_ROOM_KUBE_NETWORK", ("closed", "open")) == "open",
        pending_seconds=_number(environment, "CONTROL_ROOM_KUBE_PENDING_SECONDS", 120, 5, 86_400),
        cpu_share=_number(environment, "CONTROL_ROOM_KUBE_CPU_SHARE", 0.25, 0.001, 1),
        shared_storage=environment.get("CONTROL_ROOM_KUBE_SHARED_STORAGE", "").strip() or None,
    )


def _networks(environment: Mapping[str, str], name: str) -> tuple[Network, ...]:
    networks: list[Network] = []
    for text in environment.get(name, "").split(","):
        if text.strip():
            try:
                networks.append(ipaddress.ip_network(text.strip()))
            except ValueError as error:
                raise SettingsError(f"{name} must list networks such as 10.1.0.0/16: {error}") from error
    return tuple(networks)


def _proxy(environment: Mapping[str, str], name: str) -> Proxy | None:
    """On purpose only: HTTPS_PROXY and its kin are not asked."""
    text = environment.get(name, "").strip()
    if not text:
        return None
    try:
        return Proxy.of(text)
    except ValueError as error:  # without the text: it may hold a password
        raise SettingsError(f"{name}: {error}") from None


def _listen(environment: Mapping[str, str], name: str) -> tuple[str, int] | None:
    """`host:port`, or a port of this machine alone."""
    text = environment.get(name, "").strip()
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{name} must be host:port such as 127.0.0.1:9464, not {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


def _traced(environment: Mapping[str, str]) -> bool:
    """Whether spans are sent anywhere; the other variables of OpenTelemetry are read by its SDK."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    places = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return any(environment.get(name, "").strip() for name in places)


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name, "").strip()
    return Path(text).absolute() if text else None


def _folder(environment: Mapping[str, str], name: str) -> Path | None:
    path = _path(environment, name)
    if path is not None and path.exists() and not path.is_dir():
        raise SettingsError(f"{name} must be a folder, {path} is none")
    return path


def _work_dir(environment: Mapping[str, str]) -> Path:
    """A folder the sandbox's user can pass through, made if need be."""
    name = "CONTROL_ROOM_WORK_DIR"
    path = _path(environment, name) or Path(tempfile.gettempdir()) / f"control-room-{os.getuid()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        if path.stat().st_uid == os.getuid():
            path.chmod(0o711)
        probe = path / f".probe-{os.getpid()}"
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise SettingsError(
            f"{name}: {path} cannot be written ({error.strerror}); name another folder"
        ) from error
    if os.getuid() == 0:
        for each in (path, *path.parents):
            if not each.stat().st_mode & 0o001:
                raise SettingsError(
                    f"{name}: the sandbox's user cannot reach {path} because {each} is closed to others; "
                    "name a folder elsewhere, e.g. below /var/lib"
                )
    return path
