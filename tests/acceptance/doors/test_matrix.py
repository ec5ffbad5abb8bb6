"""Each door × each actor: nobody, viewer, operator, admin, and a stranger who is another tenant's admin."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors


@dataclass(frozen=True)
class Door:
    """A request and the status that each actor gets; without a token it is always 401.

    `{…}` in the request are parameters, as the OpenAPI document names them.
    """

    request: str
    viewer: int
    operator: int
    admin: int
    stranger: int
    body: Callable[[Doors], object] = lambda _: None


def unique() -> str:
    return str(uuid.uuid4())


def artifact_form(**more: object) -> dict[str, object]:
    return {"name": unique(), "kind": "data", **more}


# a stranger submits and lists in the tenant of his own; of ours he finds nothing
MATRIX = [
    Door("POST /jobs/run", 403, 202, 202, 202, lambda it: it.SUBMISSION),
    Door("POST /runs", 403, 202, 202, 202, lambda it: [it.SUBMISSION, it.SUBMISSION]),
    Door("POST /jobs", 403, 201, 201, 201, lambda it: it.job_form()),
    Door("POST /jobs/apply", 403, 200, 200, 200, lambda it: {"jobs": [it.job_form()]}),
    Door("GET /jobs", 200, 200, 200, 200),
    Door("GET /jobs/{job_id}", 200, 200, 200, 404),
    Door("PATCH /jobs/{job_id}", 403, 200, 200, 404, lambda _: {"name": f"patched {unique()}"}),
    Door("DELETE /jobs/{job_id}", 403, 200, 200, 404),
    Door("POST /jobs/{clocked_id}/pause", 403, 200, 200, 404),
    Door("POST /jobs/{clocked_id}/resume", 403, 200, 200, 404),
    Door("GET /jobs/{clocked_id}/schedule", 200, 200, 200, 404),
    Door("POST /jobs/{job_id}/pause", 403, 409, 409, 404),
    Door("POST /jobs/{swept_id}/backfill", 403, 202, 202, 404, lambda it: it.BACKFILL),
    Door("GET /jobs/{swept_id}/backfills", 200, 200, 200, 404),
    Door("GET /jobs/{backfill}", 200, 200, 200, 404),
    Door("POST /jobs/{backfill}/cancel", 403, 202, 202, 404),
    Door("GET /runs", 200, 200, 200, 200),
    Door("GET /runs/{run_id}", 200, 200, 200, 404),
    Door("POST /runs/{run_id}/cancel", 403, 202, 202, 404),
    # it waits: there is nothing to repair or to run again yet
    Door("POST /runs/{run_id}/repair", 403, 409, 409, 404, lambda _: {}),
    Door("POST /runs/{run_id}/rerun", 403, 409, 409, 404, lambda _: {}),
    Door("GET /runs/{run_id}/logs", 403, 200, 200, 404),
    Door("GET /runs/{run_id}/events", 200, 200, 200, 404),
    Door("GET /runs/{run_id}/lineage", 200, 200, 200, 404),
    Door("GET /runs/{run_id}/lineage?format=dot", 200, 200, 200, 404),
    Door("POST /artifacts", 403, 201, 201, 201, lambda _: {"name": unique(), "kind": "data", "size": 3}),
    Door(
        "POST /artifacts", 403, 201, 201, 201, lambda _: {"name": unique(), "kind": "data", "content": "abc"}
    ),
    Door("GET /artifacts", 200, 200, 200, 200),
    Door("GET /artifacts/usage", 200, 200, 200, 200),
    Door("GET /artifacts/{artifact_id}", 200, 200, 200, 404),
    Door("PATCH /artifacts/{artifact_id}", 403, 200, 200, 404, lambda _: {"aliases": {"champion": 1}}),
    Door("POST /artifacts/{artifact_id}/complete", 403, 202, 202, 404),
    Door("GET /artifacts/{artifact_id}/download", 403, 302, 302, 404),
    Door("DELETE /artifacts/{artifact_id}", 403, 403, 200, 404),
    Door("POST /lineage", 403, 201, 201, 201, lambda it: it.EVENT),
    Door("POST /lineage/batch", 403, 200, 200, 200, lambda it: [it.EVENT, it.EVENT]),
    Door("GET /lineage?nodeId={node}", 200, 200, 200, 404),
    Door("GET /lineage?nodeId={node}&format=svg", 200, 200, 200, 404),
    Door("GET /column-lineage?nodeId={node}", 200, 200, 200, 404),
    Door("GET /lineage/path?source={node}&target={node}", 200, 200, 200, 404),
    Door("GET /lineage/diff?nodeId={node}&from=2026-01-01T00:00:00Z", 200, 200, 200, 404),
    Door("GET /lineage/impact?nodeId={node}", 200, 200, 200, 404),
    Door("GET /lineage/orphans", 200, 200, 200, 200),
    Door("GET /lineage/coverage", 200, 200, 200, 200),
    Door("GET /lineage/events?limit=5", 403, 200, 200, 200),
    Door("GET /lineage/violations", 200, 200, 200, 200),
    Door("GET /lineage/rules", 200, 200, 200, 200),
    Door("POST /lineage/rules", 403, 403, 200, 200, lambda _: {"rules": []}),
    Door("POST /lineage/retire", 403, 403, 404, 404, lambda _: {"job": "job:no:where", "reason": "x"}),
    Door("GET /jobs?offset=0&limit=5", 200, 200, 200, 200),
    Door("GET /namespaces", 200, 200, 200, 200),
    Door("GET /namespaces/{namespace}", 200, 200, 200, 404),
    Door("GET /namespaces/{namespace}/datasets", 200, 200, 200, 200),
    Door("GET /namespaces/{namespace}/datasets/{dataset}", 404, 404, 404, 404),
    Door("GET /namespaces/{namespace}/jobs", 200, 200, 200, 200),
    Door("GET /namespaces/{namespace}/jobs/{job}", 200, 200, 200, 404),
    Door("GET /namespaces/{namespace}/jobs/{job}/runs", 200, 200, 200, 404),
    Door("GET /jobs/runs/{run}", 200, 200, 200, 404),
    Door("GET /jobs/runs/{run}/facets", 403, 200, 200, 404),
    Door("GET /search?q=orders", 200, 200, 200, 200),
    Door("GET /events/lineage?limit=5&before=&after=", 403, 200, 200, 200),
    Door("GET /stats/{asset}", 200, 200, 200, 200),
    Door("GET /tags", 200, 200, 200, 200),
    Door("GET /catalog/tables", 200, 200, 200, 200),
    Door("GET /catalog/tables/{layer}/{table}", 404, 404, 404, 404),
    Door("GET /catalog/catalogs", 200, 200, 200, 200),
    Door("GET /catalog/schemas?in=main", 200, 200, 200, 200),
    Door("GET /catalog/columns", 200, 200, 200, 200),
    Door("GET /catalog/volumes", 200, 200, 200, 200),
    Door("GET /catalog/objects?q=orders", 200, 200, 200, 200),
    Door("GET /catalog/objects/{object}", 200, 200, 200, 200),
    Door("PATCH /catalog/objects/{object}", 403, 200, 200, 200, lambda _: {"comment": "what is shown"}),
    Door("PATCH /catalog/objects/{object}", 403, 403, 200, 200, lambda _: {"owner": "us"}),
    Door("POST /catalog/sync", 403, 200, 200, 200),
    Door("POST /catalog/ingest", 403, 200, 200, 200, lambda _: {"catalog": "erp", "models": []}),
    Door("GET /catalog/layers", 200, 200, 200, 200),
    Door("GET /catalog/freshness", 200, 200, 200, 200),
    Door("POST /catalog/freshness", 403, 200, 200, 200, lambda it: it.FRESHNESS),
    Door("GET /catalog/expectations", 403, 200, 200, 200),
    Door("POST /catalog/expectations", 403, 200, 200, 200, lambda it: it.EXPECTATION),
    Door("DELETE /catalog/expectations/{expectation_id}", 403, 404, 404, 404),
    Door("GET /catalog/verdicts", 200, 200, 200, 200),
    Door("GET /catalog/quarantine", 403, 200, 200, 200),
    Door("GET /catalog/rollups", 403, 200, 200, 200),
    Door("POST /catalog/rollups", 403, 404, 404, 404, lambda it: it.ROLLUP),
    Door("DELETE /catalog/rollups/{table}", 403, 404, 404, 404),
    Door("POST /catalog/refresh", 403, 409, 409, 409, lambda _: {"target": "gold.no_such"}),
    Door("GET /catalog/entries", 200, 200, 200, 200),
    Door("GET /catalog/entries?q=parcels", 200, 200, 200, 200),
    Door("GET /catalog/entries/{entry_id}", 404, 404, 404, 404),
    Door("POST /endpoints", 403, 403, 201, 201, lambda it: {"url": f"{it.HOOK}/{unique()}"}),
    Door("GET /endpoints", 200, 200, 200, 200),
    Door("GET /endpoints/{endpoint_id}", 403, 403, 200, 404),
    Door("PATCH /endpoints/{endpoint_id}", 403, 403, 200, 404, lambda _: {"ordered": True}),
    Door("GET /endpoints/{endpoint_id}/secret", 403, 403, 200, 404),
    Door("POST /endpoints/{endpoint_id}/rotate", 403, 403, 200, 404),
    Door("DELETE /endpoints/{endpoint_id}", 403, 403, 200, 404),
    Door("GET /deliveries", 200, 200, 200, 200),
    Door("POST /deliveries/{delivery_id}/redeliver", 403, 409, 409, 404),
    Door("POST /deliveries/replay", 403, 202, 202, 202, lambda _: {"until": "2001-01-01T00:00:00Z"}),
    Door("POST /deliveries/replay", 403, 404, 404, 404, lambda _: {"endpoint_id": unique()}),
    Door("GET /events", 200, 200, 200, 200),
    # the local stack's platform opens loopback, so an admin may as well
    Door("POST /callback-networks", 403, 403, 201, 201, lambda it: {"cidr": it.some_network()}),
    Door("POST /callback-networks", 403, 403, 403, 403, lambda _: {"cidr": "10.0.0.0/8"}),
    Door("GET /callback-networks", 403, 403, 200, 200),
    Door("DELETE /callback-networks/{network_id}", 403, 403, 200, 404),
    Door("POST /tokens", 201, 201, 201, 201, lambda _: {"name": "matrix"}),
    Door("GET /tokens", 200, 200, 200, 200),
    Door("DELETE /tokens/{token_id}", 404, 404, 200, 404),
    Door("POST /trusts", 403, 403, 201, 201, lambda it: it.TRUST),
    Door("GET /trusts", 403, 403, 200, 200),
    Door("DELETE /trusts/{trust_id}", 403, 403, 200, 404),
    Door("GET /members", 200, 200, 200, 200),
    Door("PATCH /members/{user_id}", 403, 403, 200, 404, lambda _: {"role": "viewer"}),
    Door("DELETE /members/{user_id}", 403, 403, 200, 404),
    Door("POST /invitations", 403, 403, 201, 201, lambda _: {"user_id": unique(), "role": "viewer"}),
    Door("GET /invitations", 403, 403, 200, 200),
    Door("DELETE /invitations/{invitation_id}", 403, 403, 200, 404),
    Door("GET /audit", 403, 403, 200, 200),
    Door("GET /audit?after=0", 403, 403, 200, 200),
    Door("GET /audit/verify", 403, 403, 200, 200),
    Door("GET /slo", 200, 200, 200, 200),
    # these take other tokens than a member's
    Door("POST /attempts/{attempt_id}/report", 401, 401, 401, 401, lambda _: {"event": "progress"}),
    Door("POST /attempts/{attempt_id}/artifacts", 401, 401, 401, 401, lambda _: {"name": "a"}),
    Door("GET /attempts/{attempt_id}/inputs/{name}", 401, 401, 401, 401),
    Door("POST /attempts/{attempt_id}/parcels", 401, 401, 401, 401, lambda _: {"name": "a"}),
    Door("GET /attempts/{attempt_id}/parcels/{name}", 401, 401, 401, 401),
    Door("DELETE /attempts/{attempt_id}/parcels/{name}", 401, 401, 401, 401),
    Door("GET /uploads/bytes", 401, 401, 401, 401),
    Door("DELETE /sweeps/bytes", 401, 401, 401, 401),
]
PUBLIC = {"GET /health", "GET /openapi.json", "POST /tokens/oidc", "POST /invitations/accept"}
ACTORS = ("nobody", "viewer", "operator", "admin", "stranger")


@pytest.fixture(scope="session")
def parameters(doors: Doors) -> dict[str, Callable[[], object]]:
    """Makes one of acme's things for each parameter that a path may have."""
    only_ours = f"only_ours_{uuid.uuid4().hex}"
    told_run = str(uuid.uuid4())
    event = doors.EVENT | {
        "run": {"runId": told_run},
        "job": {"namespace": f"by {only_ours}", "name": only_ours},
        "outputs": [{"namespace": "test", "name": only_ours}],
    }
    assert doors.ask("POST", "/lineage", doors.token(), json=event).status_code == 201
    return {
        "job_id": doors.job,
        "clocked_id": lambda: doors.job(periodic={"every_seconds": 86400}),
        "swept_id": doors.swept_job,
        "backfill": doors.backfill,
        "run_id": doors.submit,
        "artifact_id": doors.artifact,
        "endpoint_id": doors.endpoint,
        "delivery_id": doors.delivery,
        "network_id": doors.network,
        "token_id": lambda: doors.access_token()["token_id"],
        "trust_id": doors.trust,
        "user_id": doors.member,
        "invitation_id": lambda: doors.invite(unique())["invitation_id"],
        "attempt_id": lambda: 7,
        "node": lambda: f"dataset:test:{only_ours}",
        "namespace": lambda: f"by%20{only_ours}",
        "dataset": lambda: only_ours,
        "job": lambda: only_ours,
        "run": lambda: told_run,
        "asset": lambda: "jobs",
        "layer": lambda: "gold",
        "table": lambda: "no_such",
        "name": lambda: "book",
        # each has gold of his own
        "object": lambda: "main.gold",
        "expectation_id": lambda: 987654321,
        "entry_id": lambda: 987654321,
    }


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize(
    "door", MATRIX, ids=[f"{number} {door.request}" for number, door in enumerate(MATRIX)]
)
def test_each_door_opens_to_whom_it_should(
    doors: Doors, parameters: dict[str, Callable[[], object]], door: Door, actor: str
) -> None:
    method, path = re.sub(r"\{(\w+)\}", lambda match: str(parameters[match[1]]()), door.request).split(" ")
    body = door.body(doors)
    how: dict[str, Any] = {} if body is None else {"json": body}
    if actor == "nobody":
        expected, bearer = 401, None
    elif actor == "stranger":
        expected, bearer = door.stranger, doors.token("admin", "beta")
    else:
        expected, bearer = getattr(door, actor), doors.token(actor)

    answer = doors.ask(method, path, bearer, **how)

    assert expected == answer.status_code, answer.text
    if expected >= 400:
        assert list(answer.json()) == ["code", "message", "details", "hint"]
    if expected == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_every_route_of_the_document_stands_in_the_matrix(doors: Doors) -> None:
    paths = doors.ask("GET", "/openapi.json").json()["paths"]

    served = {f"{verb.upper()} {path}" for path, verbs in paths.items() for verb in verbs}
    assert served == PUBLIC | {
        re.sub(r"\{(clocked|swept)_id\}", "{job_id}", door.request.split("?")[0]).replace(
            "{backfill}", "{job_id}/backfills/{backfill_id}"
        )
        for door in MATRIX
    }


def test_the_document_is_valid_openapi(doors: Doors) -> None:
    need = "needs: pip install openapi-spec-validator"
    validator = pytest.importorskip("openapi_spec_validator", reason=need)

    validator.validate(doors.ask("GET", "/openapi.json").json())
