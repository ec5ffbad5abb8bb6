"""Artifacts, their versions, and the right to bring their bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from control_room.model.word import JsonObject, Word

ArtifactState = Literal["PENDING", "READY", "REFUSED", "EXPIRED"]


class ArtifactVersion(Word):
    version: int
    state: ArtifactState
    size: int
    sha256: str | None = None
    content_type: str | None = None
    run_id: int | None = None
    provenance: JsonObject | None = None
    findings: Any = None
    gone: JsonObject | None = None
    created_at: datetime | None = None


class Artifact(Word):
    """`versions` are the newest hundred; `next` is where older ones follow."""

    artifact_id: str
    name: str
    kind: str
    description: str | None = None
    classification: str = "confidential"
    aliases: dict[str, int] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)
    node_id: str | None = None
    versions: list[ArtifactVersion] = Field(default_factory=list)
    next: int | None = None

    def version(self, number: int) -> ArtifactVersion | None:
        return next((it for it in self.versions if it.version == number), None)


class ArtifactSummary(Word):
    """An artifact as lists show it, with its newest version."""

    artifact_id: str
    name: str
    kind: str
    version: int
    state: ArtifactState
    size: int
    sha256: str | None = None
    run_id: int | None = None
    aliases: dict[str, int] = Field(default_factory=dict)
    created_at: datetime | None = None


class Resumable(Word):
    """The right to an upload in parts: where it begins, and what goes with every request."""

    url: str
    headers: dict[str, str] = Field(repr=False)
    metadata: dict[str, str]


class Upload(Word):
    """`upload_url` is None where the tenant has these bytes already."""

    artifact_id: str
    version: int
    state: ArtifactState
    size: int | None = None
    upload_url: str | None = Field(default=None, repr=False)
    resumable: Resumable | None = None


class ArtifactUsage(Word):
    used_bytes: int
    max_stored_bytes: int
    max_artifact_bytes: int
    artifact_retention_days: int | None = None
    contents: int = 0
