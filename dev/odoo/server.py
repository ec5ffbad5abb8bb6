"""An Odoo that answers: a copy of the engine's cluster, Postgres and Odoo of its own, ended by their pids.

Needs `scripts/setup --engines odoo`. Ready in some five seconds; 200 MB.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from dev.odoo import build
from dev.stack import process, state
from dev.stack.errors import StackError
from dev.stack.process import Account, Command
from dev.stack.state import Daemon

START_SECONDS = 90.0
# An API key of the administrator for a month.
_KEY = """
import datetime
until = datetime.datetime.now() + datetime.timedelta(days=30)
key = env["res.users.apikeys"].with_user(2)._generate("rpc", "control room", until)
env.cr.commit()
print("KEY=" + key)
"""


@dataclass(frozen=True)
class Odoo:
    """Where it is, and what opens it. `dsn`: its database, as its owner."""

    url: str
    database: str
    login: str
    key: str = field(repr=False)
    dsn: str = field(repr=False)
    version: str

    @property
    def target(self) -> str:
        """As CONTROL_ROOM_TARGET_<NAME>_URL has it."""
        scheme, _, host = self.url.partition("://")
        return f"odoo+{scheme}://{self.login}:{self.key}@{host}/{self.database}"


def engine() -> Path:
    """The engine that has an Odoo."""
    return Path(os.environ.get("CONTROL_ROOM_ENGINES") or state.home() / "engines") / "odoo"


def missing() -> str:
    """What is not there, with the mend; "" when all is."""
    if (engine() / "odoo.json").exists():
        return ""
    return "there is no Odoo (scripts/setup --engines odoo)"


@contextlib.contextmanager
def serve(modules: str = "") -> Iterator[Odoo]:
    """An Odoo with its base module and those that are named (comma-separated), until the block ends."""
    about = json.loads((engine() / "odoo.json").read_text())
    with tempfile.TemporaryDirectory(prefix="control-room-odoo-") as folder, contextlib.ExitStack() as stack:
        house = _House(Path(folder), build.NOBODY if os.geteuid() == 0 else None, _free_port(), _free_port())
        house.furnish()
        binaries = engine() / about["postgres"]
        postgres = house.start([str(binaries / "postgres"), "-D", "cluster"], "postgres")
        stack.callback(process.stop, postgres, signal.SIGINT, patience=20)
        house.wait(postgres, "postgres", lambda: build.accepts(house.socket))
        if modules:
            house.call("server", "-i", modules, "--stop-after-init", build.without_demo(about["version"]))
        password = secrets.token_hex(16)
        with psycopg.connect(house.socket) as connection:
            change = sql.SQL("alter role {} password {}")
            connection.execute(change.format(sql.Identifier(build.USER), sql.Literal(password)))
        said = house.call("shell", given=_KEY)
        key = next(line.removeprefix("KEY=") for line in said.splitlines() if line.startswith("KEY="))
        served = house.start([*house.odoo, "server", "-c", "odoo.conf"], "odoo")
        stack.callback(process.stop, served, signal.SIGTERM, patience=20)
        url = f"http://127.0.0.1:{house.port}"
        house.wait(served, "odoo", lambda: _answers(url))
        dsn = f"postgresql://{build.USER}:{password}@127.0.0.1:{house.database_port}/{build.DATABASE}"
        yield Odoo(url, build.DATABASE, "admin", key, dsn, about["version"])


@dataclass(frozen=True)
class _House:
    """The folder in which both live, and as whom."""

    work: Path
    account: Account | None
    port: int
    database_port: int

    @property
    def socket(self) -> str:
        """How the database is reached without a password."""
        return f"host={self.work} port={self.database_port} user={build.USER} dbname={build.DATABASE}"

    @property
    def odoo(self) -> list[str]:
        """The beginning of each call of Odoo."""
        return [str(engine() / "bin" / "python"), "-B", "-s", "-P", "-m", "odoo"]

    @property
    def environment(self) -> dict[str, str]:
        """What both see."""
        variables = {"PYTHONPATH": str(engine() / "src"), "HOME": str(self.work / "files")}
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC", **variables}

    def furnish(self) -> None:
        """A copy of the cluster and of Odoo's files, and the settings of both."""
        for name in ("cluster", "files"):
            shutil.copytree(engine() / name, self.work / name)
        cluster = self.work / "cluster"
        cluster.chmod(0o700)
        (cluster / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        with (cluster / "postgresql.conf").open("a") as file:
            file.write(
                f"port = {self.database_port}\nlisten_addresses = '127.0.0.1'\n"
                f"unix_socket_directories = '{self.work}'\n"
            )
        settings = {
            "addons_path": build.addons(engine() / "src"),
            "data_dir": self.work / "files",
            "db_host": self.work,
            "db_port": self.database_port,
            "db_user": build.USER,
            "db_name": build.DATABASE,
            "dbfilter": f"^{build.DATABASE}$",
            "list_db": False,
            "max_cron_threads": 0,
            "http_interface": "127.0.0.1",
            "http_port": self.port,
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        (self.work / "odoo.conf").write_text(f"[options]\n{lines}")
        if self.account is not None:
            for path in (self.work, *self.work.rglob("*")):
                os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def start(self, argv: list[str], name: str) -> Daemon:
        """Start one of them; it ends with us."""
        return process.start(
            Command(
                argv=argv,
                env=self.environment,
                log=self.work / f"{name}.log",
                cwd=self.work,
                account=self.account,
                dies_with_parent=True,
            )
        )

    def wait(self, daemon: Daemon, name: str, ready: Callable[[], bool]) -> None:
        """Until it answers. Raises StackError."""
        log, end = self.work / f"{name}.log", time.monotonic() + START_SECONDS
        while not ready():
            if not process.alive(daemon) or time.monotonic() > end:
                raise StackError(f"{name} did not start", "see the lines above", process.tail(log))
            time.sleep(process.POLL_SECONDS)

    def call(self, command: str, *words: str, given: str = "") -> str:
        """A command of Odoo's from its beginning to its end; what it printed. Raises StackError."""
        dropped = [*process.as_account(self.account), "--"] if self.account is not None else []
        done = subprocess.run(
            [*dropped, *self.odoo, command, "-c", "odoo.conf", "--no-http", *words],
            input=given,
            env=self.environment,
            cwd=self.work,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            evidence = "\n".join(done.stderr.strip().splitlines()[-15:])
            raise StackError(f"odoo {command} failed", "see the lines above", evidence)
        return done.stdout


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/web/health", timeout=5) as answer:  # noqa: S310 - ours
            return bool(answer.status == 200)
    except OSError:
        return False
