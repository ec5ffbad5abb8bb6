"""Whom one talks to and as whom, kept between commands: one file of profiles, readable by its owner alone.

    default = "acme"

    [profiles.acme]
    url = "https://….supabase.co"
    anon_key = "…"
    token = "cr_…"

It lies at CONTROL_ROOM_CONFIG, else $XDG_CONFIG_HOME/control-room/config.toml (~/.config).
"""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from control_room.errors import ControlRoomError


@dataclass(frozen=True)
class Profile:
    url: str
    anon_key: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Profiles:
    path: Path
    default: str | None = None
    known: Mapping[str, Profile] = field(default_factory=dict)

    def get(self, name: str) -> Profile:
        """Raises ControlRoomError."""
        if name not in self.known:
            there = ", ".join(sorted(self.known)) or "none yet"
            raise ControlRoomError(
                f"there is no profile {name} in {self.path} ({there})", f"control-room --profile {name} login"
            )
        return self.known[name]

    def with_one(self, name: str, profile: Profile) -> Profiles:
        """The first one becomes the default."""
        return replace(self, default=self.default or name, known={**self.known, name: profile})

    def without(self, name: str) -> Profiles:
        rest = {known: it for known, it in self.known.items() if known != name}
        default = next(iter(rest), None) if self.default == name else self.default
        return replace(self, default=default, known=rest)

    def save(self) -> None:
        """Whole or not at all, with mode 0600."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = [f"default = {_quoted(self.default)}"] if self.default else []
        for name, it in self.known.items():
            lines += ["", f"[profiles.{_quoted(name)}]"]
            lines += [f"{key} = {_quoted(getattr(it, key))}" for key in ("url", "anon_key", "token")]
        # mkstemp makes it 0600 from the first byte on
        handle, made = tempfile.mkstemp(dir=self.path.parent, prefix=".config-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
            Path(made).replace(self.path)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise


def place(environment: Mapping[str, str]) -> Path:
    if given := environment.get("CONTROL_ROOM_CONFIG"):
        return Path(given)
    base = environment.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "control-room" / "config.toml"


def read(environment: Mapping[str, str] = os.environ) -> Profiles:
    """An empty book where there is no file. Raises ControlRoomError where it cannot be trusted or read."""
    path = place(environment)
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise ControlRoomError(f"{path} can be read by others", f"it holds tokens: chmod 600 {path}")
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Profiles(path)
    except (OSError, ValueError) as error:
        raise ControlRoomError(f"{path} cannot be read: {error}") from error
    try:
        known = {
            str(name): Profile(str(it["url"]), str(it["anon_key"]), str(it.get("token", "")))
            for name, it in found.get("profiles", {}).items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ControlRoomError(f"{path} holds a profile without {error}") from error
    return Profiles(path, found.get("default"), known)


def _quoted(text: str | None) -> str:
    # a JSON string is a basic string of TOML, but for one character
    return json.dumps(text or "", ensure_ascii=False).replace("\x7f", "\\u007f")
