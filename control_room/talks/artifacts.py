"""Artifacts: bytes go up and down by signed URLs, never through the API."""

from __future__ import annotations

import hashlib
import mimetypes
import time
from pathlib import Path

from control_room.errors import ApiError, ArtifactRefused, ControlRoomError, NotInTime
from control_room.model import Artifact, ArtifactSummary, ArtifactVersion, Page, Upload
from control_room.talk import Ask, Pause, Talk, ask_word, exchange, query

CHECK_SECONDS = 60.0


def put(
    content: bytes,
    name: str,
    kind: str = "data",
    content_type: str | None = None,
    description: str | None = None,
    *,
    reuse: bool = False,
    wait_seconds: float = CHECK_SECONDS,
) -> Talk[ArtifactSummary]:
    """Uploads a new version and waits until the runner has checked it.

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
    }
    upload = yield from ask_word(Upload, Ask("POST", "/artifacts", body=described))
    if upload.upload_url:
        yield from exchange(
            Ask(
                "PUT",
                upload.upload_url,
                content=content,
                headers={"content-type": media_type},
                door="signed",
                repeatable=True,
            )
        )
    completed = Ask(
        "POST", f"/artifacts/{upload.artifact_id}/complete", body={"version": upload.version}, repeatable=True
    )
    yield from exchange(completed)
    return (yield from _checked(upload, name, kind, wait_seconds))


def _checked(upload: Upload, name: str, kind: str, wait_seconds: float) -> Talk[ArtifactSummary]:
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


def get(artifact_id: str) -> Talk[Artifact]:
    return (yield from ask_word(Artifact, Ask("GET", f"/artifacts/{artifact_id}", repeatable=True)))


def list_(
    name: str | None = None,
    kind: str | None = None,
    run_id: int | None = None,
    limit: int | None = None,
    cursor: str | int | None = None,
) -> Talk[Page[ArtifactSummary]]:
    asked = query(name=name, kind=kind, run_id=run_id, limit=limit, cursor=cursor)
    return (
        yield from ask_word(Page[ArtifactSummary], Ask("GET", "/artifacts", query=asked, repeatable=True))
    )


def find(name_or_id: str) -> Talk[Artifact]:
    """An artifact by its UUID or by its exact name. Raises ApiError ARTIFACT_NOT_FOUND."""
    if is_id(name_or_id):
        return (yield from get(name_or_id))
    found = (yield from list_(name=name_or_id, limit=1)).items
    # a name that is not there is asked for as an id, so that the server itself says what is wrong
    return (yield from get(found[0].artifact_id if found else "00000000-0000-0000-0000-000000000000"))


def download_url(artifact_id: str, version: int | None = None) -> Talk[str]:
    """A signed URL of the bytes, good for five minutes."""
    asked = Ask("GET", f"/artifacts/{artifact_id}/download", query=query(version=version), repeatable=True)
    response = yield from exchange(asked)
    return str(response.headers["location"])


def delete(artifact_id: str) -> Talk[None]:
    yield from exchange(Ask("DELETE", f"/artifacts/{artifact_id}"))


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


def wanted_version(artifact: Artifact, number: int | None) -> ArtifactVersion:
    """The version of that number, or the newest READY one. Raises ApiError as the server would."""
    for version in sorted(artifact.versions, key=lambda it: it.version, reverse=True):
        if version.version == number or (number is None and version.state == "READY"):
            return version
    if number is not None:
        raise ApiError(404, "ARTIFACT_NOT_FOUND", "The artifact has no such version.", str(number))
    raise ApiError(409, "ARTIFACT_NOT_READY", "The artifact has no version that is READY.", artifact.name)
