"""A queue with a way to put work in and look at it from outside: the real one, and the fake."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg

from dev.stack.testbed import Database, Tenant
from runner.model.attempt import Attempt
from runner.store.base import Store
from runner.store.memory import MemoryStore
from runner.store.verbs import Verbs

OFFER = "code_validation/default"


class House(Protocol):
    """What the suite needs besides the store itself."""

    def store(self) -> Store:
        """The store of another runner."""
        ...

    def submit(self, max_retries: int = 3, **params: Any) -> int:
        """Queue an attempt; the run's id."""
        ...

    def state(self, run_id: int) -> str:
        """The run's state."""
        ...

    def cancel(self, run_id: int) -> None:
        """Ask for the run to be canceled."""
        ...

    def expire(self, attempt_id: int) -> None:
        """Its lease has just run out."""
        ...

    def logs(self, run_id: int) -> list[tuple[str, str]]:
        """(stream, line) in order."""
        ...

    def grant(self, workflow: str) -> None:
        """The tenant may start this n8n workflow."""
        ...

    def tell(self, token: str, report: dict[str, Any]) -> None:
        """Work outside reports, by the people's door."""
        ...


@dataclass
class MemoryHouse:
    """The fake."""

    memory: MemoryStore = field(default_factory=MemoryStore)
    runs: int = 0

    def store(self) -> Store:
        return self.memory

    def submit(self, max_retries: int = 3, **params: Any) -> int:
        self.runs += 1
        number = max(self.memory.rows, default=0) + 1
        self.memory.submit(
            Attempt(
                attempt_id=number,
                lease=0,
                number=1,
                run_id=self.runs,
                task_run_id=self.runs,
                task_key="execute",
                tenant_id=str(uuid.uuid4()),
                tenant_slug="acme",
                job_type="code_validation",
                engine="default",
                requires=OFFER,
                timeout_seconds=600,
                params=params,
            ),
            max_retries,
        )
        return self.runs

    def _last(self, run_id: int) -> Any:
        return [row for row in self.memory.rows.values() if row.attempt.run_id == run_id][-1]

    def state(self, run_id: int) -> str:
        row = self._last(run_id)
        if row.running:
            return "RUNNING"
        if not row.final:
            return "QUEUED" if row.attempt.number == 1 and row.attempt.lease == 0 else "RUNNING"
        names = {"Succeeded": "SUCCEEDED", "TimedOut": "TIMED_OUT", "Canceled": "CANCELED"}
        return names.get(type(row.outcome).__name__, "FAILED")

    def cancel(self, run_id: int) -> None:
        self._last(run_id).cancel = True

    def expire(self, attempt_id: int) -> None:
        self.memory.rows[attempt_id].expires = time.monotonic() - 1

    def logs(self, run_id: int) -> list[tuple[str, str]]:
        return [(line.stream, line.line) for line in self._last(run_id).logs]

    def grant(self, workflow: str) -> None:
        assert workflow != "other"  # which is the one that nobody was granted

    def tell(self, token: str, report: dict[str, Any]) -> None:
        assert self.memory.tell(token, report)


@dataclass
class PostgresHouse:
    """The real one."""

    database: Database
    tenant: Tenant
    stores: list[Verbs] = field(default_factory=list)

    def store(self) -> Store:
        made = Verbs(self.database.runner, str(uuid.uuid4()))
        self.stores.append(made)
        return made

    def as_operator(self, function: str, body: Any) -> Any:
        """Call an RPC as PostgREST would."""
        with psycopg.connect(self.database.superuser) as connection:
            connection.execute(
                "select set_config('request.jwt.claims', %s, true)", [self.tenant.claims("operator")]
            )
            connection.execute("set local role operator")
            row = connection.execute(
                psycopg.sql.SQL("select public.{}(%s::jsonb)").format(psycopg.sql.Identifier(function)),
                [json.dumps(body)],
            ).fetchone()
        assert row is not None
        return row[0]

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Anything, as superuser."""
        with psycopg.connect(self.database.superuser, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)  # type: ignore[arg-type]  # a test's own text
            return cursor.fetchall() if cursor.description else []

    def submit(self, max_retries: int = 3, **params: Any) -> int:
        return self.run(params=params, max_retries=max_retries)

    def run(self, **body: Any) -> int:
        """run_job with a few defaults; the run's id."""
        said = {
            "job_type": "code_validation",
            "spec": "for a test",
            "code": {"files": {"job.py": "pass"}},
            **body,
        }
        return int(self.as_operator("run_job", said)["run_id"])

    def get(self, run_id: int) -> dict[str, Any]:
        """get_run."""
        found: dict[str, Any] = self.as_operator("get_run", {"run_id": run_id})
        return found

    def state(self, run_id: int) -> str:
        return str(self.get(run_id)["state"])

    def until(self, run_id: int, *states: str, seconds: float = 20) -> dict[str, Any]:
        """Wait for one of the states."""

        def there() -> dict[str, Any] | None:
            found = self.get(run_id)
            return found if found["state"] in states else None

        found: dict[str, Any] = self.wait(there, seconds)
        return found

    def wait(self, what: Callable[[], Any], seconds: float = 20) -> Any:
        """Wait until something is true, and return it."""
        end = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < end, "waited too long"
            time.sleep(0.03)
        return found

    def cancel(self, run_id: int) -> None:
        self.as_operator("cancel_run", {"run_id": run_id})

    def expire(self, attempt_id: int) -> None:
        self.sql(
            "update queue.live_attempts set lease_expires_at = clock_timestamp() - interval '1 s' "
            "where id = %s",
            attempt_id,
        )

    def logs(self, run_id: int) -> list[tuple[str, str]]:
        return [
            (s, line)
            for s, line in self.sql(
                "select stream, line from queue.logs where run_id = %s order by seq", run_id
            )
        ]

    def grant(self, workflow: str) -> None:
        grant = {"tenant": self.tenant.slug, "kind": "n8n_workflow", "name": workflow}
        self.database.platform("platform_grant", grant)

    def tell(self, token: str, report: dict[str, Any]) -> None:
        with psycopg.connect(self.database.superuser) as connection:
            connection.execute("set local role anon")
            connection.execute(
                "select public.attempt_report(%s::jsonb)", [json.dumps({**report, "token": token})]
            )
