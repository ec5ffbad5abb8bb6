"""A Supabase project as a test sees it: an address, keys, and a way to make tokens."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
import psycopg

ACME = "11111111-1111-1111-1111-111111111111"
GLOBEX = "22222222-2222-2222-2222-222222222222"
ALICE = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
BOB = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"


@dataclass(frozen=True)
class Project:
    """Either the gateway of the test session, or a real project that SUPABASE_URL points to."""

    url: str
    anon_key: str
    service_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    client: httpx.Client = field(repr=False)

    def token(self, **claims: Any) -> str:
        """An HS256 token of a member of acme, an operator unless said otherwise; None drops a claim."""
        now = int(time.time())
        whole = {
            "aud": "authenticated",
            "role": "authenticated",
            "sub": ALICE,
            "tenant_id": ACME,
            "iat": now,
            "exp": now + 600,
        } | claims
        whole = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(whole, self.jwt_secret, algorithm="HS256")

    def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = "",
        key: str | None = "",
        headers: dict[str, str] | None = None,
        **rest: Any,
    ) -> httpx.Response:
        """One request. `token`: empty for a member's own, None for none; `key`: empty for the anon key."""
        sent = {}
        if key is not None:
            sent["apikey"] = key or self.anon_key
        if token is not None:
            sent["authorization"] = f"Bearer {token or self.token()}"
        return self.client.request(method, self.url + path, headers=sent | (headers or {}), **rest)

    def get(self, path: str, **rest: Any) -> httpx.Response:
        return self.ask("GET", f"/rest/v1/{path}", **rest)

    def call(self, function: str, body: Any = None, **rest: Any) -> httpx.Response:
        """An RPC by POST; a `bytes` body goes out as it is."""
        content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        headers = {"content-type": "application/json"} | rest.pop("headers", {})
        return self.ask("POST", f"/rest/v1/rpc/{function}", content=content, headers=headers, **rest)


@dataclass(frozen=True)
class Scratch(Project):
    """The gateway over a database with the schema of scratch.sql, and a way into that database."""

    database_url: str = field(default="", repr=False)
    signing_key: str = field(default="", repr=False)

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Run SQL as superuser."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []
