"""Takes a tenant out of one project and into another: `python -m runner.archive export|import`.

An archive is a folder:

    archive.json               what it is, of whom, how many rows, and the sha256 of every other file
    tables/<schema>.<table>.jsonl    a row a line, as Postgres' JSON
    layers/<layer>.<table>.jsonl     rows of the tenant's own tables
    objects.jsonl              {sha256, size, path} of each content of the registry
    objects/<sha256>           its bytes

The operator's tool, not a member's: it speaks to the database as `postgres` and to Storage with the service
role's key. docs/operations.md tells what comes along and what does not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from runner.store import archive
from runner.store.archive import ArchiveError, LayerTable, Tenant

FORMAT = 1
BUCKET = "artifacts"
CHUNK = 1 << 20
SECONDS = 120.0


class Folder:
    """An archive on disk; each file is digested as it is written, and before it is believed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.digests: dict[str, str] = {}

    def write(self, name: str, lines: Iterable[str]) -> int:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        count = 0
        with path.open("wb") as file:
            for line in lines:
                data = f"{line}\n".encode()
                digest.update(data)
                file.write(data)
                count += 1
        self.digests[name] = digest.hexdigest()
        return count

    def lines(self, name: str) -> Iterator[str]:
        with (self.root / name).open(encoding="utf-8") as file:
            for line in file:
                yield line.rstrip("\n")

    def check(self) -> None:
        """Raises ArchiveError where a file is not the one that was written."""
        for name, wanted in self.digests.items():
            with (self.root / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != wanted:
                raise ArchiveError(f"{name} is not what was written", "make the archive anew")


class Shelf:
    """The bucket of a project, by the service role's key."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def get(self, path: str, to: Path) -> None:
        with self.http.stream("GET", f"/storage/v1/object/{BUCKET}/{path}") as answer:
            _need(answer, path)
            with to.open("wb") as file:
                for chunk in answer.iter_bytes(CHUNK):
                    file.write(chunk)

    def put(self, path: str, data: bytes) -> None:
        headers = {"x-upsert": "true", "content-type": "application/octet-stream"}
        answer = self.http.post(f"/storage/v1/object/{BUCKET}/{path}", content=data, headers=headers)
        _need(answer, path)


def _need(answer: httpx.Response, path: str) -> None:
    if not answer.is_success:
        raise ArchiveError(f"Storage said {answer.status_code} to {path}", "look at the key and the bucket")


def take_out(dsn: str, shelf: Shelf | None, slug: str, root: Path) -> dict[str, Any]:
    """Writes the tenant's archive into `root`, which must not be there; one moment of the database."""
    if root.exists() and any(root.iterdir()):
        raise ArchiveError(f"{root} is not empty", "name a new folder")
    folder = Folder(root)
    with archive.snapshot(dsn) as connection:
        tenant = archive.find(connection, slug)
        if waiting := archive.unfinished(connection, tenant):
            mend = "wait for them, or cancel them: they would go on in both projects"
            raise ArchiveError(f"{waiting} runs of {slug} have not ended", mend)
        own = archive.rows(connection, "tenancy.tenants", tenant, key="id")
        folder.write("tables/tenancy.tenants.jsonl", own)
        counts = {}
        for table in archive.tables(connection):
            counts[table] = folder.write(f"tables/{table}.jsonl", archive.rows(connection, table, tenant))
        layers = archive.layer_tables(connection, tenant)
        for it in layers:
            folder.write(
                f"layers/{it.layer}.{it.name}.jsonl",
                archive.rows(connection, archive.layer_table(tenant, it), tenant),
            )
        contents = archive.objects(connection, tenant)
        version = archive.schema_version(connection)
    folder.write(
        "objects.jsonl",
        (json.dumps({name: it[name] for name in ("sha256", "size", "path")}) for it in contents),
    )
    for content in contents if shelf else ():
        _fetch(shelf, content, root)
    told = {
        "format": FORMAT,
        "tenant": {"tenant_id": tenant.tenant_id, "slug": tenant.slug},
        "made_at": datetime.now(UTC).isoformat(),
        "schema_version": version,
        "tables": counts,
        "layers": [{"layer": it.layer, "name": it.name, "columns": it.columns} for it in layers],
        "objects": len(contents),
        "with_bytes": shelf is not None,
        "sha256": folder.digests,
    }
    (root / "archive.json").write_text(json.dumps(told, indent=2) + "\n")
    return told


def _fetch(shelf: Shelf | None, content: dict[str, Any], root: Path) -> None:
    assert shelf is not None
    to = root / "objects" / content["sha256"]
    to.parent.mkdir(exist_ok=True)
    shelf.get(content["path"], to)
    with to.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != content["sha256"]:
        raise ArchiveError(
            f"the bytes of {content['sha256']} are others", "let the sweep find what is missing"
        )


def take_in(dsn: str, shelf: Shelf | None, root: Path) -> dict[str, Any]:
    """Takes the archive into a project: the bytes first, then all rows in one transaction."""
    told, folder = _read(root)
    with archive.snapshot(dsn) as connection:
        version = archive.schema_version(connection)
    if version != told["schema_version"]:
        raise ArchiveError(
            f"the archive is of schema {told['schema_version']}, the project of {version}",
            "bring the older one up to date first",
        )
    # bytes that no row names yet are nobody's: a failure after this leaves what the sweep takes away
    for line in folder.lines("objects.jsonl") if shelf else ():
        it = json.loads(line)
        data = (root / "objects" / it["sha256"]).read_bytes()
        if hashlib.sha256(data).hexdigest() != it["sha256"]:
            raise ArchiveError(f"objects/{it['sha256']} is not what was written", "make the archive anew")
        assert shelf is not None
        shelf.put(it["path"], data)
    with archive.intake(dsn) as connection:
        [row] = folder.lines("tables/tenancy.tenants.jsonl")
        tenant = archive.open_tenant(connection, row)
        known = archive.tables(connection)
        if set(known) != set(told["tables"]):
            raise ArchiveError("the archive has other tables than the project", "bring both to one version")
        for table in known:
            count = archive.fill(connection, table, folder.lines(f"tables/{table}.jsonl"))
            if count != told["tables"][table]:
                raise ArchiveError(
                    f"{table}: {count} of {told['tables'][table]} rows", "make the archive anew"
                )
        for it in told["layers"]:
            made = LayerTable(it["layer"], it["name"], it["columns"])
            archive.make_layer_table(connection, tenant, made)
            lines = folder.lines(f"layers/{made.layer}.{made.name}.jsonl")
            archive.fill(connection, archive.layer_table(tenant, made), lines)
        archive.advance(connection, known)
    return told


def _read(root: Path) -> tuple[dict[str, Any], Folder]:
    try:
        told: dict[str, Any] = json.loads((root / "archive.json").read_text())
    except (OSError, ValueError) as error:
        raise ArchiveError(
            f"{root} is no archive: {error}", "name the folder that holds archive.json"
        ) from error
    if told["format"] != FORMAT:
        raise ArchiveError(f"this is an archive of format {told['format']}", f"this release reads {FORMAT}")
    Tenant(**told["tenant"])
    folder = Folder(root)
    folder.digests = told["sha256"]
    folder.check()
    return told, folder


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m runner.archive",
        description="Takes a tenant out of one project and into another. CONTROL_ROOM_POSTGRES_URL is the"
        " database as postgres (direct or session mode); SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY are"
        " for the bytes.",
    )
    verbs = parser.add_subparsers(required=True, dest="verb", metavar="export|import")
    out = verbs.add_parser("export", help="write a tenant's archive")
    out.add_argument("tenant", metavar="SLUG")
    for verb in (out, verbs.add_parser("import", help="take an archive into a project")):
        verb.add_argument("folder", type=Path)
        verb.add_argument("--without-bytes", action="store_true", help="leave the artifacts' bytes out")
    arguments = parser.parse_args(argv)
    needed = ["CONTROL_ROOM_POSTGRES_URL"]
    if not arguments.without_bytes:
        needed += ["SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"]
    if missing := [name for name in needed if not os.environ.get(name)]:
        print(f"error: {', '.join(missing)} must be set; see --help", file=sys.stderr)
        return 2
    dsn = os.environ["CONTROL_ROOM_POSTGRES_URL"]
    try:
        with httpx.Client(**_storage(arguments.without_bytes)) as http:
            shelf = None if arguments.without_bytes else Shelf(http)
            if arguments.verb == "export":
                told = take_out(dsn, shelf, arguments.tenant, arguments.folder)
            else:
                told = take_in(dsn, shelf, arguments.folder)
    except (ArchiveError, httpx.HTTPError, OSError) as error:
        print(f"error: {str(error).strip()}", file=sys.stderr)
        return 1
    print(
        json.dumps(
            {
                "tenant": told["tenant"]["slug"],
                "rows": sum(told["tables"].values()),
                "layer_tables": len(told["layers"]),
                "objects": told["objects"],
            }
        )
    )
    return 0


def _storage(without: bool) -> dict[str, Any]:
    if without:
        return {}
    key = os.environ["SUPABASE_SERVICE_ROLE_KEY"]
    headers = {"apikey": key, "authorization": f"Bearer {key}"}
    return {"base_url": os.environ["SUPABASE_URL"], "headers": headers, "timeout": SECONDS}


if __name__ == "__main__":
    sys.exit(main())
