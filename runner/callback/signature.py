"""Standard Webhooks 1.0: the signature of a callback, and the secret it is made with.

The secret of an endpoint is derived from the master key (HKDF-SHA256, RFC 5869) and never stored. The edge
function derives the same in `supabase/functions/_shared/webhook_secret.ts`;
`tests/vectors/webhook_secret.json` keeps both equal.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

PREFIX = "whsec_"
_INFO = "control-room/webhook/v1"
_LENGTH = 32


def derive(master_key: str, endpoint_id: str, version: int) -> bytes:
    """The 32 bytes that sign for one endpoint under one secret version."""
    info = f"{_INFO}:{endpoint_id}:{version}".encode()
    extracted = hmac.digest(b"\0" * hashlib.sha256().digest_size, master_key.encode(), "sha256")
    # 32 bytes are one block of SHA-256, so expanding is one round.
    return hmac.digest(extracted, info + b"\x01", "sha256")[:_LENGTH]


def shown(secret: bytes) -> str:
    """The form in which a receiver is given the secret."""
    return PREFIX + base64.b64encode(secret).decode()


def headers(secrets: Iterable[bytes], event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of one try: the id is the event's, the time (Unix seconds) that of the try.

    Several secrets give several signatures, so that a receiver may rotate at leisure.
    """
    if "." in event_id:
        raise ValueError("an event id holds no full stop")
    signed = f"{event_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(secret, signed, "sha256")).decode() for secret in secrets)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }
