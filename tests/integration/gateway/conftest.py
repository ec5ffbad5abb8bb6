"""The gateway as its own process, over a Postgres of its own that has Supabase's baseline and scratch.sql.

With SUPABASE_URL, SUPABASE_ANON_KEY, SUPABASE_SERVICE_ROLE_KEY and CONTROL_ROOM_JWT_SECRET set, the tests
that ask for `project` run against that project instead; those that ask for `scratch` need a schema of their
own and are skipped.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from dev.stack import keyring, postgres, state, tokens
from dev.stack.postgres import Server
from dev.stack.state import Layout
from tests.integration.gateway.processes import free_port, running
from tests.integration.gateway.project import ACME, Project, Scratch

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=15) as client:
        yield client


@pytest.fixture(scope="session")
def gateway_server() -> Iterator[Server]:
    """A cluster with the baseline alone: no migration of the product is needed to test the gateway."""
    with ExitStack() as stack:
        memory = Path("/dev/shm")
        home = memory if os.access(memory, os.W_OK) else None
        root = Path(tempfile.mkdtemp(prefix="control-room-gateway-", dir=home))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        place = Layout(root)
        place.make()
        server = Server(
            place,
            postgres.find_binaries(postgres.default_major()),
            state.choose_ports(place, {}, {})["postgres"],
            keyring.generate(),
            # the superuser's own settings would hide what a role's settings do
            {**postgres.DEVELOPMENT_SETTINGS, "fsync": "off", "synchronous_commit": "off"},
            dies_with_parent=True,
        )
        postgres.initialise(server)
        daemon = postgres.start(server)
        stack.callback(postgres.stop, daemon)
        postgres.furnish(server)
        with server.connect("postgres") as connection:
            connection.execute((HERE / "scratch.sql").read_bytes())
        yield server


@pytest.fixture(scope="session")
def functions_port() -> Iterator[int]:
    """The stand-in for the functions' server."""
    port = free_port()
    argv = [
        sys.executable,
        "-m",
        "uvicorn",
        "tests.integration.gateway.upstream_app:app",
        "--port",
        str(port),
    ]
    with running([*argv, "--log-level", "error", "--no-proxy-headers"], {}, port):
        yield port


@pytest.fixture(scope="session")
def gateway_environment(gateway_server: Server, functions_port: int) -> dict[str, str]:
    """What `python -m dev.gateway` wants to be told, apart from its port."""
    secrets = gateway_server.secrets
    return {
        "GATEWAY_DATABASE_URL": gateway_server.dsn("authenticator"),
        "GATEWAY_ADMIN_URL": gateway_server.dsn(postgres.SUPERUSER),
        "GATEWAY_JWT_SECRET": secrets.jwt_secret,
        "GATEWAY_JWKS": secrets.public_keys(),
        "GATEWAY_STORAGE_DIR": str(gateway_server.place.storage),
        "GATEWAY_FUNCTIONS_URL": f"http://127.0.0.1:{functions_port}",
        "GATEWAY_ANON_KEY": tokens.api_key(secrets, "anon"),
        "GATEWAY_SERVICE_KEY": tokens.api_key(secrets, "service_role"),
        "GATEWAY_PUBLISHABLE_KEY": "sb_publishable_test",
        "GATEWAY_SECRET_KEY": "sb_secret_test",
        "GATEWAY_POOL": "4",
    }


@pytest.fixture(scope="session")
def gateway(
    gateway_server: Server, gateway_environment: dict[str, str], http: httpx.Client
) -> Iterator[Scratch]:
    port = free_port()
    with running(
        [sys.executable, "-m", "dev.gateway"],
        gateway_environment | {"GATEWAY_PORT": str(port)},
        port,
        "/health",
    ):
        yield Scratch(
            url=f"http://127.0.0.1:{port}",
            anon_key=gateway_environment["GATEWAY_ANON_KEY"],
            service_key=gateway_environment["GATEWAY_SERVICE_KEY"],
            jwt_secret=gateway_server.secrets.jwt_secret,
            client=http,
            database_url=gateway_server.dsn(postgres.SUPERUSER),
            signing_key=gateway_server.secrets.signing_key,
        )


@pytest.fixture(scope="session")
def project(request: pytest.FixtureRequest, http: httpx.Client) -> Project:
    """The project under test: a real one if SUPABASE_URL is set, else the gateway."""
    if "SUPABASE_URL" in os.environ:
        return Project(
            url=os.environ["SUPABASE_URL"].rstrip("/"),
            anon_key=os.environ["SUPABASE_ANON_KEY"],
            service_key=os.environ["SUPABASE_SERVICE_ROLE_KEY"],
            jwt_secret=os.environ["CONTROL_ROOM_JWT_SECRET"],
            client=http,
        )
    made = request.getfixturevalue("gateway")
    assert isinstance(made, Project)
    return made


@pytest.fixture(scope="session")
def scratch(request: pytest.FixtureRequest) -> Scratch:
    """The gateway over scratch.sql."""
    if "SUPABASE_URL" in os.environ:
        pytest.skip("needs the schema of scratch.sql: run without SUPABASE_URL")
    made = request.getfixturevalue("gateway")
    assert isinstance(made, Scratch)
    return made


@pytest.fixture
def place() -> str:
    """A place in acme's folder that nobody else uses."""
    return f"files/{ACME}/{uuid.uuid4().hex}.bin"


@pytest.fixture
def files(gateway_server: Server) -> Path:
    return gateway_server.place.storage
