"""Artifacts: bytes go up and down by signed URLs, never through the API."""

from __future__ import annotations

import hashlib
import mimetypes
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from control_room import difference, preview
from control_room.difference import Difference
from control_room.errors import (
    ApiError,
    ArtifactRefused,
    ControlRoomError,
    NotInTime,
    TransferDamaged,
)
from control_room.model import Artifact, ArtifactSummary, ArtifactUsage, ArtifactVersion, Page, Upload
from control_room.operation import Operation, Pause, Request, exchange, fetch, query
from control_room.operations import resumable
from control_room.preview import Preview

CHECK_SECONDS = 60.0


def put(
    content: bytes,
    name: str,
    kind: str = "data",
    content_type: str | None = None,
    description: str | None = None,
    *,
    classification: str | None = None,
    made_from: Sequence[Mapping[str, Any]] = (),
    reuse: bool = False,
    wait_seconds: float = CHECK_SECONDS,
) -> Operation[ArtifactSummary]:
    """Uploads a new version and waits until the runner has checked it.

    Bytes that the tenant has are not sent again. `made_from` are {artifact_id, version?}, for the lineage.
    With `reuse`, a READY newest version of the same name with the same bytes is taken instead.
    Raises ArtifactRefused, NotInTime, ApiError (ARTIFACT_TOO_LARGE …).
    """
    sha256 = hashlib.sha256(content).hexdigest()
    if reuse:
        newest = (yield from list_(name=name, limit=1)).items
        if newest and newest[0].state == "READY" and newest[0].sha256 == sha256:
            return newest[0]
    media_type = content_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    described = {
        "name": name,
        "kind": kind,
        "size": len(content),
        "sha256": sha256,
        "content_type": media_type,
        **({"description": description} if description else {}),
        **({"classification": classification} if classification else {}),
        **({"inputs": list(made_from)} if made_from else {}),
    }
    upload = yield from fetch(Upload, Request("POST", "/artifacts", body=described))
    if upload.resumable is not None and len(content) > resumable.THRESHOLD:
        yield from resumable.send(upload.resumable, content, media_type)
    elif upload.upload_url:
        yield from exchange(
            Request(
                "PUT",
                upload.upload_url,
                content=content,
                headers={"content-type": media_type},
                door="signed",
                repeatable=True,
            )
        )
    completed = Request(
        "POST", f"/artifacts/{upload.artifact_id}/complete", body={"version": upload.version}, repeatable=True
    )
    yield from exchange(completed)
    return (yield from _checked(upload, name, kind, wait_seconds))


def _checked(upload: Upload, name: str, kind: str, wait_seconds: float) -> Operation[ArtifactSummary]:
    began = time.monotonic()
    pause = 0.05
    while True:
        artifact = yield from get(upload.artifact_id)
        version = artifact.version(upload.version)
        state = version.state if version else upload.state
        if version is not None and state == "READY":
            return ArtifactSummary(
                artifact_id=artifact.artifact_id,
                name=artifact.name,
                kind=artifact.kind,
                version=version.version,
                state=version.state,
                size=version.size,
                sha256=version.sha256,
                created_at=version.created_at,
            )
        if state in {"REFUSED", "EXPIRED"}:
            raise ArtifactRefused(name, version.findings if version else None)
        if time.monotonic() - began > wait_seconds:
            raise NotInTime(
                f"the artifact {name} is not checked yet after {wait_seconds:g} s",
                "a runner checks uploads: see control-room health",
            )
        yield Pause(pause)
        pause = min(pause * 1.5, 1.0)


def get(artifact_id: str) -> Operation[Artifact]:
    return (yield from fetch(Artifact, Request("GET", f"/artifacts/{artifact_id}", repeatable=True)))


def list_(
    name: str | None = None,
    kind: str | None = None,
    run_id: int | None = None,
    limit: int | None = None,
    cursor: str | int | None = None,
    *,
    sha256: str | None = None,
    tag: str | None = None,
) -> Operation[Page[ArtifactSummary]]:
    asked = query(name=name, kind=kind, run_id=run_id, sha256=sha256, tag=tag, limit=limit, cursor=cursor)
    return (
        yield from fetch(Page[ArtifactSummary], Request("GET", "/artifacts", query=asked, repeatable=True))
    )


def find(name_or_id: str) -> Operation[Artifact]:
    """An artifact by its UUID or by its exact name. Raises ApiError ARTIFACT_NOT_FOUND."""
    if is_id(name_or_id):
        return (yield from get(name_or_id))
    found = (yield from list_(name=name_or_id, limit=1)).items
    # a name that is not there is asked for as an id, so that the server itself says what is wrong
    return (yield from get(found[0].artifact_id if found else "00000000-0000-0000-0000-000000000000"))


def download_url(artifact_id: str, version: int | None = None) -> Operation[str]:
    """A signed URL of the bytes, good for five minutes."""
    asked = Request(
        "GET", f"/artifacts/{artifact_id}/download", query=query(version=version), repeatable=True
    )
    response = yield from exchange(asked)
    return str(response.headers["location"])


def read(artifact: Artifact, named: int | str | None = None) -> Operation[tuple[ArtifactVersion, bytes]]:
    """The bytes of one version, checked. Raises TransferDamaged, ApiError."""
    version = wanted_version(artifact, named)
    url = yield from download_url(artifact.artifact_id, version.version)
    asked = Request("GET", url, headers={"accept": "*/*"}, door="signed", repeatable=True)
    response = yield from exchange(asked)
    if version.sha256 is not None and hashlib.sha256(response.content).hexdigest() != version.sha256:
        raise TransferDamaged(f"{artifact.name} arrived damaged", "try again")
    return version, response.content


def diff(name_or_id: str, old: int | str, new: int | str | None = None) -> Operation[Difference]:
    """What changed between two versions (numbers or aliases) of a text; `new` is the newest READY one."""
    artifact = yield from find(name_or_id)
    before, former = yield from read(artifact, old)
    after, latter = yield from read(artifact, new)
    name = Path(artifact.name).name
    return difference.between(former, latter, f"{name} v{before.version}", f"{name} v{after.version}")


def show(name_or_id: str, named: int | str | None = None) -> Operation[Preview]:
    """A version as a page that can do nothing. Raises ControlRoomError for what has none."""
    artifact = yield from find(name_or_id)
    _, content = yield from read(artifact, named)
    return preview.of(content, Path(artifact.name).name)


def update(artifact_id: str, changes: Mapping[str, Any]) -> Operation[Artifact]:
    """Description, classification, tags, aliases: all at once or not at all. Raises ApiError ALIAS_MOVED."""
    return (yield from fetch(Artifact, Request("PATCH", f"/artifacts/{artifact_id}", body=dict(changes))))


def usage() -> Operation[ArtifactUsage]:
    return (yield from fetch(ArtifactUsage, Request("GET", "/artifacts/usage", repeatable=True)))


def delete(artifact_id: str) -> Operation[None]:
    yield from exchange(Request("DELETE", f"/artifacts/{artifact_id}"))


def is_id(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(
        sign in "0123456789abcdefABCDEF" for part in parts for sign in part
    )


def source(given: Path | bytes, name: str | None) -> tuple[str, bytes]:
    """Name and bytes of what is to be uploaded. Raises ControlRoomError where the file cannot be read."""
    if isinstance(given, bytes):
        if name is None:
            raise ControlRoomError("bytes without a name", "give the artifact a name")
        return name, given
    try:
        return name or given.name, given.read_bytes()
    except OSError as error:
        raise ControlRoomError(f"{given} cannot be read: {error.strerror}") from error


def wanted_version(artifact: Artifact, named: int | str | None) -> ArtifactVersion:
    """The version of that number or alias, or the newest READY one. Raises ApiError as the server would."""
    if isinstance(named, str) and not named.isdecimal() and named not in artifact.aliases:
        raise ApiError(404, "ALIAS_NOT_FOUND", "The artifact has no such alias.", named)
    number = None if named is None else artifact.aliases.get(str(named)) or int(named)
    for version in sorted(artifact.versions, key=lambda it: it.version, reverse=True):
        if version.version == number or (number is None and version.state == "READY"):
            return version
    if number is not None:
        raise ApiError(404, "ARTIFACT_NOT_FOUND", "The artifact has no such version.", str(number))
    raise ApiError(409, "ARTIFACT_NOT_READY", "The artifact has no version that is READY.", artifact.name)
