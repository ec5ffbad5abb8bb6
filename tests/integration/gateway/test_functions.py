"""The way to the functions: nothing is changed, everything streams, and nobody waits for the dead."""

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.integration.gateway.processes import PATIENCE, free_port, running
from tests.integration.gateway.project import Scratch


def ask(scratch: Scratch, method: str, path: str, **rest: object) -> httpx.Response:
    return scratch.client.request(method, f"{scratch.url}/functions/v1/{path}", **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_request_arrives_as_it_was_sent(scratch: Scratch, method: str) -> None:
    headers = {"authorization": "Bearer abc", "x-own": "1", "origin": "http://elsewhere"}

    answer = ask(scratch, method, "api/v1/jobs/run%2Fx?a=1&b=c%20d&a=2", headers=headers, content=b"12345")

    seen = answer.json()
    assert (answer.status_code, answer.headers["x-from"]) == (203, "upstream")
    assert (seen["method"], seen["path"], seen["query"]) == (
        method,
        "/api/v1/jobs/run%2Fx",
        "a=1&b=c%20d&a=2",
    )
    assert {name: seen["headers"][name] for name in headers} == headers
    assert (seen["size"], seen["headers"]["content-length"]) == (5, "5")
    assert seen["headers"]["x-forwarded-for"] == "127.0.0.1"


def test_a_client_cannot_say_where_it_comes_from(scratch: Scratch) -> None:
    seen = ask(scratch, "GET", "api", headers={"x-forwarded-for": "10.0.0.1"}).json()

    assert seen["forwarded"] == ["127.0.0.1"]


def test_head_is_answered_and_the_next_request_too(scratch: Scratch) -> None:
    for _ in range(3):
        assert ask(scratch, "HEAD", "api").status_code == 203
        assert ask(scratch, "GET", "api").status_code == 203


def test_connections_are_used_again(scratch: Scratch) -> None:
    seen = {ask(scratch, "POST", "api", content=b"x").json()["connection"] for _ in range(10)}

    assert len(seen) == 1


def test_no_key_is_asked_for(scratch: Scratch) -> None:
    assert scratch.client.get(f"{scratch.url}/functions/v1/api").status_code == 203


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_000])
@pytest.mark.parametrize("chunked", [True, False])
def test_bodies_of_any_size_go_both_ways(scratch: Scratch, size: int, chunked: bool) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    answer = ask(scratch, "POST", "api/echo", content=pieces() if chunked else body)

    assert answer.content == body


def test_an_early_answer_is_passed_on(scratch: Scratch) -> None:
    answer = ask(scratch, "POST", "api/early", content=b"x" * 3_000_000)

    assert (answer.status_code, answer.text) == (413, "enough")
    assert ask(scratch, "GET", "api").status_code == 203


def test_a_connection_with_half_a_request_on_it_is_not_used_again(scratch: Scratch) -> None:
    def slowly() -> Iterator[bytes]:
        yield b"first"
        time.sleep(0.2)  # the answer comes meanwhile
        yield b"second"

    for _ in range(3):
        answer = ask(scratch, "POST", "api/early", content=slowly())

        assert answer.status_code == 413
        assert ask(scratch, "GET", "api").status_code == 203


def test_events_arrive_one_by_one_and_end_when_the_client_leaves(scratch: Scratch) -> None:
    before = int(ask(scratch, "GET", "api/left").text)
    begun = time.monotonic()
    with scratch.client.stream("GET", f"{scratch.url}/functions/v1/api/events") as answer:
        lines = answer.iter_lines()
        seen = [next(lines) for _ in range(5)]

    assert answer.headers["content-type"] == "text/event-stream"
    assert [line for line in seen if line] == ["id: 0", "id: 1", "id: 2"]
    assert time.monotonic() - begun < 2
    deadline = time.monotonic() + PATIENCE
    while int(ask(scratch, "GET", "api/left").text) == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_pages_become_text_as_on_hosted_projects(scratch: Scratch) -> None:
    assert ask(scratch, "GET", "api/page").headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("how", ["broken", "torn"])
def test_an_answer_that_breaks_off_breaks_off_here_too(scratch: Scratch, how: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        scratch.client.get(f"{scratch.url}/functions/v1/api/{how}")
    assert ask(scratch, "GET", "api").status_code == 203


def test_requests_beside_each_other_do_not_mix(scratch: Scratch) -> None:
    def one(number: int) -> str:
        return ask(scratch, "GET", f"api/slow?{number}").text

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(one, range(64)))

    assert answers == [str(number) for number in range(64)]


class _Greeting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def greeting(port: int) -> Iterator[None]:
    """A functions' server that lives as long as the block."""
    with ThreadingHTTPServer(("127.0.0.1", port), _Greeting) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_without_a_functions_server_it_is_503_and_it_recovers(
    gateway_environment: dict[str, str], http: httpx.Client
) -> None:
    port, upstream = free_port(), free_port()
    environment = gateway_environment | {
        "GATEWAY_PORT": str(port),
        "GATEWAY_FUNCTIONS_URL": f"http://127.0.0.1:{upstream}",
    }
    url = f"http://127.0.0.1:{port}/functions/v1/api"
    with running([sys.executable, "-m", "dev.gateway"], environment, port, "/health"):
        down = http.get(url)
        with greeting(upstream):
            up = http.get(url)

    assert (down.status_code, down.json()["code"]) == (503, "FUNCTIONS_UNREACHABLE")
    assert (up.status_code, up.text) == (200, "hello")
