"""What is checked, what is left out of the copy, and what is said about the rest."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.jobtype.code_validation.harness import unpack
from runner.jobtype.code_validation.harness.survey import Survey, survey
from runner.jobtype.code_validation.harness.unpack import Refused

from . import samples


def look(tmp_path: Path, files: dict[str, str | bytes], *, honour: bool = False) -> tuple[Survey, Path]:
    source = tmp_path / "source"
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return survey(source, tmp_path / "checked", [], honour=honour), tmp_path / "checked"


def test_languages_are_told_by_name_and_by_first_line(tmp_path: Path) -> None:
    found, _ = look(
        tmp_path,
        {
            "a.py": "", "b/c.SQL": "", "bin/run": "#!/usr/bin/env bash\n", "bin/job": "#!/usr/bin/python3\n",
            "Dockerfile": "", "deploy/Containerfile.arm": "", "x.dockerfile": "", "m.ts": "", "m.mjs": "",
            "README.md": "# words",
        },
    )  # fmt: skip

    assert {name: sorted(files) for name, files in found.by_language.items()} == {
        "python": ["a.py", "bin/job"],
        "sql": ["b/c.SQL"],
        "shell": ["bin/run"],
        "dockerfile": ["Dockerfile", "deploy/Containerfile.arm", "x.dockerfile"],
        "typescript": ["m.ts"],
        "javascript": ["m.mjs"],
    }
    assert found.unknown == ["README.md"]


def test_configuration_is_not_in_the_copy_and_is_named(tmp_path: Path) -> None:
    found, checked = look(tmp_path, {**samples.CONFIGURATION, "sub/.flake8": "", "a.py": ""})

    left = sorted(str(each.relative_to(checked)) for each in checked.rglob("*") if each.is_file())
    assert left == [".semgrepignore", "a.py", "evil.py"]
    assert set(found.refused) == {*samples.CONFIGURATION, "sub/.flake8"} - {"evil.py"}
    assert set(found.refused) <= set(found.text), "what is not read is still searched for secrets"


@pytest.mark.parametrize("name", sorted(set(samples.BAD) - {"shop/__init__.py"}))
def test_an_order_to_look_away_loses_its_effect_and_nothing_moves(tmp_path: Path, name: str) -> None:
    text = samples.suppressed(samples.BAD)[name]
    found, checked = look(tmp_path, {name: text})
    copy = (checked / name).read_text()

    assert found.suppressions > 0
    assert copy != text
    assert len(copy) == len(text)
    assert [len(line) for line in copy.split("\n")] == [len(line) for line in text.split("\n")]
    for order in (
        "noqa", "nosec", "nosemgrep", "type: ignore", "pylint:", "shellcheck disable", "hadolint global",
        "deno-lint-ignore", "@ts-nocheck", "squawk-ignore", "sqlfluff:", "mypy:", "ruff:", "pragma: allow",
    ):  # fmt: skip
        assert order not in copy


def test_an_order_is_honoured_where_the_job_says_so(tmp_path: Path) -> None:
    text = "import os  # noqa\n"
    found, checked = look(tmp_path, {"a.py": text}, honour=True)

    assert (checked / "a.py").read_text() == text
    assert found.suppressions == 1


def test_words_that_only_look_like_orders_stay(tmp_path: Path) -> None:
    text = (
        "noqablish = 1  # the type: of the thing, the mypyness\nx = 'nosecret'\n"
        "class Sqlfluff:\n    noqa: bool = False\n    ruff: int = 1\n    pylint: 'x'\nif nosec :\n    pass\n"
    )
    found, checked = look(tmp_path, {"a.py": text})

    assert (checked / "a.py").read_text() == text
    assert found.suppressions == 0


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("a.py", b"x = '\xff'\n", "not-text"),
        ("a.sql", b"select 1;\0", "not-text"),
        ("lib.so", b"\x7fELF\0\0", "opaque"),
        ("cache.pyc", b"\xcb\r\r\n\0", "opaque"),
        ("thing.bin", b"\x7fELF\0\0", "opaque"),
        ("more.zip", b"PK\x03\x04\0\0", "opaque"),
        ("a.py", "access = 'user\u202e'  # admin\n".encode(), "bidirectional"),
    ],
)
def test_what_cannot_be_read_is_an_error(tmp_path: Path, name: str, content: bytes, rule: str) -> None:
    found, _ = look(tmp_path, {name: content})

    assert [(each.rule, each.level.value, each.path) for each in found.findings] == [(rule, "error", name)]


def test_a_picture_is_no_fault(tmp_path: Path) -> None:
    found, checked = look(tmp_path, {"static/icon.png": b"\x89PNG\r\n\x1a\n\0\0"})

    assert found.findings == []
    assert found.binary == ["static/icon.png"]
    assert not (checked / "static").exists()


def test_a_file_too_large_to_look_at_keeps_from_a_pass(tmp_path: Path) -> None:
    found, _ = look(tmp_path, {"a.py": "x = 1\n" * 200_000})

    assert found.problems == ["a.py is larger than 1048576 bytes and was not looked at"]


# -- archives


def zipped(files: dict[str, bytes], **modes: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = modes.get(name, 0o100644) << 16
            archive.writestr(entry, content)
    return made.getvalue()


def tarred(*entries: tuple[str, bytes | None, bytes], mode: str = "w:gz") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]  # a mode of the parameter
        for name, content, kind in entries:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            entry.linkname = "/etc/passwd"
            entry.size = len(content or b"")
            archive.addfile(entry, io.BytesIO(content or b""))
    return made.getvalue()


def unpacked(tmp_path: Path, data: bytes) -> tuple[dict[str, bytes], list[str]]:
    (tmp_path / "packed").write_bytes(data)
    left_out = unpack.unpack(tmp_path / "packed", tmp_path / "out")
    found = {
        str(each.relative_to(tmp_path / "out")): each.read_bytes()
        for each in (tmp_path / "out").rglob("*")
        if each.is_file()
    }
    return found, left_out


@pytest.mark.parametrize(
    ("data", "files"),
    [
        (zipped({"a.py": b"x", "lib/b.png": b"\xff\0"}), {"a.py": b"x", "lib/b.png": b"\xff\0"}),
        (tarred(("./a.py", b"x", tarfile.REGTYPE)), {"a.py": b"x"}),
        (tarred(("a.py", b"x", tarfile.REGTYPE), mode="w:xz"), {"a.py": b"x"}),
        (b"print('one file')", {"job.py": b"print('one file')"}),
    ],
)
def test_archives_and_single_files_are_unpacked(tmp_path: Path, data: bytes, files: dict[str, bytes]) -> None:
    assert unpacked(tmp_path, data) == (files, [])


@pytest.mark.parametrize(
    "data",
    [
        zipped({"a.py": b"x", "link.py": b"/etc/passwd"}, **{"link.py": 0o120777}),
        tarred(("a.py", b"x", tarfile.REGTYPE), ("link.py", None, tarfile.SYMTYPE)),
        tarred(("a.py", b"x", tarfile.REGTYPE), ("link.py", None, tarfile.LNKTYPE)),
        tarred(("a.py", b"x", tarfile.REGTYPE), ("link.py", None, tarfile.FIFOTYPE)),
        tarred(("a.py", b"x", tarfile.REGTYPE), ("link.py", None, tarfile.CHRTYPE)),
    ],
    ids=["zip link", "tar link", "hard link", "pipe", "device"],
)
def test_links_and_devices_are_left_out_and_become_errors(tmp_path: Path, data: bytes) -> None:
    files, left_out = unpacked(tmp_path, data)
    assert (set(files), left_out) == ({"a.py"}, ["link.py"])

    found = survey(tmp_path / "out", tmp_path / "checked", left_out, honour=False)
    assert [(each.rule, each.level.value) for each in found.findings] == [("link", "error")]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    entries = [("dir", None, tarfile.SYMTYPE), ("dir/a.py", b"x", tarfile.REGTYPE)]
    unpacked(tmp_path, tarred(*entries))

    assert not os.path.islink(tmp_path / "out" / "dir")
    assert (tmp_path / "out" / "dir" / "a.py").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: zipped({"bomb.py": b"\0" * (80 * 1024**2)}), "more than 67108864 bytes"),
        (lambda: tarred(("bomb.py", b"\0" * (80 * 1024**2), tarfile.REGTYPE)), "more than 67108864 bytes"),
        (lambda: zipped({f"{i}.py": b"" for i in range(10_001)}), "more than 5000 files"),
        (lambda: zipped({"/".join("d" * 40) + "/a.py": b""}), "nested more than 32 deep"),
        (lambda: zipped({"../a.py": b""}), "no name of a file"),
        (lambda: zipped({"/etc/cron.d/a": b""}), "no name of a file"),
        (lambda: zipped({"a\\..\\b.py": b""}), "no name of a file"),
        (lambda: zipped({"a\x1b[2J.py": b""}), "no name of a file"),
        (lambda: zipped({"n" * 600: b""}), "no name of a file"),
        (lambda: zipped({"a": b"x", "a/b": b"y"}), "two files"),
        (lambda: zipped({"a.py": b"x" * 5000})[:200] + zipped({"a.py": b"x"})[-60:], "cannot be read"),
    ],
    ids=[
        "zip bomb", "tar bomb", "10,001 files", "deep", "parent", "absolute", "backslash", "escape", "long",
        "file and folder", "torn",
    ],
)  # fmt: skip
def test_an_archive_that_is_none_is_refused_with_the_reason(
    tmp_path: Path, data: Callable[[], bytes], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        unpacked(tmp_path, data())


def test_a_torn_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        unpacked(tmp_path, tarred(("a.py", os.urandom(50_000), tarfile.REGTYPE))[:30_000])
