"""Between a file and the wire: code and specs that lie beside the document go in, defaults and ids come out.

`sent` makes of a written job the definition that the server takes; `written` makes of a definition what a
person would have written. `written(sent(x))`, sent again, changes nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from control_room.definition import ConditionTask, ForEachTask, JobForm, Place, RunJobTask, WorkTask
from control_room.document import DocumentInvalid, Fault, Steps, Written, path_of
from control_room.model import JsonObject

_LEFT_OUT = {"__pycache__", ".git", ".venv", "node_modules"}

#: What the server fills in whoever the tenant is; timeout and retries are the tenant's, so they are written.
_DEFAULTS: JsonObject = {
    "run_if": "ALL_SUCCESS",
    "network": False,
    "retry_on_timeout": False,
    "min_retry_interval_ms": 0,
    "priority": 0,
    "queue": {"enabled": True},
    "generation": {"model": None, "repair_rounds": 1},
}
_EMPTY = ("depends_on", "params", "inputs", "outputs", "secrets", "callbacks", "tags", "parameters")
_CLOCK = {"missed": "once", "paused": False}
SOURCE_TAG = "control-room/source"

_ORDER = {
    name: place
    for place, name in enumerate(
        dict.fromkeys(
            [
                *JobForm.model_fields,
                *Place.model_fields,
                *RunJobTask.model_fields,
                *ConditionTask.model_fields,
                *ForEachTask.model_fields,
                *(name for name in WorkTask.model_fields if name != "code"),
                "code",
            ]
        )
    )
}


def sent(job: Written, folder: Path) -> JsonObject:
    """The definition with the code and the specs that it names. Raises DocumentInvalid."""
    definition = dict(job.definition)
    definition["tasks"] = [
        _task(job, ("tasks", place), it, folder) for place, it in enumerate(definition["tasks"])
    ]
    return definition


def _task(job: Written, steps: Steps, task: JsonObject, folder: Path) -> JsonObject:
    if "task" in task:
        return {**task, "task": _task(job, (*steps, "task"), task["task"], folder)}
    if "job_type" not in task:
        return task
    made = dict(task)
    code = task.get("code")
    if isinstance(code, str | list):
        given = [code] if isinstance(code, str) else code
        made["code"] = {"files": dict(_files(job, (*steps, "code"), given, folder))}
    spec = task.get("spec")
    if isinstance(spec, str) and spec.startswith("@"):
        made["spec"] = _text(job, (*steps, "spec"), folder / spec[1:])
    elif spec is None and isinstance(found := made.get("code"), dict):
        said = docstring(found.get("files") or {})
        if said is None:
            raise _fault(
                job, (*steps, "spec"), "is missing: say what the task is for, here or in the code's docstring"
            )
        made["spec"] = said
    return made


def _files(job: Written, steps: Steps, given: list[str], folder: Path) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for name in given:
        path = folder / name
        if not path.exists():
            raise _fault(job, steps, f"{path}: there is no such file or folder")
        files = [path] if path.is_file() else sorted(it for it in path.rglob("*") if _is_code(it, path))
        if not files:
            raise _fault(job, steps, f"{path}: there is no file in it")
        for file in files:
            known = file.name if path.is_file() else file.relative_to(path).as_posix()
            if known in seen:
                raise _fault(job, steps, f"{known} is there twice")
            seen.add(known)
            yield known, _text(job, steps, file)


def _is_code(file: Path, root: Path) -> bool:
    inside = file.relative_to(root).parts
    return file.is_file() and not any(it in _LEFT_OUT or it.startswith(".") for it in inside)


def _text(job: Written, steps: Steps, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise _fault(job, steps, f"{file} is no text") from None
    except OSError as error:
        raise _fault(job, steps, f"{file} cannot be read: {error.strerror}") from error


def _fault(job: Written, steps: Steps, message: str) -> DocumentInvalid:
    return DocumentInvalid([Fault(job.spot(steps), path_of((*job.steps, *steps)), message)])


def docstring(files: Mapping[str, str]) -> str | None:
    """Of the entry, or else of the first file that has one."""
    for name in sorted((it for it in files if it.endswith(".py")), key=lambda it: it != "job.py"):
        try:
            told = ast.get_docstring(ast.parse(files[name]))
        except (SyntaxError, ValueError):
            continue
        if told:
            return told
    return None


def written(definition: JsonObject, names: Mapping[int, str]) -> JsonObject:
    """What a person would have written: without defaults, jobs by their names, in the order of the forms."""
    made = _plain({name: it for name, it in definition.items() if name in JobForm.model_fields})
    for clock in ("schedule", "periodic", "trigger"):
        if clock in made:
            made[clock] = {name: it for name, it in made[clock].items() if _CLOCK.get(name, ...) != it}
    if SOURCE_TAG in made.get("tags", {}):
        made["tags"] = {name: it for name, it in made["tags"].items() if name != SOURCE_TAG}
        if not made["tags"]:
            del made["tags"]
    made["tasks"] = [_node(it, names) for it in definition.get("tasks") or []]
    return made


def _node(task: JsonObject, names: Mapping[int, str]) -> JsonObject:
    made = _plain(task)
    if "task" in made:
        made["task"] = _node(task["task"], names)
    if (loop := made.get("for_each")) and loop.get("concurrency") == 1:
        made["for_each"] = {"inputs": loop["inputs"]}
    if (started := made.get("run_job")) is not None:
        name = names.get(int(started["job_id"]))
        made["run_job"] = ({"job": name} if name else {"job_id": started["job_id"]}) | (
            {"params": started["params"]} if started.get("params") else {}
        )
    return made


def _plain(given: JsonObject) -> JsonObject:
    kept = {
        name: it
        for name, it in given.items()
        if it is not None and _DEFAULTS.get(name, ...) != it and not (name in _EMPTY and not it)
    }
    return dict(sorted(kept.items(), key=lambda it: _ORDER.get(it[0], len(_ORDER))))


def laid_out(job: JsonObject, folder: str) -> tuple[JsonObject, dict[str, str]]:
    """The same with its code in files: the document, and the files by their path below its folder."""
    files: dict[str, str] = {}

    def outside(task: Any) -> Any:
        if not isinstance(task, dict):
            return task
        if "task" in task:
            inner = outside({**task["task"], "task_key": task["task_key"]})
            return {**task, "task": {name: it for name, it in inner.items() if name != "task_key"}}
        code = task.get("code")
        if not isinstance(code, dict) or "files" not in code:
            return task
        place = f"{folder}/{task['task_key']}"
        files.update({f"{place}/{name}": text for name, text in code["files"].items()})
        only = next(iter(code["files"])) if len(code["files"]) == 1 else None
        return {**task, "code": f"{place}/{only}" if only and "/" not in only else place}

    return {**job, "tasks": [outside(it) for it in job["tasks"]]}, files
