"""Callbacks: where they go, and what became of them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from control_room.model.word import Word


class Endpoint(Word):
    endpoint_id: str
    url: str
    events: list[str] = Field(default_factory=list)
    max_concurrency: int | None = None
    ordered: bool = False
    merge_progress: bool = False
    ed25519: bool = False
    secret_version: int = 1
    failures: int = 0
    failing_since: datetime | None = None
    open_until: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None


class Network(Word):
    """A private network that callbacks may reach; `ports` None: the ordinary ones."""

    network_id: int
    cidr: str
    ports: list[int] | None = None
    created_by: str | None = None
    created_at: datetime | None = None


class EndpointSecret(Word):
    endpoint_id: str
    secret: str
    secret_version: int = 1
    public_key: str | None = None


class Delivery(Word):
    delivery_id: int
    event_id: str
    state: str
    type: str | None = None
    run_id: int | None = None
    seq: int | None = None
    endpoint_id: str | None = None
    url: str | None = None
    tries: int = 0
    last_status: int | None = None
    last_error: str | None = None
    next_at: datetime | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None
