"""scripts/stack as a person uses it: real processes, real signals, a folder of its own per stack."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
import psycopg
import pytest

from dev.stack import lifecycle, postgres, state, testbed
from dev.stack.errors import StackError
from dev.stack.lifecycle import ServiceStatus
from dev.stack.state import Daemon, Layout, Service, State

CLONE = Path(__file__).resolve().parents[2]
FEW = "postgres,gateway"


@dataclass(frozen=True)
class Stack:
    """One stack, driven through its script."""

    root: Path

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CONTROL_ROOM_PORT")}
        run = subprocess.run(
            [str(CLONE / "scripts" / "stack"), *arguments],
            env={**kept, "CONTROL_ROOM_STACK_DIR": str(self.root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or run.returncode == 0, run.stdout + run.stderr
        return run

    def services(self) -> dict[Service, ServiceStatus]:
        return lifecycle.status(Layout(self.root))

    def states(self) -> dict[Service, str]:
        return {name: service.state for name, service in self.services().items()}

    def pid(self, service: Service) -> int:
        pid = self.services()[service].pid
        assert pid is not None
        return pid

    def port(self, service: Service) -> int:
        port = self.services()[service].port
        assert port is not None
        return port

    def environment(self) -> dict[str, str]:
        lines = self.run("env").stdout.splitlines()
        return {
            name: value.strip("'")
            for name, value in (line.removeprefix("export ").split("=", 1) for line in lines)
        }

    def processes(self) -> list[str]:
        """Command lines of all processes that work in this stack's folder, or were told about it."""
        return [
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            for pid in self.process_ids()
        ]

    def process_ids(self) -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                place = os.readlink(process / "cwd")
                if str(self.root).encode() in told or place.startswith(str(self.root)):
                    found.append(int(process.name))
        return found


@contextlib.contextmanager
def a_stack() -> Iterator[Stack]:
    # not pytest's tmp_path: as root the database's user could not enter it
    root = Path(tempfile.mkdtemp(prefix="control-room-stack-", dir=testbed.scratch_folder()))
    root.chmod(0o755)
    stack = Stack(root)
    try:
        yield stack
    finally:
        stack.run("down", check=False)
        shutil.rmtree(root)


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack that was never started."""
    with a_stack() as made:
        yield made


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    """A stack with Postgres and gateway, for tests that only look."""
    with a_stack() as made:
        made.run("up", "--services", FEW)
        yield made


@pytest.fixture(scope="module")
def much_used() -> Iterator[Stack]:
    with a_stack() as made:
        yield made


@pytest.fixture
def worn(much_used: Stack) -> Stack:
    """A running stack that tests may break: the next one mends it first."""
    if much_used.run("up", "--services", FEW, check=False).returncode != 0:
        much_used.run("reset")
        much_used.run("up", "--services", FEW)
    return much_used


def error_of(run: subprocess.CompletedProcess[str]) -> str:
    """The one line that says what is wrong and how to mend it."""
    assert run.returncode == 1, run.stdout + run.stderr
    lines = [line for line in run.stderr.splitlines() if not line.startswith("setup ")]
    assert len(lines) == 1, run.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def test_status_names_the_processes_themselves(running: Stack) -> None:
    services = json.loads(running.run("status", "--json").stdout)["services"]

    assert set(services) == {"postgres", "gateway", "functions", "runner"}
    assert services["postgres"]["state"] == services["gateway"]["state"] == "running"
    assert services["runner"] == {"pid": None, "port": None, "state": "stopped"}
    command = Path(f"/proc/{services['postgres']['pid']}/cmdline").read_bytes()
    assert command.split(b"\0")[0].endswith(b"/postgres")
    assert b"dev.gateway" in Path(f"/proc/{services['gateway']['pid']}/cmdline").read_bytes()


def test_a_second_up_starts_nothing_anew(running: Stack) -> None:
    before = running.services()
    began = time.monotonic()

    running.run("up", "--services", FEW)

    assert running.services() == before
    assert time.monotonic() - began < 15


def test_env_names_a_database_url_without_a_query_part(running: Stack) -> None:
    environment = running.environment()

    assert {"SUPABASE_URL", "SUPABASE_ANON_KEY", "CONTROL_ROOM_JWT_SECRET"} <= set(environment)
    assert re.fullmatch(r"postgresql://\w+:\w+@127\.0\.0\.1:\d+/postgres", environment["DATABASE_URL"])
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        assert connection.execute(
            "select rolsuper from pg_roles where rolname = current_user"
        ).fetchone() == (True,)
    with psycopg.connect(environment["CONTROL_ROOM_DATABASE_URL"]) as connection:
        assert connection.execute("select current_user").fetchone() == ("runner",)


def test_migrations_run_as_a_postgres_that_is_no_superuser(running: Stack) -> None:
    with psycopg.connect(running.environment()["CONTROL_ROOM_POSTGRES_URL"]) as connection:
        role = connection.execute(
            "select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
            " from pg_roles where rolname = current_user"
        ).fetchone()
        owner = connection.execute(
            "select datdba::regrole::text from pg_database where datname = current_database()"
        ).fetchone()

    assert role == (False, True, True, True, True)
    assert owner == ("postgres",)


def test_the_migration_history_is_the_one_that_supabase_keeps(running: Stack) -> None:
    files = sorted(path.name.partition("_")[0] for path in (CLONE / "supabase" / "migrations").glob("*.sql"))

    with psycopg.connect(running.environment()["DATABASE_URL"]) as connection:
        rows = connection.execute(
            "select version from supabase_migrations.schema_migrations order by version"
        )
        assert [version for (version,) in rows] == files


def test_nothing_new_in_public_is_open_to_anybody(running: Stack) -> None:
    with psycopg.connect(running.environment()["CONTROL_ROOM_POSTGRES_URL"]) as connection:
        connection.execute("create table public.fresh (id int)")
        found = connection.execute(
            "select has_table_privilege('authenticated', 'public.fresh', 'select')"
        ).fetchone()
        connection.rollback()

    assert found == (False,)


def test_a_token_names_a_member_of_the_tenant(running: Stack) -> None:
    running.run("tenant", "acme")
    secret = running.environment()["CONTROL_ROOM_JWT_SECRET"]

    token = running.run("token", "--tenant", "acme", "--role", "operator").stdout.strip()

    claims = jwt.decode(token, secret, algorithms=["HS256"], audience="authenticated")
    assert claims["role"] == "operator"
    assert claims["sub"] == claims["user_id"]
    with psycopg.connect(running.environment()["DATABASE_URL"]) as connection:
        member = connection.execute(
            "select role::text from tenancy.members where tenant_id = %s and user_id = %s",
            [claims["tenant_id"], claims["user_id"]],
        ).fetchone()
    assert member == ("operator",)


def test_a_token_with_a_negative_ttl_has_expired(running: Stack) -> None:
    running.run("tenant", "past")

    token = running.run("token", "--tenant", "past", "--role", "viewer", "--ttl", "-60").stdout.strip()

    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(
            token,
            running.environment()["CONTROL_ROOM_JWT_SECRET"],
            algorithms=["HS256"],
            audience="authenticated",
            leeway=30,
        )


def test_a_token_for_nobody_is_refused_with_the_mend(running: Stack) -> None:
    assert "scripts/stack tenant nobody" in error_of(
        running.run("token", "--tenant", "nobody", "--role", "viewer", check=False)
    )


def test_a_tenant_is_made_once(running: Stack) -> None:
    first = json.loads(running.run("tenant", "twice").stdout)

    assert json.loads(running.run("tenant", "twice").stdout) == first
    assert first["slug"] == "twice"


def test_a_tenant_with_a_bad_name_is_refused_with_a_listed_code(running: Stack) -> None:
    assert "FIELD_INVALID" in error_of(running.run("tenant", "Not A Slug", check=False))


def test_secrets_are_for_the_owner_only_and_the_folder_is_open_to_the_sandbox(running: Stack) -> None:
    assert stat.S_IMODE((running.root / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(running.root.stat().st_mode) == 0o755
    assert stat.S_IMODE((running.root / "work").stat().st_mode) == 0o755
    assert not re.search(r"password|secret", (running.root / "stack.json").read_text())


def test_two_stacks_run_side_by_side(running: Stack, stack: Stack) -> None:
    stack.run("up", "--services", FEW)

    ports = [it.port(service) for it in (running, stack) for service in ("postgres", "gateway")]
    assert len(set(ports)) == 4
    assert running.environment()["SUPABASE_ANON_KEY"] != stack.environment()["SUPABASE_ANON_KEY"]
    stack.run("down")
    assert running.states()["gateway"] == "running"


def test_up_mends_a_half_dead_stack(worn: Stack) -> None:
    before = worn.services()

    os.kill(worn.pid("gateway"), signal.SIGKILL)
    wait_for_state(worn, "gateway", "dead")
    worn.run("up", "--services", FEW)

    after = worn.services()
    assert after["gateway"].state == "running"
    assert after["gateway"].port == before["gateway"].port
    assert after["gateway"].pid != before["gateway"].pid
    assert after["postgres"] == before["postgres"]


def test_a_killed_postgres_comes_back_with_what_was_committed(worn: Stack) -> None:
    url = worn.environment()["DATABASE_URL"]
    with psycopg.connect(url) as connection:
        connection.execute("create table public.kept as select 42 as answer")

    os.kill(worn.pid("postgres"), signal.SIGKILL)
    wait_for_state(worn, "postgres", "dead")
    worn.run("up", "--services", FEW)

    with psycopg.connect(url) as connection:
        assert connection.execute("select answer from public.kept").fetchone() == (42,)


def test_up_replaces_a_service_that_hangs(worn: Stack) -> None:
    hung = worn.pid("gateway")

    os.kill(hung, signal.SIGSTOP)
    assert worn.states()["gateway"] == "unresponsive"
    worn.run("up", "--services", FEW)

    assert worn.states()["gateway"] == "running"
    assert worn.pid("gateway") != hung


def test_reset_empties_database_and_storage_and_keeps_ports_and_keys(worn: Stack) -> None:
    before = worn.environment()
    with psycopg.connect(before["DATABASE_URL"]) as connection:
        connection.execute("create table public.gone (id int)")
    (worn.root / "storage" / "object").write_text("bytes")

    worn.run("reset")

    assert worn.environment() == before
    assert worn.states()["gateway"] == "running"
    assert not (worn.root / "storage" / "object").exists()
    with psycopg.connect(before["DATABASE_URL"]) as connection:
        assert connection.execute("select to_regclass('public.gone')").fetchone() == (None,)


def test_a_migration_edited_after_its_application_is_named(worn: Stack) -> None:
    with psycopg.connect(worn.environment()["DATABASE_URL"]) as connection:
        connection.execute(
            "update supabase_migrations.schema_migrations set statements = array['another text']"
            " where version = (select min(version) from supabase_migrations.schema_migrations)"
        )

    error = error_of(worn.run("up", "--services", "postgres", check=False))

    assert "scripts/stack reset" in error
    worn.run("reset")


def test_the_whole_stack_goes_up_within_its_bound_and_down_leaves_no_process(stack: Stack) -> None:
    stack.run("up", "--services", "postgres")  # the one-time making of a cluster is not counted
    began = time.monotonic()

    stack.run("up")

    assert time.monotonic() - began < 15
    assert set(stack.states().values()) == {"running"}
    pids = [stack.pid(service) for service in ("postgres", "gateway", "functions", "runner")]

    stack.run("down")

    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert stack.processes() == []
    assert set(stack.states().values()) == {"stopped"}
    assert (stack.root / "postgres" / "PG_VERSION").exists()


def test_the_idle_stack_stays_within_its_memory(stack: Stack) -> None:
    stack.run("up")

    kilobytes = [
        int(re.findall(r"^Pss:\s+(\d+)", smaps.read_text(), re.M)[0])
        for pid in stack.process_ids()
        if (smaps := Path(f"/proc/{pid}/smaps_rollup")).exists()
    ]

    assert len(kilobytes) >= 4
    assert sum(kilobytes) < 500 * 1024


def test_down_and_status_of_a_stack_that_never_was_are_no_errors(stack: Stack) -> None:
    stack.run("down")

    assert set(stack.states().values()) == {"stopped"}


def test_down_never_touches_a_process_that_got_a_recycled_pid(stack: Stack) -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        place = Layout(stack.root)
        recycled = Daemon(stranger.pid, born="another boot:1")
        state.save(place, State(postgres_major=15, ports={"gateway": 21000}, daemons={"gateway": recycled}))

        assert stack.states()["gateway"] == "dead"
        stack.run("down")

        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_taken_port_is_named_with_its_holder_and_the_mend(stack: Stack) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]

        error = error_of(stack.run("up", "--services", FEW, "--port-gateway", str(port), check=False))

    assert f"port {port} of gateway is taken by pid {os.getpid()}" in error
    assert "--port-gateway" in error
    assert set(stack.states().values()) == {"stopped"}


def test_a_port_by_flag_is_remembered(stack: Stack) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stack.run("up", "--services", "postgres", "--port-postgres", str(port))
    stack.run("down")

    stack.run("up", "--services", "postgres")

    assert stack.port("postgres") == port


def test_data_of_another_major_is_named_with_the_mend(stack: Stack) -> None:
    (stack.root / "postgres").mkdir()
    (stack.root / "postgres" / "PG_VERSION").write_text("17\n")

    error = error_of(stack.run("up", "--services", "postgres", "--postgres", "15", check=False))

    assert "made by Postgres 17, not 15" in error
    assert "scripts/stack reset" in error


def test_a_machine_without_postgres_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CONTROL_ROOM_HOME", str(tmp_path))
    monkeypatch.setattr(postgres, "SYSTEM_BINARIES", f"{tmp_path}/{{major}}/bin")

    with pytest.raises(StackError, match="scripts/setup --postgres 15"):
        postgres.find_binaries(15)


def test_a_clone_in_the_folder_of_another_has_a_stack_beside_the_other_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clone, stacks = tmp_path / "clone", tmp_path / "stacks"
    monkeypatch.delenv("CONTROL_ROOM_STACK_DIR", raising=False)
    monkeypatch.setattr(state, "CLONE", clone)
    monkeypatch.setattr(state, "_stacks", lambda: stacks)

    def clone_anew() -> Layout:
        shutil.rmtree(clone, ignore_errors=True)
        (clone / ".git").mkdir(parents=True)
        (clone / ".git" / "HEAD").touch()
        return look_again()

    def look_again() -> Layout:
        state.clone_id.cache_clear()
        place = state.layout()
        place.make()
        return place

    try:
        first, again = clone_anew(), look_again()
        second, second_again = clone_anew(), look_again()
        # of before stacks said whose they are
        first.clone_file.unlink()
        first.secrets_file.touch()
        os.utime(first.secrets_file, (0, 0))
        third = clone_anew()
    finally:
        state.clone_id.cache_clear()

    assert (first, second) == (again, second_again)
    assert third not in {first, second}
    assert first != second
    assert second.name.startswith(first.name)
    assert first.root.is_dir()


def test_env_of_a_stack_that_never_was_says_how_to_start_one(stack: Stack) -> None:
    assert "run scripts/stack up" in error_of(stack.run("env", check=False))


def test_an_unknown_service_is_refused_with_the_list(stack: Stack) -> None:
    assert "postgres, gateway, functions, runner" in error_of(
        stack.run("up", "--services", "nginx", check=False)
    )


def test_the_config_for_supabase_agrees_with_the_embedded_stack() -> None:
    config = tomllib.loads((CLONE / "supabase" / "config.toml").read_text())

    assert config["api"]["schemas"] == ["public"]
    assert config["api"]["max_rows"] == 1000
    assert config["api"]["auto_expose_new_tables"] is False
    assert config["storage"]["file_size_limit"] == "50MiB"
    assert config["functions"]["api"]["verify_jwt"] is False
    assert (CLONE / "supabase" / config["functions"]["api"]["entrypoint"]).is_file()
    assert (CLONE / "supabase" / config["functions"]["api"]["import_map"]).is_file()
    hook = config["auth"]["hook"]["custom_access_token"]
    assert hook == {"enabled": True, "uri": "pg-functions://postgres/tenancy/custom_access_token_hook"}


def wait_for_state(stack: Stack, service: Service, wanted: str) -> None:
    """A killed process takes a moment to be gone."""
    deadline = time.monotonic() + 10
    while stack.states()[service] != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.05)
