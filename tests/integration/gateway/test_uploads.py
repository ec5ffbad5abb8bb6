"""Storage takes bytes: whole, by a signed URL, in parts; to the limit and not one more."""

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from tests.integration.gateway.project import ACME, ALICE, BOB, GLOBEX, Scratch
from tests.integration.gateway.storage import LIMIT, fetch, kept, post, put, refused


class TestWhole:
    def test_a_form_is_taken_too(self, scratch: Scratch, place: str) -> None:
        content = b"\r\n--not the boundary\r\n" * 9999 + b"\r\n--"
        answer = scratch.ask(
            "POST",
            f"/storage/v1/object/{place}",
            data={"cacheControl": "120", "metadata": json.dumps({"a": "b"})},
            files={"": ("ü.csv", content, "text/csv")},
        )

        assert answer.status_code == 200, answer.text
        assert fetch(scratch, place).content == content
        about = fetch(scratch, f"info/{place}").json()
        assert (about["size"], about["content_type"], about["metadata"]) == (
            len(content),
            "text/csv",
            {"a": "b"},
        )
        assert about["cache_control"] == "max-age=120"

    @pytest.mark.parametrize(
        "form",
        [
            b"",
            b"--b\r\n",
            b"--b--\r\n",
            b'--b\r\ncontent-disposition: form-data; name="x"\r\n\r\nv\r\n--b--\r\n',
            b'--b\r\ncontent-disposition: form-data; name="x"; filename="y"\r\n\r\ncut short',
            b"x" * 40_000,
        ],
    )
    def test_a_broken_form_is_400_and_leaves_nothing(
        self, scratch: Scratch, place: str, files: Path, form: bytes
    ) -> None:
        before = kept(files)

        answer = put(scratch, place, form, headers={"content-type": "multipart/form-data; boundary=b"})

        assert answer.status_code == 400
        assert kept(files) == before
        assert refused(fetch(scratch, place), 404)

    def test_an_empty_object_is_an_object(self, scratch: Scratch, place: str) -> None:
        assert put(scratch, place, b"").status_code == 200
        assert (fetch(scratch, place).status_code, fetch(scratch, place).content) == (200, b"")

    def test_a_second_put_is_409_unless_it_may_replace(
        self, scratch: Scratch, place: str, files: Path
    ) -> None:
        put(scratch, place, b"one")
        clash = put(scratch, place, b"two")
        after_clash = fetch(scratch, place).content
        count = len(kept(files))
        upsert = put(scratch, place, b"three", headers={"x-upsert": "true"})
        after_upsert = fetch(scratch, place).content
        update = scratch.ask("PUT", f"/storage/v1/object/{place}", content=b"four")

        assert refused(clash, 409)
        assert clash.json() == {
            "statusCode": "409",
            "error": "Duplicate",
            "message": "The resource already exists",
        }
        assert (after_clash, after_upsert, fetch(scratch, place).content) == (b"one", b"three", b"four")
        assert upsert.status_code == update.status_code == 200
        assert len(kept(files)) == count


class TestSigned:
    def test_an_upload_can_be_signed_and_takes_raw_bytes_and_forms(
        self, scratch: Scratch, place: str
    ) -> None:
        answer = post(scratch, f"upload/sign/{place}", {}).json()
        url = f"{scratch.url}/storage/v1{answer['url']}"

        raw = scratch.client.put(url, content=b"raw", headers={"content-type": "text/csv"})
        twice = scratch.client.put(url, content=b"again")
        other = post(scratch, f"upload/sign/{place}.form", {}).json()
        form = scratch.client.put(
            f"{scratch.url}/storage/v1{other['url']}", files={"file": ("f", b"form", "text/csv")}
        )

        assert answer["url"] == f"/object/upload/sign/{place}?token={answer['token']}"
        assert (raw.status_code, raw.json()) == (200, {"Key": place})
        assert refused(twice, 409)
        assert fetch(scratch, place).content == b"raw"
        assert form.json() == {"Key": place + ".form"}
        assert scratch.sql(
            "select owner_id from storage.objects where name = %s", place.partition("/")[2]
        ) == [(ALICE,)]

    def test_a_signed_upload_replaces_only_if_it_was_signed_so(self, scratch: Scratch, place: str) -> None:
        put(scratch, place, b"one")
        plain = post(scratch, f"upload/sign/{place}", {})
        over = post(scratch, f"upload/sign/{place}", {}, headers={"x-upsert": "true"}).json()

        done = scratch.client.put(f"{scratch.url}/storage/v1{over['url']}", content=b"two")

        assert refused(plain, 409)
        assert done.status_code == 200
        assert fetch(scratch, place).content == b"two"

    def test_a_signed_upload_without_its_token_is_400(self, scratch: Scratch, place: str) -> None:
        assert scratch.client.put(f"{scratch.url}/storage/v1/object/upload/sign/{place}").status_code == 400


class TestLimits:
    @pytest.mark.parametrize("announced", [True, False])
    def test_the_limit_holds_to_the_byte_whatever_is_announced(
        self, scratch: Scratch, place: str, files: Path, announced: bool
    ) -> None:
        piece = bytes(64 * 1024)

        def content(size: int) -> Iterator[bytes]:
            for _ in range(size // len(piece)):
                yield piece
            yield bytes(size % len(piece))

        headers = (lambda size: {"content-length": str(size)}) if announced else (lambda size: {})
        before = kept(files)
        over = put(scratch, place, content(LIMIT + 1), headers=headers(LIMIT + 1))
        after = kept(files)
        exact = put(scratch, place, content(LIMIT), headers=headers(LIMIT))

        assert refused(over, 413)
        assert after == before
        assert list((files / "incoming").iterdir()) == []
        assert exact.status_code == 200
        assert fetch(scratch, f"info/{place}").json()["size"] == LIMIT
        scratch.ask("DELETE", f"/storage/v1/object/{place}")

    def test_the_bucket_has_a_limit_of_its_own(self, scratch: Scratch) -> None:
        text = {"content-type": "text/plain"}

        assert put(scratch, f"small/{ACME}/{uuid.uuid4().hex}", bytes(1000), headers=text).status_code == 200
        assert refused(put(scratch, f"small/{ACME}/{uuid.uuid4().hex}", bytes(1001), headers=text), 413)
        form = {"file": ("f", bytes(1001), "text/plain")}
        assert refused(
            scratch.ask("POST", f"/storage/v1/object/small/{ACME}/{uuid.uuid4().hex}", files=form), 413
        )

    @pytest.mark.parametrize(
        ("mime", "fits"),
        [("text/plain; charset=utf-8", True), ("image/png", True), ("text/html", False), ("x", False)],
    )
    def test_the_bucket_has_its_types(self, scratch: Scratch, mime: str, fits: bool) -> None:
        answer = put(scratch, f"small/{ACME}/{uuid.uuid4().hex}", b"x", headers={"content-type": mime})

        assert answer.status_code == 200 if fits else refused(answer, 415)

    def test_an_unknown_bucket_is_404(self, scratch: Scratch) -> None:
        assert refused(put(scratch, f"nowhere/{ACME}/x"), 404)
        assert refused(fetch(scratch, f"nowhere/{ACME}/x"), 404)


class TestParts:
    """Uploads in parts (TUS 1.0.0)."""

    TUS: ClassVar[dict[str, str]] = {"tus-resumable": "1.0.0"}

    def begin(self, scratch: Scratch, place: str, length: int, **rest: object) -> httpx.Response:
        bucket, _, key = place.partition("/")
        said = {"bucketName": bucket, "objectName": key, "contentType": "text/plain", "cacheControl": "60"}
        pairs = ",".join(
            f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in said.items()
        )
        headers = (
            self.TUS | {"upload-length": str(length), "upload-metadata": pairs} | rest.pop("headers", {})
        )  # type: ignore[operator]
        return scratch.ask("POST", "/storage/v1/upload/resumable", headers=headers, **rest)  # type: ignore[arg-type]

    def more(self, scratch: Scratch, where: str, offset: int, part: bytes, **rest: object) -> httpx.Response:
        headers = self.TUS | {"upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
        return scratch.ask("PATCH", where, headers=headers, content=part, **rest)  # type: ignore[arg-type]

    def reached(self, scratch: Scratch, where: str) -> int:
        return int(scratch.ask("HEAD", where, headers=self.TUS, token=None).headers["upload-offset"])

    def test_the_last_part_makes_the_object(self, scratch: Scratch, place: str) -> None:
        begun = self.begin(scratch, place, 10)
        where = begun.headers["location"]
        first = self.more(scratch, where, 0, b"hello ")
        early = fetch(scratch, place)
        last = self.more(scratch, where, 6, b"you!")

        assert (begun.status_code, begun.headers["upload-offset"], begun.headers["tus-resumable"]) == (
            201,
            "0",
            "1.0.0",
        )
        assert (first.status_code, first.headers["upload-offset"], last.headers["upload-offset"]) == (
            204,
            "6",
            "10",
        )
        assert refused(early, 404)
        assert "tus-complete" in last.headers
        got = fetch(scratch, place)
        assert (got.content, got.headers["content-type"], got.headers["cache-control"]) == (
            b"hello you!",
            "text/plain",
            "max-age=60",
        )

    def test_a_part_begins_where_the_last_one_ended(self, scratch: Scratch, place: str) -> None:
        where = self.begin(scratch, place, 10).headers["location"]
        self.more(scratch, where, 0, b"12345")

        assert [self.more(scratch, where, offset, b"x").status_code for offset in (0, 4, 6)] == [
            409,
            409,
            409,
        ]
        assert self.reached(scratch, where) == 5

    def test_no_more_arrives_than_was_announced(self, scratch: Scratch, place: str, files: Path) -> None:
        where = self.begin(scratch, place, 3).headers["location"]

        assert self.more(scratch, where, 0, b"four").status_code == 413
        assert refused(fetch(scratch, place), 404)
        assert self.begin(scratch, place, LIMIT + 1).status_code == 413
        assert self.begin(scratch, place.replace("files/", "small/"), 1001).status_code == 413

    def test_the_policies_are_asked_with_every_part(self, scratch: Scratch, place: str) -> None:
        stranger = scratch.token(tenant_id=GLOBEX, sub=BOB)
        where = self.begin(scratch, place, 4).headers["location"]

        assert self.begin(scratch, place, 4, token=stranger).status_code == 403
        assert self.more(scratch, where, 0, b"evil", token=stranger).status_code == 403
        assert scratch.ask("DELETE", where, headers=self.TUS, token=stranger).status_code == 403
        assert self.reached(scratch, where) == 0

    def test_what_is_thrown_away_or_never_was_is_404(self, scratch: Scratch, place: str) -> None:
        where = self.begin(scratch, place, 4).headers["location"]

        assert scratch.ask("DELETE", where, headers=self.TUS).status_code == 204
        for gone in (where, where[:-32] + "0" * 32, where[:-32] + "..%2f..%2fx"):
            assert self.more(scratch, gone, 0, b"1234").status_code == 404

    def test_two_for_one_place_the_first_one_has_it(self, scratch: Scratch, place: str) -> None:
        one, other = (self.begin(scratch, place, 3).headers["location"] for _ in range(2))

        assert self.more(scratch, one, 0, b"one").status_code == 204
        assert self.more(scratch, other, 0, b"two").status_code == 409
        assert fetch(scratch, place).content == b"one"

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"tus-resumable": "0.2.0"}, 412),
            ({"upload-length": "-1"}, 400),
            ({"upload-length": "many"}, 400),
            ({"upload-metadata": "bucketName !!!"}, 400),
            ({"upload-metadata": ""}, 400),
        ],
    )
    def test_what_is_no_announcement_is_refused(
        self, scratch: Scratch, place: str, headers: dict[str, str], status: int
    ) -> None:
        assert self.begin(scratch, place, 4, headers=headers).status_code == status

    def test_a_whole_in_the_first_request(self, scratch: Scratch, place: str) -> None:
        part = {"content-type": "application/offset+octet-stream"}
        begun = self.begin(scratch, place, 5, headers=part, content=b"whole")

        assert (begun.status_code, begun.headers["upload-offset"]) == (201, "5")
        assert fetch(scratch, place).content == b"whole"
