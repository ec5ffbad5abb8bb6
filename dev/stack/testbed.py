"""A throw-away Postgres for tests, with a fresh and fully migrated database in some tens of milliseconds.

A cluster with baseline and migrations applied is prepared once per state of the SQL files and kept in
CONTROL_ROOM_HOME/testbeds. A test session copies it, starts the copy on a port of its own, and drops it at
its end; the kernel ends it if pytest is killed. Databases are copies of `template_control_room`; roles belong
to the cluster and are shared by its databases.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from psycopg import sql

from dev.stack import keyring, migrate, postgres, process, state, tenants, tokens
from dev.stack.keyring import Secrets
from dev.stack.postgres import SUPERUSER, THROW_AWAY_SETTINGS, Server
from dev.stack.state import Daemon, Layout, home
from dev.stack.tokens import Role, Shape

TEMPLATE = "template_control_room"
# Survives a crash of the server; fsync guards against a crash of the machine, which no test brings about.
DURABLE_SETTINGS: Mapping[str, str] = {**THROW_AWAY_SETTINGS, "synchronous_commit": "on", "autovacuum": "on"}
KEPT_TEMPLATES = 4
MEMORY_WANTED = 2 * 1024**3

# What `create database … template` leaves behind: owner, privileges on the database and its settings.
COPY_DATABASE_PROPERTIES = """
do $$
declare
    model constant pg_database := (select d from pg_database d where d.datname = 'postgres');
    entry record;
begin
    for entry in
        select r.rolname, a.privilege_type
        from aclexplode(model.datacl) a join pg_roles r on r.oid = a.grantee
        where a.grantee <> model.datdba
    loop
        execute format('grant %s on database %I to %I', entry.privilege_type, current_database(),
                       entry.rolname);
    end loop;
    for entry in
        select split_part(c, '=', 1) as name, substr(c, strpos(c, '=') + 1) as value
        from pg_db_role_setting s, unnest(s.setconfig) c
        where s.setdatabase = model.oid and s.setrole = 0
    loop
        execute format(
            -- a search path is a list of names, everything else a literal
            case when entry.name = 'search_path' then 'alter database %I set %s to %s'
                 else 'alter database %I set %s to %L' end,
            current_database(), entry.name, entry.value
        );
    end loop;
end
$$;
"""


@dataclass(frozen=True)
class Tenant:
    """A tenant with one member per role."""

    slug: str
    tenant_id: str
    secrets: Secrets = field(repr=False)

    def user(self, role: Role) -> str:
        return tokens.default_user(self.slug, role)

    def token(self, role: Role, *, ttl: int = 3600, shape: Shape = "role") -> str:
        return tokens.member_token(
            self.secrets, tenant_id=self.tenant_id, user_id=self.user(role), role=role, ttl=ttl, shape=shape
        )

    def claims(self, role: Role) -> str:
        """The same as JSON, for `set_config('request.jwt.claims', …)`."""
        user = self.user(role)
        return json.dumps({"sub": user, "user_id": user, "tenant_id": self.tenant_id, "role": role})


@dataclass(frozen=True)
class Database:
    """A fresh database: baseline and migrations applied, nothing in it."""

    name: str
    server: Server = field(repr=False)

    @property
    def superuser(self) -> str:
        return self.server.dsn(SUPERUSER, self.name)

    @property
    def postgres(self) -> str:
        return self.server.dsn("postgres", self.name)

    @property
    def runner(self) -> str:
        return self.server.dsn("runner", self.name)

    @property
    def authenticator(self) -> str:
        return self.server.dsn("authenticator", self.name)

    @property
    def secrets(self) -> Secrets:
        return self.server.secrets

    def platform(self, function: str, argument: dict[str, object]) -> object:
        """Calls one of the platform operator's RPCs as service_role."""
        return tenants.call(self.server, function, argument, self.name)

    def add_tenant(self, slug: str) -> Tenant:
        """Makes a tenant and its three members."""
        self.platform("platform_create_tenant", {"slug": slug, "name": slug})
        with self.server.connect(database=self.name) as connection:
            row = connection.execute("select id from tenancy.tenants where slug = %s", [slug]).fetchone()
        assert row is not None
        tenant = Tenant(slug, str(row[0]), self.secrets)
        roles: tuple[Role, ...] = ("viewer", "operator", "admin")
        for role in roles:
            self.platform("platform_add_member", {"tenant": slug, "user_id": tenant.user(role), "role": role})
        return tenant


class Cluster:
    """A running throw-away cluster."""

    def __init__(self, server: Server, daemon: Daemon) -> None:
        self.server = server
        self.daemon = daemon
        self._numbers = itertools.count(1)

    def crash(self) -> None:
        """An immediate shutdown, as if the power had gone, and the start of the recovery; returns at once.

        What was committed survives where the cluster was started with DURABLE_SETTINGS.
        """
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.daemon.pid, signal.SIGQUIT)
        if not process.wait_until(lambda: not process.alive(self.daemon), seconds=10):
            process.stop(self.daemon, signal.SIGKILL, patience=10)
        self.daemon = postgres.launch(self.server)

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        """A database of its own, dropped at the end even where a test left connections open."""
        name = f"test_{next(self._numbers)}"
        with self.server.connect() as connection:
            connection.execute(
                # by files: a third of the time of the default, which writes the copy to the log as well
                sql.SQL("create database {} owner postgres template {} strategy file_copy").format(
                    sql.Identifier(name), sql.Identifier(TEMPLATE)
                )
            )
        with self.server.connect(database=name) as connection:
            connection.execute(COPY_DATABASE_PROPERTIES)
        try:
            yield Database(name, self.server)
        finally:
            with self.server.connect() as connection:
                connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@contextlib.contextmanager
def cluster(major: int = 15, settings: Mapping[str, str] = THROW_AWAY_SETTINGS) -> Iterator[Cluster]:
    """Starts a throw-away cluster; raises StackError where there is no such Postgres or a migration fails."""
    binaries = postgres.find_binaries(major)
    _sweep()
    root = Path(tempfile.mkdtemp(prefix=f"control-room-test-{os.getpid()}-", dir=scratch_folder()))
    try:
        place = Layout(root)
        place.make()
        secrets = _copy_prepared(major, binaries, place)
        port = state.choose_ports(place, {}, {})["postgres"]
        server = Server(place, binaries, port, secrets, settings, dies_with_parent=True)
        started = Cluster(server, postgres.start(server))
        try:
            yield started
        finally:
            postgres.stop(started.daemon)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _copy_prepared(major: int, binaries: Path, place: Layout) -> Secrets:
    """Copies the stopped cluster that has everything; makes it first if the SQL files have changed."""
    wanted = migrate.migrations()
    digest = hashlib.sha256(f"{major} {postgres.version(binaries)} {os.geteuid()}".encode())
    for file in (Path(__file__), *sorted(postgres.BASELINE.glob("*.sql")), *(it.path for it in wanted)):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    folder = home() / "testbeds"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prepared = folder / digest.hexdigest()[:16]
        if not (prepared / "secrets.json").exists():
            shutil.rmtree(prepared, ignore_errors=True)
            _prepare(Layout(prepared), binaries, wanted)
        os.utime(prepared)
        # stacks of acceptance tests live here as well, and may be older than many templates
        templates = [it for it in folder.iterdir() if re.fullmatch(r"[0-9a-f]{16}", it.name)]
        by_age = sorted(templates, key=lambda it: it.stat().st_mtime)
        for old in by_age[:-KEPT_TEMPLATES]:
            shutil.rmtree(old, ignore_errors=True)
        # under the lock: another session may throw the oldest ones away
        subprocess.run(["cp", "-a", "--reflink=auto", prepared / "postgres", place.data], check=True)
        return Secrets(**json.loads((prepared / "secrets.json").read_text()))


def _prepare(place: Layout, binaries: Path, wanted: list[migrate.Migration]) -> None:
    place.make()
    port = state.choose_ports(place, {}, {})["postgres"]
    server = Server(place, binaries, port, keyring.generate(), THROW_AWAY_SETTINGS, dies_with_parent=True)
    postgres.initialise(server)
    daemon = postgres.start(server)
    try:
        postgres.furnish(server)
        migrate.apply(server.dsn("postgres"), wanted)
        with server.connect(database="template1") as connection:
            postgres.set_passwords(connection, server.secrets)
            create = sql.SQL("create database {} owner postgres template postgres")
            connection.execute(create.format(sql.Identifier(TEMPLATE)))
        with server.connect(database=TEMPLATE) as connection:
            # with statistics, so that the plans of a test are those of a used database; without a vacuum,
            # whose map files would double the number of files to copy
            connection.execute("analyze")
    finally:
        postgres.stop(daemon)
    # last: it says that the rest is whole
    state.write_json(place.secrets_file, asdict(server.secrets), mode=0o600)


def scratch_folder() -> Path:
    """Memory where there is plenty of it: a database is copied in 40 ms there, in 500 ms on a disk.

    Not pytest's own folder, which as root the database's user could not enter.
    """
    memory = Path("/dev/shm")  # noqa: S108  the folder made in it is private to this session
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_WANTED:
        return memory
    return Path(tempfile.gettempdir())


def _sweep() -> None:
    """Removes what sessions left behind that were killed."""
    for left in scratch_folder().glob("control-room-test-*"):
        pid = left.name.split("-")[3]
        if left.stat().st_uid == os.geteuid() and not Path("/proc", pid).exists():
            shutil.rmtree(left, ignore_errors=True)
