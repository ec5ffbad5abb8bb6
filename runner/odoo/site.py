"""Where an Odoo is, and as whom it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

SCHEMES = ("odoo+https", "odoo+http")


class Unclear(ValueError):
    """A URL that does not say what is needed; the text holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Site:
    """`url` without a path, `key` an API key or the password. `series` is the major where it need not be
    asked for: 18 speaks JSON-RPC, 19 and later JSON-2."""

    url: str
    database: str
    login: str
    key: str = field(repr=False)
    series: int | None = None

    @property
    def namespace(self) -> str:
        """The namespace of its models in lineage."""
        return f"odoo://{urlsplit(self.url).netloc.rpartition('@')[2].lower()}/{self.database}"


def of_url(url: str) -> Site:
    """`odoo+https://login:key@host[:port]/database[?series=18]`, each part percent-encoded where it must be.
    Raises Unclear."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise Unclear(f"it must start with {SCHEMES[0]}://login:key@host/database")
    database = unquote(parts.path.strip("/"))
    if not database or "/" in database:
        raise Unclear("its path must be the name of the database")
    if not parts.username or not parts.password:
        raise Unclear("it must hold the login and an API key: login:key@")
    series = parse_qs(parts.query).get("series", [""])[0]
    if series and not series.isdigit():
        raise Unclear("series must be a number such as 18")
    return Site(
        f"{parts.scheme.removeprefix('odoo+')}://{parts.netloc.rpartition('@')[2]}",
        database,
        unquote(parts.username),
        unquote(parts.password),
        int(series) if series else None,
    )
