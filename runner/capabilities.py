"""What this runner can carry out, and how: a part of the composition root.

What it cannot is logged with the reason, `not_offered`.
"""

from __future__ import annotations

import importlib
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from runner.dispatch.handover import Handover
from runner.dispatch.intake import Intake
from runner.dispatch.mailbox import Mailbox
from runner.dispatch.migration import Migrations
from runner.dispatch.second_look import SecondLook
from runner.dispatch.validation import Validation
from runner.dispatch.workshop import Bench
from runner.dispatch.workspaces import Workspaces
from runner.executor import models
from runner.executor.base import Executor
from runner.executor.continue_cli import ContinueExecutor
from runner.executor.group import Groups
from runner.executor.kubernetes.manifest import Placement
from runner.executor.process import ProcessExecutor
from runner.executor.sandbox import NoSandbox, Sandbox
from runner.executor.scripted import ScriptedExecutor
from runner.jobtype import registry
from runner.jobtype.base import Place, Readiness
from runner.jobtype.code_validation import CodeValidation
from runner.jobtype.kb_catalog import KbCatalog
from runner.jobtype.schema_migration import SchemaMigration
from runner.settings import IMAGE_PREFIX, Settings
from runner.target.directory import Directory
from runner.transfer.door import Door

if TYPE_CHECKING:
    from runner.executor.dock import Dock
    from runner.executor.kubernetes.executor import KubernetesExecutor

log = logging.getLogger(__name__)

#: Ends the names of what is offered to tasks that bring an image of their own (`queue.requirement`).
OWN_IMAGE = "+image"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where attempts are laid out and where their results go."""

    workspaces: Workspaces
    intake: Intake
    handover: Handover


def in_processes(chosen: Settings, made: Sandbox | NoSandbox, desk: Desk) -> dict[str, Bench]:
    """What is carried out in sandboxes of this machine, by `job_type/engine`; what is played, too."""
    benches: dict[str, Bench] = {}
    written_by = models.read(chosen.continue_config, chosen.environment)
    place = Place(chosen.engines, models=written_by.names)
    for job_type, executor in chosen.executors.items():
        if executor == "scripted":
            benches.update(
                {
                    f"{job_type}/{engine}": Bench(ScriptedExecutor())
                    for engine in registry.ENGINES[job_type] or place.models
                }
            )
            continue
        if executor in ("container", "kubernetes", "n8n"):
            continue
        if job_type == SchemaMigration.name:
            benches.update(_migrations(chosen, made, desk))
            continue
        try:
            loaded = registry.load(job_type, place)
        except ImportError as error:
            log.error("not_offered", extra={"job_type": job_type, "reason": f"not installed: {error}"})
            continue
        if loaded is None:
            continue
        if isinstance(made, NoSandbox):
            log.warning("not_offered", extra={"job_type": job_type, "reason": made.reason})
            continue
        process: Executor = ProcessExecutor(made)
        if executor == "continue_cli":
            process = ContinueExecutor(process, written_by)
        for each in loaded.readiness():
            if each.ready:
                benches[f"{job_type}/{each.engine}"] = Bench(process, loaded)
            else:
                log.info(
                    "not_offered", extra={"job_type": job_type, "engine": each.engine, "reason": each.reason}
                )
    return benches


async def find_dock(chosen: Settings, groups: Groups) -> Dock | None:
    """The daemon of containers, where one is asked for and works."""
    if "container" not in chosen.executors.values():
        return None
    from runner.executor import dock as docks  # noqa: PLC0415 - others have no use for httpx

    made = await docks.probe(
        chosen.container_socket, groups, chosen.work_dir, network=chosen.container_network
    )
    if isinstance(made, docks.Dock):
        return made
    job_types = [name for name, executor in chosen.executors.items() if executor == "container"]
    log.warning("not_offered", extra={"job_types": job_types, "reason": made.reason})
    return None


async def in_containers(chosen: Settings, dock: Dock | None) -> dict[str, Bench]:
    """What is carried out in containers: each job type and engine that has an image which works here."""
    if dock is None:
        return {}
    from runner.executor.container import ContainerExecutor  # noqa: PLC0415 - as above

    benches: dict[str, Bench] = {}
    for job_type in (name for name, executor in chosen.executors.items() if executor == "container"):
        loaded = registry.load(job_type, Place(None, image=True))
        for readiness in loaded.readiness() if loaded else ():
            name, reason = f"{job_type}/{readiness.engine}", readiness.reason
            image = chosen.images.get(name) or chosen.images.get(job_type) or ""
            if not reason and not image:
                reason = f"{IMAGE_PREFIX}{name.replace('/', '_').upper()} is not set (deploy/images)"
            reason = reason or await dock.try_image(image)
            if reason:
                extra = {"job_type": job_type, "engine": readiness.engine, "reason": reason}
                log.warning("not_offered", extra=extra)
            else:
                executor = ContainerExecutor(dock, {name: image})
                benches |= {name: Bench(executor, loaded), name + OWN_IMAGE: Bench(executor, loaded)}
    return benches


async def in_n8n(chosen: Settings, mailbox: Mailbox) -> dict[str, Bench]:
    """What workflows of n8n carry out for this runner."""
    if chosen.n8n is None:
        return {}
    from runner.executor.n8n import N8nExecutor, Site  # noqa: PLC0415 - others have no use for httpx

    site = Site(
        chosen.n8n.url,
        chosen.n8n.report_url,
        token=chosen.n8n.token,
        api_key=chosen.n8n.api_key,
        anon_key=chosen.anon_key,
    )
    executor = N8nExecutor(site, mailbox)
    if reason := await executor.reason():
        log.warning("not_offered", extra={"job_type": KbCatalog.name, "reason": reason})
        await executor.close()
        return {}
    if site.api_key is None:
        log.warning(
            "n8n_unwatched",
            extra={
                "reason": "CONTROL_ROOM_N8N_API_KEY is not set: executions are not stopped, "
                "and one that crashes is found by its deadline"
            },
        )
    return {f"{KbCatalog.name}/default": Bench(executor, KbCatalog(Place(chosen.engines), outside=True))}


async def find_cluster(chosen: Settings, door: Door) -> KubernetesExecutor | str:
    """The executor that makes Jobs, after a look at its cluster; else why there is none."""
    if chosen.kubernetes is None:
        return "nothing is executed by kubernetes"
    try:
        made = importlib.import_module("runner.executor.kubernetes.executor")  # and the client that it needs
    except ImportError as error:
        return f"not installed: {error} (pip install 'control-room[kubernetes]')"
    placement = Placement(
        anon_key=chosen.anon_key,
        images=chosen.images,
        public_url=chosen.functions_url,
        **asdict(chosen.kubernetes),
    )
    found: KubernetesExecutor | str = await made.connect(door, placement)
    return found


def about_cluster(chosen: Settings, jobs: KubernetesExecutor | str) -> dict[str, object]:
    """What `health` says about Jobs: nothing where there are none."""
    if chosen.kubernetes is None:
        return {}
    if isinstance(jobs, str):
        return {"jobs": {"mechanism": "none", "reason": jobs}}
    return {"jobs": jobs.description}


def in_cluster(chosen: Settings, jobs: KubernetesExecutor | str) -> dict[str, Bench]:
    """What is carried out as Jobs: each job type and engine that has an image. Nodes pull it, and a pod that
    cannot says so."""
    benches: dict[str, Bench] = {}
    for job_type in (name for name, executor in chosen.executors.items() if executor == "kubernetes"):
        loaded = registry.load(job_type, Place(None, image=True))
        engines = [each.engine for each in loaded.readiness() if each.ready] if loaded else []
        for engine in engines:
            name = f"{job_type}/{engine}"
            reason = jobs if isinstance(jobs, str) else ""
            if not reason and not (chosen.images.get(name) or chosen.images.get(job_type)):
                reason = f"{IMAGE_PREFIX}{name.replace('/', '_').upper()} is not set (deploy/images)"
            if reason or isinstance(jobs, str):
                log.warning("not_offered", extra={"job_type": job_type, "engine": engine, "reason": reason})
            else:
                bench = Bench(jobs, loaded, grants=("namespace",), secrets_elsewhere=True)
                benches |= {name: bench, name + OWN_IMAGE: bench}
    return benches


def _migrations(chosen: Settings, made: Sandbox | NoSandbox, desk: Desk) -> dict[str, Bench]:
    """Migrations are carried out here, in the runner: only their files are read in the sandbox."""
    place = Place(chosen.engines)
    job_type = SchemaMigration(place)
    (readiness,) = job_type.readiness()
    if not chosen.targets:
        readiness = Readiness(readiness.engine, "no CONTROL_ROOM_TARGET_<NAME>_URL is set")
    if isinstance(made, NoSandbox):
        readiness = Readiness(readiness.engine, made.reason)
    if not readiness.ready or isinstance(made, NoSandbox):
        log.info("not_offered", extra={"job_type": job_type.name, "reason": readiness.reason})
        return {}
    process = ProcessExecutor(made)
    validation = Validation(process, CodeValidation(place), desk.workspaces, desk.intake)
    executor = Migrations(
        sandboxed=process,
        job_type=job_type,
        validation=validation,
        workspaces=desk.workspaces,
        intake=desk.intake,
        handover=desk.handover,
        targets=Directory(chosen.targets),
    )
    return {f"{job_type.name}/{readiness.engine}": Bench(executor)}


def second_look(benches: dict[str, Bench], desk: Desk, door: Door) -> SecondLook | None:
    """How code of tenants who are warned is looked at beside its run: in sandboxes of this machine, where the
    tools are there."""
    bench = benches.get(f"{CodeValidation.name}/default")
    if bench is None or not isinstance(bench.executor, ProcessExecutor):
        return None
    assert isinstance(bench.job_type, CodeValidation)
    validation = Validation(bench.executor, bench.job_type, desk.workspaces, desk.intake)
    return SecondLook(validation, desk.workspaces, door)
