"""The workspace on its way, and what hostile code may send back."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.executor.kubernetes import parcel
from runner.jobtype import harvest
from runner.model.errors import Permanent
from runner.model.termination import TerminationCode

MIB = 1024**2


def sent(folder: Path, *members: tuple[tarfile.TarInfo, bytes]) -> list[Path]:
    """One part that holds these members."""
    path = folder / "out.0"
    with tarfile.open(path, "w:gz") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return [path]


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "job"
    made.mkdir()
    return made


def test_what_is_packed_comes_out_again(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel, "PART_BYTES", 1000)
    source = tmp_path / "source"
    (source / "inputs" / "deep").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "job.py").write_text("pass")
    content = bytes(range(256)) * 40
    (source / "inputs" / "deep" / "a.bin").write_bytes(content)
    packed = parcel.pack(source, tmp_path, "mark.kit")
    parcel.unpack(list(packed.parts), root, MIB)

    assert [path.name for path in packed.parts] == [f"mark.kit.{n}" for n in range(len(packed.parts))]
    assert parcel.digest(list(packed.parts)) == packed.sha256
    assert (root / "job.py").read_text() == "pass"
    assert (root / "inputs/deep/a.bin").read_bytes() == content
    assert (root / "empty").is_dir()


@pytest.mark.parametrize("name", ["../up", "/etc/x", "a/../../up", "outputs/../../up"])
def test_a_path_that_climbs_is_refused(tmp_path: Path, root: Path, name: str) -> None:
    with pytest.raises(Permanent) as caught:
        parcel.unpack(sent(tmp_path, (member(name), b"x")), root, MIB)

    assert caught.value.code is TerminationCode.OUTPUT_INVALID
    assert not (tmp_path / "up").exists()


def test_nothing_is_written_through_a_link(tmp_path: Path, root: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / "outputs").symlink_to(elsewhere)  # as if an earlier member had made it

    with pytest.raises(Permanent):
        parcel.unpack(sent(tmp_path, (member("outputs/x"), b"x")), root, MIB)

    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_regular_file_is_refused_by_who_collects(tmp_path: Path, root: Path, kind: bytes) -> None:
    made = [(member("outputs", tarfile.DIRTYPE), b""), (member("outputs/x", kind, "/etc/passwd"), b"")]
    parcel.unpack(sent(tmp_path, *made), root, MIB)

    with pytest.raises(Permanent, match="not a regular file"):
        harvest.find(root, "outputs")


def test_a_bomb_is_stopped_as_it_unpacks(tmp_path: Path, root: Path) -> None:
    with pytest.raises(Permanent) as caught:
        parcel.unpack(sent(tmp_path, (member("outputs/zeros"), bytes(3 * MIB))), root, MIB)

    assert caught.value.code is TerminationCode.OUTPUT_TOO_LARGE


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"no archive", lambda data: b""])
def test_what_cannot_be_unpacked_is_invalid(
    tmp_path: Path, root: Path, damage: Callable[[bytes], bytes]
) -> None:
    paths = sent(tmp_path, (member("outputs/x"), bytes(range(256)) * 100))
    paths[0].write_bytes(damage(paths[0].read_bytes()))

    with pytest.raises(Permanent) as caught:
        parcel.unpack(paths, root, MIB)

    assert caught.value.code is TerminationCode.OUTPUT_INVALID
