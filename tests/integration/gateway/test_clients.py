"""The official Python client, unmodified and with default options."""

import uuid
from collections.abc import Iterator

import httpx
import pytest
from postgrest.exceptions import APIError
from storage3.exceptions import StorageApiError
from supabase import Client, ClientOptions, create_client

from tests.integration.gateway.project import ACME, ALICE, Project, Scratch


@pytest.fixture
def client(scratch: Scratch) -> Iterator[Client]:
    """A member's client: the anon key, and the member's token as bearer."""
    yield from made(scratch, scratch.anon_key, {"Authorization": f"Bearer {scratch.token()}"})


@pytest.fixture
def service(project: Project) -> Iterator[Client]:
    yield from made(project, project.service_key, {})


def made(project: Project, key: str, headers: dict[str, str]) -> Iterator[Client]:
    with httpx.Client() as transport:
        yield create_client(project.url, key, ClientOptions(headers=headers, httpx_client=transport))


def test_rpc_and_its_errors(client: Client) -> None:
    assert client.rpc("echo", {"a": [1]}).execute().data == {"a": [1]}
    assert client.rpc("add", {"a": 1}).execute().data == 11
    assert client.rpc("add", {"a": "1"}, get=True).execute().data == 11
    assert client.rpc("rows_of", {"n": 3}).select("word").eq("id", 2).execute().data == [{"word": "w2"}]
    with pytest.raises(APIError) as failed:
        client.rpc("fail", {"code": "P0001", "message": "no", "detail": "d", "hint": "h"}).execute()
    assert (failed.value.code, failed.value.message, failed.value.details, failed.value.hint) == (
        "P0001",
        "no",
        "d",
        "h",
    )


def test_tables(client: Client) -> None:
    things = client.table("things")

    assert things.select("id, name").eq("id", 1).execute().data == [{"id": 1, "name": "alpha"}]
    assert things.select("id").in_("id", [1, 2]).order("id", desc=True).limit(1).execute().data == [{"id": 2}]
    assert things.select("id", count="exact").gt("id", 2).range(0, 1).execute().count == 3
    assert things.select("id").eq("id", 1).single().execute().data == {"id": 1}
    assert things.select("id").eq("id", 0).maybe_single().execute() is None
    assert things.select("id").or_("id.eq.1,name.eq.beta").order("id").execute().data == [
        {"id": 1},
        {"id": 2},
    ]
    assert things.select("id").contains("tags", ["blue"]).order("id").execute().data == [{"id": 1}, {"id": 2}]
    assert things.select("id").text_search("name", "alpha").execute().data == [{"id": 1}]
    assert things.select("id").eq("id", 1).csv().execute().data == "id\n1"
    assert things.select("id", count="exact", head=True).execute().count == 5


def test_writes(client: Client, scratch: Scratch) -> None:
    name = uuid.uuid4().hex
    parents = client.table("parents")

    row = parents.insert({"name": name}).execute().data[0]
    parents.upsert({"name": name, "note": "up"}, on_conflict="name").execute()
    changed = parents.update({"note": "new"}).eq("id", row["id"]).execute().data
    gone = parents.delete().eq("id", row["id"]).execute().data

    assert (changed[0]["note"], gone[0]["id"]) == ("new", row["id"])
    with pytest.raises(APIError) as failed:
        parents.delete().execute()
    assert failed.value.code == "21000"


def test_a_key_of_the_new_form_is_enough(scratch: Scratch) -> None:
    for client in made(scratch, "sb_publishable_test", {}):
        assert client.rpc("whoami", {}).execute().data["user"] == "anon"
    for client in made(scratch, "sb_secret_test", {}):
        assert client.rpc("whoami", {}).execute().data["user"] == "service_role"


def test_functions(client: Client) -> None:
    answer = client.functions.invoke("api", {"body": {"a": 1}, "responseType": "json"})

    assert answer["headers"]["authorization"].startswith("Bearer ")


def test_storage(client: Client) -> None:
    bucket = client.storage.from_("files")
    path = f"{ACME}/{uuid.uuid4().hex}/a b.txt"

    assert bucket.upload(path, b"hello", {"content-type": "text/plain"}).path == path
    assert bucket.download(path) == b"hello"
    assert bucket.exists(path)
    assert bucket.info(path)["size"] == 5
    with pytest.raises(StorageApiError) as failed:
        bucket.upload(path, b"again")
    assert (failed.value.status, failed.value.code) == ("409", "Duplicate")
    bucket.update(path, b"hello again", {"content-type": "text/plain"})
    bucket.upload(path, b"hello all", {"upsert": "true"})
    folder, name = path.rsplit("/", 1)
    assert [entry["name"] for entry in bucket.list(folder)] == [name]
    assert bucket.list(folder)[0]["metadata"]["size"] == 9

    url = bucket.create_signed_url(path, 60, {"download": "x.txt"})["signedURL"]
    fetched = httpx.get(url)
    assert (fetched.content, fetched.headers["content-disposition"]) == (
        b"hello all",
        "attachment; filename=x.txt; filename*=UTF-8''x.txt",
    )
    assert httpx.get(bucket.create_signed_urls([path], 60)[0]["signedURL"]).content == b"hello all"

    signed = bucket.create_signed_upload_url(path + ".2")
    bucket.upload_to_signed_url(signed["path"], signed["token"], b"signed")
    assert bucket.download(path + ".2") == b"signed"
    assert (
        httpx.put(bucket.create_signed_upload_url(path + ".3")["signed_url"], content=b"raw").status_code
        == 200
    )

    bucket.move(path, path + ".moved")
    bucket.copy(path + ".moved", path)
    gone = bucket.remove([path, path + ".2", path + ".3", path + ".moved"])
    assert (len(gone), gone[0]["owner_id"]) == (4, ALICE)
    with pytest.raises(StorageApiError) as failed:
        bucket.download(path)
    assert failed.value.status == "404"


def test_buckets(service: Client) -> None:
    name = uuid.uuid4().hex

    service.storage.create_bucket(name, options={"public": False, "file_size_limit": 100})
    assert service.storage.get_bucket(name).file_size_limit == 100
    assert name in [bucket.id for bucket in service.storage.list_buckets()]
    service.storage.update_bucket(name, {"public": True})
    service.storage.empty_bucket(name)
    service.storage.delete_bucket(name)
