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
from runner.dispatch.lifecycle import Capability
from runner.dispatch.mailbox import Mailbox
from runner.dispatch.migration import Migrations
from runner.dispatch.shadow_validation import ShadowValidation
from runner.dispatch.validation import Validation
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
    from runner.executor.container_host import ContainerHost
    from runner.executor.kubernetes.executor import KubernetesExecutor

log = logging.getLogger(__name__)

#: Ends the names of what is offered to tasks that bring an image of their own (`queue.requirement`).
OWN_IMAGE = "+image"
#: The same for tasks that ask for executors, and who has such.
MANY = "+executors"
HAS_EXECUTORS = ("spark_etl/spark",)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Where attempts are laid out and where their results go."""

    workspaces: Workspaces
    intake: Intake
    handover: Handover


def in_processes(chosen: Settings, made: Sandbox | NoSandbox, pipeline: Pipeline) -> dict[str, Capability]:
    """What is carried out in sandboxes of this machine, by `job_type/engine`; what is played, too."""
    capabilities: dict[str, Capability] = {}
    written_by = models.read(chosen.continue_config, chosen.environment)
    place = Place(chosen.engines, models=written_by.names)
    for job_type, executor in chosen.executors.items():
        if executor == "scripted":
            capabilities.update(
                {
                    f"{job_type}/{engine}": Capability(ScriptedExecutor())
                    for engine in registry.ENGINES[job_type] or place.models
                }
            )
            continue
        if executor in ("container", "kubernetes", "n8n"):
            continue
        if job_type == SchemaMigration.name:
            capabilities.update(_migrations(chosen, made, pipeline))
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
                capabilities[f"{job_type}/{each.engine}"] = Capability(process, loaded)
            else:
                log.info(
                    "not_offered", extra={"job_type": job_type, "engine": each.engine, "reason": each.reason}
                )
    return capabilities


async def find_container_host(chosen: Settings, groups: Groups) -> ContainerHost | None:
    """The daemon of containers, where one is asked for and works."""
    if "container" not in chosen.executors.values():
        return None
    from runner.executor import container_host  # noqa: PLC0415 - others have no use for httpx

    made = await container_host.probe(
        chosen.container_socket, groups, chosen.work_dir, network=chosen.container_network
    )
    if isinstance(made, container_host.ContainerHost):
        return made
    job_types = [name for name, executor in chosen.executors.items() if executor == "container"]
    log.warning("not_offered", extra={"job_types": job_types, "reason": made.reason})
    return None


async def in_containers(chosen: Settings, host: ContainerHost | None) -> dict[str, Capability]:
    """What is carried out in containers: each job type and engine that has an image which works here."""
    if host is None:
        return {}
    from runner.executor.container import ContainerExecutor  # noqa: PLC0415 - as above

    capabilities: dict[str, Capability] = {}
    for job_type in (name for name, executor in chosen.executors.items() if executor == "container"):
        loaded = registry.load(job_type, Place(None, image=True))
        for readiness in loaded.readiness() if loaded else ():
            name, reason = f"{job_type}/{readiness.engine}", readiness.reason
            image = chosen.images.get(name) or chosen.images.get(job_type) or ""
            if not reason and not image:
                reason = f"{IMAGE_PREFIX}{name.replace('/', '_').upper()} is not set (deploy/images)"
            reason = reason or await host.try_image(image)
            if reason:
                extra = {"job_type": job_type, "engine": readiness.engine, "reason": reason}
                log.warning("not_offered", extra=extra)
            else:
                executor = ContainerExecutor(host, {name: image})
                capabilities |= {
                    name: Capability(executor, loaded),
                    name + OWN_IMAGE: Capability(executor, loaded),
                }
    return capabilities


async def in_n8n(chosen: Settings, mailbox: Mailbox) -> dict[str, Capability]:
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
    return {f"{KbCatalog.name}/default": Capability(executor, KbCatalog(Place(chosen.engines), outside=True))}


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


def in_cluster(chosen: Settings, jobs: KubernetesExecutor | str) -> dict[str, Capability]:
    """What is carried out as Jobs: each job type and engine that has an image. Nodes pull it, and a pod that
    cannot says so."""
    capabilities: dict[str, Capability] = {}
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
                capability = Capability(jobs, loaded, grants=("namespace",), secrets_elsewhere=True)
                names = [name, name + MANY] if _takes_many(chosen, name) else [name]
                capabilities |= {each + own: capability for each in names for own in ("", OWN_IMAGE)}
    return capabilities


def _takes_many(chosen: Settings, name: str) -> bool:
    """Whether pods of one attempt can share its files."""
    if name not in HAS_EXECUTORS or chosen.kubernetes is None:
        return False
    if chosen.kubernetes.shared_storage is None:
        extra = {"offer": name + MANY, "reason": "CONTROL_ROOM_KUBE_SHARED_STORAGE is not set"}
        log.info("not_offered", extra=extra)
        return False
    return True


def _migrations(chosen: Settings, made: Sandbox | NoSandbox, pipeline: Pipeline) -> dict[str, Capability]:
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
    validation = Validation(process, CodeValidation(place), pipeline.workspaces, pipeline.intake)
    executor = Migrations(
        sandboxed=process,
        job_type=job_type,
        validation=validation,
        workspaces=pipeline.workspaces,
        intake=pipeline.intake,
        handover=pipeline.handover,
        targets=Directory(chosen.targets),
    )
    return {f"{job_type.name}/{readiness.engine}": Capability(executor)}


def shadow_validation(
    capabilities: dict[str, Capability], pipeline: Pipeline, door: Door
) -> ShadowValidation | None:
    """How code of tenants who are warned is looked at beside its run: in sandboxes of this machine, where the
    tools are there."""
    capability = capabilities.get(f"{CodeValidation.name}/default")
    if capability is None or not isinstance(capability.executor, ProcessExecutor):
        return None
    assert isinstance(capability.job_type, CodeValidation)
    validation = Validation(capability.executor, capability.job_type, pipeline.workspaces, pipeline.intake)
    return ShadowValidation(validation, pipeline.workspaces, door)
