"""The gateway's settings, read from the environment once."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class SettingsError(Exception):
    """A setting is missing or unusable. The message names it and says what is wanted."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`jwks` is the public key set as sent to clients; sizes are bytes, times seconds."""

    host: str
    port: int
    database_url: str
    admin_url: str
    jwt_secret: str
    jwks: dict[str, Any]
    storage_dir: Path
    functions_url: str
    anon_keys: tuple[str, ...]
    service_keys: tuple[str, ...]
    pool_size: int = 10
    max_body: int = 16 * 1024 * 1024
    max_object: int = 52_428_800
    acquire_timeout: float = 10.0


def read(environment: Mapping[str, str]) -> Settings:
    """Settings from `GATEWAY_*`. Raises `SettingsError`; secrets never appear in its message."""

    def need(name: str) -> str:
        value = environment.get(name, "").strip()
        if not value:
            raise SettingsError(f"{name} is not set")
        return value

    def number(name: str, default: str | None = None) -> int:
        text = environment.get(name, "").strip() or default or need(name)
        try:
            return int(text)
        except ValueError:
            raise SettingsError(f"{name} must be a whole number, got {text!r}") from None

    port = number("GATEWAY_PORT")
    if not 0 < port < 65536:
        raise SettingsError(f"GATEWAY_PORT must be between 1 and 65535, got {port}")
    pool_size = number("GATEWAY_POOL", "10")
    if not 1 <= pool_size <= 100:
        raise SettingsError(f"GATEWAY_POOL must be between 1 and 100, got {pool_size}")
    return Settings(
        host=_loopback(environment.get("GATEWAY_HOST", "").strip() or "127.0.0.1"),
        port=port,
        database_url=need("GATEWAY_DATABASE_URL"),
        admin_url=need("GATEWAY_ADMIN_URL"),
        jwt_secret=_secret(need("GATEWAY_JWT_SECRET")),
        jwks=_key_set(environment.get("GATEWAY_JWKS", "").strip() or '{"keys": []}'),
        storage_dir=Path(need("GATEWAY_STORAGE_DIR")),
        functions_url=_functions(need("GATEWAY_FUNCTIONS_URL")),
        anon_keys=_keys(need("GATEWAY_ANON_KEY"), environment.get("GATEWAY_PUBLISHABLE_KEY", "")),
        service_keys=_keys(need("GATEWAY_SERVICE_KEY"), environment.get("GATEWAY_SECRET_KEY", "")),
        pool_size=pool_size,
    )


def _loopback(host: str) -> str:
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise SettingsError(
            f"GATEWAY_HOST must be a loopback address, got {host!r}: the gateway is a development tool "
            "and is not to be reached from other machines"
        )
    return host


def _secret(secret: str) -> str:
    if len(secret.encode()) < 32:
        raise SettingsError("GATEWAY_JWT_SECRET must have at least 32 bytes (HS256)")
    return secret


def _key_set(text: str) -> dict[str, Any]:
    try:
        key_set = json.loads(text)
        keys = key_set["keys"]
        private = [key.get("kid") for key in keys if "d" in key or key.get("kty") == "oct"]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise SettingsError('GATEWAY_JWKS must be JSON of the form {"keys": [...]}') from None
    if private:
        raise SettingsError(
            "GATEWAY_JWKS holds private keys; it is served to everybody, give public keys only"
        )
    assert isinstance(key_set, dict)
    return key_set


def _functions(url: str) -> str:
    if not url.startswith("http://"):
        raise SettingsError(f"GATEWAY_FUNCTIONS_URL must start with http://, got {url!r}")
    return url.rstrip("/")


def _keys(*keys: str) -> tuple[str, ...]:
    return tuple(key.strip() for key in keys if key.strip())
