"""OpenLineage over HTTP, as its official client speaks it."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import pytest
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_the_official_openlineage_client_works_unmodified(doors: Doors, compression: str | None) -> None:
    name = f"ol_{uuid.uuid4().hex}"
    squeezed: dict[str, Any] = {} if compression is None else {"compression": compression}
    config = HttpConfig(
        url=f"{doors.supabase}/functions/v1/",
        auth=ApiKeyTokenProvider({"apiKey": doors.access_token("operator")["token"]}),
        **squeezed,
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

    answer = doors.ask(
        "GET", f"/lineage?nodeId=dataset:test:{name}_out&direction=upstream", doors.token("viewer")
    )
    ids = {node["id"] for node in answer.json()["graph"]}
    assert {f"dataset:test:{name}_in", f"dataset:test:{name}_out", f"job:test:{name}"} <= ids


def test_a_batch_says_which_events_it_did_not_take(doors: Doors) -> None:
    answer = doors.ask(
        "POST", "/lineage/batch", doors.token(), json=[doors.EVENT, {"eventTime": "2026-01-01T00:00:00Z"}]
    )

    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "partial_success")
    assert body["summary"]["successful"] == 1
    assert [failed["index"] for failed in body["failed_events"]] == [1]


def test_a_single_bad_event_is_a_400(doors: Doors) -> None:
    answer = doors.ask("POST", "/lineage", doors.token(), json={"eventTime": "2026-01-01T00:00:00Z"})

    assert (answer.status_code, answer.json()["code"]) == (400, "EVENT_INVALID")


def test_a_bad_facet_is_told_by_its_path_and_sinks_nothing(doors: Doors) -> None:
    name = uuid.uuid4().hex
    event = doors.EVENT | {
        "run": {"runId": str(uuid.uuid4()), "facets": {"nominalTime": {"nominalStartTime": "yesterday"}}},
        "job": {"namespace": "test", "name": name, "facets": {"sql": {"query": 7}, "their_own": {"x": 1}}},
    }

    assert doors.ask("POST", "/lineage", doors.token(), json=event).status_code == 201

    asyncio.run(doors.look_at_events())
    items = doors.ask("GET", "/lineage/events?faulty=true", doors.token()).json()["items"]
    (found,) = [each for each in items if each["event"]["job"]["name"] == name]

    assert {each["path"] for each in found["faults"]} == {
        "$.run.facets.nominalTime",
        "$.job.facets.sql.query",
    }
    assert found["event"] == event


def test_marquez_s_web_ui_finds_what_it_draws(doors: Doors) -> None:
    """The way of its user: a namespace is chosen, a job is sought, its graph is drawn, its latest run is shown."""
    name, run = f"ui/{uuid.uuid4().hex}", str(uuid.uuid4())
    space = f"airflow://{name}:8080"
    event = doors.EVENT | {
        "run": {"runId": run},
        "job": {"namespace": space, "name": name, "facets": {"sql": {"query": "select 1"}}},
        "outputs": [{"namespace": "test", "name": name}],
    }
    assert doors.ask("POST", "/lineage", doors.token(), json=event).status_code == 201

    def read(path: str) -> Any:
        answer = doors.ask("GET", path, doors.token())
        assert answer.status_code == 200, answer.text
        return answer.json()

    (found,) = read(f"/search?q={quote(name, safe='')}&filter=JOB&sort=NAME&limit=100")["results"]
    job = read(f"/namespaces/{quote(space, safe='')}/jobs/{quote(name, safe='')}")
    graph = read(f"/lineage?nodeId=job:{quote(space, safe='')}:{quote(name, safe='')}&depth=2")["graph"]
    dataset = read(f"/namespaces/test/datasets/{quote(name, safe='')}")

    assert found["nodeId"] == f"job:{space}:{name}"
    assert (job["latestRun"]["id"], job["latestRun"]["state"]) == (run, "COMPLETED")
    assert {found["nodeId"], f"dataset:test:{name}"} <= {node["id"] for node in graph}
    assert dataset["id"] == {"namespace": "test", "name": name}
    assert read(f"/jobs/runs/{run}/facets?type=job")["facets"] == {"sql": {"query": "select 1"}}
    assert read(f"/namespaces/{quote(space, safe='')}/jobs?limit=25&offset=0")["totalCount"] == 1
    assert name in {job["name"] for job in read("/jobs?limit=5&offset=0")["jobs"]}


def test_a_view_of_the_layers_is_followed_column_by_column(doors: Doors) -> None:
    """The database brings its text, a runner reads it, and a column is followed through it."""
    name = f"v_{uuid.uuid4().hex[:12]}"
    tenant = doors.tenants["acme"]
    with psycopg.connect(doors.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            f'create table silver_acme.{name} (id bigint, "Amount €" numeric);'
            f"create view gold_acme.{name} with (security_invoker = on) as "
            f'select s.id, round(s."Amount €", 2) as amount from silver_acme.{name} s where s.id > 0'
        )
        table = f"silver_acme.{name}"
        connection.execute(
            "select worker.capture_views(%s, array[%s::regclass::oid], 1, null)", [tenant, table]
        )
    asyncio.run(doors.look_at_events())

    node = quote(f"datasetField:control-room://acme:gold.{name}:amount", safe="")
    graph = doors.ask("GET", f"/column-lineage?nodeId={node}", doors.token("viewer")).json()["graph"]

    (amount,) = [each for each in graph if each["id"].endswith(f"gold.{name}:amount")]
    (origin,) = amount["data"]["inputFields"]
    assert (origin["dataset"], origin["field"]) == (f"silver.{name}", "Amount €")
    assert (origin["transformationType"], origin["transformationDescription"]) == ("DIRECT", "TRANSFORMATION")
