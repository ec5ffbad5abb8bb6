"""The routes of `/storage/v1` and what each of them does."""

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from dev.gateway import asgi, errors
from dev.gateway.asgi import Request
from dev.gateway.identity import Identity, Keyring
from dev.gateway.settings import Settings
from dev.gateway.storage import download, names, refusal, resumable, upload
from dev.gateway.storage.refusal import StorageRefusal
from dev.gateway.storage.resumable import Resumable, Right
from dev.gateway.storage.rows import SERVICE, Bucket, Entry, Rows, file_metadata
from dev.gateway.storage.shelf import Shelf
from dev.gateway.storage.signature import UPLOAD_SECONDS, Permit, Signer

PREFIX = "/storage/v1/"
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(gb|mb|kb|b)?", re.IGNORECASE | re.ASCII)
_UNITS = {"gb": 10**9, "mb": 10**6, "kb": 10**3, "b": 1, "": 1}
_LONGEST = 10 * 365 * 24 * 3600
_MAX_NAMES = 1000


class StorageDoor:
    """Everything under `/storage/v1`."""

    def __init__(
        self, settings: Settings, keyring: Keyring, rows: Rows, shelf: Shelf, signer: Signer
    ) -> None:
        self._settings = settings
        self._keyring = keyring
        self._rows = rows
        self._shelf = shelf
        self._signer = signer
        self._resumable = Resumable(settings, rows, shelf, self._record)

    def prepare(self) -> None:
        """Make the folders; throw away what is left half-written and will not be continued."""
        self._shelf.prepare()
        self._resumable.parts.prepare()

    async def __call__(self, request: Request) -> None:
        try:
            await self._route(request)
        except StorageRefusal as refused:
            # uploads in parts speak HTTP's own statuses
            exact = request.path.startswith(f"{PREFIX}{resumable.PATH}")
            status = refused.status if exact else refused.http_status
            await request.answer(
                status, [asgi.JSON_TYPE, *([resumable.VERSION] if exact else [])], refused.body()
            )

    async def _route(self, request: Request) -> None:  # noqa: PLR0912 - one branch per route
        path = request.path.removeprefix(PREFIX)
        match request.method, path.split("/"):
            case "GET", ["status" | "health"]:
                await _reply(request, {"healthy": True})
            case _, ["bucket", *rest]:
                await self._buckets(request, [part for part in rest if part])
            case (("GET" | "HEAD"), ["object", "public", bucket, *key]) if key:
                await self._get_public(request, bucket, "/".join(key))
            case "GET", ["object", "sign", bucket, *key] if key:
                await self._get_signed(request, bucket, "/".join(key))
            case "PUT", ["object", "upload", "sign", bucket, *key] if key:
                await self._put_signed(request, bucket, "/".join(key))
            case "POST", ["object", "upload", "sign", bucket, *key] if key:
                await self._sign_upload(request, bucket, "/".join(key))
            case "POST", ["object", "sign", bucket]:
                await self._sign_many(request, bucket)
            case "POST", ["object", "sign", bucket, *key] if key:
                await self._sign(request, bucket, "/".join(key))
            case _, ["upload", "resumable", "sign"]:
                await self._resumable(request, resumable.signed(request, self._signer))
            case _, ["upload", "resumable", "sign", mark]:
                await self._resumable(request, resumable.signed(request, self._signer), mark)
            case _, ["upload", "resumable"]:
                await self._resumable(request, self._own_right(request))
            case _, ["upload", "resumable", mark]:
                await self._resumable(request, self._own_right(request), mark)
            case "POST", ["object", "list", bucket]:
                await self._list(request, bucket)
            case "POST", ["object", ("move" | "copy") as act]:
                await self._move_or_copy(request, act)
            case "GET", ["object", "info", "authenticated", bucket, *key] if key:
                await self._info(request, bucket, "/".join(key))
            case "GET", ["object", "info", bucket, *key] if key:
                await self._info(request, bucket, "/".join(key))
            case (("GET" | "HEAD"), ["object", "authenticated", bucket, *key]) if key:
                await self._get(request, bucket, "/".join(key))
            case (("GET" | "HEAD"), ["object", bucket, *key]) if key:
                await self._get(request, bucket, "/".join(key))
            case ("POST" | "PUT") as method, ["object", bucket, *key] if key:
                over = method == "PUT" or request.headers.get("x-upsert") == "true"
                await self._put(request, bucket, "/".join(key), over=over)
            case "DELETE", ["object", bucket]:
                await self._delete_many(request, bucket)
            case "DELETE", ["object", bucket, *key] if key:
                await self._delete(request, bucket, "/".join(key))
            case _:
                raise refusal.no_route(request.method, request.path)

    # -- who

    def _who(self, request: Request) -> Identity:
        """The caller. A key without a token counts by its own role, as behind the hosted door."""
        try:
            if "apikey" in request.headers:
                return self._keyring.identify(request)
            who = self._keyring.bearer(request)
        except errors.Refusal as refused:
            raise refusal.denied(refused.message) from None
        if who is None:
            raise refusal.bad_request("headers must have required property 'authorization'")
        return who

    def _own_right(self, request: Request) -> Callable[[str], Right]:
        def right(_place: str) -> Right:
            who = self._who(request)
            return Right(who, who.subject, request.headers.get("x-upsert") == "true")

        return right

    # -- objects

    async def _get(self, request: Request, bucket: str, key: str) -> None:
        row = await self._rows.find(request, self._who(request), names.bucket(bucket), names.key(key))
        await self._send(request, row)

    async def _get_public(self, request: Request, bucket: str, key: str) -> None:
        rules = await self._rows.limits(request, names.bucket(bucket))
        if not rules.public:
            raise refusal.no_bucket()
        row = await self._rows.find(request, SERVICE, bucket, names.key(key))
        await self._send(request, row)

    async def _get_signed(self, request: Request, bucket: str, key: str) -> None:
        place = f"{names.bucket(bucket)}/{names.key(key)}"
        permit = self._signer.read(_parameter(request, "token"), place, "download")
        row = await self._rows.find(request, SERVICE, bucket, key)
        await self._send(request, row, permit.expires)

    async def _send(self, request: Request, row: dict[str, Any], expires: int | None = None) -> None:
        path = self._shelf.path(str(row["version"]))
        suggested = _parameter(request, "download")
        await download.send(request, row, path, download=suggested, expires=expires)

    async def _info(self, request: Request, bucket: str, key: str) -> None:
        row = await self._rows.find(request, self._who(request), names.bucket(bucket), names.key(key))
        about = row["metadata"] or {}
        await _reply(
            request,
            {
                "id": row["id"],
                "name": row["name"],
                "version": row["version"],
                "bucket_id": row["bucket_id"],
                "size": about.get("size"),
                "content_type": about.get("mimetype"),
                "cache_control": about.get("cacheControl"),
                "etag": about.get("eTag"),
                "metadata": row["user_metadata"],
                "last_modified": row["updated_at"],
                "created_at": row["created_at"],
            },
        )

    async def _put(self, request: Request, bucket: str, key: str, *, over: bool) -> None:
        who = self._who(request)
        entry = Entry(names.bucket(bucket), names.key(key), who.subject, "1", upload.announced(request))
        rules = await self._rows.limits(request, bucket)
        await self._rows.may_put(request, who, entry, over=over)
        made = await self._take(request, rules, entry, over=over)
        await _reply(request, {"Id": made, "Key": f"{bucket}/{key}"})

    async def _put_signed(self, request: Request, bucket: str, key: str) -> None:
        place = f"{names.bucket(bucket)}/{names.key(key)}"
        permit = self._signer.read(_parameter(request, "token"), place, "upload")
        rules = await self._rows.limits(request, bucket)
        entry = Entry(bucket, key, permit.owner, "1")
        await self._rows.may_put(request, SERVICE, entry, over=permit.upsert)
        await self._take(request, rules, entry, over=permit.upsert)
        await _reply(request, {"Key": place})

    async def _take(self, request: Request, rules: Bucket, entry: Entry, *, over: bool) -> str:
        """Receive the bytes, then write the row; the object's id. Nothing is left of what fails."""
        most = self._settings.max_object
        limit = most if rules.limit is None else min(rules.limit, most)
        arriving = await upload.receive(request, rules, limit)
        stored = await self._shelf.put(arriving.content, limit)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        metadata = file_metadata(stored, arriving.mime, arriving.cache_control, now)
        whole = Entry(entry.bucket, entry.name, entry.owner, stored.version, metadata, arriving.user_metadata)
        return await self._record(request, whole, over=over)

    async def _record(self, request: Request, entry: Entry, *, over: bool) -> str:
        try:
            made, former = await self._rows.put(request, entry, over=over)
        except BaseException:
            self._shelf.drop(entry.version)
            raise
        self._shelf.drop(former)
        return made

    async def _delete(self, request: Request, bucket: str, key: str) -> None:
        gone = await self._rows.delete(request, self._who(request), names.bucket(bucket), [names.key(key)])
        if not gone:
            raise refusal.no_object()
        self._shelf.drop(gone[0]["version"])
        await _reply(request, {"message": "Successfully deleted"})

    async def _delete_many(self, request: Request, bucket: str) -> None:
        who = self._who(request)
        wanted = _names(await _body(request, self._settings), "prefixes")
        gone = await self._rows.delete(request, who, names.bucket(bucket), wanted)
        for row in gone:
            self._shelf.drop(row["version"])
        await _reply(request, gone)

    async def _move_or_copy(self, request: Request, act: str) -> None:
        who = self._who(request)
        body = await _body(request, self._settings)
        source = names.bucket(_text(body, "bucketId")), names.key(_text(body, "sourceKey"))
        target_bucket = body.get("destinationBucket") or source[0]
        target = names.bucket(str(target_bucket)), names.key(_text(body, "destinationKey"))
        if act == "move":
            made = await self._rows.move(request, who, source, target)
            await _reply(request, {"message": "Successfully moved", "Id": made, "Key": target[1]})
            return
        over = request.headers.get("x-upsert") == "true"
        row = await self._rows.find(request, who, *source)
        await self._rows.may_put(request, who, Entry(*target, who.subject, "1"), over=over)
        version = self._shelf.again(str(row["version"]))
        entry = Entry(*target, who.subject, version, row["metadata"], row["user_metadata"])
        made = await self._record(request, entry, over=over)
        await _reply(request, {"Id": made, "Key": "/".join(target)})

    async def _list(self, request: Request, bucket: str) -> None:
        who = self._who(request)
        body = await _body(request, self._settings)
        prefix = str(body.get("prefix") or "").lstrip("/")
        if prefix and not prefix.endswith("/"):
            prefix += "/"
        search = str(body.get("search") or "")
        if "\0" in prefix + search:
            raise refusal.bad_request("prefix and search may not hold NUL")
        sort = body.get("sortBy")
        order = sort if isinstance(sort, dict) else {}
        limit = min(_number(body, "limit", 100), 10_000)
        listed = await self._rows.below(
            request,
            who,
            names.bucket(bucket),
            prefix,
            search,
            window=(limit, _number(body, "offset", 0)),
            order=(str(order.get("column") or "name"), str(order.get("order") or "asc")),
        )
        await request.answer(200, [asgi.JSON_TYPE], listed)

    # -- signatures

    async def _sign(self, request: Request, bucket: str, key: str) -> None:
        who = self._who(request)
        seconds = _seconds(await _body(request, self._settings))
        await self._rows.find(request, who, names.bucket(bucket), names.key(key))
        await _reply(request, {"signedURL": self._signed(f"{bucket}/{key}", seconds)})

    async def _sign_many(self, request: Request, bucket: str) -> None:
        who = self._who(request)
        body = await _body(request, self._settings)
        seconds = _seconds(body)
        wanted = _names(body, "paths")
        visible = await self._rows.visible(request, who, names.bucket(bucket), wanted)
        missing = "Either the object does not exist or you do not have access to it"
        await _reply(
            request,
            [
                {
                    "error": None if name in visible else missing,
                    "path": name,
                    "signedURL": self._signed(f"{bucket}/{name}", seconds) if name in visible else None,
                }
                for name in wanted
            ],
        )

    def _signed(self, place: str, seconds: int) -> str:
        token = self._signer.sign(Permit(place, "download", int(time.time()) + seconds))
        return f"/object/sign/{place}?token={token}"

    async def _sign_upload(self, request: Request, bucket: str, key: str) -> None:
        who = self._who(request)
        over = request.headers.get("x-upsert") == "true"
        await self._rows.may_put(
            request, who, Entry(names.bucket(bucket), names.key(key), who.subject, "1"), over=over
        )
        place = f"{bucket}/{key}"
        expires = int(time.time()) + UPLOAD_SECONDS
        token = self._signer.sign(Permit(place, "upload", expires, who.subject, over))
        await _reply(request, {"url": f"/object/upload/sign/{place}?token={token}", "token": token})

    # -- buckets

    async def _buckets(self, request: Request, path: list[str]) -> None:
        who = self._who(request)
        match request.method, path:
            case "GET", []:
                await request.answer(200, [asgi.JSON_TYPE], await self._rows.buckets(request, who))
            case "GET", [bucket]:
                await _reply(request, await self._rows.bucket(request, who, bucket))
            case "POST", []:
                body = await _body(request, self._settings)
                name = _text(body, "name")
                rules = _rules(str(body.get("id") or name), body)
                await self._rows.make_bucket(request, who, rules, name)
                await _reply(request, {"name": name})
            case "PUT", [bucket]:
                rules = _rules(bucket, await _body(request, self._settings))
                await self._rows.change_bucket(request, who, rules)
                await _reply(request, {"message": "Successfully updated"})
            case "POST", [bucket, "empty"]:
                for version in await self._rows.empty_bucket(request, who, bucket):
                    self._shelf.drop(version)
                await _reply(request, {"message": "Successfully emptied"})
            case "DELETE", [bucket]:
                await self._rows.drop_bucket(request, who, bucket)
                await _reply(request, {"message": "Successfully deleted"})
            case _:
                raise refusal.no_route(request.method, request.path)


async def _reply(request: Request, value: object) -> None:
    await request.answer(
        200, [asgi.JSON_TYPE], json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    )


async def _body(request: Request, settings: Settings) -> Mapping[str, Any]:
    try:
        raw = await request.body(settings.max_body)
        value = json.loads(raw or b"{}")
    except errors.Refusal:
        raise refusal.too_large() from None
    except (ValueError, RecursionError):
        raise refusal.bad_request("Body is not valid JSON") from None
    if not isinstance(value, dict):
        raise refusal.bad_request("body must be object")
    return value


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise refusal.bad_request(f"body must have required property '{name}'")
    return value


def _names(body: Mapping[str, Any], name: str) -> list[str]:
    value = body.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(entry, str) for entry in value):
        raise refusal.bad_request(f"body must have required property '{name}'")
    if len(value) > _MAX_NAMES:
        raise refusal.bad_request(f"At most {_MAX_NAMES} objects per request.")
    return [entry for entry in value if "\0" not in entry]


def _number(body: Mapping[str, Any], name: str, default: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if not str(value).isdecimal() or len(str(value)) > 9:
        raise refusal.bad_request(f"body/{name} must be integer")
    return int(value)


def _seconds(body: Mapping[str, Any]) -> int:
    """`expiresIn`, which some clients send as text."""
    if "expiresIn" not in body:
        raise refusal.bad_request("body must have required property 'expiresIn'")
    seconds = _number(body, "expiresIn", 0)
    if not 1 <= seconds <= _LONGEST:
        raise refusal.bad_request("body/expiresIn must be >= 1")
    return seconds


def _parameter(request: Request, name: str) -> str | None:
    values = parse_qs(request.query.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=50)
    return values[name][0] if name in values else None


def _rules(bucket: str, body: Mapping[str, Any]) -> Bucket:
    types = body.get("allowed_mime_types") or []
    if not isinstance(types, list) or not all(isinstance(entry, str) for entry in types):
        raise refusal.bad_request("body/allowed_mime_types must be array")
    limit = body.get("file_size_limit")
    size: int | None = None
    if limit is not None:
        found = _SIZE.fullmatch(str(limit))
        if found is None:
            raise refusal.bad_request("Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B")
        size = int(float(found.group(1)) * _UNITS[(found.group(2) or "").lower()])
    return Bucket(names.bucket(bucket), bool(body.get("public")), size, tuple(types))
