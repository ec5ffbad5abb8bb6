"""The gateway, the functions and the runner: how each is started and how one sees that it is ready."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

from dev.stack import edge, tokens
from dev.stack.errors import StackError
from dev.stack.postgres import SUPERUSER, Server, path_with_clients
from dev.stack.process import Command
from dev.stack.state import CLONE, Layout, Service, home

LOOPBACK = "127.0.0.0/8"
STALE_SECONDS = 20.0

# What a process of ours may see of the shell that started the stack, besides CONTROL_ROOM_*.
PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "JAVA_HOME", "KUBECONFIG", "SSL_CERT_FILE", "TMPDIR")

# Whose tokens the functions take, besides the stack's own.
IDENTITY = (
    "CONTROL_ROOM_OIDC_ISSUER", "CONTROL_ROOM_OIDC_AUDIENCE",
    "CONTROL_ROOM_JWT_ISSUER", "CONTROL_ROOM_JWT_AUDIENCE",
)  # fmt: skip

# These decide where a stack lives, or open nothing inside it.
NOT_PASSED_ON = ("CONTROL_ROOM_STACK_DIR", "CONTROL_ROOM_TOKEN")


def url(ports: Mapping[Service, int]) -> str:
    """SUPABASE_URL of the stack."""
    return f"http://127.0.0.1:{ports['gateway']}"


def public_environment(server: Server, ports: Mapping[Service, int]) -> dict[str, str]:
    """What `scripts/stack env` prints: enough for every client, test and tool."""
    return {
        "SUPABASE_URL": url(ports),
        "SUPABASE_ANON_KEY": tokens.api_key(server.secrets, "anon"),
        "SUPABASE_SERVICE_ROLE_KEY": tokens.api_key(server.secrets, "service_role"),
        "DATABASE_URL": server.dsn(SUPERUSER),
        "CONTROL_ROOM_POSTGRES_URL": server.dsn("postgres"),
        "CONTROL_ROOM_DATABASE_URL": server.dsn("runner"),
        "CONTROL_ROOM_SUPABASE_URL": url(ports),
        "CONTROL_ROOM_JWT_SECRET": server.secrets.jwt_secret,
        "CONTROL_ROOM_MASTER_KEY": server.secrets.master_key,
    }


def command(service: Service, server: Server, ports: Mapping[Service, int]) -> Command:
    """How to start a service other than Postgres."""
    place = server.place
    match service:
        case "gateway":
            argv = [sys.executable, "-m", "dev.gateway"]
            env = {**_base(), **_gateway(server, ports)}
        case "functions":
            argv = _functions_argv(place, ports)
            env = _functions(server, ports)
        case "runner":
            argv = [sys.executable, "-m", "runner"]
            env = {**_base(), **_runner(server, ports)}
        case "postgres":
            raise AssertionError("Postgres is started by dev.stack.postgres")
        case _:
            assert_never(service)
    return Command(argv=argv, env=env, log=place.log(service), cwd=CLONE)


def _base() -> dict[str, str]:
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {"LANG": "C.UTF-8", **kept, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _gateway(server: Server, ports: Mapping[Service, int]) -> dict[str, str]:
    return {
        "GATEWAY_PORT": str(ports["gateway"]),
        "GATEWAY_DATABASE_URL": server.dsn("authenticator"),
        "GATEWAY_ADMIN_URL": server.dsn(SUPERUSER),
        "GATEWAY_JWT_SECRET": server.secrets.jwt_secret,
        "GATEWAY_JWKS": server.secrets.public_keys(),
        "GATEWAY_STORAGE_DIR": str(server.place.storage),
        "GATEWAY_FUNCTIONS_URL": f"http://127.0.0.1:{ports['functions']}",
        "GATEWAY_ANON_KEY": tokens.api_key(server.secrets, "anon"),
        "GATEWAY_SERVICE_KEY": tokens.api_key(server.secrets, "service_role"),
    }


def _functions_argv(place: Layout, ports: Mapping[Service, int]) -> list[str]:
    import_map = place.run / "import_map.json"
    import_map.write_text(json.dumps(edge.import_map(), indent=2))
    points = edge.entrypoints()
    if not points:
        raise StackError(
            f"there are no functions in {edge.FUNCTIONS}", "start without them: --services postgres,gateway"
        )
    return [
        str(edge.deno()), "run", "--no-config", "--no-lock", "--no-prompt", "--cached-only",
        f"--import-map={import_map}",
        # the functions talk to the gateway and to nobody else; their whole environment is made for them
        f"--allow-net={','.join(_spoken_to(ports))}",
        "--allow-env",
        f"--allow-read={edge.FUNCTIONS}",
        # the hosted limit of a function is 256 MB
        "--v8-flags=--max-old-space-size=256",
        str(edge.SERVER), str(ports["functions"]),
        *(f"{name}={path}" for name, path in points.items()),
    ]  # fmt: skip


def _functions(server: Server, ports: Mapping[Service, int]) -> dict[str, str]:
    return {
        "DENO_DIR": str(edge.cache()),
        "DENO_NO_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
        "SUPABASE_URL": url(ports),
        "SUPABASE_ANON_KEY": tokens.api_key(server.secrets, "anon"),
        "SUPABASE_SERVICE_ROLE_KEY": tokens.api_key(server.secrets, "service_role"),
        "CONTROL_ROOM_MASTER_KEY": server.secrets.master_key,
        "CONTROL_ROOM_JWT_SECRET": server.secrets.jwt_secret,
        "CONTROL_ROOM_SIGNING_KEY": server.secrets.signing_key,
        "CONTROL_ROOM_PUBLIC_URL": url(ports),
        **{name: os.environ[name] for name in IDENTITY if name in os.environ},
    }


def _spoken_to(ports: Mapping[Service, int]) -> list[str]:
    """The gateway, and the issuer of workflows' tokens where one is named: hosts as Deno writes them."""
    issuer = urlsplit(os.environ.get("CONTROL_ROOM_OIDC_ISSUER", "")).netloc
    ours = [f"127.0.0.1:{ports['functions']}", f"127.0.0.1:{ports['gateway']}"]
    return [*ours, issuer] if issuer else ours


def _runner(server: Server, ports: Mapping[Service, int]) -> dict[str, str]:
    configured = {
        name: value
        for name, value in os.environ.items()
        if (name.startswith("CONTROL_ROOM_") and name not in NOT_PASSED_ON) or name in _named_by_models()
    }
    return {
        "CONTROL_ROOM_CALLBACK_ALLOW": LOOPBACK,
        "PATH": path_with_clients(),
        "CONTROL_ROOM_ENGINES": str(home() / "engines"),
        "CONTROL_ROOM_WORK_DIR": str(server.place.work),
        # less than the patience of `scripts/stack down`
        "CONTROL_ROOM_DRAIN_SECONDS": "8",
        **configured,
        "SUPABASE_ANON_KEY": tokens.api_key(server.secrets, "anon"),
        "CONTROL_ROOM_DATABASE_URL": server.dsn("runner"),
        "CONTROL_ROOM_SUPABASE_URL": url(ports),
        "CONTROL_ROOM_MASTER_KEY": server.secrets.master_key,
        "CONTROL_ROOM_HEALTH_FILE": str(server.place.health_file),
    }


def _named_by_models() -> set[str]:
    """Secrets that the configuration of the models names."""
    try:
        text = Path(os.environ["CONTROL_ROOM_CONTINUE_CONFIG"]).read_text()
    except (KeyError, OSError, UnicodeDecodeError):
        return set()
    return set(re.findall(r"\$\{\{\s*secrets\.(\w+)\s*\}\}", text))


def ready(service: Service, place: Layout, ports: Mapping[Service, int]) -> bool:
    """Whether the service answers now. The caller knows already that its process is alive."""
    match service:
        case "gateway":
            return _answers_http(ports["gateway"], "/health")
        case "functions":
            return _answers_http(ports["functions"], "/_ready")
        case "runner":
            return _is_fresh(place.health_file)
        case "postgres":
            return _answers_postgres(ports["postgres"])
        case _:
            assert_never(service)


def _is_fresh(health_file: Path) -> bool:
    """The runner writes it every five seconds for as long as its loop turns."""
    try:
        return time.time() - health_file.stat().st_mtime < STALE_SECONDS
    except FileNotFoundError:
        return False


def _answers_postgres(port: int) -> bool:
    """Asks for TLS and goes away: answered before any login, and never logged."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(struct.pack("!ii", 8, 80877103))
            return connection.recv(1) in {b"S", b"N"}
    except OSError:
        return False


def _answers_http(port: int, path: str) -> bool:
    """Any answer will do: who can refuse a request is up."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def forget_readiness(service: Service, place: Layout) -> None:
    """Removes what an earlier process left behind that would make a new one look ready."""
    if service == "runner":
        Path(place.health_file).unlink(missing_ok=True)
