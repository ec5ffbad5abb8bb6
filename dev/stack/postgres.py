"""The stack's Postgres: found, initialised to look like hosted Supabase, started, reached."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from dev.stack import process
from dev.stack.errors import StackError
from dev.stack.keyring import Secrets
from dev.stack.process import Account, Command
from dev.stack.state import CLONE, Daemon, Layout, home

Connection = psycopg.Connection[tuple[object, ...]]

MAJORS = (15, 17)
SYSTEM_BINARIES = "/usr/lib/postgresql/{major}/bin"
SUPERUSER = "supabase_admin"
BASELINE = CLONE / "dev" / "baseline"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
ORPHAN_SECONDS = 10.0

# A Unix socket's path has at most 107 bytes; "/.s.PGSQL.12345" is 15 of them.
SOCKET_FOLDER_LIMIT = 107 - 15

DEVELOPMENT_SETTINGS: Mapping[str, str] = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
    "huge_pages": "off",
    "password_encryption": "scram-sha-256",
}

# Durability is worth nothing to a cluster that is thrown away with its test session.
THROW_AWAY_SETTINGS: Mapping[str, str] = {
    **DEVELOPMENT_SETTINGS,
    "shared_buffers": "48MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "256MB",
    # in the data directory, so that a killed session leaves nothing in /dev/shm
    "dynamic_shared_memory_type": "mmap",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@dataclass(frozen=True)
class Server:
    """One cluster: where it lives, its binaries, its port, who runs it."""

    place: Layout
    binaries: Path
    port: int
    secrets: Secrets
    settings: Mapping[str, str] = field(default_factory=lambda: DEVELOPMENT_SETTINGS)
    dies_with_parent: bool = False

    def dsn(self, role: str, database: str = "postgres") -> str:
        """URL over TCP, without a query part, for one of the login roles."""
        password = {
            SUPERUSER: self.secrets.supabase_admin_password,
            "postgres": self.secrets.postgres_password,
            "authenticator": self.secrets.authenticator_password,
            "runner": self.secrets.runner_password,
        }[role]
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"

    def connect(self, role: str = SUPERUSER, database: str = "postgres") -> Connection:
        return psycopg.connect(self.dsn(role, database), autocommit=True, connect_timeout=5)


def default_major() -> int:
    """The major of a stack that was not told otherwise: CONTROL_ROOM_POSTGRES, else 15."""
    text = os.environ.get("CONTROL_ROOM_POSTGRES") or str(MAJORS[0])
    if text not in {str(major) for major in MAJORS}:
        raise StackError(
            f"CONTROL_ROOM_POSTGRES is {text!r}", f"set it to one of {', '.join(map(str, MAJORS))}"
        )
    return int(text)


def find_binaries(major: int) -> Path:
    """The folder with initdb and postgres of that major: the system's, else the one scripts/setup fetched."""
    if major not in MAJORS:
        raise StackError(f"Postgres {major} is not supported", f"choose one of {', '.join(map(str, MAJORS))}")
    for folder in (Path(SYSTEM_BINARIES.format(major=major)), home() / "postgres" / str(major) / "bin"):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise StackError(f"there is no Postgres {major} on this machine", f"run scripts/setup --postgres {major}")


def path_with_clients() -> str:
    """PATH, and behind it the pg_dump that scripts/setup fetched where the system's is too old."""
    clients = home() / "postgres" / "clients" / "bin"
    path = os.environ.get("PATH", os.defpath)
    return path if str(clients) in path.split(os.pathsep) else f"{path}{os.pathsep}{clients}"


def account() -> Account | None:
    """Who runs Postgres: root may not, so the user `postgres` does it; anybody else does it in person."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", "postgres"], check=True)
        entry = pwd.getpwnam("postgres")
    return Account(entry.pw_uid, entry.pw_gid)


def data_major(place: Layout) -> int | None:
    """The major that the data directory was made by; None if there is none."""
    try:
        return int((place.data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


def initialise(server: Server) -> None:
    """Makes the data directory, unless it is there. The baseline comes after the start (see `furnish`)."""
    if data_major(server.place) is not None:
        return
    user = account()
    _check_reachable(server.place.root, user)
    # one that was interrupted half way has no PG_VERSION and is of no use
    shutil.rmtree(server.place.data, ignore_errors=True)
    server.place.data.mkdir(mode=0o700)
    with tempfile.NamedTemporaryFile("w", prefix="control-room-") as password:
        password.write(server.secrets.supabase_admin_password)
        password.flush()
        if user is not None:
            os.chown(server.place.data, user.uid, user.gid)
            os.chown(password.name, user.uid, user.gid)
        run = subprocess.run(
            [
                *([*process.as_account(user), "--"] if user else []),
                str(server.binaries / "initdb"),
                f"--pgdata={server.place.data}",
                f"--username={SUPERUSER}",
                f"--pwfile={password.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "--no-instructions",
            ],
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
    if run.returncode != 0:
        shutil.rmtree(server.place.data, ignore_errors=True)
        evidence = (run.stderr or run.stdout).strip()
        raise StackError("initdb failed", "see the lines above; the disk may be full", evidence)


def _check_reachable(folder: Path, user: Account | None) -> None:
    """Postgres must be able to enter every folder above its data; /root is the usual trap."""
    if user is None:
        return
    for parent in (folder, *folder.parents):
        if not parent.stat().st_mode & 0o001:
            raise StackError(
                f"the database's user cannot enter {parent}",
                "set CONTROL_ROOM_STACK_DIR to a folder that others may enter, such as one below /var/lib",
            )


def configure(server: Server) -> None:
    """Writes the configuration anew: a changed port or setting counts from the next start."""
    run = server.place.run
    socket_folder = str(run) if len(os.fsencode(run)) <= SOCKET_FOLDER_LIMIT else ""
    preload = "pg_stat_statements" if _has_library(server.binaries, "pg_stat_statements") else ""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(server.port),
        "unix_socket_directories": socket_folder,
        "cluster_name": f"control-room {server.place.name}"[:60],
        "shared_preload_libraries": preload,
        **server.settings,
    }
    (server.place.data / "postgresql.conf").write_text(
        "# written by dev/stack/postgres.py at every start\n"
        + "".join(f"{name} = '{value}'\n" for name, value in settings.items())
    )
    (server.place.data / "pg_hba.conf").write_text(
        "local all         all              scram-sha-256\n"
        "host  all         all 127.0.0.1/32 scram-sha-256\n"
        "host  replication all 127.0.0.1/32 scram-sha-256\n"
    )
    user = account()
    if user is not None:
        # the socket's folder is written to by Postgres and, for the health file, by the runner
        os.chown(run, user.uid, user.gid)
        for name in ("postgresql.conf", "pg_hba.conf"):
            os.chown(server.place.data / name, user.uid, user.gid)


def _has_library(binaries: Path, name: str) -> bool:
    folders = (binaries.parent / "lib", binaries.parent / "lib" / "postgresql")
    return any((folder / f"{name}.so").exists() for folder in folders)


def launch(server: Server) -> Daemon:
    """Starts Postgres and returns at once; `wait_ready` is the other half."""
    _clear_wreck(server.place)
    configure(server)
    return process.start(
        Command(
            argv=[str(server.binaries / "postgres"), "-D", str(server.place.data)],
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            log=server.place.log("postgres"),
            cwd=server.place.data.parent,
            account=account(),
            dies_with_parent=server.dies_with_parent,
        )
    )


def wait_ready(server: Server, daemon: Daemon) -> None:
    """Waits until Postgres answers; raises StackError with the end of its log if it does not."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(server):
        if not process.alive(daemon):
            raise StackError(
                "Postgres ended while starting",
                "scripts/stack reset makes a new one (the local data is lost)",
                evidence=process.tail(server.place.log("postgres")),
            )
        if time.monotonic() > deadline:
            process.stop(daemon, signal.SIGINT, patience=5)
            raise StackError(
                f"Postgres did not answer within {START_SECONDS:.0f} s", f"see {server.place.log('postgres')}"
            )
        time.sleep(process.POLL_SECONDS)


def start(server: Server) -> Daemon:
    """Starts Postgres and waits until it answers."""
    daemon = launch(server)
    wait_ready(server, daemon)
    return daemon


def _clear_wreck(place: Layout) -> None:
    """Makes way for a start after a kill of the postmaster.

    Its children need a moment to notice, and a new postmaster would refuse to start beside them. It would
    also refuse as long as the killed one is a zombie that init has not yet cleared away, since it asks for
    the pid only: the lock files go once nobody works in the data directory.
    """
    data = place.data
    if not process.wait_until(lambda: not process.living_in(data), seconds=ORPHAN_SECONDS):
        pids = ", ".join(map(str, process.living_in(data)))
        raise StackError(f"processes of an earlier Postgres still work in {data}: {pids}", "end them by kill")
    for lock in (data / "postmaster.pid", *place.run.glob(".s.PGSQL.*.lock")):
        lock.unlink(missing_ok=True)


def stop(daemon: Daemon) -> None:
    # SIGINT is Postgres' fast shutdown; SIGTERM would wait for every client to leave
    process.stop(daemon, signal.SIGINT, patience=STOP_SECONDS)


def answers(server: Server) -> bool:
    """Whether this very cluster (and no other one on the port) takes its superuser's password."""
    try:
        with server.connect() as connection:
            row = connection.execute("show data_directory").fetchone()
    except psycopg.OperationalError:
        return False
    return row is not None and row[0] == str(server.place.data)


def furnish(server: Server) -> None:
    """Applies the baseline to a fresh cluster and sets the passwords; does nothing to one that has it."""
    with server.connect() as connection:
        found = connection.execute("select from pg_roles where rolname = 'authenticator'").fetchone()
        if found is None:
            with connection.transaction():
                for file in sorted(BASELINE.glob("*.sql")):
                    connection.execute(file.read_text().encode())
        set_passwords(connection, server.secrets)


def set_passwords(connection: Connection, secrets: Secrets) -> None:
    """Gives the login roles that exist their passwords. Migrations hold none."""
    passwords = {
        "postgres": secrets.postgres_password,
        "authenticator": secrets.authenticator_password,
        "runner": secrets.runner_password,
    }
    for role, password in passwords.items():
        if connection.execute("select from pg_roles where rolname = %s", [role]).fetchone() is not None:
            connection.execute(
                sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password))
            )


def version(binaries: Path) -> str:
    """For people: "15.18"."""
    shown = subprocess.run(
        [str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True
    )
    found = re.search(r"\d+(\.\d+)?", shown.stdout)
    return found.group() if found else "unknown"
