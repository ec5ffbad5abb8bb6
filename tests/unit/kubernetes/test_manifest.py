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
from runner.jobtype import spark_etl
from runner.jobtype.spark_etl.harness import cluster
from runner.model.attempt import Attempt, TaskImage
from runner.model.command import Command, Crew, Limits

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


CREW = Crew(count=2, called="executor", argv=("worker",), port=7077, logs="x/*/std*", begins="==")
MANY = replace(COMMAND, crew=CREW)
SHARED = replace(PLACEMENT, shared_storage="files")


def lead() -> dict[str, Any]:
    return manifest.job(SHARED, ATTEMPT, MANY, PARCELS, {"API_TOKEN": ""})


def crew() -> dict[str, Any]:
    return manifest.crew_job(
        SHARED, ATTEMPT, MANY, CREW, {"API_TOKEN": ""}, owner="uid", pod="the-pod", address="10.0.0.7"
    )


def volumes(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in made["spec"]["template"]["spec"]["volumes"]}


def test_a_crew_has_as_many_pods_as_it_counts_which_go_with_the_attempt_s_job() -> None:
    client = pytest.importorskip("kubernetes.client")
    made = crew()
    spec = made["spec"]

    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 2, 2)
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Job", manifest.job_name(SHARED, ATTEMPT), "uid")
    assert spec["activeDeadlineSeconds"] == lead()["spec"]["activeDeadlineSeconds"]
    assert client.V1Job.from_dict(made).spec.completions == 2
    # found, and swept, with the attempt's own
    wanted = dict(each.split("=") for each in manifest.selector(SHARED, ATTEMPT).split(","))
    assert wanted.items() <= made["metadata"]["labels"].items()


def test_a_crew_is_kept_as_strictly_as_the_work_and_never_stands_beside_the_token() -> None:
    pod, leads = crew()["spec"]["template"]["spec"], lead()["spec"]["template"]["spec"]
    (hand,) = pod["containers"]
    (work,) = [each for each in leads["initContainers"] if each["name"] == "work"]

    assert pod["securityContext"] == leads["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    for same in ("securityContext", "resources", "image", "volumeMounts"):
        assert hand[same] == work[same]
    assert "token" not in volumes(crew())
    assert hand["env"][0] == {"name": "CREW_CALLS", "value": "10.0.0.7"}
    assert hand["env"][1:] == work["env"]


def test_a_crew_works_in_the_folder_of_its_lead_which_comes_and_goes_with_that() -> None:
    claim = volumes(lead())["job"]["ephemeral"]["volumeClaimTemplate"]["spec"]

    assert claim["accessModes"] == ["ReadWriteMany"]
    assert claim["storageClassName"] == "files"
    assert claim["resources"] == {"requests": {"storage": str(COMMAND.limits.disk_bytes)}}
    assert volumes(crew())["job"]["persistentVolumeClaim"] == {"claimName": "the-pod-job"}
    for each in (lead(), crew()):  # what spills stays where it is
        assert "emptyDir" in volumes(each)["scratch"]


def test_who_has_no_crew_has_no_volume_of_the_cluster() -> None:
    assert set(volumes(job())) == {"job", "tmp", "order", "token"}
    assert "emptyDir" in volumes(job())["job"]
    assert manifest.CREW_LABEL not in job()["metadata"]["labels"]


def test_a_crew_in_an_image_of_the_task_runs_in_that() -> None:
    named = replace(ATTEMPT, image=TaskImage("ghcr.io/acme/etl:1", granted=True))
    made = manifest.crew_job(SHARED, named, MANY, CREW, {}, owner="u", pod="p", address="a")

    assert made["spec"]["template"]["spec"]["containers"][0]["image"] == "ghcr.io/acme/etl:1"


def test_the_policies_that_ship_let_a_crew_and_its_lead_speak_and_nobody_else() -> None:
    documents = list(yaml.safe_load_all((CLONE / "deploy/kubernetes/network.yaml").read_text()))
    (policy,) = [x["spec"] for x in documents if x["metadata"]["name"] == "executors-and-their-driver"]
    (port,) = policy["ingress"][0]["ports"]
    ports = (cluster.MASTER_PORT, cluster.WORKER_PORT, cluster.DRIVER_PORT, cluster.DRIVER_BLOCKS_PORT)

    (expression,) = policy["podSelector"]["matchExpressions"]
    assert expression == {"key": manifest.CREW_LABEL, "operator": "Exists"}
    assert policy["ingress"] == [{"from": [{"podSelector": policy["podSelector"]}], "ports": [port]}]
    assert policy["egress"] == [{"to": [{"podSelector": policy["podSelector"]}], "ports": [port]}]
    assert (port["port"], port["endPort"]) == (min(ports), cluster.BLOCKS_PORT + 16)  # Spark's maxRetries
    assert spark_etl.MASTER_PORT == cluster.MASTER_PORT


def test_the_role_that_is_shipped_grants_what_the_runner_does_and_no_more() -> None:
    documents = list(yaml.safe_load_all((CLONE / "deploy/kubernetes/rbac.yaml").read_text()))
    (role,) = [each for each in documents if each["kind"] == "Role"]
    granted = {
        (verb, resource) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]
    }

    assert granted == set(VERBS)
