"""What the tests of Storage say to it."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.integration.gateway.project import Project, Scratch

LIMIT = 52_428_800


def put(scratch: Project, path: str, content: object = b"bytes", **rest: object) -> httpx.Response:
    headers = {"content-type": "application/octet-stream"} | rest.pop("headers", {})  # type: ignore[operator]
    return scratch.ask("POST", f"/storage/v1/object/{path}", content=content, headers=headers, **rest)  # type: ignore[arg-type]


def fetch(scratch: Scratch, path: str, **rest: object) -> httpx.Response:
    return scratch.ask("GET", f"/storage/v1/object/{path}", **rest)  # type: ignore[arg-type]


def post(scratch: Scratch, path: str, body: object, **rest: object) -> httpx.Response:
    return scratch.ask("POST", f"/storage/v1/object/{path}", json=body, **rest)  # type: ignore[arg-type]


def refused(answer: httpx.Response, status: int) -> bool:
    """Storage answers 400 and says what it means inside."""
    return answer.status_code == 400 and answer.json()["statusCode"] == str(status)


def kept(files: Path) -> set[str]:
    return {path.name for path in (files / "objects").rglob("*") if path.is_file()}
