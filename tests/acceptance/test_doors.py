"""The people's HTTP door, `/functions/v1/api/v1`, on a real stack: Postgres, gateway, Deno; no runner.

What a runner would do (claim, log, judge an upload) is done here through the runner's own verbs, so that each
state can be looked at for as long as a test wants.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport
from psycopg.types.json import Jsonb
from supabase import create_client

from dev.stack import postgres as stack_postgres
from dev.stack.errors import StackError
from runner.callback import signature

CLONE = Path(__file__).resolve().parents[2]
SUBMISSION = {
    "job_type": "spark_etl",
    "spec": "count what is there",
    "code": {"files": {"job.py": "print(1)"}},
}
HOOK = "https://hooks.example.com/control-room"
ROLES = ("viewer", "operator", "admin")
Json = dict[str, Any]


@dataclass(frozen=True)
class Doors:
    """A running stack and the ways into it."""

    environment: Mapping[str, str] = field(repr=False)
    http: httpx.Client = field(repr=False)
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
        for role in ROLES:
            self.platform("platform_add_member", tenant=slug, user_id=user(slug, role), role=role)

    def claims(self, role: str = "operator", tenant: str = "acme") -> Json:
        now = int(time.time())
        return {
            "aud": "authenticated",
            "role": role,
            "tenant_id": self.tenants[tenant],
            "sub": user(tenant, role),
            "user_id": user(tenant, role),
            "iat": now,
            "exp": now + 600,
        }

    def token(self, role: str = "operator", tenant: str = "acme", **changes: object) -> str:
        """A member's JWT; `changes` replace claims, None removes one."""
        claims = {name: value for name, value in (self.claims(role, tenant) | changes).items() if value is not None}
        return jwt.encode(claims, self.environment["CONTROL_ROOM_JWT_SECRET"], algorithm="HS256")

    # ---------------------------------------------------------------- what the runner would do

    @contextlib.contextmanager
    def runner(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.environment["CONTROL_ROOM_DATABASE_URL"], autocommit=True) as connection:
            yield connection

    def claim(self, run_id: int) -> Json:
        """Claims the run's attempt, as a runner that offers what nobody else submits here."""
        instance = str(uuid.uuid4())
        offer = "kb_catalog/default"
        with self.runner() as verbs:
            me = {"name": "test", "instance": instance, "offers": [offer], "capacity": 1, "version": "0", "sandbox": {}}
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

    def judge(self, artifact_id: str, verdict: str = "READY") -> Json:
        """Claims the upload's check and settles it; the item it was claimed with."""
        with self.runner() as verbs:
            rows = verbs.execute("select * from worker.claim_uploads(%s::uuid, 100)", [str(uuid.uuid4())]).fetchall()
            [item] = [row[0] for row in rows if row[0]["artifact_id"] == artifact_id]
            result = {name: item[name] for name in ("artifact_id", "version", "tenant_id", "lease", "size", "sha256")}
            verbs.execute("select worker.judge_uploads(%s)", [Jsonb([result | {"verdict": verdict}])])
        found: Json = item
        return found

    # ---------------------------------------------------------------- things to look at

    def submit(self, role: str = "operator", tenant: str = "acme", **changes: object) -> int:
        answer = self.ask("POST", "/jobs/run", self.token(role, tenant), json=SUBMISSION | changes)
        assert answer.status_code == 202, answer.text
        return int(answer.json()["run_id"])

    def submit_outside(self) -> int:
        """A run whose attempt an executor outside would carry."""
        return self.submit(job_type="kb_catalog", code=None) if False else self.submit(
            job_type="kb_catalog", spec="catalogue the handbook"
        )

    def artifact(self, content: str = "hello", ready: bool = True) -> str:
        form = {"name": f"notes/{uuid.uuid4()}.txt", "kind": "data", "content": content}
        answer = self.ask("POST", "/artifacts", self.token(), json=form)
        assert answer.status_code == 201, answer.text
        artifact_id: str = answer.json()["artifact_id"]
        if ready:
            self.judge(artifact_id)
        return artifact_id

    def job(self) -> int:
        task = {"task_key": "one", **SUBMISSION}
        answer = self.ask("POST", "/jobs", self.token(), json={"name": f"job {uuid.uuid4()}", "tasks": [task]})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["job_id"])

    def endpoint(self) -> str:
        answer = self.ask("POST", "/endpoints", self.token("admin"), json={"url": f"{HOOK}/{uuid.uuid4()}"})
        assert answer.status_code == 201, answer.text
        endpoint_id: str = answer.json()["endpoint_id"]
        return endpoint_id

    def delivery(self) -> int:
        run_id = self.submit(callbacks={"on_fail": f"{HOOK}/{uuid.uuid4()}"})
        assert self.ask("POST", f"/runs/{run_id}/cancel", self.token()).status_code == 202
        answer = self.ask("GET", f"/deliveries?run_id={run_id}", self.token())
        [delivery] = answer.json()["items"]
        return int(delivery["delivery_id"])

    def access_token(self, role: str = "operator", maker: str = "admin") -> Json:
        answer = self.ask("POST", "/tokens", self.token(maker), json={"name": "ci", "role": role})
        assert answer.status_code == 201, answer.text
        made: Json = answer.json()
        return made


def user(tenant: str, role: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tenant}/{role}"))


@pytest.fixture(scope="module")
def doors() -> Iterator[Doors]:
    """A stack without a runner in a folder of its own, with the tenants acme and beta."""
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
    environment = kept | {"CONTROL_ROOM_STACK_DIR": str(root)}

    def stack(*arguments: str) -> str:
        script = str(CLONE / "scripts" / "stack")
        run = subprocess.run([script, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    try:
        stack("up", "--services", "postgres,gateway,functions")
        lines = (line.removeprefix("export ").split("=", 1) for line in stack("env").splitlines())
        told = {name: value.strip("'") for name, value in lines}
        with httpx.Client(base_url=told["SUPABASE_URL"], timeout=30, trust_env=False) as http:
            opened = Doors(told, http)
            opened.add_tenant("acme")
            opened.add_tenant("beta")
            yield opened
    finally:
        stack("down")
        shutil.rmtree(root)


# ------------------------------------------------------------------------------- each door × each actor

ANY = object()


@dataclass(frozen=True)
class Door:
    """What viewer, operator, admin and another tenant's admin get for a request; without a token it is 401."""

    request: str
    viewer: int
    operator: int
    admin: int
    stranger: int
    body: object = None

    @property
    def route(self) -> str:
        """As the OpenAPI document writes it."""
        method, path = self.request.split("?")[0].split(" ")
        path = re.sub(r"\{(run|job|artifact|endpoint|delivery|attempt|token)\}", r"{\1_id}", path)
        return f"{method} {path.replace('/gold/t', '/{layer}/{table}').replace('/inputs/x', '/inputs/{name}')}"


EVENT = {
    "eventType": "COMPLETE",
    "eventTime": "2026-01-01T00:00:00Z",
    "producer": "https://example.com/test",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "01890000-0000-7000-8000-000000000001"},
    "job": {"namespace": "test", "name": "matrix"},
    "inputs": [{"namespace": "test", "name": "a"}],
    "outputs": [{"namespace": "test", "name": "b"}],
}
NODE = "?nodeId=dataset:test:b"
NO_ONE = "00000000-0000-4000-8000-000000000000"

# a stranger submits and lists in a tenant of his own; of ours he finds nothing
MATRIX = [
    Door("POST /jobs/run", 403, 202, 202, 202, SUBMISSION),
    Door("POST /runs", 403, 202, 202, 202, [SUBMISSION, SUBMISSION]),
    Door("POST /jobs", 403, 201, 201, 201, {"name": "matrix {unique}", "tasks": [{"task_key": "a", **SUBMISSION}]}),
    Door("GET /jobs", 200, 200, 200, 200),
    Door("GET /jobs/{job}", 200, 200, 200, 404),
    Door("PATCH /jobs/{job}", 403, 200, 200, 404, {"name": "patched {unique}"}),
    Door("DELETE /jobs/{job}", 403, 200, 200, 404),
    Door("GET /runs", 200, 200, 200, 200),
    Door("GET /runs/{run}", 200, 200, 200, 404),
    Door("POST /runs/{run}/cancel", 403, 202, 202, 404),
    Door("GET /runs/{run}/logs", 403, 200, 200, 404),
    Door("GET /runs/{run}/events", 200, 200, 200, 404),
    Door("GET /runs/{run}/lineage", 200, 200, 200, 404),
    Door("GET /runs/{run}/lineage?format=dot", 200, 200, 200, 404),
    Door("POST /artifacts", 403, 201, 201, 201, {"name": "m/{unique}", "kind": "data", "size": 3}),
    Door("GET /artifacts", 200, 200, 200, 200),
    Door("GET /artifacts/{artifact}", 200, 200, 200, 404),
    Door("POST /artifacts/{artifact}/complete", 403, 202, 202, 404),
    Door("GET /artifacts/{artifact}/download", 403, 302, 302, 404),
    Door("DELETE /artifacts/{artifact}", 403, 403, 200, 404),
    Door("POST /lineage", 403, 201, 201, 201, EVENT),
    Door("POST /lineage/batch", 403, 200, 200, 200, [EVENT, EVENT]),
    Door(f"GET /lineage{NODE}", 200, 200, 200, 404),
    Door(f"GET /column-lineage{NODE}", 200, 200, 200, 404),
    Door("GET /catalog/tables", 200, 200, 200, 200),
    Door("GET /catalog/tables/gold/t", 404, 404, 404, 404),
    Door("POST /endpoints", 403, 403, 201, 201, {"url": HOOK + "/{unique}"}),
    Door("GET /endpoints", 200, 200, 200, 200),
    Door("GET /endpoints/{endpoint}", 403, 403, 200, 404),
    Door("GET /endpoints/{endpoint}/secret", 403, 403, 200, 404),
    Door("POST /endpoints/{endpoint}/rotate", 403, 403, 200, 404),
    Door("DELETE /endpoints/{endpoint}", 403, 403, 200, 404),
    Door("GET /deliveries", 200, 200, 200, 200),
    Door("POST /deliveries/{delivery}/redeliver", 403, 409, 409, 404),
    Door("POST /deliveries/replay", 403, 202, 202, 202, {"endpoint_id": NO_ONE}),
    Door("POST /tokens", 201, 201, 201, 201, {"name": "matrix"}),
    Door("GET /tokens", 200, 200, 200, 200),
    Door("DELETE /tokens/{token}", 404, 404, 200, 404),
    Door("GET /slo", 200, 200, 200, 200),
    # these take other tokens than a member's
    Door("POST /attempts/7/report", 401, 401, 401, 401, {"event": "progress"}),
    Door("POST /attempts/7/artifacts", 401, 401, 401, 401, {"name": "a", "kind": "data", "size": 1}),
    Door("GET /attempts/7/inputs/x", 401, 401, 401, 401),
    Door("GET /uploads/bytes", 401, 401, 401, 401),
]
PUBLIC = {"GET /health", "GET /openapi.json"}
ACTORS = ("nobody", *ROLES, "stranger")


@pytest.fixture(scope="module")
def things(doors: Doors) -> dict[str, Callable[[], object]]:
    """Makers of acme's things, by the name that a door's path calls them by."""
    assert doors.ask("POST", "/lineage", doors.token(), json=EVENT).status_code == 201
    return {
        "job": doors.job,
        "run": doors.submit,
        "artifact": doors.artifact,
        "endpoint": doors.endpoint,
        "delivery": doors.delivery,
        "token": lambda: doors.access_token()["token_id"],
        "unique": uuid.uuid4,
    }


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("door", MATRIX, ids=lambda door: door.request.replace("/", "∕"))
def test_each_door_opens_to_whom_it_should(
    doors: Doors, things: dict[str, Callable[[], object]], door: Door, actor: str
) -> None:
    def filled(text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: str(things[match[1]]()) if match[1] in things else match[0], text)

    method, path = filled(door.request).split(" ")
    body = json.loads(filled(json.dumps(door.body)))
    expected = 401 if actor == "nobody" else getattr(door, actor)
    if door.request.startswith("GET /lineage?") or door.request.startswith("GET /column-lineage?"):
        tenant = "gamma"  # a stranger whose own graph has no such node
    else:
        tenant = "beta"
    if actor == "stranger" and tenant not in doors.tenants:
        doors.add_tenant(tenant)
    bearer = {
        "nobody": lambda: None,
        "stranger": lambda: doors.token("admin", tenant),
    }.get(actor, lambda: doors.token(actor))()

    answer = doors.ask(method, path, bearer, **({} if body is None else {"json": body}))

    assert expected == answer.status_code, answer.text
    if expected >= 400:
        assert list(answer.json()) == ["code", "message", "details", "hint"]
    if expected == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_every_route_of_the_document_stands_in_the_matrix(doors: Doors) -> None:
    paths = doors.ask("GET", "/openapi.json").json()["paths"]
    served = {f"{verb.upper()} {path}" for path, verbs in paths.items() for verb in verbs}

    tested = {re.sub(r"/attempts/7/", "/attempts/{attempt_id}/", door.route) for door in MATRIX} | PUBLIC
    assert tested == served


def test_the_document_is_valid_openapi(doors: Doors) -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="needs: pip install openapi-spec-validator")

    validator.validate(doors.ask("GET", "/openapi.json").json())


# ---------------------------------------------------------------------------------------------- tokens


def forged(doors: Doors) -> dict[str, str]:
    good = doors.claims()
    secret = doors.environment["CONTROL_ROOM_JWT_SECRET"]
    head, payload, mark = jwt.encode(good, secret, algorithm="HS256").split(".")

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return {
        "alg none": f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(good)}.",
        "alg None, signed": f"{part({'alg': 'None', 'typ': 'JWT'})}.{part(good)}.{mark}",
        "wrong secret": jwt.encode(good, "x" * 32, algorithm="HS256"),
        "HS512": jwt.encode(good, secret, algorithm="HS512"),
        "tampered payload": f"{head}.{part(good | {'role': 'admin'})}.{mark}",
        "no signature": f"{head}.{payload}.",
        "two parts": f"{head}.{payload}",
        "four parts": f"{head}.{payload}.{mark}.{mark}",
        "garbage": "garbage",
        "unknown kid": jwt.encode(good, secret, algorithm="HS256", headers={"kid": "x"}),
        "expired": doors.token(exp=int(time.time()) - 40),
        "not yet": doors.token(nbf=int(time.time()) + 60),
        "from the future": doors.token(iat=int(time.time()) + 60),
        "no tenant": doors.token(tenant_id=None),
        "tenant that is no UUID": doors.token(tenant_id="acme"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "alg none", "alg None, signed", "wrong secret", "HS512", "tampered payload", "no signature", "two parts",
        "four parts", "garbage", "unknown kid", "expired", "not yet", "from the future", "no tenant",
        "tenant that is no UUID",
    ],
)  # fmt: skip
def test_a_forged_token_is_401_on_both_doors(doors: Doors, name: str) -> None:
    bearer = forged(doors)[name]

    for answer in (doors.ask("GET", "/runs", bearer), doors.rpc("list_runs", bearer, {})):
        assert answer.status_code == 401, answer.text
        assert "www-authenticate" in answer.headers


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"role": "authenticated", "user_role": "operator"},
        {"user_id": None},
        {"aud": None},
        {"exp": int(time.time()) - 1},
    ],
    ids=str,
)
def test_a_good_token_of_any_accepted_shape_opens_both_doors(doors: Doors, changes: Json) -> None:
    bearer = doors.token(**changes)

    assert doors.ask("GET", "/runs", bearer).status_code == 200
    assert doors.rpc("list_runs", bearer, {}).status_code == 200


def test_a_demoted_member_loses_the_right_on_the_next_request(doors: Doors) -> None:
    who = str(uuid.uuid4())
    doors.platform("platform_add_member", tenant="acme", user_id=who, role="operator")
    bearer = doors.token(sub=who, user_id=who)
    assert doors.ask("POST", "/jobs/run", bearer, json=SUBMISSION).status_code == 202

    doors.platform("platform_add_member", tenant="acme", user_id=who, role="viewer")
    assert doors.ask("POST", "/jobs/run", bearer, json=SUBMISSION).status_code == 403
    assert doors.ask("GET", "/runs", bearer).status_code == 200

    doors.platform("platform_remove_member", tenant="acme", user_id=who)
    answer = doors.ask("GET", "/runs", bearer)
    assert (answer.status_code, answer.json()["code"]) == (403, "MEMBERSHIP_MISSING")


def test_the_claim_cannot_lift_what_the_membership_row_says(doors: Doors) -> None:
    viewer = user("acme", "viewer")

    answer = doors.ask("POST", "/jobs/run", doors.token("admin", sub=viewer, user_id=viewer), json=SUBMISSION)

    assert (answer.status_code, answer.json()["code"]) == (403, "ROLE_INSUFFICIENT")


def test_an_access_token_is_a_bearer_until_it_is_revoked(doors: Doors) -> None:
    made = doors.access_token("operator")
    assert doors.ask("POST", "/jobs/run", made["token"], json=SUBMISSION).status_code == 202

    short = doors.ask("POST", "/tokens", made["token"]).json()
    assert short["token_type"] == "bearer"
    assert doors.ask("GET", "/runs", short["access_token"]).status_code == 200
    assert doors.rpc("list_runs", short["access_token"], {}).status_code == 200

    assert doors.ask("DELETE", f"/tokens/{made['token_id']}", doors.token("admin")).status_code == 200
    assert doors.ask("GET", "/runs", made["token"]).status_code in (401, 403)
    assert doors.ask("GET", "/runs", short["access_token"]).status_code in (401, 403)
    assert doors.ask("POST", "/tokens", made["token"]).status_code in (401, 403)


def test_an_access_token_does_not_exceed_its_role(doors: Doors) -> None:
    made = doors.access_token("viewer")

    assert doors.ask("GET", "/runs", made["token"]).status_code == 200
    assert doors.ask("POST", "/jobs/run", made["token"], json=SUBMISSION).status_code == 403


# ------------------------------------------------------------------------------------------------ runs


def test_the_same_idempotency_key_gives_the_same_run_with_200(doors: Doors) -> None:
    body = SUBMISSION | {"idempotency_key": str(uuid.uuid4())}

    first = doors.ask("POST", "/jobs/run", doors.token(), json=body)
    second = doors.ask("POST", "/jobs/run", doors.token(), json=body)

    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["run_id"] == second.json()["run_id"]


def test_the_url_of_a_run_is_absolute_and_leads_to_it(doors: Doors) -> None:
    made = doors.ask("POST", "/jobs/run", doors.token(), json=SUBMISSION).json()

    found = httpx.get(made["url"], headers={"authorization": f"Bearer {doors.token()}"}, trust_env=False).json()

    assert (made["run_id"], made["url"]) == (found["run_id"], found["url"])


def test_code_and_parameters_are_not_for_viewers(doors: Doors) -> None:
    secret = f"sentinel-{uuid.uuid4()}"
    run_id = doors.submit(params={"note": secret})

    assert secret in doors.ask("GET", f"/runs/{run_id}", doors.token("operator")).text
    assert secret not in doors.ask("GET", f"/runs/{run_id}", doors.token("viewer")).text


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"job_type": "no_such"}, 400, "JOB_TYPE_UNKNOWN"),
        ({"spec": None}, 400, "SPEC_MISSING"),
        ({"timeout_seconds": -1}, 400, "TIMEOUT_OUT_OF_RANGE"),
        ({"surprise": 1}, 400, "FIELD_UNKNOWN"),
        ({"callbacks": {"on_complete": "http://169.254.169.254/latest"}}, 400, "CALLBACK_ADDRESS_DENIED"),
        ({"callbacks": {"on_complete": "ftp://example.com"}}, 400, "CALLBACK_URL_INVALID"),
        ({"secrets": ["NOT_OURS"]}, 403, "SECRET_NOT_GRANTED"),
    ],
    ids=lambda value: str(value),
)
def test_a_bad_submission_is_refused_with_its_code_and_leaves_nothing(
    doors: Doors, changes: Json, status: int, code: str
) -> None:
    body = {name: value for name, value in (SUBMISSION | changes).items() if value is not None}
    before = doors.ask("GET", "/runs?limit=1", doors.token()).json()["items"]

    answer = doors.ask("POST", "/jobs/run", doors.token(), json=body)

    assert (status, code) == (answer.status_code, answer.json()["code"])
    assert before == doors.ask("GET", "/runs?limit=1", doors.token()).json()["items"]


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", {}, 400, "BODY_INVALID"),
        (b"{", {}, 400, "BODY_INVALID"),
        (b"[]", {}, 400, "BODY_INVALID"),
        (b'{"spec": "\xff"}', {}, 400, "BODY_INVALID"),
        (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", {}, 400, "BODY_INVALID"),
        (b" " * (2 * 1024 * 1024 + 1), {}, 413, "BODY_TOO_LARGE"),
        (b"{}", {"content-encoding": "br"}, 415, "ENCODING_UNSUPPORTED"),
        (gzip.compress(b" " * 50_000_000), {"content-encoding": "gzip"}, 413, "BODY_TOO_LARGE"),
    ],
    ids=["empty", "cut off", "array", "no UTF-8", "deep", "large", "brotli", "gzip bomb"],
)
def test_a_bad_body_is_refused_with_its_code(
    doors: Doors, content: bytes, headers: Mapping[str, str], status: int, code: str
) -> None:
    answer = doors.ask("POST", "/jobs/run", doors.token(), content=content, headers=headers)

    assert (status, code) == (answer.status_code, answer.json()["code"])


def test_a_compressed_submission_is_taken(doors: Doors) -> None:
    content = gzip.compress(json.dumps(SUBMISSION).encode())

    answer = doors.ask("POST", "/jobs/run", doors.token(), content=content, headers={"content-encoding": "gzip"})

    assert answer.status_code == 202, answer.text


def test_runs_are_listed_in_pages_without_gap_or_repeat(doors: Doors) -> None:
    made = [doors.submit() for _ in range(5)]
    seen: list[int] = []
    cursor = ""
    while len(seen) < 5:
        page = doors.ask("GET", f"/runs?limit=2{cursor}", doors.token()).json()
        seen += [item["run_id"] for item in page["items"]]
        cursor = f"&cursor={page['next']}"

    assert sorted(made, reverse=True) == seen[:5]


def test_supabase_py_reaches_the_function_with_default_options(doors: Doors) -> None:
    client = create_client(doors.supabase, doors.environment["SUPABASE_ANON_KEY"])
    client.functions.set_auth(doors.token())

    answer = client.functions.invoke("api/v1/jobs/run", {"body": SUBMISSION, "responseType": "json"})

    made = json.loads(answer) if isinstance(answer, bytes | str) else answer
    assert made["state"] == "QUEUED"


# ------------------------------------------------------------------------------------------------ logs


def test_a_log_is_read_as_lines_of_json_or_of_text(doors: Doors) -> None:
    run_id = doors.submit_outside()
    doors.log(doors.claim(run_id), "first", "second", "third")

    lines = doors.ask("GET", f"/runs/{run_id}/logs", doors.token()).text.splitlines()
    first, second, third = (json.loads(line) for line in lines)
    text = doors.ask("GET", f"/runs/{run_id}/logs", doors.token(), headers={"accept": "text/plain"}).text
    rest = doors.ask("GET", f"/runs/{run_id}/logs?after={second['seq']}", doors.token()).text

    assert ["first", "second", "third"] == [item["line"] for item in (first, second, third)]
    assert text == "first\nsecond\nthird\n"
    assert json.loads(rest) == third


def test_a_followed_log_tells_lines_as_they_come_and_the_end_and_resumes(doors: Doors) -> None:
    run_id = doors.submit_outside()
    attempt = doors.claim(run_id)
    doors.log(attempt, "before")
    path = f"/functions/v1/api/v1/runs/{run_id}/logs?follow=1"
    headers = {"authorization": f"Bearer {doors.token()}"}

    with doors.http.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert json.loads(next(line for line in lines if line.startswith("data:"))[5:])["line"] == "before"
        doors.log(attempt, "while")
        identity = next(line for line in lines if line.startswith("id:"))
        assert json.loads(next(line for line in lines if line.startswith("data:"))[5:])["line"] == "while"
        doors.ask("POST", f"/attempts/{attempt['attempt_id']}/report", attempt["token"], json={"event": "complete"})
        assert "event: end" in list(lines)

    again = doors.http.get(path, headers=headers | {"last-event-id": identity[3:].strip()})
    assert again.status_code == 204


# ------------------------------------------------------------------------------------------- artifacts


def test_bytes_go_up_by_a_signed_url_are_checked_and_come_down_by_another(doors: Doors) -> None:
    content = os.urandom(100_000)
    form = {"name": f"up/{uuid.uuid4()}.bin", "kind": "data", "size": len(content)}
    form |= {"sha256": hashlib.sha256(content).hexdigest()}
    made = doors.ask("POST", "/artifacts", doors.token(), json=form).json()

    up = httpx.put(made["upload_url"], content=content, trust_env=False)
    assert up.is_success, up.text
    done = doors.ask("POST", f"/artifacts/{made['artifact_id']}/complete", doors.token(), json={"version": 1})
    assert (done.status_code, done.json()["state"]) == (202, "PENDING")
    early = doors.ask("GET", f"/artifacts/{made['artifact_id']}/download", doors.token())
    assert (early.status_code, early.json()["code"]) == (409, "ARTIFACT_NOT_READY")

    check = doors.judge(made["artifact_id"])
    down = doors.ask("GET", f"/artifacts/{made['artifact_id']}/download", doors.token())
    got = httpx.get(down.headers["location"], trust_env=False)

    assert down.status_code == 302
    assert content == got.content
    assert "attachment" in got.headers["content-disposition"]
    assert doors.ask("GET", "/uploads/bytes", check["token"]).status_code == 401  # the check has ended


def test_a_signed_upload_url_does_not_replace_bytes(doors: Doors) -> None:
    form = {"name": f"up/{uuid.uuid4()}.txt", "kind": "data", "size": 3}
    url = doors.ask("POST", "/artifacts", doors.token(), json=form).json()["upload_url"]

    assert httpx.put(url, content=b"one", trust_env=False).is_success
    assert not httpx.put(url, content=b"two", trust_env=False).is_success


def test_the_check_of_an_upload_reads_its_bytes(doors: Doors) -> None:
    artifact_id = doors.artifact("to be checked", ready=False)
    with doors.runner() as verbs:
        rows = verbs.execute("select * from worker.claim_uploads(%s::uuid, 100)", [str(uuid.uuid4())]).fetchall()
    [item] = [row[0] for row in rows if row[0]["artifact_id"] == artifact_id]

    answer = doors.ask("GET", "/uploads/bytes", item["token"])

    assert httpx.get(answer.headers["location"], trust_env=False).text == "to be checked"


@pytest.mark.parametrize("encoding", ["text", "base64"])
def test_small_content_comes_inline(doors: Doors, encoding: str) -> None:
    content = "grüße\n"
    sent = content if encoding == "text" else base64.b64encode(content.encode()).decode()
    form = {"name": f"in/{uuid.uuid4()}.txt", "kind": "data", "content": sent, "encoding": encoding}
    made = doors.ask("POST", "/artifacts", doors.token(), json=form).json()

    assert made["sha256"] == hashlib.sha256(content.encode()).hexdigest()
    doors.judge(made["artifact_id"])
    down = doors.ask("GET", f"/artifacts/{made['artifact_id']}/download", doors.token())
    assert content.encode() == httpx.get(down.headers["location"], trust_env=False).content


def test_an_artifact_of_60_mib_is_refused_before_it_is_sent(doors: Doors) -> None:
    form = {"name": "big.bin", "kind": "data", "size": 60 * 1024 * 1024}

    answer = doors.ask("POST", "/artifacts", doors.token(), json=form)

    assert (answer.status_code, answer.json()["code"]) == (413, "ARTIFACT_TOO_LARGE")


# --------------------------------------------------------------------------------------------- attempts


def test_an_executor_outside_reports_with_its_attempts_token_until_it_is_settled(doors: Doors) -> None:
    run_id = doors.submit_outside()
    attempt = doors.claim(run_id)
    path = f"/attempts/{attempt['attempt_id']}"
    progress = {"event": "progress", "percent": 40, "message": "reading"}

    answer = doors.ask("POST", f"{path}/report", attempt["token"], json=progress)
    assert answer.json() == {"accepted": True, "cancel_requested": False}
    assert doors.ask("GET", f"/runs/{run_id}", doors.token()).json()["progress"]["percent"] == 40
    doors.ask("POST", f"/runs/{run_id}/cancel", doors.token())
    assert doors.ask("POST", f"{path}/report", attempt["token"], json=progress).json()["cancel_requested"] is True

    assert doors.ask("POST", f"{path}/report", attempt["token"], json={"event": "complete"}).status_code == 200
    late = doors.ask("POST", f"{path}/report", attempt["token"], json=progress)
    assert (late.status_code, late.json()["code"]) == (401, "ATTEMPT_TOKEN_INVALID")


def test_a_failure_reported_from_outside_fails_the_run_with_its_words(doors: Doors) -> None:
    run_id = doors.submit_outside()
    attempt = doors.claim(run_id)
    report = {"event": "fail", "error": "the workflow has no trigger"}

    assert doors.ask("POST", f"/attempts/{attempt['attempt_id']}/report", attempt["token"], json=report).is_success

    run = doors.ask("GET", f"/runs/{run_id}", doors.token()).json()
    assert (run["state"], run["termination_message"]) == ("FAILED", "the workflow has no trigger")


def test_an_attempt_stores_a_file_and_reads_its_input(doors: Doors) -> None:
    artifact_id = doors.artifact("an input")
    run_id = doors.submit(
        job_type="kb_catalog", spec="catalogue the handbook", inputs=[{"name": "book", "artifact_id": artifact_id}]
    )
    attempt = doors.claim(run_id)
    path = f"/attempts/{attempt['attempt_id']}"

    there = doors.ask("GET", f"{path}/inputs/book", attempt["token"])
    assert httpx.get(there.headers["location"], trust_env=False).text == "an input"
    other = doors.ask("GET", f"{path}/inputs/film", attempt["token"])
    assert (other.status_code, other.json()["code"]) == (404, "INPUT_UNKNOWN")

    form = {"name": "out.json", "kind": "data", "size": 2, "sha256": hashlib.sha256(b"{}").hexdigest()}
    made = doors.ask("POST", f"{path}/artifacts", attempt["token"], json=form)
    assert made.status_code == 201, made.text
    for _ in range(2):  # a PUT whose answer was lost is made again
        assert httpx.put(made.json()["upload_url"], content=b"{}", trust_env=False).is_success


def test_an_attempts_token_opens_nothing_else(doors: Doors) -> None:
    attempt = doors.claim(doors.submit_outside())

    assert doors.ask("GET", "/runs", attempt["token"]).status_code == 401
    foreign = doors.ask("POST", f"/attempts/{attempt['attempt_id'] + 1}/report", attempt["token"], json={"event": "fail"})
    assert foreign.status_code == 401
    forged_token = attempt["token"][:-1] + ("0" if attempt["token"][-1] != "0" else "1")
    path = f"/attempts/{attempt['attempt_id']}/report"
    assert doors.ask("POST", path, forged_token, json={"event": "fail"}).status_code == 401


# ---------------------------------------------------------------------------------------------- lineage


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_the_official_openlineage_client_works_unmodified(doors: Doors, compression: str | None) -> None:
    name = f"ol_{uuid.uuid4().hex}"
    config = HttpConfig(
        url=f"{doors.supabase}/functions/v1/",
        auth=ApiKeyTokenProvider({"apiKey": doors.access_token("operator")["token"]}),
        **({} if compression is None else {"compression": compression}),
    )
    client = OpenLineageClient(transport=HttpTransport(config))
    event = RunEvent(
        eventType=RunState.COMPLETE,
        eventTime="2026-01-01T00:00:00Z",
        run=Run(runId=str(uuid.uuid4())),
        job=Job(namespace="test", name=name),
        inputs=[InputDataset(namespace="test", name=f"{name}_in")],
        outputs=[OutputDataset(namespace="test", name=f"{name}_out")],
        producer="https://example.com/test",
    )

    client.emit(event)
    client.close()

    answer = doors.ask("GET", f"/lineage?nodeId=dataset:test:{name}_out&direction=upstream", doors.token("viewer"))
    ids = {node["id"] for node in answer.json()["graph"]}
    assert {f"dataset:test:{name}_in", f"dataset:test:{name}_out", f"job:test:{name}"} <= ids


def test_a_batch_says_which_events_it_did_not_take(doors: Doors) -> None:
    answer = doors.ask("POST", "/lineage/batch", doors.token(), json=[EVENT, {"eventTime": "2026-01-01T00:00:00Z"}])

    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "partial_success")
    assert body["summary"]["successful"] == 1
    assert [failed["index"] for failed in body["failed_events"]] == [1]


def test_a_single_bad_event_is_a_400(doors: Doors) -> None:
    answer = doors.ask("POST", "/lineage", doors.token(), json={"eventTime": "2026-01-01T00:00:00Z"})

    assert (answer.status_code, answer.json()["code"]) == (400, "EVENT_INVALID")


# -------------------------------------------------------------------------------------------- endpoints


def test_the_secret_an_admin_reads_is_the_one_the_runner_signs_with(doors: Doors) -> None:
    endpoint_id = doors.endpoint()

    shown = doors.ask("GET", f"/endpoints/{endpoint_id}/secret", doors.token("admin")).json()

    derived = signature.derive(doors.environment["CONTROL_ROOM_MASTER_KEY"], endpoint_id, shown["secret_version"])
    assert shown["secret"] == signature.shown(derived)


# ------------------------------------------------------------------------------------------ the HTTP side


def test_health_is_open_and_tells_nothing_of_tenants(doors: Doors) -> None:
    answer = doors.ask("GET", "/health")

    assert answer.status_code == 200
    assert "acme" not in answer.text
    assert doors.tenants["acme"] not in answer.text


def test_head_options_and_wrong_methods_are_http(doors: Doors) -> None:
    head = doors.ask("HEAD", "/runs", doors.token())
    assert (head.status_code, head.content) == (200, b"")

    options = doors.ask("OPTIONS", "/jobs/run", headers={"origin": "https://app.example"})
    assert (options.status_code, options.headers["access-control-allow-origin"]) == (204, "*")

    wrong = doors.ask("PUT", "/jobs/run", doors.token())
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST, OPTIONS")
    assert doors.ask("GET", "/nowhere", doors.token()).json()["code"] == "ROUTE_NOT_FOUND"
