"""What is created in a cluster, to the letter."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.executor.kubernetes import manifest
from runner.executor.kubernetes.executor import VERBS
from runner.executor.kubernetes.manifest import Parcels, Placement
from runner.model.attempt import Attempt, TaskImage
from runner.model.command import Command, Limits

CLONE = Path(__file__).resolve().parents[3]
GOLDEN = Path(__file__).with_name("job.json")
PLACEMENT = Placement(
    namespace="jobs",
    door_url="https://control.example/functions/v1/api",
    public_url="https://control.example/functions/v1/api",
    images={"": "registry.example/control-room/python@sha256:0000", "spark_etl": "registry.example/spark:1"},
    anon_key="anon",
    secret="vault",
    pull_secrets=("registry",),
)
ATTEMPT = Attempt(
    attempt_id=41,
    lease=3,
    number=2,
    run_id=9,
    task_run_id=8,
    task_key="execute",
    tenant_id="0b9b7f0e-7a54-4e0a-9c0f-5d9d9f3f1a11",
    tenant_slug="acme",
    job_type="spark_etl",
    engine="duckdb",
    requires="spark_etl/duckdb",
    timeout_seconds=600,
    token="crat_41_3_secret",
    secrets=("API_TOKEN", "DB_URL"),
)
COMMAND = Command(
    argv=("/opt/engine/bin/python", "-m", "control_room_harness"),
    environment={"PYTHONPATH": "/job/.control-room/library"},
    limits=Limits(cpus=1.5),
)
PARCELS = Parcels("0011223344556677", 2, "a" * 64, 1, "b" * 64)


def job(**changes: Any) -> dict[str, Any]:
    secrets = {"API_TOKEN": "", "DB_URL": "vault"}
    return manifest.job(PLACEMENT, replace(ATTEMPT, **changes), COMMAND, PARCELS, secrets)


def test_the_job_is_the_one_on_record() -> None:
    made = job()
    # to see what has changed: write json.dumps(made, indent=2) there, and look at the difference

    assert json.loads(GOLDEN.read_text()) == made


def test_the_job_and_its_secret_are_of_the_official_client_s_form() -> None:
    client = pytest.importorskip("kubernetes.client")

    assert client.V1Job.from_dict(job()).metadata.name == manifest.job_name(PLACEMENT, ATTEMPT)
    secret = manifest.secret(PLACEMENT, ATTEMPT, COMMAND, PARCELS, {}, environment={}, names=(), owner="uid")
    assert client.V1Secret.from_dict(secret).metadata.owner_references[0].uid == "uid"


def test_an_image_that_the_task_names_is_never_given_the_token() -> None:
    pod = job(image=TaskImage("ghcr.io/acme/etl:1", granted=True))["spec"]["template"]["spec"]
    images = {each["name"]: each["image"] for each in (*pod["initContainers"], *pod["containers"])}

    ours = PLACEMENT.images["spark_etl"]
    assert images == {"fetch": ours, "work": "ghcr.io/acme/etl:1", "deliver": ours}


def test_the_user_s_code_never_stands_beside_the_token() -> None:
    pod = job()["spec"]["template"]["spec"]
    containers = [*pod["initContainers"], *pod["containers"]]

    with_token = {each["name"] for each in containers if "token" in {m["name"] for m in each["volumeMounts"]}}
    assert with_token == {"fetch", "deliver"}
    with_secrets = {each["name"] for each in containers if each.get("env")}
    assert with_secrets == {"work"}
    (order,) = [each for each in pod["volumes"] if each["name"] == "order"]
    assert "token" not in {each["key"] for each in order["secret"]["items"]}


def test_no_value_of_a_secret_is_in_the_job_or_in_the_order() -> None:
    made = manifest.secret(
        PLACEMENT,
        ATTEMPT,
        COMMAND,
        PARCELS,
        {"API_TOKEN": "hunter-2-hunter"},
        environment={},
        names=ATTEMPT.secrets,
        owner="u",
    )
    order = base64.b64decode(made["data"]["order.json"]).decode()

    assert "hunter-2-hunter" not in json.dumps(job()) + order
    assert ATTEMPT.token not in json.dumps(job()) + order
    assert base64.b64decode(made["data"]["secret.API_TOKEN"]) == b"hunter-2-hunter"


def test_a_job_s_name_is_its_attempt_s_whatever_the_lease() -> None:
    assert job()["metadata"]["name"] == job(lease=4)["metadata"]["name"]
    assert job()["metadata"]["name"] != job(attempt_id=42)["metadata"]["name"]


def test_a_slug_that_is_no_label_is_made_one() -> None:
    assert job(tenant_slug="acme__")["metadata"]["labels"]["control-room/tenant"] == "acme"


def test_the_cluster_s_deadline_comes_after_ours() -> None:
    assert job()["spec"]["activeDeadlineSeconds"] == 660
    assert job(remaining_ms=1500)["spec"]["activeDeadlineSeconds"] == 62


def test_what_says_where_the_parcels_are_is_read_as_it_was_written() -> None:
    assert Parcels.read(PARCELS.text()) == PARCELS
    for text in ("", "{}", "[1]", "null", '["m", "x", "", 0, ""]'):
        with pytest.raises(ValueError, match="parcels"):
            Parcels.read(text)


def test_the_role_that_is_shipped_grants_what_the_runner_does_and_no_more() -> None:
    documents = list(yaml.safe_load_all((CLONE / "deploy/kubernetes/rbac.yaml").read_text()))
    (role,) = [each for each in documents if each["kind"] == "Role"]
    granted = {
        (verb, resource) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]
    }

    assert granted == set(VERBS)
