#!/usr/bin/env python3
"""Fetches the example's public data: two files out of the npm package `vega-datasets`.

    python examples/flights/fetch.py [--into FOLDER]

`npm pack` brings the package from whatever registry npm is set up with, and checks it against the checksum
that the registry names; where there is no npm, the Deno of this clone does. Prints the paths of the two
files, one a line; a second call finds them there and asks nobody.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE, VERSION = "vega-datasets", "3.2.1"
FILES = ("flights-20k.json", "airports.csv")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--into", type=Path, default=default_folder(), help="where the files go (%(default)s)"
    )
    folder: Path = parser.parse_args().into
    if not all((folder / name).is_file() for name in FILES):
        try:
            fetch(folder)
        except (OSError, subprocess.CalledProcessError, tarfile.TarError, KeyError) as error:
            print(f"error: {PACKAGE} could not be fetched: {reason(error)}", file=sys.stderr)
            return 1
    for name in FILES:
        print(folder / name)
    return 0


def default_folder() -> Path:
    """Beside the other things that Control Room downloads."""
    if home := os.environ.get("CONTROL_ROOM_HOME"):
        return Path(home) / "examples" / "flights"
    if os.getuid() == 0:
        return Path("/var/lib/control-room/examples/flights")
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "control-room" / "examples" / "flights"


def fetch(folder: Path) -> None:
    """Download the package and take the two files out of it, each put in place when it is complete."""
    deno = Path(sys.executable).with_name("deno")
    if shutil.which("npm") is None and not deno.exists():
        raise OSError("npm is not installed (apt-get install npm)")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as download:
        data = by_npm(Path(download)) if shutil.which("npm") else by_deno(Path(download), deno)
        for name in FILES:
            part = Path(download) / name
            shutil.copyfile(data / name, part)
            part.replace(folder / name)


def by_npm(download: Path) -> Path:
    """The package's data folder, by `npm pack`."""
    run(["npm", "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(download)], download)
    (archive,) = download.glob("*.tgz")
    with tarfile.open(archive) as package:
        for name in FILES:
            content = package.extractfile(f"package/data/{name}")
            if content is None:
                raise KeyError(name)
            (download / "data").mkdir(exist_ok=True)
            with (download / "data" / name).open("wb") as file:
                shutil.copyfileobj(content, file)
    return download / "data"


def by_deno(download: Path, deno: Path) -> Path:
    """The same by Deno, which needs no Node.js."""
    (download / "package.json").write_text(json.dumps({"dependencies": {PACKAGE: VERSION}}))
    environment = {
        **os.environ,
        "DENO_DIR": str(download / "deno"),
        "DENO_TLS_CA_STORE": os.environ.get("DENO_TLS_CA_STORE", "mozilla,system"),
        "DENO_NO_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
    }
    run([str(deno), "install", "--node-modules-dir=auto", "--no-lock"], download, environment)
    return download / "node_modules" / PACKAGE / "data"


def run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    subprocess.run(
        command,
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )


def reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        said = (error.stderr or error.stdout or "").strip().splitlines()
        return said[-1] if said else f"{error.cmd[0]} ended with {error.returncode}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
