"""The edge functions: which there are, what they import, and Deno's cache of it.

Supabase gives each function a worker and a `deno.json` of its own. Here one process serves them all, so that
their import maps are merged into one: the function's own folder decides first, then the union.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from dev.stack.errors import StackError
from dev.stack.state import CLONE, home

FUNCTIONS = CLONE / "supabase" / "functions"
SERVER = CLONE / "dev" / "functions_server.ts"


def deno() -> Path:
    """Deno of the PyPI wheel, beside the Python that runs this."""
    binary = Path(sys.prefix) / "bin" / "deno"
    if not binary.exists():
        raise StackError("Deno is missing in .venv", "run scripts/setup")
    return binary


def cache() -> Path:
    return home() / "deno"


def fetching() -> dict[str, str]:
    """The environment of a Deno that goes to the registry; also trusts what the machine trusts."""
    return {
        **os.environ,
        "DENO_TLS_CA_STORE": os.environ.get("DENO_TLS_CA_STORE", "mozilla,system"),
        "DENO_NO_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
    }


def entrypoints(functions: Path = FUNCTIONS) -> dict[str, Path]:
    """Name and index.ts of each function; folders that begin with _ or . are shared code."""
    found = functions.glob("[!_.]*/index.ts") if functions.is_dir() else []
    return {path.parent.name: path for path in sorted(found)}


def import_map(functions: Path = FUNCTIONS) -> dict[str, object]:
    """One import map for all functions."""
    union: dict[str, str] = {}
    scopes: dict[str, dict[str, str]] = {}
    for path in entrypoints(functions).values():
        config = path.parent / "deno.json"
        if not config.exists():
            continue
        imports = {
            name: (path.parent / target).resolve().as_uri() if target.startswith((".", "/")) else target
            for name, target in json.loads(config.read_text()).get("imports", {}).items()
        }
        scopes[f"{path.parent.as_uri()}/"] = imports
        union = {**imports, **union}
    return {"imports": union, "scopes": scopes}


def resolve(import_map_file: Path) -> None:
    """Fetches what the functions import into Deno's cache, so that a start needs no network."""
    points = [str(path) for path in entrypoints().values()]
    cache().mkdir(parents=True, exist_ok=True)
    import_map_file.parent.mkdir(parents=True, exist_ok=True)
    import_map_file.write_text(json.dumps(import_map(), indent=2))
    run = subprocess.run(
        [
            str(deno()), "install", "--no-config", "--no-lock", f"--import-map={import_map_file}",
            "--entrypoint", str(SERVER), *points,
        ],
        env={**fetching(), "DENO_DIR": str(cache())},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if run.returncode != 0:
        raise StackError(
            "Deno cannot resolve what the functions import",
            "mend the import, or check that the npm registry is reachable",
            evidence=run.stderr.strip(),
        )


if __name__ == "__main__":
    # what scripts/setup calls
    try:
        os.umask(0o022)
        resolve(home() / "deno" / "import_map.json")
    except StackError as error:
        sys.exit(f"{error.evidence}\nerror: {error}")
