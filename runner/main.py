"""The composition root: the only module that knows every room. Settings are read once, here.

settings → sandbox → offers → register → canary → loops → drain → farewell
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import sys
import uuid
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from runner import capabilities as offered
from runner import journal, settings
from runner.callback.address import Guard
from runner.callback.courier import Courier
from runner.callback.outbox import Outbox
from runner.capabilities import Pipeline, shadow_validation
from runner.dispatch.custody import Custody
from runner.dispatch.handover import Handover
from runner.dispatch.inspection import Inspection
from runner.dispatch.intake import Intake
from runner.dispatch.ledger import Ledger
from runner.dispatch.lifecycle import Capability, Lifecycle
from runner.dispatch.log_buffer import LogBuffer
from runner.dispatch.loop import Dispatcher
from runner.dispatch.mailbox import Mailbox
from runner.dispatch.shutdown import Shutdown
from runner.dispatch.ticker import Ticker
from runner.dispatch.upkeep import Broom, Notary, Sealer, Sweeper, Tidier
from runner.dispatch.vault import Vault
from runner.dispatch.verification import Verification
from runner.dispatch.workspaces import Workspaces
from runner.executor import adoption, cgroup, orphans, sandbox
from runner.executor.group import Groups
from runner.executor.sandbox import NOBODY
from runner.health import Health
from runner.model.errors import SettingsError, StoreRefused, StoreUnavailable
from runner.model.wire import Terms
from runner.monitor import Monitor
from runner.notice import Notice
from runner.settings import Settings
from runner.store.base import Registration
from runner.store.listener import Listener
from runner.store.session import Backoff
from runner.store.verbs import Verbs
from runner.target.directory import Directory
from runner.target.loader import Loader
from runner.target.sources import Sources
from runner.transfer.door import Door
from runner.watch.meter import Meter, Now
from runner.watch.tracer import Silent, Tracer

if TYPE_CHECKING:
    from runner.executor.container_host import ContainerHost
    from runner.executor.kubernetes.executor import KubernetesExecutor

log = logging.getLogger(__name__)

#: How long a stopping runner still offers outcomes and results of callbacks to the database.
LAST_WRITES_SECONDS = 15.0
LAST_CALLBACKS_SECONDS = 5.0
#: How often reports from outside are looked for where nothing was said.
REPORTS_POLL_SECONDS = 5.0


def main() -> int:
    """Run until told to stop; the exit code. 2 means that the environment is wrong."""
    try:
        chosen = settings.read(dict(os.environ))
    except SettingsError as error:
        print(f"control-room runner: {error}", file=sys.stderr)
        return 2
    journal.set_up(chosen.log_format, chosen.log_level)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as loop:
            return loop.run(_run(chosen))
    except SettingsError as error:
        log.critical("cannot_start", extra={"reason": str(error)})
        return 2


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """libuv's loop where it can be had; what it gains was not measured by itself."""
    try:
        return importlib.import_module("uvloop").new_event_loop  # type: ignore[no-any-return]  # untyped
    except ImportError:
        return None


async def _run(chosen: Settings) -> int:
    shutdown = Shutdown()
    shutdown.watch()
    groups = cgroup.detect()
    swept = await asyncio.to_thread(groups.sweep)
    made = await sandbox.probe(groups, chosen.work_dir, network=chosen.sandbox_network)
    host = await offered.find_container_host(chosen, groups)
    workspaces = Workspaces(chosen.work_dir, (NOBODY, NOBODY) if os.getuid() == 0 else None)
    # what works on in a container may be adopted
    spare = adoption.is_taken if host else _nothing
    swept += await asyncio.to_thread(orphans.end)
    swept += await asyncio.to_thread(workspaces.sweep, spare)
    if host:
        swept += await host.sweep()
    if swept:
        log.info("swept", extra={"left_behind": swept})
    instance = str(uuid.uuid4())
    meter = Meter()
    tracer = _tracer(chosen, instance)
    store = _store(chosen, instance, meter)
    door = Door(chosen.functions_url, chosen.anon_key)
    loader = Loader(chosen.database_url)
    sources = Sources(Directory(chosen.targets))
    pipeline = Pipeline(workspaces, Intake(store, loader, door, sources), Handover(store, loader, door))
    mailbox = Mailbox(store, poll_seconds=REPORTS_POLL_SECONDS)
    capabilities = offered.in_processes(chosen, made, pipeline)
    capabilities.update(await offered.in_containers(chosen, host))
    capabilities.update(await offered.in_n8n(chosen, mailbox))
    jobs = await offered.find_cluster(chosen, door)
    capabilities.update(offered.in_cluster(chosen, jobs))
    registration = Registration(
        instance=instance,
        name=chosen.name,
        offers=tuple(sorted(capabilities)),
        capacity=chosen.capacity,
        version=_version(),
        sandbox={
            **made.description,
            **({"containers": host.description} if host else {}),
            **offered.about_cluster(chosen, jobs),
        },
    )
    try:
        terms = await _introduce(store, registration, shutdown)
        if terms is not None:
            log.info(
                "started",
                extra={"instance": instance, "offers": registration.offers, "sandbox": registration.sandbox},
            )
            await _work(
                chosen,
                store,
                shutdown,
                registration=registration,
                terms=terms,
                capabilities=capabilities,
                pipeline=pipeline,
                door=door,
                host=host,
                mailbox=mailbox,
                jobs=None if isinstance(jobs, str) else jobs,
                meter=meter,
                tracer=tracer,
            )
    finally:
        if not isinstance(jobs, str):
            await jobs.close()
        if host:
            await host.daemon.close()
        await door.close()
        await store.close()
        await tracer.close()
        await asyncio.to_thread(_clean_up, workspaces, groups)
        shutdown.unwatch()
    log.info("stopped")
    return 0


def _tracer(chosen: Settings, instance: str) -> Tracer:
    if not chosen.traced:
        return Silent()
    try:
        from runner.watch.otlp import Otlp  # noqa: PLC0415 - only who exports spans has it installed
    except ImportError as error:
        log.error("not_traced", extra={"reason": f"pip install control-room[otlp]: {error}"})
        return Silent()
    return Otlp(instance, chosen.name, _version())


def _store(chosen: Settings, instance: str, meter: Meter) -> Verbs:
    if not chosen.failpoints:
        return Verbs(chosen.database_url, instance, meter)
    from runner.store import failpoint  # noqa: PLC0415 - a matter of crash tests alone

    return failpoint.FallibleVerbs(chosen.database_url, instance, failpoint.read(chosen.failpoints), meter)


async def _introduce(store: Verbs, registration: Registration, shutdown: Shutdown) -> Terms | None:
    """Register and prove that the database lets us work; None when told to stop meanwhile."""
    backoff = Backoff()
    while not shutdown.asked.is_set():
        try:
            terms = await store.register(registration)
            proof = await store.canary()
        except StoreUnavailable as error:
            if backoff.first:
                log.warning("database_away", extra={"reason": str(error)})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff.next()):
                    await shutdown.asked.wait()
            continue
        except StoreRefused as error:
            raise SettingsError(
                f"the database refuses the runner ({error}): check the role in CONTROL_ROOM_DATABASE_URL "
                "and that the migrations are applied"
            ) from error
        if not proof.get("ok"):
            raise SettingsError(
                f"the canary did not come through ({proof.get('state')}): row level security hides the queue "
                "from the worker's verbs; check that the migrations are applied as they are"
            )
        return terms
    return None


async def _work(
    chosen: Settings,
    store: Verbs,
    shutdown: Shutdown,
    *,
    registration: Registration,
    terms: Terms,
    capabilities: dict[str, Capability],
    pipeline: Pipeline,
    door: Door,
    host: ContainerHost | None,
    mailbox: Mailbox,
    jobs: KubernetesExecutor | None,
    meter: Meter,
    tracer: Tracer,
) -> None:
    lifecycle = Lifecycle(
        capabilities,
        pipeline.workspaces,
        Vault(chosen.environment),
        pipeline.intake,
        pipeline.handover,
        look=shadow_validation(capabilities, pipeline, door),
        meter=meter,
    )

    def room() -> None:
        dispatcher.nudge()

    def due() -> None:
        dispatcher.nudge()
        outbox.nudge()

    sealer = Sealer(store)
    ticker = Ticker(store, terms.heartbeat_seconds, due, sealer.wake, meter)
    log_buffer = LogBuffer(store, meter)
    custody = Custody(store, terms, log_buffer.note)
    ledger = Ledger(store, custody, settled=room, retried=ticker.nudge, meter=meter)
    outbox = Outbox(
        store,
        Courier(Guard(chosen.callback_allow), chosen.master_key, chosen.callback_proxy),
        poll_seconds=terms.poll_seconds,
        put_off=ticker.nudge,
        meter=meter,
        tracer=tracer,
    )
    verification = Verification(store, door, chosen.work_dir, poll_seconds=terms.poll_seconds)
    inspection = Inspection(store, poll_seconds=terms.poll_seconds)
    dispatcher = Dispatcher(
        store,
        lifecycle,
        custody,
        log_buffer,
        ledger,
        capacity=chosen.capacity,
        poll_seconds=terms.poll_seconds,
        listening=lambda: listener.healthy,
        meter=meter,
        tracer=tracer,
    )
    store.hear_work(dispatcher.wake)

    def state() -> dict[str, object]:
        return {
            "status": "stopping" if shutdown.asked.is_set() else "ok",
            "instance": registration.instance,
            "offers": registration.offers,
            "sandbox": registration.sandbox,
            "capacity": chosen.capacity,
            "running": dispatcher.running,
            "listening": listener.healthy,
            "stale": store.stale,
        }

    notice = Notice(chosen.notify_socket)
    health = Health(chosen.health_file, state, notice)
    monitor = Monitor(chosen.health_listen, state, meter.told)
    listener = Listener(
        chosen.database_url,
        registration.instance,
        {
            "control_room_cancel": custody.hear_cancel,
            "control_room_deliveries": outbox.wake,
            "control_room_uploads": verification.wake,
            "control_room_events": inspection.wake,
            "control_room_audit": sealer.wake,
            "control_room_outside": mailbox.wake,
        },
        health.changed,
    )
    meter.introduce(
        name=registration.name,
        version=registration.version,
        capacity=chosen.capacity,
        now=Now(
            running=lambda: dispatcher.running,
            held=lambda: len(custody),
            outstanding=lambda: outbox.outstanding,
            listening=lambda: listener.healthy,
            draining=shutdown.asked.is_set,
            stale=lambda: store.stale,
        ),
    )
    loops = [
        asyncio.create_task(_keep(name, run, meter))
        for name, run in {
            "listener": listener.run,
            "dispatcher": dispatcher.run,
            "custody": custody.run,
            "log_buffer": log_buffer.run,
            "ledger": ledger.run,
            "ticker": ticker.run,
            "sealer": sealer.run,
            "tidier": Tidier(store).run,
            **({"notary": Notary(store, chosen.audit_heads).run} if chosen.audit_heads else {}),
            "broom": Broom(store, door).run,
            "outbox": outbox.run,
            "verification": verification.run,
            "inspection": inspection.run,
            "mailbox": mailbox.run,
            "health": health.run,
            "monitor": monitor.run,
            **({"container_host": host.run} if host else {}),
            **({"sweeper": Sweeper(store, jobs).run} if jobs else {}),
        }.items()
    ]
    try:
        await shutdown.asked.wait()
        notice.stopping()
        health.write()
        outbox.stop()
        await _drain(dispatcher, chosen.drain_seconds, shutdown)
        await _at_most(LAST_WRITES_SECONDS, ledger.quiet(), "outcomes_left")
        await _at_most(LAST_CALLBACKS_SECONDS, outbox.quiet(), "callbacks_left")
        with contextlib.suppress(StoreUnavailable, StoreRefused):
            await store.farewell()
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        health.remove()


async def _drain(dispatcher: Dispatcher, patience: float, shutdown: Shutdown) -> None:
    """Drain, and give back at once when urged by a second signal."""
    draining = asyncio.create_task(dispatcher.drain(patience))
    urged = asyncio.create_task(shutdown.urged.wait())
    await asyncio.wait((draining, urged), return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        dispatcher.give_back()
    await draining
    urged.cancel()
    await asyncio.gather(urged, return_exceptions=True)


async def _at_most(seconds: float, what: Awaitable[None], otherwise: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            await what
    except TimeoutError:
        log.warning(otherwise, extra={"waited_seconds": seconds})


async def _keep(name: str, run: Callable[[], Awaitable[None]], meter: Meter) -> None:
    """Run a loop; when a fault of ours ends it, log it and begin again, for the others' work must go on."""
    backoff = Backoff()
    while True:
        try:
            await run()
            return
        except Exception:
            meter.restarted(name)
            log.exception("loop_failed", extra={"loop": name})
        await backoff.pause()


def _nothing(place: Path) -> bool:
    return False


def _clean_up(workspaces: Workspaces, groups: Groups) -> None:
    workspaces.close()
    groups.close()


def _version() -> str:
    try:
        return version("control-room")
    except PackageNotFoundError:
        return "0"
