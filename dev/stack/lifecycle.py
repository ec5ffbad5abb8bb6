"""Up, down, reset and status of one stack.

`up` looks at every service and starts what is missing or dead; it is the mend of a half-dead stack. Every
change is made under the stack's lock and written down at once, so that an interrupted command loses no pid.
"""

from __future__ import annotations

import hashlib
import shutil
import signal
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from dev.stack import keyring, migrate, postgres, process, services, state, tenants
from dev.stack.errors import StackError
from dev.stack.postgres import Server
from dev.stack.state import SERVICES, Layout, Service, State

Say = Callable[[str], None]

READY_SECONDS = 30.0
STOP_SECONDS = 15.0
REAP_SECONDS = 4.0

ServiceState = Literal["running", "unresponsive", "dead", "stopped"]


@dataclass(frozen=True)
class Wanted:
    """What `up` was asked for; None or empty means: as before, else the default."""

    services: Collection[Service] = SERVICES
    postgres_major: int | None = None
    ports: Mapping[Service, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ServiceStatus:
    pid: int | None
    port: int | None
    state: ServiceState


def up(place: Layout, wanted: Wanted, say: Say) -> None:
    """Starts what is wanted and does not run yet, and brings the database up to date."""
    place.make()
    with state.locked(place):
        server, known = _prepare(place, wanted)
        for service in SERVICES:
            known = _clear_away(service, place, known, say)
        _refuse_taken_ports(wanted, known)
        if "postgres" in wanted.services:
            known = _up_postgres(server, known, say)
            _up_database(server, say)
        rest = [service for service in SERVICES if service in wanted.services and service != "postgres"]
        _up_services(rest, server, known, say)


def _prepare(place: Layout, wanted: Wanted) -> tuple[Server, State]:
    known = state.load(place)
    made_by = postgres.data_major(place)
    major = wanted.postgres_major or made_by or (known.postgres_major if known else postgres.default_major())
    if made_by is not None and made_by != major:
        raise StackError(
            f"the data of this stack was made by Postgres {made_by}, not {major}",
            f"leave --postgres out, or run scripts/stack reset --postgres {major} (the local data is lost)",
        )
    binaries = postgres.find_binaries(major)
    ports = state.choose_ports(place, wanted.ports, known.ports if known else {})
    daemons = known.daemons if known else {}
    for service, port in ports.items():
        before = known.ports.get(service, port) if known else port
        if before != port and service in daemons and process.alive(daemons[service]):
            raise StackError(f"{service} runs on port {before}, not {port}", "run scripts/stack down first")
    known = State(postgres_major=major, ports=ports, daemons=daemons)
    state.save(place, known)
    return Server(place, binaries, ports["postgres"], keyring.load_or_make(place)), known


def _clear_away(service: Service, place: Layout, known: State, say: Say) -> State:
    """Forgets a daemon that is dead, ends one that does not answer; one that is well stays."""
    match _look(service, place, known).state:
        case "running" | "stopped":
            return known
        case "dead":
            say(f"{service:<10} had died")
        case "unresponsive":
            say(f"{service:<10} does not answer: it is started again")
            process.stop(known.daemons[service], signal.SIGTERM, patience=5)
    known = known.without_daemon(service)
    state.save(place, known)
    return known


def _refuse_taken_ports(wanted: Wanted, known: State) -> None:
    for service, port in known.ports.items():
        if service not in wanted.services or service in known.daemons:
            continue
        # a process that was just killed gives its port back a moment later
        if not process.wait_until(partial(state.port_is_free, port), seconds=1):
            raise StackError(
                f"port {port} of {service} is taken by {process.listener(port)}",
                f"end that, or choose another one: scripts/stack up --port-{service} PORT",
            )


def _up_postgres(server: Server, known: State, say: Say) -> State:
    if "postgres" in known.daemons:
        say(f"postgres   runs on 127.0.0.1:{server.port}")
        return known
    began = time.monotonic()
    if postgres.data_major(server.place) is None:
        say(f"postgres   makes a new cluster in {server.place.data}")
    postgres.initialise(server)
    daemon = postgres.launch(server)
    # before the wait: an interrupted `up` must not forget what it started
    known = known.with_daemon("postgres", daemon)
    state.save(server.place, known)
    postgres.wait_ready(server, daemon)
    postgres.furnish(server)
    version = postgres.version(server.binaries)
    _say_started(say, "postgres", began, f"Postgres {version} on 127.0.0.1:{server.port}")
    return known


def _up_database(server: Server, say: Say) -> None:
    began = time.monotonic()
    applied = migrate.apply(server.dsn("postgres"), migrate.migrations())
    if applied:
        with server.connect() as connection:
            postgres.set_passwords(connection, server.secrets)
        _allow_loopback_callbacks(server)
        edge_key = hashlib.sha256(server.secrets.edge_key().encode()).hexdigest()
        tenants.call(server, "platform_set_audit", {"edge_key_sha256": edge_key})
    seeded = migrate.seed(server.dsn("postgres"))
    if applied or seeded:
        _say_started(say, "database", began, f"{len(applied)} migrations applied")


def _allow_loopback_callbacks(server: Server) -> None:
    """Webhook receivers of a development machine live on loopback, which is denied everywhere else."""
    with server.connect() as connection:
        # absent while the migrations are still being written
        found = connection.execute(
            "select from pg_proc where proname = 'platform_allow_callbacks'"
        ).fetchone()
    if found is not None:
        tenants.call(server, "platform_allow_callbacks", {"cidr": services.LOOPBACK})


def _up_services(wanted: Collection[Service], server: Server, known: State, say: Say) -> None:
    """Starts the services side by side, then waits for each."""
    began = time.monotonic()
    fresh = []
    for service in wanted:
        if service in known.daemons:
            say(f"{service:<10} runs{_where(service, known)}")
            continue
        services.forget_readiness(service, server.place)
        known = known.with_daemon(service, process.start(services.command(service, server, known.ports)))
        state.save(server.place, known)
        fresh.append(service)
    for service in fresh:
        _wait_ready(service, server.place, known)
        _say_started(say, service, began, f"up{_where(service, known)}")


def _wait_ready(service: Service, place: Layout, known: State) -> None:
    daemon = known.daemons[service]
    log = place.log(service)

    def settled() -> bool:
        return not process.alive(daemon) or services.ready(service, place, known.ports)

    in_time = process.wait_until(settled, seconds=READY_SECONDS)
    if not process.alive(daemon):
        mend = f"see {log}; scripts/stack up tries again"
        raise StackError(f"{service} ended while starting", mend, evidence=process.tail(log))
    if not in_time:
        raise StackError(f"{service} did not get ready within {READY_SECONDS:.0f} s", f"see {log}")


def down(place: Layout, wanted: Collection[Service], say: Say) -> None:
    """Ends the processes, last started first; says nothing about those that do not run."""
    if not place.lock_file.parent.is_dir():
        return
    with state.locked(place):
        known = state.load(place)
        if known is None:
            return
        ended = []
        for service in reversed(SERVICES):
            daemon = known.daemons.get(service)
            if daemon is None or service not in wanted:
                continue
            if process.alive(daemon):
                if service == "postgres":
                    postgres.stop(daemon)
                else:
                    process.stop(daemon, signal.SIGTERM, patience=STOP_SECONDS)
                ended.append(daemon)
                say(f"{service:<10} ended")
            services.forget_readiness(service, place)
            known = known.without_daemon(service)
            state.save(place, known)
    # some inits clear zombies away only every few seconds; whoever looks after `down` should see none
    process.wait_until(lambda: not any(process.exists(daemon) for daemon in ended), seconds=REAP_SECONDS)


def reset(place: Layout, wanted: Wanted, say: Say) -> None:
    """Makes cluster, storage and work folder anew; ports and keys stay, and what ran runs again.

    The whole cluster goes and not only the database: roles live in the cluster.
    """
    known = state.load(place)
    running = {name for name, daemon in known.daemons.items() if process.alive(daemon)} if known else set()
    down(place, SERVICES, say)
    for folder in (place.data, place.storage, place.work):
        shutil.rmtree(folder, ignore_errors=True)
    up(place, replace(wanted, services=running | {"postgres"}), say)


def status(place: Layout) -> dict[Service, ServiceStatus]:
    """How each service is doing; a stack that was never started is all stopped."""
    known = state.load(place)
    if known is None:
        return {service: ServiceStatus(None, None, "stopped") for service in SERVICES}
    return {service: _look(service, place, known) for service in SERVICES}


def _look(service: Service, place: Layout, known: State) -> ServiceStatus:
    daemon = known.daemons.get(service)
    port = known.ports.get(service)
    if daemon is None:
        return ServiceStatus(None, port, "stopped")
    if not process.alive(daemon):
        return ServiceStatus(None, port, "dead")
    ready = services.ready(service, place, known.ports)
    return ServiceStatus(daemon.pid, port, "running" if ready else "unresponsive")


def server(place: Layout) -> Server:
    """The cluster of a stack that was started before; raises StackError if it never was."""
    known = state.load(place)
    if known is None:
        raise StackError(f"there is no stack in {place.root}", "run scripts/stack up")
    binaries = postgres.find_binaries(known.postgres_major)
    return Server(place, binaries, known.ports["postgres"], keyring.load_or_make(place))


def _where(service: Service, known: State) -> str:
    return f" on 127.0.0.1:{known.ports[service]}" if service in known.ports else ""


def _say_started(say: Say, what: str, began: float, how: str) -> None:
    say(f"{what:<10} {how} ({time.monotonic() - began:.1f} s)")
