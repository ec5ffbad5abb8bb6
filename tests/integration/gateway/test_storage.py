"""Storage gives bytes: who may do what, what files survive, and that no name leads anywhere."""

import base64
import hashlib
import http.client
import json
import time
import uuid
from pathlib import Path
from urllib.parse import quote

import httpx
import jwt
import pytest

from tests.integration.gateway.project import ACME, ALICE, BOB, GLOBEX, Project, Scratch
from tests.integration.gateway.storage import fetch, kept, post, put, refused


class TestObjects:
    def test_what_is_put_can_be_fetched(self, scratch: Scratch, place: str) -> None:
        content = bytes(range(256)) * 1000
        made = put(
            scratch, place, content, headers={"content-type": "image/png", "cache-control": "max-age=60"}
        )

        assert (made.status_code, made.json()["Key"]) == (200, place)
        for door in ("", "authenticated/"):
            answer = fetch(scratch, door + place)

            assert answer.content == content
            assert answer.headers["content-type"] == "image/png"
            assert answer.headers["etag"] == f'"{hashlib.md5(content).hexdigest()}"'
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "max-age=60"

    def test_head_and_info_tell_without_the_bytes(self, scratch: Scratch, place: str) -> None:
        put(scratch, place, b"12345")
        head = scratch.ask("HEAD", f"/storage/v1/object/{place}")

        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "5")
        assert fetch(scratch, f"info/authenticated/{place}").json()["size"] == 5

    @pytest.mark.parametrize(
        ("header", "status", "content"),
        [
            ("bytes=0-3", 206, b"0123"),
            ("bytes=7-", 206, b"789"),
            ("bytes=-2", 206, b"89"),
            ("bytes=5-99", 206, b"56789"),
            ("bytes=10-", 416, None),
            ("bytes=5-3", 416, None),
            ("items=0-1", 200, b"0123456789"),
            ("bytes=0-1,3-4", 200, b"0123456789"),
        ],
    )
    def test_a_range_gives_a_part(
        self, scratch: Scratch, place: str, header: str, status: int, content: bytes | None
    ) -> None:
        put(scratch, place, b"0123456789")

        answer = fetch(scratch, place, headers={"range": header})

        assert answer.status_code == status
        if content is not None:
            assert answer.content == content

    def test_a_known_etag_is_304(self, scratch: Scratch, place: str) -> None:
        put(scratch, place)
        etag = fetch(scratch, place).headers["etag"]

        assert fetch(scratch, place, headers={"if-none-match": etag}).status_code == 304

    def test_a_download_suggests_a_name_that_cannot_break_out(self, scratch: Scratch, place: str) -> None:
        put(scratch, place)

        plain = fetch(scratch, f"{place}?download=").headers["content-disposition"]
        odd = quote('a b";x=ü\r\nX: y')
        named = fetch(scratch, f"{place}?download={odd}").headers["content-disposition"]

        assert plain == "attachment;"
        assert named.startswith("attachment; filename=a%20b%22%3Bx%3D%C3%BC%0D%0AX%3A%20y;")

    def test_pages_are_shown_as_text(self, scratch: Scratch, place: str) -> None:
        put(scratch, place, b"<script>", headers={"content-type": "text/html; charset=utf-8"})

        assert fetch(scratch, place).headers["content-type"] == "text/plain; charset=utf-8"

    def test_move_and_copy_keep_the_bytes(self, scratch: Scratch, place: str) -> None:
        put(scratch, place, b"here", headers={"x-metadata": base64.b64encode(b'{"k":1}').decode()})
        key = place.partition("/")[2]
        body = {"bucketId": "files", "sourceKey": key}

        moved = post(scratch, "move", body | {"destinationKey": key + ".moved"})
        copied = post(scratch, "copy", body | {"sourceKey": key + ".moved", "destinationKey": key + ".copy"})
        again = post(scratch, "copy", body | {"sourceKey": key + ".moved", "destinationKey": key + ".copy"})

        assert moved.json()["message"] == "Successfully moved"
        assert copied.json()["Key"] == place + ".copy"
        assert refused(again, 409)
        assert refused(fetch(scratch, place), 404)
        assert fetch(scratch, place + ".moved").content == fetch(scratch, place + ".copy").content == b"here"
        assert fetch(scratch, f"info/{place}.copy").json()["metadata"] == {"k": 1}

    def test_what_is_removed_is_gone_from_the_disk(self, scratch: Scratch, place: str, files: Path) -> None:
        before = kept(files)
        put(scratch, place)
        put(scratch, place + "2")
        key = place.partition("/")[2]

        one = scratch.ask("DELETE", f"/storage/v1/object/{place}2")
        many = scratch.ask("DELETE", "/storage/v1/object/files", json={"prefixes": [key, key + "absent"]})

        assert one.json() == {"message": "Successfully deleted"}
        assert [row["name"] for row in many.json()] == [key]
        assert kept(files) == before

    def test_a_list_shows_folders_and_files_directly_below(self, scratch: Scratch) -> None:
        root = f"{ACME}/{uuid.uuid4().hex}"
        for name in ("b.txt", "a.txt", "sub/c.txt", "sub/d.txt", "s%_b/e.txt"):
            put(scratch, quote(f"files/{root}/{name}")) if "%" not in name else None
        listed = post(scratch, "list/files", {"prefix": root}).json()
        deeper = post(
            scratch, "list/files", {"prefix": f"{root}/sub/", "sortBy": {"column": "name", "order": "desc"}}
        ).json()
        cut = post(scratch, "list/files", {"prefix": root, "limit": 1, "offset": 1}).json()
        found = post(scratch, "list/files", {"prefix": root, "search": "A"}).json()
        wild = post(scratch, "list/files", {"prefix": root, "search": "%"}).json()

        assert [entry["name"] for entry in listed] == ["sub", "a.txt", "b.txt"]
        assert (listed[0]["id"], listed[1]["metadata"]["size"]) == (None, 5)
        assert [entry["name"] for entry in deeper] == ["d.txt", "c.txt"]
        assert [entry["name"] for entry in cut] == ["a.txt"]
        assert [entry["name"] for entry in found] == ["a.txt"]
        assert wild == []


class TestTenants:
    @pytest.fixture(autouse=True)
    def an_object_of_acme(self, scratch: Scratch, place: str) -> None:
        put(scratch, place, b"acme's")

    @pytest.fixture
    def stranger(self, scratch: Scratch) -> str:
        return scratch.token(tenant_id=GLOBEX, sub=BOB)

    def test_nobody_else_can_fetch_sign_list_or_tell(
        self, scratch: Scratch, place: str, stranger: str
    ) -> None:
        absent = fetch(scratch, place + "absent", token=stranger)
        key = place.partition("/")[2]

        for token in (stranger, scratch.token(role="anon"), scratch.token(tenant_id=None)):
            there = fetch(scratch, place, token=token)

            assert refused(there, 404)
            assert there.json() == absent.json()
            assert refused(post(scratch, f"sign/{place}", {"expiresIn": 60}, token=token), 404)
            assert refused(fetch(scratch, f"info/{place}", token=token), 404)
            assert post(scratch, "list/files", {"prefix": ACME}, token=token).json() == []
            signed = post(scratch, "sign/files", {"expiresIn": 60, "paths": [key]}, token=token).json()
            assert signed[0]["signedURL"] is None

    def test_nobody_else_can_write_move_copy_or_remove(
        self, scratch: Scratch, place: str, stranger: str
    ) -> None:
        key = place.partition("/")[2]
        body = {"bucketId": "files", "sourceKey": key, "destinationKey": f"{GLOBEX}/stolen"}
        own = f"files/{GLOBEX}/{uuid.uuid4().hex}"
        put(scratch, own, token=stranger)
        out = {"bucketId": "files", "sourceKey": own.partition("/")[2], "destinationKey": key + ".planted"}

        assert refused(put(scratch, place + "x", token=stranger), 403)
        assert refused(put(scratch, place, token=stranger, headers={"x-upsert": "true"}), 403)
        assert refused(post(scratch, f"upload/sign/{place}y", {}, token=stranger), 403)
        assert refused(post(scratch, "move", body, token=stranger), 404)
        assert refused(post(scratch, "copy", body, token=stranger), 404)
        assert refused(post(scratch, "move", out, token=stranger), 403)
        assert refused(post(scratch, "copy", out, token=stranger), 403)
        assert refused(scratch.ask("DELETE", f"/storage/v1/object/{place}", token=stranger), 404)
        assert (
            scratch.ask("DELETE", "/storage/v1/object/files", json={"prefixes": [key]}, token=stranger).json()
            == []
        )
        assert fetch(scratch, place).content == b"acme's"

    def test_the_service_key_passes_the_policies(self, scratch: Scratch, place: str) -> None:
        assert fetch(scratch, place, token=scratch.service_key).content == b"acme's"
        assert fetch(scratch, place, token=None, key=scratch.service_key).content == b"acme's"

    def test_a_bad_token_is_refused_and_not_anonymous(self, scratch: Scratch, place: str) -> None:
        for token in ("garbage", scratch.token(exp=1), scratch.token() + "x"):
            assert refused(fetch(scratch, place, token=token), 403)

    def test_without_any_credentials_it_is_400(self, scratch: Scratch, place: str) -> None:
        assert fetch(scratch, place, key=None, token=None).status_code == 400

    def test_the_owner_is_who_put_it(self, scratch: Scratch, place: str) -> None:
        name = place.partition("/")[2]

        assert scratch.sql("select owner::text, owner_id from storage.objects where name = %s", name) == [
            (ALICE, ALICE)
        ]


class TestSignedUrls:
    def sign(self, scratch: Scratch, place: str, seconds: object = 60) -> str:
        answer = post(scratch, f"sign/{place}", {"expiresIn": seconds})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["signedURL"])

    def test_a_signed_url_needs_nothing_else(self, scratch: Scratch, place: str) -> None:
        put(scratch, place, b"0123456789")
        url = self.sign(scratch, place)

        answer = scratch.client.get(f"{scratch.url}/storage/v1{url}", headers={"range": "bytes=2-4"})

        assert url.startswith(f"/object/sign/{place}?token=")
        assert (answer.status_code, answer.content) == (206, b"234")

    def test_a_signed_url_is_for_its_object_alone_and_for_its_time(
        self, scratch: Scratch, place: str
    ) -> None:
        put(scratch, place, b"one")
        put(scratch, place + "2", b"two")
        token = self.sign(scratch, place).partition("=")[2]
        head, payload, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))

        def fetched(token: str, where: str = place) -> httpx.Response:
            return scratch.client.get(
                f"{scratch.url}/storage/v1/object/sign/{where}", params={"token": token}
            )

        forged = jwt.encode(claims | {"url": place + "2"}, scratch.jwt_secret, algorithm="HS256")
        none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=") + f".{payload}."
        assert fetched(token).content == b"one"
        assert fetched(token, place + "2").status_code == 400
        assert fetched(forged, place + "2").status_code == 400
        for bad in (token[:-3] + "AAA", none, "x", "", "ü", scratch.token(), f"{head}.{payload}."):
            assert fetched(bad).status_code == 400, bad

    def test_a_signed_url_ends(self, scratch: Scratch, place: str) -> None:
        put(scratch, place)
        url = f"{scratch.url}/storage/v1" + self.sign(scratch, place, "1")
        assert scratch.client.get(url).status_code == 200

        deadline = time.monotonic() + 10
        while scratch.client.get(url).status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)

        assert refused(scratch.client.get(url), 400)

    @pytest.mark.parametrize("seconds", [0, -5, "soon", 1.5, None, 10**12])
    def test_a_senseless_duration_is_400(self, scratch: Scratch, place: str, seconds: object) -> None:
        put(scratch, place)

        assert post(scratch, f"sign/{place}", {"expiresIn": seconds}).status_code == 400

    def test_a_permit_is_no_users_token_and_a_users_token_no_permit(
        self, scratch: Scratch, place: str
    ) -> None:
        put(scratch, place)
        permit = self.sign(scratch, place).partition("=")[2]

        assert scratch.call("whoami", token=permit).status_code == 401
        assert refused(fetch(scratch, place, token=permit), 403)

    def test_permits_are_for_one_act(self, scratch: Scratch, place: str) -> None:
        upload = post(scratch, f"upload/sign/{place}", {}).json()["token"]
        put(scratch, place)
        download = self.sign(scratch, place).partition("=")[2]

        for act, token in (("object/sign", upload), ("object/upload/sign", download)):
            method = "GET" if act == "object/sign" else "PUT"
            answer = scratch.client.request(
                method, f"{scratch.url}/storage/v1/{act}/{place}", params={"token": token}, content=b""
            )

            assert refused(answer, 400)


KEYS = [
    *("../x", "a/../x", "a/..", "..", ".", "a/./b", "%2e%2e/x", "..%2f..%2fx", "%252e%252e/x", "..\\x"),
    *(
        "a%00b",
        "a%0ab",
        "a%25b",
        "%ff",
        "a\\b",
        "a#b",
        "a<b",
        "a|b",
        "a~b",
        'a"b',
        "a`b",
        "a^b",
        "{a}",
        "[a]",
    ),
    *("\u202ex", "x\u0301", "é", "日本", "😀", "x" * 1025),
]


def ask_as_is(scratch: Scratch, method: str, path: str) -> int:
    """The status for a path that is sent as it is: other clients fold dots away."""
    connection = http.client.HTTPConnection(httpx.URL(scratch.url).netloc.decode(), timeout=10)
    headers = {"apikey": scratch.anon_key, "authorization": f"Bearer {scratch.token()}"}
    try:
        connection.request(method, path, body=b"x" if method in ("POST", "PUT") else None, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


class TestNames:
    @pytest.mark.parametrize("key", KEYS)
    def test_an_odd_key_is_refused_and_touches_nothing(self, scratch: Scratch, files: Path, key: str) -> None:
        before = sorted(str(path) for path in files.rglob("*"))
        sent = key if "%" in key else quote(key, safe="./!$&'()*+,;=:@-_~\\")

        for method in ("POST", "PUT", "GET", "DELETE", "HEAD"):
            status = ask_as_is(scratch, method, f"/storage/v1/object/files/{ACME}/{sent}")

            assert status in (400, 404), method
        assert sorted(str(path) for path in files.rglob("*")) == before

    @pytest.mark.parametrize("key", KEYS)
    def test_an_odd_key_in_a_body_is_refused(self, scratch: Scratch, place: str, key: str) -> None:
        put(scratch, place)
        source = place.partition("/")[2]
        body = {"bucketId": "files", "sourceKey": source, "destinationKey": f"{ACME}/{key}"}

        assert post(scratch, "move", body).status_code == 400
        assert post(scratch, "copy", body).status_code == 400
        assert fetch(scratch, place).status_code == 200

    @pytest.mark.parametrize(
        "key", ["a b.txt", "UPPER.txt", "a//b", "(a)+b,c;d=e:f@g&h$i!j'k*l", "trailing.", "x" * 900]
    )
    def test_an_ordinary_key_round_trips(self, scratch: Scratch, key: str) -> None:
        place = f"files/{ACME}/{uuid.uuid4().hex}/{quote(key)}"

        assert put(scratch, place, b"y").status_code == 200
        assert fetch(scratch, place).content == b"y"

    @pytest.mark.parametrize("bucket", ["..", "%2e%2e", "a/b", "fi%00les", "x" * 101, "FILES", "files%2f.."])
    def test_an_odd_bucket_is_refused(self, scratch: Scratch, bucket: str) -> None:
        assert ask_as_is(scratch, "POST", f"/storage/v1/object/{bucket}/{ACME}/x") in (400, 404)


class TestBuckets:
    def test_a_bucket_lives_from_making_to_dropping(self, project: Project) -> None:
        name = uuid.uuid4().hex
        service = {"token": project.service_key, "key": project.service_key}

        def bucket(method: str, path: str = "", body: object = None) -> httpx.Response:
            return project.ask(method, f"/storage/v1/bucket{path}", json=body, **service)

        made = bucket("POST", "/", {"name": name, "id": name, "file_size_limit": "1kb", "public": False})
        again = bucket("POST", "", {"name": name})
        seen = bucket("GET", f"/{name}").json()
        put(project, f"{name}/x", bytes(1000), **service)
        full = bucket("DELETE", f"/{name}")
        bucket("PUT", f"/{name}", {"public": True, "file_size_limit": 2000})
        public = project.client.get(f"{project.url}/storage/v1/object/public/{name}/x")
        bucket("POST", f"/{name}/empty", {})
        gone = bucket("DELETE", f"/{name}")

        assert made.json() == {"name": name}
        assert refused(again, 409)
        assert (seen["file_size_limit"], seen["public"]) == (1000, False)
        assert refused(full, 409)
        assert len(public.content) == 1000
        assert gone.json() == {"message": "Successfully deleted"}
        assert refused(bucket("GET", f"/{name}"), 404)

    def test_members_cannot_make_buckets(self, scratch: Scratch) -> None:
        assert refused(scratch.ask("POST", "/storage/v1/bucket", json={"name": "mine"}), 403)

    def test_only_a_public_bucket_is_public(self, scratch: Scratch, place: str) -> None:
        name = uuid.uuid4().hex
        put(scratch, place)
        put(scratch, f"open/{ACME}/{name}", b"for all")

        assert (
            scratch.client.get(f"{scratch.url}/storage/v1/object/public/open/{ACME}/{name}").content
            == b"for all"
        )
        assert refused(scratch.client.get(f"{scratch.url}/storage/v1/object/public/{place}"), 404)


def test_a_storage_path_that_nobody_serves_is_404(scratch: Scratch) -> None:
    assert refused(scratch.ask("POST", "/storage/v1/render/image/public/files/x"), 404)
    assert refused(scratch.ask("GET", "/storage/v1/object"), 404)


def test_a_page_of_any_origin_may_read_the_answer(scratch: Scratch, place: str) -> None:
    put(scratch, place)

    for path in (place, place + "absent"):
        answer = fetch(scratch, path, headers={"origin": "http://elsewhere"})

        assert answer.headers["access-control-allow-origin"] == "*"


def test_the_pre_request_does_not_run_here(scratch: Scratch, place: str) -> None:
    assert put(scratch, place, headers={"x-refuse": "yes"}).status_code == 200
