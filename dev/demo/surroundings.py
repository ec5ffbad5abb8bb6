"""What the demo stands on: the local stack, a tenant and its members' tokens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from control_room.client import Client
from control_room.errors import ControlRoomError
from dev.stack import lifecycle, services, state, tenants, tokens
from dev.stack.errors import StackError
from dev.stack.state import CLONE
from dev.stack.tokens import Role

TOKEN_SECONDS = 3600


@dataclass(frozen=True)
class Surroundings:
    """A running stack. `was_up`: it ran before, so it is left as it was found."""

    url: str
    anon_key: str
    was_up: bool
    tenant: str

    def client(self, role: Role) -> Client:
        return Client(self.url, self.anon_key, self.token(role))

    def token(self, role: Role) -> str:
        """A JWT of the tenant's default member of that role, as `scripts/stack token` prints."""
        server = lifecycle.server(state.layout())
        user = tokens.default_user(self.tenant, role)
        tenants.add_member(server, self.tenant, user, role)
        tenant_id = tenants.tenant_id(server, self.tenant)
        return tokens.member_token(
            server.secrets, tenant_id=tenant_id, user_id=user, role=role, ttl=TOKEN_SECONDS
        )


def up(tenant: str, say: Callable[[str], None]) -> Surroundings:
    """Starts what is missing and makes the tenant. Raises ControlRoomError with the stack's own words."""
    place = state.layout()
    was_up = any(it.state == "running" for it in lifecycle.status(place).values())
    try:
        _stack("up", say)
        server = lifecycle.server(place)
        known = state.load(place)
        assert known is not None
        tenants.create(server, tenant, tenant)
        environment = services.public_environment(server, known.ports)
    except BaseException as error:
        if not was_up:
            _stack("down", say)
        if isinstance(error, StackError):
            raise ControlRoomError(str(error)) from error
        raise
    return Surroundings(environment["SUPABASE_URL"], environment["SUPABASE_ANON_KEY"], was_up, tenant)


def down(say: Callable[[str], None]) -> None:
    _stack("down", say)


def complaints_of_runner(lines: int = 12) -> list[str]:
    """What the runner's log has of warnings and worse, the newest last."""
    try:
        told = state.layout().log("runner").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in told[-500:] if '"level": "info"' not in line and line.strip()][-lines:]


def _stack(command: str, say: Callable[[str], None]) -> None:
    # a process of its own, so that the daemons it starts are not children of the demo
    with subprocess.Popen(
        [sys.executable, "-m", "dev.stack", command],
        cwd=CLONE,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line.rstrip())
            if not line.startswith("error:"):
                say(line.rstrip())
    if process.returncode != 0:
        reasons = [line.removeprefix("error: ") for line in told if line.startswith("error:")] or told[-1:]
        # the stack's own form: what is wrong; the mend
        what, _, mend = "; ".join(reasons).rpartition("; ")
        raise ControlRoomError(
            f"scripts/stack {command}: {what or mend}", mend if what else "scripts/stack logs"
        )
