"""Which databases this runner may change or read, by name. Their URLs hold passwords and stay in here.

A target `warehouse` is CONTROL_ROOM_TARGET_WAREHOUSE_URL; where its copy for a dry run is made may be said by
CONTROL_ROOM_TARGET_WAREHOUSE_SCRATCH_URL (default: on the target's own server). A target may be an Odoo, too
(`runner.odoo.site`): that one is only read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from runner.model.errors import Permanent, Retryable
from runner.model.termination import TerminationCode
from runner.odoo.site import SCHEMES

#: A cut network is noticed within half a minute on both sides, a killed runner within two seconds: what it
#: held in the target is let go.
CONNECTION: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "application_name": "control room schema_migration",
}
VARIABLES = {
    "dbname": "PGDATABASE",
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}
SESSION = (
    "set client_connection_check_interval = 2000",
    "set tcp_keepalives_idle = 10",
    "set tcp_keepalives_interval = 5",
    "set tcp_keepalives_count = 3",
    "set standard_conforming_strings = on",
    "set client_encoding = 'UTF8'",
)


@dataclass(frozen=True, slots=True)
class Target:
    """One database."""

    name: str
    url: str = field(repr=False)
    scratch_url: str = field(repr=False)

    @property
    def place(self) -> tuple[str, int, str]:
        """Host, port and database, as lineage names them."""
        given = conninfo_to_dict(self.url)
        host = str(given.get("host") or "localhost").partition(",")[0]
        port = str(given.get("port") or 5432).partition(",")[0]
        database = str(given.get("dbname") or given.get("user") or "postgres")
        return "localhost" if host.startswith("/") else host.lower(), int(port), database

    async def open(self, database: str | None = None, *, scratch: bool = False) -> AsyncConnection[Any]:
        """A session of its own, in autocommit. Raises Retryable(EXECUTOR_UNAVAILABLE), or Permanent when the
        login is refused."""
        conninfo = make_conninfo(self.scratch_url if scratch else self.url, **CONNECTION)
        if database is not None:
            conninfo = make_conninfo(conninfo, dbname=database)
        try:
            connection = await AsyncConnection.connect(conninfo, autocommit=True)
        except psycopg.OperationalError as error:
            # libpq's text names hosts and users: it is for the runner's log, not for the tenant
            if re.search(r"password authentication failed|no pg_hba\.conf|does not exist", str(error)):
                raise Permanent(
                    TerminationCode.EXECUTOR_UNAVAILABLE, f"the target {self.name} refuses the runner's login"
                ) from error
            raise Retryable(
                TerminationCode.EXECUTOR_UNAVAILABLE, f"the target {self.name} cannot be reached"
            ) from error
        for statement in SESSION:
            await connection.execute(statement.encode())
        return connection

    def process_environment(self, *, scratch: bool, database: str | None = None) -> dict[str, str]:
        """What pg_dump and pg_restore need to know, without a password in an argument list."""
        given = conninfo_to_dict(self.scratch_url if scratch else self.url)
        found = {VARIABLES[key]: str(value) for key, value in given.items() if key in VARIABLES}
        if database is not None:
            found["PGDATABASE"] = database
        return found


class Directory:
    """Every target of this runner."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        """`urls` by the name as the environment has it (WAREHOUSE, WAREHOUSE_SCRATCH)."""
        self._urls = dict(urls)

    def find(self, name: str) -> Target:
        """The database of that name. Raises Permanent(EXECUTOR_UNAVAILABLE) where this runner has none."""
        url = self.url(name)
        if self.is_odoo(name):
            raise Permanent(
                TerminationCode.EXECUTOR_UNAVAILABLE, f"the target {name[:64]} is an Odoo and no database"
            )
        return Target(name, url, self._urls.get(f"{_key(name)}_SCRATCH", url))

    def is_odoo(self, name: str) -> bool:
        """Whether it is one, and no database. Raises as `url` does."""
        return self.url(name).startswith(SCHEMES)

    def url(self, name: str) -> str:
        """The URL of a target. Raises Permanent(EXECUTOR_UNAVAILABLE) for one that this runner lacks."""
        key = _key(name)
        url = self._urls.get(key)
        if url is None:
            raise Permanent(
                TerminationCode.EXECUTOR_UNAVAILABLE,
                f"this runner has no target {name[:64]} (CONTROL_ROOM_TARGET_{key[:64]}_URL is not set)",
            )
        return url


def _key(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()
