"""Records of an Odoo that the job itself names (`params.odoo`): it was granted a network and the secret.

The key is in the environment under the secret's name; it stands in for a password. An Odoo that the platform
has as a target comes as an input instead, and its key never gets here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.odoo import records as pages
from runner.odoo.client import Client, Refused
from runner.odoo.records import Field
from runner.odoo.site import Site

__all__ = ["Refused", "place", "records"]


def place(wanted: Mapping[str, Any]) -> str:
    """The namespace of its models in lineage."""
    return _site(wanted, "").namespace


def records(wanted: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Records of a model, in the order of their ids. Raises Refused."""
    key = environment.get(str(wanted["secret"]), "")
    if not key:
        raise Refused(f"the job has no secret {wanted['secret']}: name it in secrets")
    names = ("id", "display_name", wanted.get("title", "name"), wanted.get("body", "body"))
    found = pages.pages(
        Client(_site(wanted, key)),
        str(wanted["model"]),
        [Field(str(name), "text") for name in dict.fromkeys(names)],
        wanted.get("domain", []),
        limit=int(wanted.get("limit", 2000)),
        archived=False,
    )
    for page in found:
        yield from page


def _site(wanted: Mapping[str, Any], key: str) -> Site:
    version = wanted.get("version")
    return Site(
        str(wanted["url"]).rstrip("/"),
        str(wanted["database"]),
        str(wanted.get("login", "")),
        key,
        int(version) if version else None,
    )
