"""The environment: what it means, and the one line that says how to mend it."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner import capabilities, settings
from runner.model.errors import SettingsError


@pytest.fixture
def good(tmp_path: Path) -> dict[str, str]:
    work = tmp_path / "work"
    for each in (tmp_path, *tmp_path.parents[:-1]):
        if str(each).startswith("/tmp/"):
            each.chmod(0o755)  # pytest keeps its folders closed to others
    return {
        "CONTROL_ROOM_DATABASE_URL": "postgresql://runner:x@127.0.0.1:5432/postgres",
        "CONTROL_ROOM_SUPABASE_URL": "http://127.0.0.1:54321/",
        "CONTROL_ROOM_MASTER_KEY": "master",
        "CONTROL_ROOM_WORK_DIR": str(work),
    }


def test_defaults(good: dict[str, str]) -> None:
    read = settings.read(good)

    assert read.functions_url == "http://127.0.0.1:54321/functions/v1/api"
    assert (read.capacity, read.drain_seconds, read.log_format) == (4, 30.0, "json")
    assert set(read.executors.values()) == {"process", "continue_cli"}
    assert (read.callback_allow, read.callback_proxy) == ((), None)
    assert read.engines is None


def test_everything_can_be_said(good: dict[str, str], tmp_path: Path) -> None:
    read = settings.read(
        {
            **good,
            "CONTROL_ROOM_CAPACITY": "16",
            "CONTROL_ROOM_DRAIN_SECONDS": "0.5",
            "CONTROL_ROOM_EXECUTOR_CODE_VALIDATION": "scripted",
            "CONTROL_ROOM_CALLBACK_ALLOW": "127.0.0.0/8, ::1/128",
            "CONTROL_ROOM_CALLBACK_PROXY": "http://us:secret@proxy.example:3128",
            "CONTROL_ROOM_ENGINES": str(tmp_path),
            "CONTROL_ROOM_LOG_FORMAT": "text",
            "CONTROL_ROOM_FUNCTIONS_URL": "http://functions.example/api",
            "CONTROL_ROOM_RUNNER_NAME": "one",
        }
    )

    assert (read.capacity, read.drain_seconds, read.name) == (16, 0.5, "one")
    assert read.executors["code_validation"] == "scripted"
    assert read.executors["spark_etl"] == "process"
    assert read.callback_allow == tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128")))
    assert read.functions_url == "http://functions.example/api"
    assert read.callback_proxy is not None
    assert (read.callback_proxy.host, read.callback_proxy.port) == ("proxy.example", 3128)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CONTROL_ROOM_DATABASE_URL", "", "is not set"),
        ("CONTROL_ROOM_DATABASE_URL", "mysql://x", "must start with postgresql://"),
        ("CONTROL_ROOM_DATABASE_URL", "postgresql://r@h:6543/postgres", "transaction pooler"),
        ("CONTROL_ROOM_SUPABASE_URL", "127.0.0.1:54321", "must be an http"),
        ("CONTROL_ROOM_MASTER_KEY", " ", "is not set"),
        ("CONTROL_ROOM_CAPACITY", "many", "a number from 1 to 10000"),
        ("CONTROL_ROOM_CAPACITY", "0", "a number from 1 to 10000"),
        ("CONTROL_ROOM_CAPACITY", "nan", "a number from 1 to 10000"),
        ("CONTROL_ROOM_DRAIN_SECONDS", "-1", "a number from 0"),
        ("CONTROL_ROOM_EXECUTOR_SPARK_ETL", "magic", "must be one of"),
        ("CONTROL_ROOM_EXECUTOR_SPARK_ETL", "n8n", "a workflow for kb_catalog alone"),
        ("CONTROL_ROOM_EXECUTOR_KB_CATALOG", "n8n", "needs CONTROL_ROOM_N8N_URL and CONTROL_ROOM_N8N_TOKEN"),
        ("CONTROL_ROOM_EXECUTOR_BAKERY", "process", "names no job type"),
        ("CONTROL_ROOM_CALLBACK_ALLOW", "10.0.0.1/8", "must list networks"),
        ("CONTROL_ROOM_CALLBACK_PROXY", "socks5://us:secret@h:1", "not of the form http://"),
        ("CONTROL_ROOM_CALLBACK_PROXY", "http://us:secret@h:port", "not of the form http://"),
        ("CONTROL_ROOM_LOG_FORMAT", "xml", "json, text"),
        ("CONTROL_ROOM_SANDBOX_NETWORK", "yes", "none, internet, host"),
        ("CONTROL_ROOM_ENGINES", "/etc/passwd", "must be a folder"),
        ("CONTROL_ROOM_WORK_DIR", "/proc/nowhere", "cannot be written"),
    ],
)
def test_a_fault_is_one_line_that_names_the_variable(
    good: dict[str, str], name: str, value: str, words: str
) -> None:
    with pytest.raises(SettingsError) as fault:
        settings.read({**good, name: value})

    assert name in str(fault.value)
    assert words in str(fault.value)
    assert "\n" not in str(fault.value)
    assert "secret" not in str(fault.value)


def test_secrets_are_not_in_the_representation(good: dict[str, str]) -> None:
    read = settings.read({**good, "CONTROL_ROOM_MASTER_KEY": "the-master-key"})

    assert "the-master-key" not in repr(read)
    assert "runner:x@" not in repr(read)


def test_the_process_says_it_and_ends_with_2() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "runner"], env={}, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert ended.stderr.startswith("control-room runner: CONTROL_ROOM_SUPABASE_URL is not set")
    assert ended.stderr.count("\n") == 1


JOBS = {"CONTROL_ROOM_EXECUTOR_SPARK_ETL": "kubernetes", "CONTROL_ROOM_KUBE_NAMESPACE": "jobs"}


def test_pods_bring_their_files_from_where_the_runner_does_unless_told_otherwise(
    good: dict[str, str],
) -> None:
    read = settings.read({**good, **JOBS})
    other = settings.read({**good, **JOBS, "CONTROL_ROOM_KUBE_FUNCTIONS_URL": "https://inside.example/api"})

    assert read.kubernetes is not None
    assert other.kubernetes is not None
    assert read.kubernetes.door_url == read.functions_url
    assert other.kubernetes.door_url == "https://inside.example/api"
    assert settings.read(good).kubernetes is None


@pytest.mark.parametrize("storage", ["", "nfs"])
def test_executors_are_offered_where_pods_can_share_files(good: dict[str, str], storage: str) -> None:
    images = {f"CONTROL_ROOM_IMAGE_SPARK_ETL_{engine}": "x" for engine in ("SPARK", "DUCKDB")}
    more = {"CONTROL_ROOM_KUBE_SHARED_STORAGE": storage}
    jobs: Any = object()  # nobody asks it anything here
    offers = set(capabilities.in_cluster(settings.read({**good, **JOBS, **images, **more}), jobs))

    plain = {f"spark_etl/{engine}{own}" for engine in ("duckdb", "spark") for own in ("", "+image")}
    many = {"spark_etl/spark+executors", "spark_etl/spark+executors+image"}
    assert offers == (plain | many if storage else plain)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CONTROL_ROOM_KUBE_NAMESPACE", "", "is not set"),
        ("CONTROL_ROOM_KUBE_NAMESPACE", "No_Namespace", "name of a namespace"),
        ("CONTROL_ROOM_KUBE_NETWORK", "maybe", "closed, open"),
        ("CONTROL_ROOM_KUBE_CPU_SHARE", "2", "from 0.001 to 1"),
    ],
)
def test_a_fault_about_jobs_names_its_variable(
    good: dict[str, str], name: str, value: str, words: str
) -> None:
    with pytest.raises(SettingsError) as fault:
        settings.read({**good, **JOBS, name: value})

    assert name in str(fault.value)
    assert words in str(fault.value)


def test_n8n_is_read_where_it_carries_something(good: dict[str, str]) -> None:
    n8n = {"CONTROL_ROOM_N8N_URL": "https://n8n.example.com/", "CONTROL_ROOM_N8N_TOKEN": "a-token"}
    chosen = {**good, **n8n, "CONTROL_ROOM_EXECUTOR_KB_CATALOG": "n8n"}

    read = settings.read(chosen).n8n

    assert settings.read({**good, **n8n}).n8n is None
    assert read is not None
    assert (read.url, read.api_key) == ("https://n8n.example.com", None)
    assert read.report_url == "http://127.0.0.1:54321/functions/v1/api"
    assert "a-token" not in repr(read)
    inside = settings.read({**chosen, "CONTROL_ROOM_N8N_REPORT_URL": "http://host.docker.internal/x/"}).n8n
    assert inside is not None
    assert inside.report_url == "http://host.docker.internal/x"
