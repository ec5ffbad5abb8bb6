"""The people's HTTP door, `/functions/v1/api/v1`, on a real stack: Postgres, gateway, Deno; no runner.

What a runner would do (claim, log, judge an upload) is done here through the runner's own verbs, so that each
state can be looked at for as long as a test wants.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import httpx
import jwt
import psycopg
import pytest
from psycopg.types.json import Jsonb

from dev.stack import postgres as stack_postgres
from dev.stack.errors import StackError
from runner.dispatch.inspection import Inspection
from runner.store.verbs import Verbs
from tests.acceptance.doors import issuer

CLONE = Path(__file__).resolve().parents[3]
Json = dict[str, Any]


@dataclass(frozen=True)
class Doors:
    """A running stack and the ways into it."""

    SUBMISSION: ClassVar[Json] = {
        "job_type": "spark_etl",
        "spec": "count what is there",
        "code": {"files": {"job.py": "print(1)"}},
    }
    FRESHNESS: ClassVar[Json] = {"name": "main.gold", "warn_after": {"count": 1, "period": "day"}}
    EXPECTATION: ClassVar[Json] = {
        "layer": "silver",
        "table": "orders",
        "name": "has an id",
        "kind": "not_null",
        "action": "quarantine",
        "definition": {"column": "id"},
    }
    TRUST: ClassVar[Json] = {
        "name": "ci",
        "repository": "acme/matrix",
        "ref": "refs/heads/main",
        "role": "viewer",
    }
    ROLLUP: ClassVar[Json] = {
        "table": "by_region",
        "source": "silver.no_such",
        "by": ["region"],
        "measures": [{"name": "n", "fn": "count"}],
    }
    EVENT: ClassVar[Json] = {
        "eventType": "COMPLETE",
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": "https://example.com/test",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": "01890000-0000-7000-8000-000000000001"},
        "job": {"namespace": "test", "name": "matrix"},
        "inputs": [{"namespace": "test", "name": "a"}],
        "outputs": [{"namespace": "test", "name": "b"}],
    }
    HOOK: ClassVar[str] = "https://hooks.example.com/control-room"
    ROLES: ClassVar[tuple[str, ...]] = ("viewer", "operator", "admin")

    environment: Mapping[str, str] = field(repr=False)
    http: httpx.Client = field(repr=False)
    issuer: issuer.Issuer
    tenants: dict[str, str] = field(default_factory=dict)

    @property
    def supabase(self) -> str:
        return self.environment["SUPABASE_URL"]

    def ask(self, method: str, path: str, bearer: str | None = None, **how: Any) -> httpx.Response:
        """One request below /functions/v1/api/v1."""
        headers = {**({"authorization": f"Bearer {bearer}"} if bearer else {}), **how.pop("headers", {})}
        return self.http.request(method, f"/functions/v1/api/v1{path}", headers=headers, **how)

    def rpc(self, function: str, bearer: str | None, body: object) -> httpx.Response:
        """One request at the other door, the Data API."""
        headers = {"apikey": self.environment["SUPABASE_ANON_KEY"]}
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        return self.http.post(f"/rest/v1/rpc/{function}", headers=headers, json=body)

    def platform(self, function: str, **argument: object) -> Json:
        key = self.environment["SUPABASE_SERVICE_ROLE_KEY"]
        headers = {"apikey": key, "authorization": f"Bearer {key}"}
        answer = self.http.post(f"/rest/v1/rpc/{function}", headers=headers, json=argument)
        assert answer.is_success, answer.text
        made: Json = answer.json()
        return made

    def add_tenant(self, slug: str) -> None:
        self.tenants[slug] = self.platform("platform_create_tenant", slug=slug)["tenant_id"]
        for role in self.ROLES:
            self.platform("platform_add_member", tenant=slug, user_id=self.user(slug, role), role=role)

    @staticmethod
    def user(tenant: str, role: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tenant}/{role}"))

    def claims(self, role: str = "operator", tenant: str = "acme") -> Json:
        now = int(time.time())
        return {
            "aud": "authenticated",
            "role": role,
            "tenant_id": self.tenants[tenant],
            "sub": self.user(tenant, role),
            "user_id": self.user(tenant, role),
            "iat": now,
            "exp": now + 600,
        }

    def token(self, member: str = "operator", tenant: str = "acme", **changes: object) -> str:
        """A member's JWT; `changes` replace claims, None removes one."""
        claims = {
            name: value
            for name, value in (self.claims(member, tenant) | changes).items()
            if value is not None
        }
        return jwt.encode(claims, self.environment["CONTROL_ROOM_JWT_SECRET"], algorithm="HS256")

    # ---------------------------------------------------------------- what the runner would do

    async def look_at_events(self) -> None:
        """Looks at the facets of what was told, until nothing is left to look at."""
        store = Verbs(self.environment["CONTROL_ROOM_DATABASE_URL"], str(uuid.uuid4()))
        looking = asyncio.create_task(Inspection(store, poll_seconds=0.05).run())
        try:
            with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as clock:
                while clock.execute("select 1 from lineage.unchecked limit 1").fetchone():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        finally:
            looking.cancel()
            await asyncio.wait([looking])
            await store.close()

    @contextlib.contextmanager
    def runner(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.environment["CONTROL_ROOM_DATABASE_URL"], autocommit=True) as connection:
            yield connection

    def claim(self, run_id: int) -> Json:
        """Claims the run's attempt, as a runner that offers what nobody else submits here."""
        instance = str(uuid.uuid4())
        offer = "kb_catalog/default"
        with self.runner() as verbs:
            me = {
                "name": "test",
                "instance": instance,
                "offers": [offer],
                "capacity": 1,
                "version": "0",
                "sandbox": {},
            }
            verbs.execute("select worker.register(%s)", [Jsonb(me)])
            rows = verbs.execute(
                "select * from worker.claim_attempts(%s::uuid, %s::text[], 100)", [instance, [offer]]
            ).fetchall()
        [attempt] = [row[0] for row in rows if row[0]["run_id"] == run_id]
        found: Json = attempt
        return found

    def log(self, attempt: Json, *lines: str) -> None:
        logs = [{"stream": "stdout", "at": "2026-01-01T00:00:00Z", "line": line} for line in lines]
        with self.runner() as verbs:
            report = [{"attempt_id": attempt["attempt_id"], "lease": attempt["lease"], "logs": logs}]
            verbs.execute("select worker.report(%s)", [Jsonb(report)])

    def settle(self, attempt: Json, outcome: Json) -> None:
        with self.runner() as verbs:
            item = {"attempt_id": attempt["attempt_id"], "lease": attempt["lease"], "outcome": outcome}
            settled = verbs.execute(
                "select worker.settle_attempts(%s::uuid, %s)", [str(uuid.uuid4()), Jsonb([item])]
            ).fetchone()
        assert settled is not None
        assert settled[0][0]["settled"], settled

    def judge(self, artifact_id: str, verdict: str = "READY") -> Json:
        """Claims the upload's check and settles it; the item it was claimed with."""
        with self.runner() as verbs:
            rows = verbs.execute(
                "select * from worker.claim_uploads(%s::uuid, 100)", [str(uuid.uuid4())]
            ).fetchall()
            [item] = [row[0] for row in rows if row[0]["artifact_id"] == artifact_id]
            result = {
                name: item[name]
                for name in ("artifact_id", "version", "tenant_id", "lease", "size", "sha256")
            }
            verbs.execute("select worker.judge_uploads(%s)", [Jsonb([result | {"verdict": verdict}])])
        found: Json = item
        return found

    # ---------------------------------------------------------------- things to look at

    def submit(self, role: str = "operator", tenant: str = "acme", **changes: object) -> int:
        answer = self.ask("POST", "/jobs/run", self.token(role, tenant), json=self.SUBMISSION | changes)
        assert answer.status_code == 202, answer.text
        return int(answer.json()["run_id"])

    def submit_outside(self) -> int:
        """A run whose attempt an executor outside would carry."""
        return self.submit(job_type="kb_catalog", spec="catalogue the handbook")

    def artifact(self, content: str | None = None, ready: bool = True) -> str:
        content = content or f"hello {uuid.uuid4()}"  # bytes that are known are READY at once
        form = {"name": f"notes/{uuid.uuid4()}.txt", "kind": "data", "content": content}
        answer = self.ask("POST", "/artifacts", self.token(), json=form)
        assert answer.status_code == 201, answer.text
        artifact_id: str = answer.json()["artifact_id"]
        if ready:
            self.judge(artifact_id)
        return artifact_id

    def job_form(self) -> Json:
        return {"name": f"job {uuid.uuid4()}", "tasks": [{"task_key": "one", **self.SUBMISSION}]}

    def job(self, **more: object) -> int:
        answer = self.ask("POST", "/jobs", self.token(), json=self.job_form() | more)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["job_id"])

    BACKFILL: ClassVar[Json] = {"parameter": "day", "values": ["monday"]}

    def swept_job(self) -> int:
        """A job with a parameter that backfills may set."""
        return self.job(parameters={"day": "sunday"})

    def backfill(self) -> str:
        """The path of one, below /jobs."""
        job = self.swept_job()
        answer = self.ask("POST", f"/jobs/{job}/backfill", self.token(), json=self.BACKFILL)
        assert answer.status_code == 202, answer.text
        return f"{job}/backfills/{answer.json()['backfill_id']}"

    def endpoint(self) -> str:
        answer = self.ask(
            "POST", "/endpoints", self.token("admin"), json={"url": f"{self.HOOK}/{uuid.uuid4()}"}
        )
        assert answer.status_code == 201, answer.text
        endpoint_id: str = answer.json()["endpoint_id"]
        return endpoint_id

    @staticmethod
    def some_network() -> str:
        one, other = uuid.uuid4().bytes[:2]
        return f"127.{one}.{other}.0/24"

    def network(self) -> int:
        answer = self.ask(
            "POST", "/callback-networks", self.token("admin"), json={"cidr": self.some_network()}
        )
        assert answer.status_code == 201, answer.text
        return int(answer.json()["network_id"])

    def delivery(self) -> int:
        url = f"{self.HOOK}/{uuid.uuid4()}"
        run_id = self.submit(callbacks={"on_fail": url})
        assert self.ask("POST", f"/runs/{run_id}/cancel", self.token()).status_code == 202
        answer = self.ask("GET", f"/deliveries?run_id={run_id}", self.token())
        [delivery] = [item for item in answer.json()["items"] if item["url"] == url]
        return int(delivery["delivery_id"])

    def trust(self) -> str:
        answer = self.ask("POST", "/trusts", self.token("admin"), json=self.TRUST)
        assert answer.status_code == 201, answer.text
        trust_id: str = answer.json()["trust_id"]
        return trust_id

    def member(self) -> str:
        who = str(uuid.uuid4())
        self.platform("platform_add_member", tenant="acme", user_id=who, role="operator")
        return who

    def invite(self, user_id: str, role: str = "viewer") -> Json:
        form = {"user_id": user_id, "role": role}
        answer = self.ask("POST", "/invitations", self.token("admin"), json=form)
        assert answer.status_code == 201, answer.text
        made: Json = answer.json()
        return made

    def access_token(self, role: str = "operator", maker: str = "admin") -> Json:
        answer = self.ask("POST", "/tokens", self.token(maker), json={"name": "ci", "role": role})
        assert answer.status_code == 201, answer.text
        made: Json = answer.json()
        return made


@pytest.fixture(scope="session")
def doors() -> Iterator[Doors]:
    """A stack without a runner in a folder of its own, with the tenants acme and beta."""
    with opened() as stack:
        stack.add_tenant("acme")
        stack.add_tenant("beta")
        yield stack


@contextlib.contextmanager
def opened() -> Iterator[Doors]:
    """A stack without a runner in a folder of its own; taken down at the end."""
    try:
        stack_postgres.find_binaries(15)
    except StackError as error:
        pytest.skip(f"needs a Postgres: {error}")
    if not (CLONE / ".venv/bin/deno").exists():
        pytest.skip("needs Deno: run scripts/setup")
    # not pytest's tmp_path: as root the database's user could not enter it
    root = Path(tempfile.mkdtemp(prefix="control-room-doors-"))
    root.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONTROL_ROOM_PORT")}
    closing = contextlib.ExitStack()
    outside = closing.enter_context(issuer.serving())
    environment = kept | {"CONTROL_ROOM_STACK_DIR": str(root), "CONTROL_ROOM_OIDC_ISSUER": outside.url}

    def stack(*arguments: str) -> str:
        script = str(CLONE / "scripts" / "stack")
        run = subprocess.run(
            [script, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    try:
        stack("up", "--services", "postgres,gateway,functions")
        lines = (line.removeprefix("export ").split("=", 1) for line in stack("env").splitlines())
        told = {name: value.strip("'") for name, value in lines}
        with httpx.Client(base_url=told["SUPABASE_URL"], timeout=30, trust_env=False) as http:
            yield Doors(told, http, outside)
    finally:
        stack("down")
        closing.close()
        shutil.rmtree(root)
