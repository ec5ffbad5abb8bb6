"""What stands on the command line as the parts of a submission."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import commonpath
from pathlib import Path

from control_room.cli.context import Usage
from control_room.operations.artifacts import is_id

#: Job types that are given files to work on rather than code.
_WITHOUT_CODE = frozenset({"diagram_export", "kb_catalog"})
KINDS = frozenset({"code", "sql", "diagram", "notebook", "report", "log", "data"})
_TABLE = re.compile(r"(bronze|silver|gold)\.[a-z_][a-z0-9_]{0,62}")
_LEFT_OUT = {"__pycache__", ".git", ".venv", "node_modules"}


@dataclass(frozen=True)
class Input:
    """A named input: a local file to upload, or a reference to what is there already."""

    name: str
    path: Path | None = None
    reference: dict[str, str] = field(default_factory=dict)


def takes_code(job_type: str) -> bool:
    return job_type not in _WITHOUT_CODE


def input_of(name: str, what: str) -> Input:
    """Raises Usage where `what` is neither a file, nor an artifact's id, nor a table."""
    if Path(what).is_file():
        return Input(name, path=Path(what))
    if is_id(what):
        return Input(name, reference={"artifact_id": what})
    if _TABLE.fullmatch(what):
        return Input(name, reference={"table": what})
    if what.startswith(("odoo://", "postgres://")):
        return Input(name, reference={"uri": what})
    raise Usage(
        f"--input {name}={what}: no such file, no artifact's id, no <layer>.<table>, no target's odoo://…",
        "check the path; control-room artifacts ls lists artifacts",
    )


def inputs_of_files(files: Sequence[Path]) -> list[Input]:
    for path in files:
        if not path.is_file():
            raise Usage(f"{path}: there is no such file")
    return [Input(path.name, path=path) for path in files]


def output_of(text: str) -> dict[str, str | list[str]]:
    """`name[:layer.table][:kind][:append|merge=column,…]`. Raises Usage."""
    name, *rest = text.split(":")
    made: dict[str, str | list[str]] = {"name": name}
    for part in rest:
        if _TABLE.fullmatch(part):
            made["layer"], made["table"] = part.split(".")
        elif part in KINDS:
            made["kind"] = part
        elif part in {"append", "overwrite"}:
            made["mode"] = part
        elif part.startswith("merge="):
            made["mode"], made["key"] = "merge", part.removeprefix("merge=").split(",")
        else:
            raise Usage(
                f"--output {text}: {part!r} is no table of a layer and no kind",
                f"a table is bronze|silver|gold.<name>; a kind is one of {', '.join(sorted(KINDS))}; "
                "a table is overwritten, or append or merge=<column>,… say how rows are added",
            )
    return made


def names_of(files: Sequence[Path]) -> dict[str, Path]:
    """What a job calls its files, relative to what they have in common, and where they are. Raises Usage."""
    found = [it for given in files for it in _walk(given)]
    if len(found) == 1:
        return {found[0].name: found[0]}
    root = Path(commonpath([it.resolve().parent for it in found])) if found else Path()
    return {path.resolve().relative_to(root).as_posix(): path for path in found}


def code_of(files: Sequence[Path]) -> dict[str, dict[str, str]] | None:
    """`{"files": {name: text}}`. Raises Usage."""
    made = {}
    for name, path in names_of(files).items():
        try:
            made[name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise Usage(f"{path} is no text", f"give data as an input: --input {path.stem}={path}") from error
        except OSError as error:
            raise Usage(f"{path} cannot be read: {error.strerror}") from error
    return {"files": made} if made else None


def _walk(given: Path) -> list[Path]:
    if given.is_dir():
        return [
            it
            for it in sorted(given.rglob("*"))
            if it.is_file() and not _LEFT_OUT & set(it.parts) and not it.name.startswith(".")
        ]
    if not given.exists():
        raise Usage(f"{given}: there is no such file")
    return [given]


def spec_of(given: str | None, job_type: str, files: Sequence[Path]) -> str:
    """Every run carries a spec: the one given, else the docstring of the entry, else the bare fact."""
    if given is not None and given.startswith("@"):
        try:
            return Path(given[1:]).read_text(encoding="utf-8")
        except OSError as error:
            raise Usage(f"--spec {given}: cannot be read: {error.strerror}") from error
    if given is not None:
        return given
    scripts = [it for given_ in files for it in _walk(given_) if it.suffix == ".py"]
    for path in sorted(scripts, key=lambda it: it.name != "job.py"):
        try:
            told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        except (SyntaxError, ValueError, OSError):
            continue
        if told:
            return told
    return f"{job_type} of {', '.join(it.name for it in files) or 'nothing but its parameters'}"
