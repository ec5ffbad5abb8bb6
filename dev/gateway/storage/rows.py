"""The rows of `storage.objects` and `storage.buckets`: every statement that the gateway sends about them.

As Storage does it: under the caller's role, so that policies decide; what follows from something already
allowed (a signed URL, the end of an upload) runs as service_role.
"""
# ruff: noqa: S608 - only text of this module goes into its statements, and words of fixed sets

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dev.gateway import errors, transaction
from dev.gateway.asgi import Request
from dev.gateway.catalog import Librarian
from dev.gateway.identity import Identity
from dev.gateway.pool import Pool
from dev.gateway.session import Step
from dev.gateway.storage import refusal
from dev.gateway.storage.shelf import Stored

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
Row = tuple[bytes | None, ...]
SERVICE = Identity("service_role", b'{"role":"service_role"}', "", True)

_SETTINGS = b"""
select set_config('search_path', 'storage, public, extensions', true),
    set_config('storage.allow_delete_query', 'true', true),
    set_config('storage.operation', $1, true),
    set_config('request.method', $2, true),
    set_config('request.path', $3, true),
    set_config('request.headers', $4, true),
    set_config('request.jwt.claims', $5, true),
    set_config('request.jwt.claim.sub', $6, true),
    set_config('request.jwt.claim.role', $7, true),
    set_config('role', $7, true)
"""
_COLUMNS = (
    "id, name, bucket_id, owner, owner_id, version, created_at, updated_at, last_accessed_at, "
    "metadata, user_metadata"
)
_FIND = f"""
select row_to_json(found)::text
from (select {_COLUMNS} from storage.objects where bucket_id = $1 and name = $2) found
""".encode()
_FIND_NAMES = b"""
select coalesce(json_agg(name), '[]')::text from storage.objects
where bucket_id = $1 and name = any ($2::text[])
"""
_INSERT = """
insert into storage.objects (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
values ($1, $2, $3::uuid, $4, $5, $6::jsonb, $7::jsonb)
"""
_REPLACE = """
on conflict (bucket_id, name) do update set owner = excluded.owner, owner_id = excluded.owner_id,
    version = excluded.version, metadata = excluded.metadata, user_metadata = excluded.user_metadata,
    updated_at = now()
"""
_FORMER = b"select version from storage.objects where bucket_id = $1 and name = $2 for update"
_PUT_NEW = f"{_INSERT} returning id::text".encode()
_PUT_OVER = f"{_INSERT} {_REPLACE} returning id::text".encode()
_TRY_NEW = _INSERT.encode()
_TRY_OVER = f"{_INSERT} {_REPLACE}".encode()
_DELETE = f"""
with gone as (
    delete from storage.objects where bucket_id = $1 and name = any ($2::text[]) returning {_COLUMNS}
)
select coalesce(json_agg(gone), '[]')::text from gone
""".encode()
_MOVE = b"""
update storage.objects set name = $3, bucket_id = $4, owner = $5::uuid, owner_id = $6
where bucket_id = $1 and name = $2
returning id::text
"""
_LIST = """
with found as (
    select name, path_tokens, id, updated_at, created_at, last_accessed_at, metadata
    from storage.objects
    where bucket_id = $1 and starts_with(name, $2)
      and coalesce(path_tokens[$4::int], '') ilike $3 || '%'
)
select coalesce(json_agg(entry), '[]')::text
from (
    (
        select distinct path_tokens[$4::int] as name, null::uuid as id, null::timestamptz as updated_at,
            null::timestamptz as created_at, null::timestamptz as last_accessed_at, null::jsonb as metadata
        from found where cardinality(path_tokens) > $4::int
        order by 1
    )
    union all
    (
        select path_tokens[$4::int], id, updated_at, created_at, last_accessed_at, metadata
        from found where cardinality(path_tokens) = $4::int
        order by {order}
    )
    limit $5::int offset $6::int
) entry
"""
_SORTED_BY = frozenset({"name", "created_at", "updated_at", "last_accessed_at"})
# clients insist on a text for the owner
_BUCKET_COLUMNS = (
    "id, name, coalesce(owner::text, '') as owner, public, created_at, updated_at, file_size_limit, "
    "allowed_mime_types"
)
_BUCKET = f"""
select row_to_json(b)::text from (select {_BUCKET_COLUMNS} from storage.buckets where id = $1) b
""".encode()
_BUCKETS = f"""
select coalesce(json_agg(b), '[]')::text from (select {_BUCKET_COLUMNS} from storage.buckets order by id) b
""".encode()
_MAKE_BUCKET = b"""
insert into storage.buckets (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types)
values ($1, $2, $3::uuid, $4, $5::boolean, $6::bigint, $7::text[])
"""
_CHANGE_BUCKET = b"""
update storage.buckets
set public = coalesce($2::boolean, public), file_size_limit = $3::bigint, allowed_mime_types = $4::text[],
    updated_at = now()
where id = $1 returning id
"""
_DROP_BUCKET = b"delete from storage.buckets where id = $1 returning id"
_VERSIONS_OF_BUCKET = b"""
with gone as (delete from storage.objects where bucket_id = $1 returning version)
select coalesce(json_agg(version), '[]')::text from gone
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """What matters of a bucket for uploads. `limit` in bytes, None without one of its own."""

    id: str
    public: bool
    limit: int | None
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """An object's row as it is to be written."""

    bucket: str
    name: str
    owner: str
    version: str
    metadata: Mapping[str, object] | None = None
    user_metadata: Mapping[str, object] | None = None

    def values(self) -> list[bytes | None]:
        return [
            self.bucket.encode(),
            self.name.encode(),
            _uuid(self.owner),
            self.owner.encode() or None,
            self.version.encode(),
            _json(self.metadata),
            _json(self.user_metadata),
        ]


def file_metadata(stored: Stored, mime: str, cache_control: str, modified: str) -> dict[str, object]:
    """`metadata` as Storage writes it."""
    return {
        "eTag": stored.etag,
        "size": stored.size,
        "mimetype": mime,
        "cacheControl": cache_control,
        "lastModified": modified,
        "contentLength": stored.size,
        "httpStatusCode": 200,
    }


class Rows:
    """The rows, as one caller sees them. Raises `StorageRefusal` throughout."""

    def __init__(self, librarian: Librarian, pool: Pool) -> None:
        self._librarian = librarian
        self._pool = pool

    async def _run(
        self,
        request: Request,
        who: Identity,
        step: Step,
        *,
        operation: str,
        reads: bool = False,
        commit: bool = True,
    ) -> list[Row]:
        results = await self._run_all(request, who, [step], operation=operation, reads=reads, commit=commit)
        return results[0]

    async def _run_all(
        self,
        request: Request,
        who: Identity,
        steps: list[Step],
        *,
        operation: str,
        reads: bool = False,
        commit: bool = True,
    ) -> list[list[Row]]:
        """The rows of each step, all run in one transaction as the caller."""
        try:
            transaction.role_settings(self._librarian.catalog, who.role)
            opening = [
                transaction.BEGIN_READ if reads else transaction.BEGIN_WRITE,
                (_SETTINGS, _settings(request, who, operation)),
            ]
            results = await transaction.execute(self._pool, opening, steps, authenticated=True, commit=commit)
        except errors.Refusal as failed:
            raise refusal.from_postgres(failed) from failed
        return [
            [
                tuple(result.get_value(row, column) for column in range(result.nfields))
                for row in range(result.ntuples)
            ]
            for result in results
        ]

    async def find(self, request: Request, who: Identity, bucket: str, name: str) -> dict[str, Any]:
        """An object's row. Raises 404 if the caller may not see it."""
        found = await self._run(
            request, who, (_FIND, [bucket.encode(), name.encode()]), operation="object.get", reads=True
        )
        if not found:
            raise refusal.no_object()
        return _object(found)

    async def visible(self, request: Request, who: Identity, bucket: str, names: list[str]) -> set[str]:
        """Those of the names that the caller may see."""
        found = await self._run(
            request, who, (_FIND_NAMES, [bucket.encode(), _texts(names)]), operation="object.sign", reads=True
        )
        return set(json.loads(found[0][0] or b"[]"))

    async def may_put(self, request: Request, who: Identity, entry: Entry, *, over: bool) -> None:
        """Try the write and take it back. Raises 403, 409, 404."""
        text = _TRY_OVER if over else _TRY_NEW
        await self._run(request, who, (text, entry.values()), operation="object.upload", commit=False)

    async def put(self, request: Request, entry: Entry, *, over: bool) -> tuple[str, str | None]:
        """Write the row of an upload that was allowed; its id, and the version it took the place of."""
        values = entry.values()
        write: Step = (_PUT_OVER if over else _PUT_NEW, values)
        former, made = await self._run_all(
            request, SERVICE, [(_FORMER, values[:2]), write], operation="object.upload"
        )
        replaced = former[0][0] if former else None
        return (made[0][0] or b"").decode(), None if replaced is None else replaced.decode()

    async def delete(
        self, request: Request, who: Identity, bucket: str, names: list[str]
    ) -> list[dict[str, Any]]:
        """Delete rows; those that were there and allowed."""
        rows = await self._run(
            request, who, (_DELETE, [bucket.encode(), _texts(names)]), operation="object.delete_many"
        )
        return list(json.loads(rows[0][0] or b"[]"))

    async def move(
        self, request: Request, who: Identity, source: tuple[str, str], target: tuple[str, str]
    ) -> str:
        """Rename a row; its id. Raises 404 for a source that may not be seen or changed."""
        values: list[bytes | None] = [
            source[0].encode(),
            source[1].encode(),
            target[1].encode(),
            target[0].encode(),
            _uuid(who.subject),
            who.subject.encode() or None,
        ]
        rows = await self._run(request, who, (_MOVE, values), operation="object.move")
        if not rows:
            raise refusal.no_object()
        return (rows[0][0] or b"").decode()

    async def below(
        self,
        request: Request,
        who: Identity,
        bucket: str,
        prefix: str,
        search: str,
        *,
        window: tuple[int, int],
        order: tuple[str, str],
    ) -> bytes:
        """What lies directly below a prefix (JSON), folders first. `window` is limit and offset."""
        column = order[0] if order[0] in _SORTED_BY else "name"
        direction = "desc" if order[1].lower() == "desc" else "asc"
        text = _LIST.format(order=f"{column} {direction}").encode()
        pattern = re.sub(r"([\\%_])", r"\\\1", search)
        values: list[bytes | None] = [
            bucket.encode(),
            prefix.encode(),
            pattern.encode(),
            str(prefix.count("/") + 1).encode(),
            str(window[0]).encode(),
            str(window[1]).encode(),
        ]
        rows = await self._run(request, who, (text, values), operation="object.list", reads=True)
        return rows[0][0] or b"[]"

    async def bucket(self, request: Request, who: Identity, bucket: str) -> dict[str, Any]:
        """A bucket's row. Raises 404."""
        rows = await self._run(request, who, (_BUCKET, [bucket.encode()]), operation="bucket.get", reads=True)
        if not rows:
            raise refusal.no_bucket()
        return _object(rows)

    async def limits(self, request: Request, bucket: str) -> Bucket:
        """The rules for uploads to a bucket. Raises 404."""
        row = await self.bucket(request, SERVICE, bucket)
        return Bucket(
            row["id"], bool(row["public"]), row["file_size_limit"], tuple(row["allowed_mime_types"] or ())
        )

    async def buckets(self, request: Request, who: Identity) -> bytes:
        rows = await self._run(request, who, (_BUCKETS, []), operation="bucket.list", reads=True)
        return rows[0][0] or b"[]"

    async def make_bucket(self, request: Request, who: Identity, bucket: Bucket, name: str) -> None:
        values: list[bytes | None] = [
            bucket.id.encode(),
            name.encode(),
            _uuid(who.subject),
            who.subject.encode() or None,
            str(bucket.public).encode(),
            None if bucket.limit is None else str(bucket.limit).encode(),
            _texts(list(bucket.types)) if bucket.types else None,
        ]
        await self._run(request, who, (_MAKE_BUCKET, values), operation="bucket.create")

    async def change_bucket(self, request: Request, who: Identity, bucket: Bucket) -> None:
        values: list[bytes | None] = [
            bucket.id.encode(),
            str(bucket.public).encode(),
            None if bucket.limit is None else str(bucket.limit).encode(),
            _texts(list(bucket.types)) if bucket.types else None,
        ]
        if not await self._run(request, who, (_CHANGE_BUCKET, values), operation="bucket.update"):
            raise refusal.no_bucket()

    async def drop_bucket(self, request: Request, who: Identity, bucket: str) -> None:
        if not await self._run(request, who, (_DROP_BUCKET, [bucket.encode()]), operation="bucket.delete"):
            raise refusal.no_bucket()

    async def empty_bucket(self, request: Request, who: Identity, bucket: str) -> list[str]:
        """Delete what the caller may delete of a bucket; the versions that are of no use any more."""
        rows = await self._run(
            request, who, (_VERSIONS_OF_BUCKET, [bucket.encode()]), operation="bucket.empty"
        )
        return [version for version in json.loads(rows[0][0] or b"[]") if version]


def _settings(request: Request, who: Identity, operation: str) -> list[bytes | None]:
    path = request.path.removeprefix("/storage/v1").replace("\0", "")
    return [
        f"storage.{operation}".encode(),
        request.method.encode(),
        path.encode("utf-8", "replace"),
        json.dumps(request.headers).encode(),
        who.claims,
        who.subject.encode(),
        who.role.encode(),
    ]


def _object(rows: list[Row]) -> dict[str, Any]:
    value = json.loads(rows[0][0] or b"{}")
    assert isinstance(value, dict)
    return value


def _uuid(text: str) -> bytes | None:
    return text.encode() if _UUID.fullmatch(text) else None


def _json(value: Mapping[str, object] | None) -> bytes | None:
    return None if value is None else json.dumps(value).encode()


def _texts(values: list[str]) -> bytes:
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return ("{" + ",".join(f'"{value}"' for value in escaped) + "}").encode()
