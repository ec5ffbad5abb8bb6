#!/usr/bin/env python3
"""Fetches the example's public data: two files out of the npm package `vega-datasets`.

    python examples/flights/fetch.py [--into FOLDER]

`npm pack` brings the package from whatever registry npm is set up with, and checks it against the checksum that
the registry names. Prints the paths of the two files, one a line; a second call finds them there and asks nobody.
"""

from __future__ import annotations

import argparse
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
    if shutil.which("npm") is None:
        raise OSError("npm is not installed (apt-get install npm)")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as download:
        subprocess.run(
            ["npm", "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", download],
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        (archive,) = Path(download).glob("*.tgz")
        with tarfile.open(archive) as package:
            for name in FILES:
                content = package.extractfile(f"package/data/{name}")
                if content is None:
                    raise KeyError(name)
                part = Path(download) / name
                with part.open("wb") as file:
                    shutil.copyfileobj(content, file)
                part.replace(folder / name)


def reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        said = (error.stderr or error.stdout or "").strip().splitlines()
        return said[-1] if said else f"npm ended with {error.returncode}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
