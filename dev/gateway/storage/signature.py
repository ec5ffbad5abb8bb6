"""Signed URLs: a token that allows one act on one object until a moment."""

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Literal

import jwt

from dev.gateway.storage import refusal

Scope = Literal["download", "upload"]
# As on hosted projects.
UPLOAD_SECONDS = 2 * 60 * 60


@dataclass(frozen=True, slots=True)
class Permit:
    """What a token allows. `place` is `<bucket>/<key>`."""

    place: str
    scope: Scope
    expires: int
    owner: str = ""
    upsert: bool = False


class Signer:
    """Makes and reads tokens, with a key of its own: a user's JWT is no permit, a permit no user's JWT."""

    def __init__(self, jwt_secret: str) -> None:
        self._key = hmac.digest(jwt_secret.encode(), b"storage signed urls", hashlib.sha256)

    def sign(self, permit: Permit) -> str:
        claims: dict[str, object] = {
            "url": permit.place,
            "scope": permit.scope,
            "iat": int(time.time()),
            "exp": permit.expires,
        }
        if permit.scope == "upload":
            claims |= {"owner": permit.owner, "upsert": permit.upsert}
        return jwt.encode(claims, self._key, algorithm="HS256")

    def read(self, token: str | None, place: str, scope: Scope) -> Permit:
        """The permit in a token. Raises `StorageRefusal` (400) unless it is for this place and this act."""
        if not token:
            raise refusal.bad_request("querystring must have required property 'token'")
        try:
            claims = jwt.decode(
                token, self._key, algorithms=["HS256"], options={"require": ["exp", "url", "scope"]}
            )
        except jwt.ExpiredSignatureError:
            raise refusal.bad_signature("InvalidJWT", '"exp" claim timestamp check failed') from None
        except (jwt.PyJWTError, UnicodeEncodeError):
            raise refusal.bad_signature("InvalidJWT", "signature verification failed") from None
        if claims["scope"] != scope:
            raise refusal.bad_signature("InvalidSignature", f"Token is not scoped for {scope}")
        if claims["url"] != place:
            raise refusal.bad_signature("InvalidSignature", "Invalid signature")
        return Permit(place, scope, claims["exp"], str(claims.get("owner") or ""), bool(claims.get("upsert")))
