"""The two clients against a server."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from pathlib import Path
from typing import Any

import pytest

from control_room import (
    ApiError,
    ArtifactRefused,
    AsyncClient,
    Client,
    NotInTime,
    TransferDamaged,
    async_client,
    client,
)

ID = "11111111-2222-3333-4444-555555555555"
BYTES = b"origin,delay\nSEA,3\n"
SHA256 = hashlib.sha256(BYTES).hexdigest()


def artifact(state: str, **more: Any) -> dict[str, Any]:
    version = {"version": 1, "state": state, "size": len(BYTES), "sha256": SHA256, **more}
    return {"artifact_id": ID, "name": "flights.csv", "kind": "data", "versions": [version]}


@pytest.fixture
def blocking(stub: Any) -> Any:
    with Client(stub.url, "anon-key", "a-token") as made:
        yield made


def test_both_clients_have_the_same_words() -> None:
    nouns = {name.removeprefix("Async") for name in vars(async_client) if name.startswith("Async")}
    assert nouns > {"Runs", "Members", "Catalog", "Client"}
    for noun in nouns - {"Iterator"}:
        one, other = getattr(client, noun), getattr(async_client, f"Async{noun}")
        words = {name for name in vars(one) if not name.startswith("_")}

        assert words == {name for name in vars(other) if not name.startswith("_")}, noun
        for word in words - {"from_environment"}:
            assert list(inspect.signature(getattr(one, word)).parameters) == list(
                inspect.signature(getattr(other, word)).parameters
            ), f"{noun}.{word}"


def test_every_request_says_who_asks(stub: Any, blocking: Client) -> None:
    stub.on("GET", "/runs/7", {"run_id": 7, "state": "RUNNING"})

    blocking.runs.get(7)

    headers = stub.seen[0].headers
    assert (headers["apikey"], headers["authorization"]) == ("anon-key", "Bearer a-token")


def test_what_the_server_said_is_kept_whole(stub: Any, blocking: Client) -> None:
    said = {"run_id": 7, "state": "RUNNING", "of_a_newer_server": {"x": [1]}}
    stub.on("GET", "/runs/7", said)

    assert blocking.runs.get(7).raw() == said


async def test_the_awaiting_client_waits_for_the_end(stub: Any) -> None:
    for state in ("QUEUED", "RUNNING", "SUCCEEDED"):
        stub.on("GET", "/runs/7", {"run_id": 7, "state": state})
    looks: list[str] = []

    async with AsyncClient(stub.url, "anon", "token") as awaiting:
        run = await awaiting.runs.wait(7, on_change=lambda it: looks.append(it.state))

    assert run.succeeded
    assert looks == ["QUEUED", "RUNNING", "SUCCEEDED"]


def test_waiting_ends_in_time_and_the_run_goes_on(stub: Any, blocking: Client) -> None:
    stub.on("GET", "/runs/7", {"run_id": 7, "state": "RUNNING"})

    with pytest.raises(NotInTime, match="still RUNNING"):
        blocking.runs.wait(7, timeout=0.3)

    assert not stub.asked("POST", "/runs/7/cancel")


def test_a_file_goes_up_by_its_signed_url_without_the_token(
    stub: Any, blocking: Client, tmp_path: Path
) -> None:
    file = tmp_path / "flights.csv"
    file.write_bytes(BYTES)
    upload = {
        "artifact_id": ID,
        "version": 1,
        "state": "PENDING",
        "upload_url": f"{stub.url}/storage/v1/put?token=t",
    }
    stub.on("POST", "/artifacts", upload, 201).on("PUT", "/storage/v1/put", {})
    stub.on("POST", f"/artifacts/{ID}/complete", {}, 202)
    stub.on("GET", f"/artifacts/{ID}", artifact("PENDING")).on("GET", f"/artifacts/{ID}", artifact("READY"))

    made = blocking.artifacts.put(file)

    assert (made.state, made.sha256, made.version) == ("READY", SHA256, 1)
    announced = stub.asked("POST", "/artifacts")[0].json
    assert (announced["name"], announced["size"], announced["sha256"]) == ("flights.csv", len(BYTES), SHA256)
    put = stub.asked("PUT", "/storage/v1/put")[0]
    assert put.body == BYTES
    assert put.query == {"token": "t"}
    assert "authorization" not in put.headers
    assert "apikey" not in put.headers


def test_a_refused_upload_says_why(stub: Any, blocking: Client) -> None:
    upload = {"artifact_id": ID, "version": 1, "state": "PENDING", "upload_url": f"{stub.url}/storage/v1/put"}
    stub.on("POST", "/artifacts", upload, 201).on("PUT", "/storage/v1/put", {})
    stub.on("POST", f"/artifacts/{ID}/complete", {}, 202)
    stub.on("GET", f"/artifacts/{ID}", artifact("REFUSED", findings=[{"line": 3, "rule": "aws-access-key"}]))

    with pytest.raises(ArtifactRefused, match="line 3 rule aws-access-key"):
        blocking.artifacts.put(BYTES, name="flights.csv")


def test_the_same_bytes_are_not_sent_twice_when_reuse_is_asked_for(stub: Any, blocking: Client) -> None:
    known = {"artifact_id": ID, "name": "flights.csv", "kind": "data", "version": 4, "state": "READY"}
    stub.on("GET", "/artifacts", {"items": [{**known, "size": len(BYTES), "sha256": SHA256}], "next": None})

    made = blocking.artifacts.put(BYTES, name="flights.csv", reuse=True)

    assert made.version == 4
    assert [it.method for it in stub.seen] == ["GET"]


def test_a_download_is_checked(stub: Any, blocking: Client, tmp_path: Path) -> None:
    where = {"location": f"{stub.url}/storage/v1/bytes?token=t"}
    stub.on("GET", f"/artifacts/{ID}", artifact("READY"))
    stub.on("GET", f"/artifacts/{ID}/download", None, 302, where).on("GET", "/storage/v1/bytes", BYTES)

    assert blocking.artifacts.download(ID, tmp_path / "got.csv") == SHA256
    assert (tmp_path / "got.csv").read_bytes() == BYTES
    assert "authorization" not in stub.asked("GET", "/storage/v1/bytes")[0].headers


async def test_a_damaged_download_leaves_nothing_behind(stub: Any, tmp_path: Path) -> None:
    where = {"location": f"{stub.url}/storage/v1/bytes"}
    stub.on("GET", f"/artifacts/{ID}", artifact("READY"))
    stub.on("GET", f"/artifacts/{ID}/download", None, 302, where).on(
        "GET", "/storage/v1/bytes", b"something else"
    )

    async with AsyncClient(stub.url, "anon", "token") as awaiting:
        with pytest.raises(TransferDamaged):
            await awaiting.artifacts.download(ID, tmp_path / "got.csv")

    assert os.listdir(tmp_path) == []


def test_nothing_ready_is_said_as_the_server_would(stub: Any, blocking: Client, tmp_path: Path) -> None:
    stub.on("GET", f"/artifacts/{ID}", artifact("PENDING"))

    with pytest.raises(ApiError, match="ARTIFACT_NOT_READY"):
        blocking.artifacts.download(ID, tmp_path / "got.csv")


def events(*lines: int, end: bool) -> bytes:
    text = "retry: 1000\n\n"
    text += "".join(
        f"id: {seq}\ndata: {json.dumps({'seq': seq, 'line': f'line {seq}'})}\n\n" for seq in lines
    )
    return (text + ('event: end\ndata: {"state":"SUCCEEDED"}\n\n' if end else "")).encode()


def test_a_followed_log_resumes_where_it_was_cut(stub: Any, blocking: Client) -> None:
    stub.on("GET", "/runs/7/logs", events(1, 2, end=False)).on("GET", "/runs/7/logs", events(2, 3, end=True))

    lines = [it.line for it in blocking.runs.follow(7)]

    assert lines == ["line 1", "line 2", "line 3"]
    first, second = stub.asked("GET", "/runs/7/logs")
    assert "last-event-id" not in first.headers
    assert second.headers["last-event-id"] == "2"


async def test_the_awaiting_client_follows_as_well(stub: Any) -> None:
    stub.on("GET", "/runs/7/logs", events(1, end=False)).on("GET", "/runs/7/logs", b"", 204)

    async with AsyncClient(stub.url, "anon", "token") as awaiting:
        lines = [it.seq async for it in awaiting.runs.follow(7)]

    assert lines == [1]


def test_a_lost_right_ends_a_followed_log(stub: Any, blocking: Client) -> None:
    error = b'event: error\ndata: {"code":"MEMBERSHIP_MISSING","message":"no member"}\n\n'
    stub.on("GET", "/runs/7/logs", events(1, end=False) + error)

    with pytest.raises(ApiError, match="MEMBERSHIP_MISSING"):
        list(blocking.runs.follow(7))


def test_an_access_token_becomes_a_jwt_for_the_data_api(stub: Any) -> None:
    stub.on("POST", "/tokens", {"access_token": "a.short.jwt"})
    stub.on("POST", "/rest/v1/rpc/read_table", {"layer": "gold", "table": "t", "columns": [], "rows": []})

    with Client(stub.url, "anon", "cr_abc") as made:
        made.tables.read("gold", "t")

    assert stub.asked("POST", "/tokens")[0].headers["authorization"] == "Bearer cr_abc"
    assert stub.asked("POST", "/rest/v1/rpc/read_table")[0].headers["authorization"] == "Bearer a.short.jwt"


async def test_a_client_is_made_of_what_github_vouches_for(
    stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "SUPABASE_URL": stub.url + "/",
        "SUPABASE_ANON_KEY": "anon",
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{stub.url}/rest/github",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job",
    }.items():
        monkeypatch.setenv(name, value)
    short = {"access_token": "a.short.jwt", "token_type": "bearer", "expires_in": 900, "expires_at": 1}
    stub.on("GET", "/rest/github", {"value": "an.oidc.token"}).on("POST", "/tokens/oidc", short)
    stub.on("GET", "/members", {"items": [], "next": None})

    with Client.from_github_actions("acme") as one:
        one.members.list()
    async with await AsyncClient.from_github_actions("acme", audience="https://x.example") as other:
        await other.members.list()

    assert [it.headers["authorization"] for it in stub.asked("GET", "/members")] == ["Bearer a.short.jwt"] * 2
    audiences = [it.query["audience"] for it in stub.asked("GET", "/rest/github")]
    assert audiences == [stub.url, "https://x.example"]


def test_a_dataset_is_found_by_its_bare_name(stub: Any, blocking: Client) -> None:
    node = "dataset:control-room://acme:gold.delays"
    stub.on("GET", "/rest/v1/datasets", [{"node_id": node}]).on("GET", "/lineage", {"graph": []})

    blocking.lineage.graph("gold.delays", direction="upstream")

    assert stub.asked("GET", "/rest/v1/datasets")[0].query["name"] == "eq.gold.delays"
    assert stub.asked("GET", "/lineage")[0].query == {"nodeId": node, "direction": "upstream", "depth": "5"}


@pytest.mark.parametrize(
    ("rows", "code"), [([], "NODE_NOT_FOUND"), ([{"node_id": "a"}, {"node_id": "b"}], "NODE_AMBIGUOUS")]
)
def test_a_name_that_is_none_or_many_is_said(stub: Any, blocking: Client, rows: list[Any], code: str) -> None:
    stub.on("GET", "/rest/v1/datasets", rows)

    with pytest.raises(ApiError, match=code):
        blocking.lineage.graph("gold.delays")


def test_an_endpoint_is_made_changed_and_given_a_new_secret(stub: Any, blocking: Client) -> None:
    stub.on("POST", "/endpoints", {"endpoint_id": ID, "url": "https://x.example", "ordered": True}, 201)
    stub.on(
        "PATCH", f"/endpoints/{ID}", {"endpoint_id": ID, "url": "https://x.example", "max_concurrency": 3}
    )
    stub.on("POST", f"/endpoints/{ID}/rotate", {"endpoint_id": ID, "secret_version": 2})

    made = blocking.endpoints.create("https://x.example", events=["run.failed"], ordered=True)
    changed = blocking.endpoints.update(ID, max_concurrency=3, enabled=True)
    version = blocking.endpoints.rotate(ID, revoke=True)

    assert (made.ordered, changed.max_concurrency, version) == (True, 3, 2)
    assert [json.loads(each.body) for each in stub.seen] == [
        {"url": "https://x.example", "ordered": True, "events": ["run.failed"]},
        {"max_concurrency": 3, "enabled": True},
        {"revoke": True},
    ]


def test_a_replay_goes_on_until_nothing_is_left(stub: Any, blocking: Client) -> None:
    stub.on("POST", "/deliveries/replay", {"replayed": 10_000, "more": True}, 202)
    stub.on("POST", "/deliveries/replay", {"replayed": 7, "more": False}, 202)

    count = blocking.deliveries.replay(endpoint_id=ID, missing=True)

    assert count == 10_007
    assert json.loads(stub.seen[0].body) == {"endpoint_id": ID, "missing": True}


def test_events_are_read_from_where_one_stopped(stub: Any, blocking: Client) -> None:
    event = {"event_id": "evt_1", "type": "endpoint.disabled", "run_id": None, "seq": None}
    stub.on(
        "GET",
        "/events",
        {"items": [{**event, "timestamp": "2026-01-01T00:00:00Z", "data": {}}], "next": "9.4"},
    )

    page = blocking.deliveries.events(after="9.3", limit=5)

    assert (page.items[0].type, page.next) == ("endpoint.disabled", "9.4")


def test_entries_are_found_by_words_and_read_whole(stub: Any, blocking: Client) -> None:
    found = {"entry_id": 7, "collection": "handbook", "key": "a.md", "title": "A", "snippet": "**x**"}
    stub.on("GET", "/catalog/entries", {"items": [found], "next": "50"})
    stub.on("GET", "/catalog/entries/7", {**found, "body": "x y"})

    page = blocking.entries.find("x", collection="handbook", limit=50)
    entry = blocking.entries.get(page.items[0].entry_id)

    assert stub.seen[0].query == {"q": "x", "collection": "handbook", "limit": "50"}
    assert (page.next, entry.body) == ("50", "x y")


def test_objects_of_the_catalog_are_found_shown_and_described(stub: Any, blocking: Client) -> None:
    found = {"object_id": 7, "kind": "table", "name": "main.gold.orders"}
    odd = "/catalog/objects/erp.models.%60account.move%60"
    stub.on("GET", "/catalog/objects", {"items": [found], "next": "0.5:7"})
    stub.on("GET", odd, found).on("PATCH", odd, found)
    stub.on("POST", "/catalog/sync", {"catalogs": {"main": {"seen": 3, "changed": 1, "gone": 0}}})

    page = blocking.catalog.find("late orders", kind="table", within="main.gold", limit=5)
    blocking.catalog.get("erp.models.`account.move`")
    blocking.catalog.describe("erp.models.`account.move`", comment=None, owner="us")

    assert stub.seen[0].query == {"q": "late orders", "kind": "table", "in": "main.gold", "limit": "5"}
    assert (page.next, page.items[0].name) == ("0.5:7", "main.gold.orders")
    assert stub.seen[2].json == {"comment": None, "owner": "us"}
    assert blocking.catalog.sync().catalogs["main"]["changed"] == 1
