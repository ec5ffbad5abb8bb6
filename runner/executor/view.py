"""What user code is promised of its surroundings, the same under every executor (DESIGN 5.4)."""

from __future__ import annotations

from runner.model.attempt import Attempt
from runner.model.command import Command
from runner.model.workspace import Workspace


def environment(attempt: Attempt, workspace: Workspace, command: Command) -> dict[str, str]:
    """The whole of it: what is promised, the span it belongs to where there is one, the granted secrets, what
    a harness asked for."""
    return {
        "PATH": command.path,
        "HOME": "/tmp",  # noqa: S108 - inside
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "RUN_ID": str(attempt.run_id),
        "ATTEMPT": str(attempt.number),
        "TENANT_SLUG": attempt.tenant_slug,
        **({"TRACEPARENT": attempt.traceparent} if attempt.traceparent else {}),
        **workspace.secrets,
        **command.environment,
    }
