"""Odoo itself, beside its engine: what `scripts/setup --engines odoo` calls when pip is done.

    python -m dev.odoo.build FOLDER        FOLDER is the engine's environment

Adds `src/` (Odoo), `cluster/` (a stopped Postgres with one database, `odoo`, that has the base module),
`files/` and `odoo.json`, which says what they are. Debian's unstable suite has Odoo 19 (120 MB, 1.2 GB
unpacked); a checkout of another series is named by CONTROL_ROOM_ODOO_SOURCE, and what that imports must be
in the engine's list.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from dev.stack import postgres, process
from dev.stack.errors import StackError
from dev.stack.process import Account

PACKAGE = "odoo-19"
SUITE = "sid"
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DATABASE = "odoo"
USER = "odoo"
NOBODY = Account(65534, 65534)
#: A cluster that is copied for each use and thrown away.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "2MB",
    "max_wal_size": "64MB",
    "shared_buffers": "48MB",
    "dynamic_shared_memory_type": "mmap",
    "autovacuum": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def build(engine: Path) -> None:
    """Fill the engine. Raises StackError."""
    source = engine / "src"
    checkout = os.environ.get("CONTROL_ROOM_ODOO_SOURCE", "")
    if checkout:
        _copy_checkout(Path(checkout), source)
    else:
        _unpack_package(source)
    binaries = _binaries(engine)
    account = NOBODY if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="odoo-") as folder:
        work = Path(folder)
        work.chmod(0o755)
        _make_cluster(engine, source, binaries, work, account)
    version = _version(source)
    said = {"version": version, "series": ".".join(version.split(".")[:2]), "postgres": str(binaries)}
    if binaries.is_relative_to(engine):
        said["postgres"] = str(binaries.relative_to(engine))
    (engine / "odoo.json").write_text(json.dumps(said))


def _unpack_package(target: Path) -> None:
    """Debian's package, by a list of its own: the system's stays what it is."""
    site = _mirror()
    with tempfile.TemporaryDirectory(prefix="odoo-deb-") as folder:
        work = Path(folder)
        for each in ("lists/partial", "cache/archives/partial"):
            (work / each).mkdir(parents=True)
        signed = f"[signed-by={KEYS}] " if KEYS.exists() else ""
        (work / "sources.list").write_text(f"deb {signed}{site} {SUITE} main\n")
        options = [
            f"-oDir::Etc::sourcelist={work}/sources.list",
            "-oDir::Etc::sourceparts=/dev/null",
            f"-oDir::State::lists={work}/lists",
            f"-oDir::Cache={work}/cache",
            "-oAPT::Sandbox::User=",
        ]
        _run(["apt-get", "-qq", *options, "update"], "the list of Debian's packages cannot be read", work)
        _run(["apt-get", "-qq", *options, "download", PACKAGE], f"{PACKAGE} cannot be had", work)
        (package,) = work.glob("*.deb")
        _run(["dpkg", "-x", str(package), str(work / "x")], f"{PACKAGE} cannot be unpacked", work)
        target.mkdir()
        for name in ("odoo", "odoo-19.0.egg-info"):
            shutil.move(work / "x" / "usr" / "lib" / "python3" / "dist-packages" / name, target / name)


def _mirror() -> str:
    """Where this system has Debian from."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)", "Created-By: Packages"],
        check=False,
        capture_output=True,
        text=True,
    )
    for line in targets.stdout.splitlines():
        origin, site = line.split("|")
        if origin == "Debian" and "security" not in site:
            return site
    raise StackError(
        "there is no Debian to have Odoo from", "name a checkout of Odoo in CONTROL_ROOM_ODOO_SOURCE"
    )


def _copy_checkout(checkout: Path, target: Path) -> None:
    if not (checkout / "odoo" / "release.py").exists():
        raise StackError(
            f"{checkout} is no checkout of Odoo", "CONTROL_ROOM_ODOO_SOURCE holds odoo-bin and odoo/"
        )
    target.mkdir()
    for name in ("odoo", "addons"):
        shutil.copytree(checkout / name, target / name, ignore=shutil.ignore_patterns("__pycache__", ".git"))


def _binaries(engine: Path) -> Path:
    """Postgres as the sandbox sees it: below /usr, or brought along."""
    found = postgres.find_binaries(postgres.default_major())
    if found.is_relative_to("/usr"):
        return found
    shutil.copytree(found.parent, engine / "postgres", symlinks=True)
    return engine / "postgres" / "bin"


def _version(source: Path) -> str:
    text = (source / "odoo" / "release.py").read_text("utf-8")
    match = re.search(r"^version_info = \((\d+), (\d+), (\d+)", text, re.MULTILINE)
    if match is None:
        raise StackError("this Odoo does not say which it is", "use Odoo 17 or later")
    return ".".join(match.groups())


def addons(source: Path) -> str:
    """The value of addons_path for Odoo's own modules."""
    folders = [source / "odoo" / "addons", source / "addons"]
    return ",".join(str(each) for each in folders if each.is_dir())


def _make_cluster(engine: Path, source: Path, binaries: Path, work: Path, account: Account | None) -> None:
    cluster, files = work / "cluster", work / "files"
    for each in (cluster, files):
        each.mkdir(mode=0o700)
        if account is not None:
            os.chown(each, account.uid, account.gid)
    run = [*process.as_account(account), "--"] if account is not None else []
    words = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--wal-segsize=1"]
    _run(
        [*run, str(binaries / "initdb"), f"--pgdata={cluster}", f"--username={USER}", *words],
        "initdb failed",
        work,
    )
    settings = "".join(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
    (cluster / "postgresql.conf").write_text(settings)
    control = [*run, str(binaries / "pg_ctl"), f"--pgdata={cluster}", "--wait", "--silent"]
    socket = str(cluster)
    _run([*control, f"--options=-k {socket}", f"--log={files}/log", "start"], "Postgres did not start", work)
    try:
        with psycopg.connect(host=socket, user=USER, dbname="postgres", autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} template template0").format(sql.Identifier(DATABASE))
            )
        conf = work / "odoo.conf"
        conf.write_text(
            f"[options]\naddons_path = {addons(source)}\ndata_dir = {files}\n"
            f"db_host = {socket}\ndb_user = {USER}\n"
        )
        python = [str(engine / "bin" / "python"), "-B", "-s", "-P", "-m", "odoo", "server"]
        install = ["-c", str(conf), "-d", DATABASE, "-i", "base", "--stop-after-init", "--no-http"]
        _run(
            [*run, *python, *install, without_demo(_version(source))],
            "Odoo could not install its base module",
            work,
            {"PYTHONPATH": str(source), "HOME": str(files)},
        )
    finally:
        _run([*control, "--mode=fast", "stop"], "Postgres did not stop", work)
    (files / "log").unlink(missing_ok=True)
    for each in (cluster, files):
        shutil.move(each, engine / each.name)
        if account is not None:
            for path in ((engine / each.name), *(engine / each.name).rglob("*")):
                os.chown(path, 0, 0, follow_symlinks=False)


def accepts(conninfo: str) -> bool:
    """Whether Postgres answers there."""
    try:
        psycopg.connect(conninfo).close()
    except psycopg.OperationalError:
        return False
    return True


def without_demo(version: str) -> str:
    """The option that leaves demonstration data out; from 19 on it takes no value."""
    return "--without-demo" if int(version.partition(".")[0]) >= 19 else "--without-demo=all"


def _run(argv: Sequence[str], what: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
    variables = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **(environment or {})}
    done = subprocess.run(
        argv, cwd=folder, env=variables, check=False, capture_output=True, text=True, errors="replace"
    )
    if done.returncode != 0:
        evidence = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise StackError(what, "see the lines above", evidence)


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]).absolute())
    except StackError as error:
        sys.exit(f"{error.evidence}\nerror: {error}".strip())
