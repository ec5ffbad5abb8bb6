"""A stack of a test's own, with all that belongs to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from control_room import Client
from dev.stack.state import CLONE, home


@pytest.fixture
def room(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of a stack of its own, where the database's and the sandbox's users may read."""
    root = home() / "testbeds" / f"{request.module.__name__.rpartition('.')[2]}-{os.getpid()}"
    environment = {**os.environ, "CONTROL_ROOM_STACK_DIR": str(root)}

    def stack(*arguments: str) -> str:
        command = [str(CLONE / "scripts" / "stack"), *arguments]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    try:
        stack("up")
        stack("tenant", "acme")
        lines = (line.removeprefix("export ").split("=", 1) for line in stack("env").splitlines())
        told = {name: value.strip("'") for name, value in lines}
        with psycopg.connect(told["DATABASE_URL"]) as connection:  # a second look costs seconds
            connection.execute("update tenancy.tenants set validation_policy = 'off'")
        token = stack("token", "--tenant", "acme", "--role", "operator").strip()
        with Client(told["SUPABASE_URL"], told["SUPABASE_ANON_KEY"], token) as opened:
            yield opened
    finally:
        stack("down")
        shutil.rmtree(root, ignore_errors=True)
