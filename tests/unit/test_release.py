"""Migrations are append-only from the first tag on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dev.stack import release

ROOM = "supabase/migrations"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Two migrations, released."""
    folder = tmp_path / ROOM
    folder.mkdir(parents=True)
    (folder / "20261123000100_ground.sql").write_text("create schema ground;\n")
    (folder / "20261123000200_tenancy.sql").write_text("create schema tenancy;\n")
    name = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    for words in (["init", "-q"], ["add", "-A"], [*name, "commit", "-qm", "first"], ["tag", "v0.1.0"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_the_migrations_of_the_newest_release_are_as_they_were() -> None:
    tag = release.newest()

    assert tag is None or release.rewritten(tag) == []


def test_a_migration_that_is_added_at_the_end_is_none(clone: Path) -> None:
    (clone / ROOM / "20270101000000_more.sql").write_text("create schema more;\n")

    assert release.newest(clone) == "v0.1.0"
    assert release.rewritten("v0.1.0", clone) == []


@pytest.mark.parametrize("change", ["edited", "removed", "put before"])
def test_a_migration_that_is_released_is_neither_edited_nor_removed_nor_preceded(
    clone: Path, change: str
) -> None:
    name = "20261123000200_tenancy.sql"
    match change:
        case "edited":
            (clone / ROOM / name).write_text("create schema tenancies;\n")
        case "removed":
            (clone / ROOM / name).unlink()
        case _:
            name = "20261123000150_between.sql"
            (clone / ROOM / name).write_text("create schema between_;\n")

    assert release.rewritten("v0.1.0", clone) == [f"{ROOM}/{name}"]
