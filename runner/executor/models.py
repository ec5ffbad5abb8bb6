"""The models that write code: what CONTROL_ROOM_CONTINUE_CONFIG says, a configuration of Continue.

The names of its models are what tenants are granted and what this runner offers. Keys, headers and addresses
stay with the runner; what Continue itself is told inside the sandbox is `Model.inside`.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml  # type: ignore[import-untyped]  # its stubs are a package apart

from runner.model.errors import SettingsError

log = logging.getLogger(__name__)

JsonObject = dict[str, Any]
VARIABLE = "CONTROL_ROOM_CONTINUE_CONFIG"
#: Where providers listen that a configuration need not say.
_BASES = {"openai": "https://api.openai.com/v1/", "anthropic": "https://api.anthropic.com/v1/"}
#: What the sandbox is not told of a model: where it is, and what opens it.
_OURS = ("apiBase", "apiKey", "requestOptions", "env")
_SECRET = re.compile(r"\$\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/ -]{0,127}")


@dataclass(frozen=True, slots=True)
class Model:
    """One model: `base` is where its paths begin, `headers` open it."""

    name: str
    base: str
    headers: Mapping[str, str] = field(repr=False)
    said: Mapping[str, Any]
    rules: tuple[Any, ...] = ()

    def inside(self, base: str) -> JsonObject:
        """The configuration for the sandbox, where the model listens at `base`."""
        model = {**self.said, "apiBase": base, "apiKey": "the-runner-knows", "roles": ["chat"]}
        model.setdefault("capabilities", ["tool_use"])
        form: JsonObject = {"name": "control-room", "version": "1.0.0", "schema": "v1", "models": [model]}
        return {**form, "rules": list(self.rules)} if self.rules else form


@dataclass(frozen=True, slots=True)
class Models:
    """All models of a configuration. `digest` is the SHA-256 of the file as it is, which holds no keys."""

    by_name: Mapping[str, Model] = field(default_factory=dict)
    digest: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the file."""
        return tuple(self.by_name)


def read(path: Path | None, environment: Mapping[str, str]) -> Models:
    """The models of the file; none where there is no file. Raises SettingsError."""
    if path is None:
        return Models()
    try:
        data = path.read_bytes()
        form = yaml.safe_load(data)
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"{VARIABLE}: {path} cannot be read: {error}") from error
    listed = form.get("models") if isinstance(form, dict) else None
    if not isinstance(listed, list) or not listed:
        raise SettingsError(f"{VARIABLE}: {path} has no models (a list of name, provider, model, apiBase)")
    rules = tuple(form.get("rules") or ())
    by_name: dict[str, Model] = {}
    for said in listed:
        try:
            made = _model(said, environment, rules)
        except _NoSecret as error:
            # the others, and all other work, are not to suffer for it
            log.error(
                "not_offered",
                extra={"job_type": "code_generation", "engine": said["name"], "reason": str(error)},
            )
            continue
        if made.name in by_name:
            raise SettingsError(f"{VARIABLE}: two models have the same name")
        by_name[made.name] = made
    # a model is known by what its provider calls it, too, where that says which
    called = [each.said["model"] for each in by_name.values()]
    for each in list(by_name.values()):
        if called.count(each.said["model"]) == 1:
            by_name.setdefault(each.said["model"], each)
    return Models(by_name, hashlib.sha256(data).hexdigest())


class _NoSecret(Exception):
    """The environment does not have a secret that a model names."""


def _model(said: Any, environment: Mapping[str, str], rules: tuple[Any, ...]) -> Model:
    if not isinstance(said, dict) or not all(
        isinstance(said.get(k), str) for k in ("name", "provider", "model")
    ):
        raise SettingsError(f"{VARIABLE}: a model has a name, a provider and a model, each a text")
    name = said["name"]
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{VARIABLE}: {name!r} is no plain name of a model")
    base = _filled(said.get("apiBase") or _BASES.get(said["provider"], ""), environment)
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{VARIABLE}: model {name} needs an apiBase that is an http(s) URL")
    options = said.get("requestOptions") or {}
    headers = {
        str(k).lower(): _filled(str(v), environment) for k, v in (options.get("headers") or {}).items()
    }
    key = _filled(str(said.get("apiKey") or ""), environment)
    if key and said["provider"] == "anthropic":
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01", **headers}
    elif key:
        headers = {"authorization": f"Bearer {key}", **headers}
    told = {k: v for k, v in said.items() if k not in _OURS}
    return Model(name, base.rstrip("/"), headers, told, rules)


def _filled(text: str, environment: Mapping[str, str]) -> str:
    """With `${{ secrets.NAME }}` replaced from the runner's environment, where jobs' secrets are as well."""

    def value(match: re.Match[str]) -> str:
        found = environment.get(f"CONTROL_ROOM_SECRET_{match[1]}") or environment.get(match[1])
        if not found:
            raise _NoSecret(f"there is no CONTROL_ROOM_SECRET_{match[1]} and no {match[1]}")
        return found

    return _SECRET.sub(value, text)
