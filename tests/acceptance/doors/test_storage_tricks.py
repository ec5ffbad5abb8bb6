"""Over two hundred tricks to reach another tenant's bytes through Storage itself: none does.

Every spelling of a path that leads, or might lead, to acme's object is tried in every operation, by beta's admin and by
those who may read nothing. The law is checked from behind as well: the rows of Storage are what they were.
"""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors

SECRET = b"acme's own words: 7f3a"


class Wire(http.client.HTTPConnection):
    """A connection that sends a path as it is: no client folds its dots or finds fault with its signs."""

    def _validate_path(self, url: str) -> None:
        """Nothing is refused here."""

    def _encode_request(self, request: str) -> bytes:
        return request.encode("latin-1")


@dataclass(frozen=True)
class Prey:
    """acme's object, beta's folder, and a connection that sends paths as they are."""

    doors: Doors
    acme: str
    beta: str
    name: str
    wire: Wire

    def tokens(self) -> dict[str, str | None]:
        return {
            "a stranger": self.doors.token("admin", "beta"),
            "a viewer": self.doors.token("viewer"),
            "nobody": None,
        }

    def send(
        self, method: str, path: str, bearer: str | None, body: object = None, **headers: str
    ) -> tuple[int, bytes]:
        anon = self.doors.environment["SUPABASE_ANON_KEY"]
        lines = {"apikey": anon, "authorization": f"Bearer {bearer or anon}"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body, lines["content-type"] = json.dumps(body).encode(), "application/json"
        self.wire.request(method, f"/storage/v1/{path}", body=body, headers=lines)
        answer = self.wire.getresponse()
        return answer.status, answer.read()

    def rows(self) -> list[tuple[object, ...]]:
        """Everything that Storage knows of, as its owner sees it."""
        with psycopg.connect(self.doors.environment["DATABASE_URL"]) as connection:
            columns = "bucket_id, name, version, owner_id, metadata"
            return connection.execute(f"select {columns} from storage.objects order by 1, 2").fetchall()


@pytest.fixture(scope="module")
def prey(doors: Doors) -> Iterator[Prey]:
    form = {"name": f"prey/{uuid.uuid4()}", "kind": "data", "content": SECRET.decode()}
    made = doors.ask("POST", "/artifacts", doors.token(), json=form).json()
    doors.judge(made["artifact_id"])
    with psycopg.connect(doors.environment["DATABASE_URL"]) as connection:
        row = connection.execute(
            "select path from artifact.versions where artifact_id = %s", [made["artifact_id"]]
        ).fetchone()
    assert row is not None
    acme, _, name = row[0].partition("/")
    address = urlsplit(doors.supabase)
    wire = Wire(address.hostname or "", address.port, timeout=10)
    yield Prey(doors, acme, doors.tenants["beta"], name, wire)
    wire.close()


def spellings(acme: str, beta: str, name: str) -> list[str]:
    """Keys below the bucket: plain, climbing, folded, disguised, overlong, broken."""
    ups = [
        "..", "%2e%2e", "%2E%2e", ".%2e", "%252e%252e", "..;", "%c0%ae%c0%ae", "%ef%bc%8e%ef%bc%8e", "%e2%80%a5", "...",
        ".%00.", "..%20", "..%09", "..%0a", "%u002e%u002e",
    ]  # fmt: skip
    slashes = ["/", "//", "%2f", "%5c", "\\", "%252f", "%c0%af", "%ef%bc%8f", "%e2%88%95"]
    return [
        f"{acme}/{name}",
        *(f"{beta}/{up}/{acme}/{name}" for up in ups),
        *(f"{beta}{slash}..{slash}{acme}{slash}{name}" for slash in slashes),
        f"./{acme}/{name}", f"{acme}/./{name}", f"/{acme}/{name}", f"//{acme}//{name}", f"{acme}//{name}",
        f"{acme}/{name}/", f"{acme}/{name}/.", f"{acme}/{name}.", f"{acme}/{name}%20", f"{acme}/{name}%00", f"{acme}/{name}%00.txt",
        f"{acme}%00{beta}/{name}", f"{beta}%00/{acme}/{name}", f"{acme.upper()}/{name.upper()}", f"{acme}/{name}%0d%0aX-A:%20b",
        f"{acme}/%2a", f"{acme}/%25", f"{acme}/{name[:8]}%25", f"*/{name}", name, acme, f"{acme}/", "%2e", "..", "%2f", "",
        f"{quote(acme[:-1])}%{ord(acme[-1]):02x}/{name}x", f"{acme}'%20or%20'1'='1/{name}", f"{{{acme}}}/{name}", f"{acme}/{name}/../{name}",
        f"{beta}/{'a/' * 400}{'../' * 401}{acme}/{name}", f"{acme}/{name}{'x' * 1024}", f"{acme}\u0301/{name}".encode().decode("latin-1"),
        f"..%2fparcels%2f{acme}%2f{name}", f"%e2%80%8b{acme}/{name}", f"{acme}/{name}?token=x", f"{acme}/{name}%3ftoken=x",
    ]  # fmt: skip


def buckets(key: str) -> list[str]:
    """The bucket itself in disguise."""
    return [
        f"artifacts%2f/{key}", f"artifacts%00/{key}", f"ARTIFACTS/{key}", f"./artifacts/{key}", f"x/../artifacts/{key}", f"parcels/../artifacts/{key}",
        f"parcels%2f..%2fartifacts/{key}", f"artifacts%20/{key}", f"artifacts;x/{key}", f"*/{key}", f"/artifacts/{key}",
    ]  # fmt: skip


def wired(path: str) -> str:
    """What a request line can hold: nothing but what is forbidden there is written otherwise."""
    return path.encode("utf-8", "surrogateescape").decode("latin-1").replace(" ", "%20")


def plain(key: str) -> str:
    return key.replace("%20", " ").replace("%2e", ".").replace("%2f", "/").replace("%00", "\0")


# What a trick is worth: nothing of these may come back. `{}` is the place of the path.
READS = [
    ("GET", "object/{}", None), ("HEAD", "object/{}", None), ("GET", "object/authenticated/{}", None), ("GET", "object/public/{}", None),
    ("GET", "object/info/{}", None), ("GET", "object/info/authenticated/{}", None), ("GET", "render/image/authenticated/{}", None),
    ("GET", "render/image/public/{}", None), ("GET", "object/sign/{}?token=e30.e30.e30", None), ("POST", "object/sign/{}", {"expiresIn": 60}),
]  # fmt: skip
WRITES = [
    ("POST", "object/{}", b"evil"), ("PUT", "object/{}", b"evil"), ("POST", "object/upload/sign/{}", {}), ("DELETE", "object/{}", None),
    ("PUT", "object/upload/sign/{}?token=e30.e30.e30", b"evil"),
]  # fmt: skip


@pytest.mark.parametrize("who", ["a stranger", "a viewer", "nobody"])
def test_no_path_reaches_anothers_bytes(prey: Prey, who: str) -> None:
    before = prey.rows()
    bearer = prey.tokens()[who]
    keys = spellings(prey.acme, prey.beta, prey.name)
    acts = (
        [*READS, *WRITES]
        if who == "a stranger"
        else [READS[0], READS[4], READS[9], WRITES[0], WRITES[2], WRITES[3]]
    )
    if who != "a stranger":
        keys = keys[:12]
    paths = [f"artifacts/{key}" for key in keys] + buckets(keys[0])
    reached = []
    for method, form, body in acts:
        upsert = {"x_upsert": "true"} if method == "POST" and body == b"evil" else {}
        for path in paths:
            status, said = prey.send(method, wired(form.replace("{}", path)), bearer, body, **upsert)
            if 200 <= status < 400 or SECRET in said or status >= 500:
                reached.append((method, form, path, status, said[:100]))

    assert reached == []
    assert before == prey.rows()


@pytest.mark.parametrize("who", ["a stranger", "a viewer", "nobody"])
def test_no_body_reaches_anothers_bytes(prey: Prey, who: str) -> None:
    """Move, copy, list, sign many, delete many, and the first step of an upload in parts name keys in what is sent."""
    before = prey.rows()
    bearer = prey.tokens()[who]
    reached = []
    for key in dict.fromkeys(map(plain, spellings(prey.acme, prey.beta, prey.name))):
        own = f"{prey.beta}/{uuid.uuid4()}"
        tries: list[tuple[str, str, object]] = [
            (
                "POST",
                f"object/{act}",
                {"bucketId": "artifacts", "sourceKey": source, "destinationKey": target},
            )
            for act in ("move", "copy")
            for source, target in ((key, own), (own, key), (f"{prey.acme}/{prey.name}", key))
        ]
        tries += [
            ("POST", "object/copy", {"bucketId": "artifacts", "sourceKey": key, "destinationBucket": "parcels", "destinationKey": own}),
            ("POST", "object/list/artifacts", {"prefix": key}), ("POST", "object/list/artifacts", {"prefix": key.rpartition("/")[0], "search": key.rpartition("/")[2]}),
            ("POST", "object/sign/artifacts", {"expiresIn": 60, "paths": [key]}), ("DELETE", "object/artifacts", {"prefixes": [key]}),
        ]  # fmt: skip
        for method, path, body in tries if who == "a stranger" else tries[:1] + tries[6:]:
            status, said = prey.send(method, path, bearer, body)
            found = json.loads(said) if status == 200 else []
            # beta may see its own folder, and nothing else
            signed = [
                each
                for each in found
                if isinstance(each, dict)
                and (each.get("signedURL") or each.get("name", prey.beta) != prey.beta)
            ]
            if status >= 500 or signed or (status == 200 and not isinstance(found, list)):
                reached.append((method, path, key, status, said[:100]))

    assert reached == []
    assert before == prey.rows()


def test_no_upload_in_parts_reaches_anothers_bytes(prey: Prey) -> None:
    from base64 import b64encode  # noqa: PLC0415 - of this test alone

    before = prey.rows()
    reached = []
    for key in dict.fromkeys(map(plain, spellings(prey.acme, prey.beta, prey.name))):
        said = ",".join(
            f"{name} {b64encode(value.encode()).decode()}"
            for name, value in (("bucketName", "artifacts"), ("objectName", key))
        )
        lines = {"tus_resumable": "1.0.0", "upload_length": "4", "upload_metadata": said, "x_upsert": "true"}
        for path, more in (
            ("upload/resumable", {}),
            ("upload/resumable/sign", {"x_signature": "e30.e30.e30"}),
        ):
            status, _ = prey.send("POST", path, prey.tokens()["a stranger"], b"", **lines, **more)
            if status < 400 or status >= 500:
                reached.append((path, key, status))
    for mark in ("../x", "%2e%2e", "a" * 32, "..%2fobjects", ""):
        status, _ = prey.send(
            "PATCH",
            f"upload/resumable/{mark}",
            prey.tokens()["a stranger"],
            b"evil",
            tus_resumable="1.0.0",
            upload_offset="0",
        )
        if status < 400 or status >= 500:
            reached.append(("PATCH", mark, status))

    assert reached == []
    assert before == prey.rows()


def test_a_token_for_one_place_opens_no_other(prey: Prey) -> None:
    """beta has signed tokens of its own, up and down: they are good for what they were made for."""
    doors, bearer = prey.doors, prey.doors.token("operator", "beta")
    made = doors.ask(
        "POST", "/artifacts", bearer, json={"name": str(uuid.uuid4()), "kind": "data", "size": 4}
    ).json()
    before = prey.rows()
    token = made["upload_url"].partition("token=")[2]
    reached = []
    for key in spellings(prey.acme, prey.beta, prey.name):
        for method, form, body in (
            ("PUT", "object/upload/sign/artifacts/{}?token=", b"evil"),
            ("GET", "object/sign/artifacts/{}?token=", None),
            ("GET", "object/artifacts/{}?token=", None),
        ):
            status, said = prey.send(method, wired(form.replace("{}", key) + token), bearer, body)
            if 200 <= status < 400 or SECRET in said or status >= 500:
                reached.append((method, key, status))

    assert reached == []
    assert before == prey.rows()


def test_the_positive_control(prey: Prey) -> None:
    """The same requests by whom they are for: what is refused above is not refused to everybody."""
    operator = prey.doors.token()
    path = f"artifacts/{prey.acme}/{prey.name}"

    assert prey.send("GET", f"object/{path}", operator) == (200, SECRET)
    assert prey.send("POST", f"object/sign/{path}", operator, {"expiresIn": 60})[0] == 200
    listed = json.loads(prey.send("POST", "object/list/artifacts", operator, {"prefix": prey.acme})[1])
    assert prey.name in [entry["name"] for entry in listed]
    # not even those who read may move or replace it
    assert (
        prey.send(
            "POST",
            "object/move",
            operator,
            {
                "bucketId": "artifacts",
                "sourceKey": f"{prey.acme}/{prey.name}",
                "destinationKey": f"{prey.acme}/x",
            },
        )[0]
        >= 400
    )
    assert prey.send("POST", f"object/{path}", operator, b"evil", x_upsert="true")[0] >= 400


def test_there_are_many(prey: Prey) -> None:
    keys = spellings(prey.acme, prey.beta, prey.name)
    paths = {f"artifacts/{key}" for key in keys} | set(buckets(keys[0]))
    tricks = {(method, form, path) for method, form, _ in [*READS, *WRITES] for path in paths}

    assert len(tricks) >= 200
