"""A small OpenID Connect issuer with keys of its own: what GitHub Actions is to the real edge function."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm


@dataclass(frozen=True)
class Issuer:
    url: str
    key: rsa.RSAPrivateKey = field(repr=False)

    def token(self, audience: str, **changes: object) -> str:
        """What a workflow of acme/etl on main would be given, unless `changes` say otherwise."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": audience,
            "jti": str(uuid.uuid4()),
            "sub": "repo:acme/etl:ref:refs/heads/main",
            "repository": "acme/etl",
            "repository_id": "74",
            "ref": "refs/heads/main",
            "event_name": "push",
            "run_id": "42",
            "actor": "octocat",
            "iat": now,
            "nbf": now - 60,
            "exp": now + 300,
        }
        return jwt.encode(claims | changes, self.key, algorithm="RS256", headers={"kid": "one"})


@contextlib.contextmanager
def serving() -> Iterator[Issuer]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = {
        **RSAAlgorithm.to_jwk(key.public_key(), as_dict=True),
        "kid": "one",
        "use": "sig",
        "alg": "RS256",
    }
    documents: dict[str, object] = {"/jwks": {"keys": [public]}}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = documents.get(self.path)
            body = json.dumps(document).encode()
            self.send_response(404 if document is None else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        documents["/.well-known/openid-configuration"] = {"issuer": url, "jwks_uri": f"{url}/jwks"}
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Issuer(url, key)
        finally:
            server.shutdown()
            thread.join()
