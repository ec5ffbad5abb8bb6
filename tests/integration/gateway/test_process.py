"""The gateway as a process: what it refuses to start with, what it says about itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from dev.gateway import __main__
from dev.stack.postgres import Server
from tests.integration.gateway.processes import ROOT, free_port, running
from tests.integration.gateway.project import Scratch


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"GATEWAY_HOST": "0.0.0.0"}, "GATEWAY_HOST"),
        ({"GATEWAY_HOST": "localhost"}, "GATEWAY_HOST"),
        ({"GATEWAY_PORT": ""}, "GATEWAY_PORT is not set"),
        ({"GATEWAY_PORT": "high"}, "GATEWAY_PORT"),
        ({"GATEWAY_PORT": "70000"}, "GATEWAY_PORT"),
        ({"GATEWAY_DATABASE_URL": ""}, "GATEWAY_DATABASE_URL is not set"),
        ({"GATEWAY_JWT_SECRET": "short"}, "GATEWAY_JWT_SECRET"),
        ({"GATEWAY_JWKS": "[]"}, "GATEWAY_JWKS"),
        ({"GATEWAY_JWKS": '{"keys":[{"kty":"EC","d":"secret-part"}]}'}, "private"),
        ({"GATEWAY_FUNCTIONS_URL": "ftp://x"}, "GATEWAY_FUNCTIONS_URL"),
        ({"GATEWAY_POOL": "0"}, "GATEWAY_POOL"),
    ],
)
def test_a_bad_setting_gets_one_clear_line(
    gateway_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    word: str,
) -> None:
    for name, value in (gateway_environment | {"GATEWAY_PORT": "1"} | changes).items():
        monkeypatch.setenv(name, value)

    monkeypatch.setattr(__main__.uvicorn, "run", lambda *_, **__: pytest.fail("it started"))

    status = __main__.main()

    said = capsys.readouterr().err
    assert status == 2
    assert word in said
    assert len(said.strip().splitlines()) == 1
    assert "short" not in said
    assert "secret-part" not in said


def test_a_bad_setting_ends_the_process() -> None:
    argv = [sys.executable, "-m", "dev.gateway"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}

    run = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=20, check=False
    )

    assert (run.returncode, run.stderr) == (2, "gateway: GATEWAY_PORT is not set\n")


def test_it_listens_on_loopback_alone(scratch: Scratch) -> None:
    port = httpx.URL(scratch.url).port
    listening = [
        line.split()[1]
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    ]

    assert listening == [f"0100007F:{port:04X}"]


def test_it_is_healthy_and_tells_no_secret(scratch: Scratch) -> None:
    for path in ("/health", "/auth/v1/health"):
        answer = scratch.ask("GET", path, key=None, token=None)

        assert answer.status_code == 200
        assert "postgres://" not in answer.text


def test_without_postgres_it_starts_says_503_and_ends_when_told(
    gateway_environment: dict[str, str], gateway_server: Server, http: httpx.Client
) -> None:
    port = free_port()
    nowhere = gateway_server.dsn("authenticator").replace(f":{gateway_server.port}/", f":{free_port()}/")
    environment = gateway_environment | {
        "GATEWAY_PORT": str(port),
        "GATEWAY_DATABASE_URL": nowhere,
        "GATEWAY_ADMIN_URL": nowhere,
    }
    headers = {"apikey": environment["GATEWAY_ANON_KEY"]}
    url = f"http://127.0.0.1:{port}"
    with running([sys.executable, "-m", "dev.gateway"], environment, port, "/auth/v1/health") as process:
        health = http.get(f"{url}/health")
        call = http.post(f"{url}/rest/v1/rpc/echo", headers=headers, json={})
        put = http.post(f"{url}/storage/v1/object/files/x", headers=headers, content=b"x")

    assert (health.status_code, call.status_code, call.json()["code"]) == (503, 503, "PGRST002")
    assert put.status_code == 503
    assert nowhere not in call.text + put.text
    # uvicorn ends in order and then hands the signal on
    assert process.returncode in (0, -signal.SIGTERM)


def test_any_origin_may_ask_before_it_asks(scratch: Scratch) -> None:
    headers = {"origin": "http://elsewhere", "access-control-request-headers": "apikey, content-profile"}

    answer = scratch.client.options(f"{scratch.url}/rest/v1/rpc/echo", headers=headers)

    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "apikey, content-profile"
