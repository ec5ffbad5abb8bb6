"""Profiles: what is kept where, who goes first, and that no token is told to the wrong server."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main

from control_room import profiles
from control_room.cli.main import app
from control_room.envelope import Envelope
from control_room.errors import ControlRoomError
from control_room.profiles import Profile


def jwt(**claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.x"


ANNA = jwt(sub="anna", tenant_id="t-1", role="admin", exp=1_900_000_000)
MEMBERS = {"items": [{"user_id": "anna", "role": "operator"}], "next": None}


@pytest.fixture
def alone(control_room: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command line without anything in the environment."""
    for name in ("SUPABASE_URL", "SUPABASE_ANON_KEY", "CONTROL_ROOM_TOKEN"):
        monkeypatch.delenv(name)

    def call(*arguments: str, stdin: str = "") -> Any:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        return control_room(*arguments)

    return call


def test_a_token_is_tried_and_kept_for_its_owner_alone(
    stub: Any, alone: Callable[..., Any], tmp_path: Path
) -> None:
    stub.on("GET", "/members", MEMBERS)

    ended = alone("login", "--url", stub.url, "--anon-key", "anon", stdin=f"{ANNA}\n")

    kept = tmp_path / "config.toml"
    assert (ended.code, kept.stat().st_mode & 0o777) == (0, 0o600), ended.err
    assert "anna  operator" in ended.out  # the membership lowers what the token claims
    assert ANNA not in ended.out + ended.err
    assert json.loads(alone("whoami", "--json").out)["role"] == "operator"
    assert stub.seen[-1].headers["authorization"] == f"Bearer {ANNA}"


def test_a_token_that_is_refused_is_not_kept(stub: Any, alone: Callable[..., Any], tmp_path: Path) -> None:
    stub.on("GET", "/members", {"code": "TOKEN_INVALID", "message": "No.", "hint": "x"}, 401)

    ended = alone("login", "--url", stub.url, "--anon-key", "anon", stdin=ANNA)

    assert (ended.code, (tmp_path / "config.toml").exists()) == (3, False)
    assert "control-room login" in ended.err
    assert alone("login", "--url", stub.url, "--anon-key", "anon", stdin="").code == 2
    assert alone("login", stdin=ANNA).code == 2


def test_profiles_are_chosen_by_option_variable_and_default(
    stub: Any, alone: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.on("GET", "/members", MEMBERS).on("GET", "/runs", {"items": [], "next": None})
    for name in ("one", "two"):
        token = jwt(sub="anna", role="viewer", name=name)
        assert (
            alone("--profile", name, "login", "--url", stub.url, "--anon-key", "anon", stdin=token).code == 0
        )

    def bearer(*arguments: str) -> str:
        assert alone(*arguments, "runs", "ls").code == 0
        said = stub.seen[-1].headers["authorization"].split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(said + "==="))["name"])

    assert bearer() == "one"
    assert bearer("--profile", "two") == "two"
    monkeypatch.setenv("CONTROL_ROOM_PROFILE", "two")
    assert bearer() == "two"
    assert bearer("--profile", "one") == "one"
    assert alone("--profile", "three", "runs", "ls").code == 2
    assert alone("--profile", "two", "logout").code == 0
    monkeypatch.delenv("CONTROL_ROOM_PROFILE")
    assert alone("--profile", "two", "runs", "ls").code == 2


def test_the_environment_goes_first_and_no_token_goes_astray(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    at = {"CONTROL_ROOM_CONFIG": str(file)}
    profiles.read(at).with_one("p", Profile("https://ours", "anon", "kept")).save()

    assert Envelope.of_environment(at).token == "kept"
    assert Envelope.of_environment({**at, "CONTROL_ROOM_TOKEN": "said"}).token == "said"
    assert Envelope.of_environment({**at, "SUPABASE_URL": "https://ours/"}).token == "kept"
    with pytest.raises(ControlRoomError, match="CONTROL_ROOM_TOKEN"):
        Envelope.of_environment({**at, "SUPABASE_URL": "https://theirs", "SUPABASE_ANON_KEY": "x"})
    named = Envelope.of_environment(
        {**at, "SUPABASE_URL": "https://theirs", "CONTROL_ROOM_TOKEN": "x"}, profile="p"
    )
    assert (named.url, named.token) == ("https://ours", "kept")


def test_a_file_that_others_read_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("")
    file.chmod(0o644)

    with pytest.raises(ControlRoomError, match="can be read by others"):
        profiles.read({"CONTROL_ROOM_CONFIG": str(file)})


def test_whatever_a_profile_is_called_it_reads_back(tmp_path: Path) -> None:
    at = {"CONTROL_ROOM_CONFIG": str(tmp_path / "deep" / "c.toml")}
    kept = {'a."b" \\': Profile("u", "k", "t\x7f\n"), "ü": Profile("", "", "")}
    book = profiles.read(at)
    for name, it in kept.items():
        book = book.with_one(name, it)
    book.save()

    assert profiles.read(at).known == kept


def test_every_command_speaks_json() -> None:
    def commands(it: Any, path: tuple[str, ...]) -> list[tuple[str, Any]]:
        below = getattr(it, "commands", None)
        if below is None:
            return [(" ".join(path), it)]
        return [found for name, each in below.items() for found in commands(each, (*path, name))]

    all_of_them = commands(typer.main.get_command(app), ())
    silent = {name for name, it in all_of_them if "json" not in {each.name for each in it.params}}

    assert len(all_of_them) > 40
    # they print a document of their own
    assert silent <= {"schema", "jobs get", "lineage svg"}
