"""Standard Webhooks 1.0: the signature of a callback, and the secret it is made with.

The secret of an endpoint is derived from the master key (HKDF-SHA256, RFC 5869) and never stored. So is, for
endpoints that want it, the seed of an ed25519 key (`v1a`), whose public half receivers may hold who should
not be able to sign. The edge function derives the same in `supabase/functions/_shared/webhook_secret.ts`;
`tests/vectors/webhook_secret.json` keeps both equal.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PREFIX = "whsec_"
PUBLIC_PREFIX = "whpk_"
_INFO = "control-room/webhook/v1"
_INFO_ED25519 = "control-room/webhook/v1a"


def derive(master_key: str, endpoint_id: str, version: int) -> bytes:
    """The 32 bytes that sign for one endpoint under one secret version."""
    return _derive(master_key, f"{_INFO}:{endpoint_id}:{version}")


def derive_key(master_key: str, endpoint_id: str, version: int) -> Ed25519PrivateKey:
    """The ed25519 key of one endpoint under one secret version."""
    # few endpoints want it, and the library takes a while to load
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    return Ed25519PrivateKey.from_private_bytes(
        _derive(master_key, f"{_INFO_ED25519}:{endpoint_id}:{version}")
    )


def shown(secret: bytes) -> str:
    """The form in which a receiver is given the secret."""
    return PREFIX + base64.b64encode(secret).decode()


def shown_public(key: Ed25519PrivateKey) -> str:
    """The form in which a receiver is given the public key."""
    return PUBLIC_PREFIX + base64.b64encode(key.public_key().public_bytes_raw()).decode()


def headers(
    secrets: Iterable[bytes],
    event_id: str,
    timestamp: int,
    body: bytes,
    keys: Iterable[Ed25519PrivateKey] = (),
) -> dict[str, str]:
    """The three headers of one try: the id is the event's, the time (Unix seconds) that of the try.

    Several secrets give several signatures, so that a receiver may rotate at leisure.
    """
    if "." in event_id:
        raise ValueError("an event id holds no full stop")
    signed = f"{event_id}.{timestamp}.".encode() + body
    signatures = [f"v1,{_base64(hmac.digest(secret, signed, 'sha256'))}" for secret in secrets]
    signatures += [f"v1a,{_base64(key.sign(signed))}" for key in keys]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _derive(master_key: str, info: str) -> bytes:
    extracted = hmac.digest(b"\0" * hashlib.sha256().digest_size, master_key.encode(), "sha256")
    # 32 bytes are one block of SHA-256, so expanding is one round.
    return hmac.digest(extracted, info.encode() + b"\x01", "sha256")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
