"""The Job and the Secret of one attempt, as plain dictionaries: nothing here speaks to a cluster.

The Job is named by the attempt alone, so that the API server itself keeps a second one from beginning: who
claims the attempt again, under whatever lease, finds the first and adopts it. Its pod runs three containers
one after another on one /job (see `pod_agent`): `fetch` and `work` are init containers, `deliver` is the
main one.

Where the command has a crew, /job is a volume that many pods write: the pod's own claim, which comes and
goes with it. A second Job, owned by the first, has the crew's pods, each of one container on the same /job.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner.executor import lines
from runner.executor.kubernetes import pod_agent
from runner.model.attempt import Attempt
from runner.model.command import Command, Crew
from runner.model.workspace import JOB

JsonObject = dict[str, Any]

PREFIX = "control-room"
HERE = "/control-room"
#: The containers, in the order in which they run.
FETCH, WORK, DELIVER = "fetch", "work", "deliver"
#: A pod of the crew runs one, which is called as what it does; its Job's name ends so.
CREW = "crew"
#: How often, for each of a crew, a pod that ended badly is followed by another.
CREW_RETRIES = 3
PARCELS = f"{PREFIX}/parcels"
LOGGED = f"{PREFIX}/logged"
CREW_LABEL = f"{PREFIX}/crew"
#: How long after the attempt's own deadline the cluster ends what no runner has ended: it deletes the logs.
DEADLINE_NET_SECONDS = 60
#: A broom for what no runner has swept.
KEPT_SECONDS = 3600
GRACE_SECONDS = 3
NOBODY = 65534


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where and how this runner's pods run; the same for all of its attempts.

    `images` by "job_type/engine" or job type, "" for the others. `secret` is a Secret in the tenant's
    namespace whose keys are granted secrets that the runner has no value for. `door_url` is the functions'
    address as pods see it, `public_url` as the runner does: signed URLs that lead to that origin are sent to
    the one that pods know. `cpu_share` is how much of its cpu limit a pod asks to be reserved.
    `shared_storage` is a storage class that gives volumes which many pods write at once, for crews.
    """

    namespace: str
    door_url: str
    public_url: str
    images: Mapping[str, str]
    anon_key: str | None = field(default=None, repr=False)
    secret: str | None = None
    pull_secrets: tuple[str, ...] = ()
    pull_policy: str | None = None
    runtime_class: str | None = None
    open_network: bool = False
    pending_seconds: float = 120.0
    cpu_share: float = 0.25
    shared_storage: str | None = None

    @property
    def house(self) -> str:
        """Tells the Jobs of one Control Room from another's in the same namespace."""
        return hashlib.sha256(self.public_url.encode()).hexdigest()[:8]

    def image(self, job_type: str, engine: str) -> str | None:
        """The image for an engine of a job type, None where none is configured."""
        for key in (f"{job_type}/{engine}", job_type, ""):
            if key in self.images:
                return self.images[key]
        return None


@dataclass(frozen=True, slots=True)
class Parcels:
    """What was packed for one start of the work: under which mark, in how many parts, and its digest."""

    mark: str
    kit: int
    kit_sha256: str
    kept: int = 0
    kept_sha256: str = ""

    def text(self) -> str:
        """For the Job's annotation."""
        return json.dumps([self.mark, self.kit, self.kit_sha256, self.kept, self.kept_sha256])

    @staticmethod
    def read(text: str) -> Parcels:
        """Raises ValueError for an annotation that is not ours."""
        try:
            mark, kit, kit_sha256, kept, kept_sha256 = json.loads(text)
            return Parcels(str(mark), int(kit), str(kit_sha256), int(kept), str(kept_sha256))
        except (TypeError, ValueError) as error:
            raise ValueError("the Job does not say which parcels are its") from error


def job_name(placement: Placement, attempt: Attempt) -> str:
    """The name of the attempt's Job and of its Secret. Validating code for an attempt is not executing it."""
    return f"{PREFIX}-{placement.house}-a{attempt.attempt_id}-{attempt.job_type.replace('_', '-')}"


def crew_name(placement: Placement, attempt: Attempt) -> str:
    """The name of the crew's Job."""
    return f"{job_name(placement, attempt)}-{CREW}"


def owner_labels(placement: Placement) -> dict[str, str]:
    """What all Jobs of this Control Room bear."""
    return {"app.kubernetes.io/managed-by": PREFIX, f"{PREFIX}/house": placement.house}


def selector(placement: Placement, attempt: Attempt | None = None) -> str:
    """Finds the Jobs and pods of this Control Room, or of one attempt."""
    wanted = owner_labels(placement)
    if attempt is not None:
        wanted |= {f"{PREFIX}/attempt": str(attempt.attempt_id), f"{PREFIX}/job-type": attempt.job_type}
    return ",".join(f"{key}={value}" for key, value in wanted.items())


def labels(placement: Placement, attempt: Attempt) -> dict[str, str]:
    """Whose Job it is."""
    return {
        **owner_labels(placement),
        f"{PREFIX}/tenant": attempt.tenant_slug.rstrip("_"),  # a label ends with a letter or a digit
        f"{PREFIX}/run": str(attempt.run_id),
        f"{PREFIX}/attempt": str(attempt.attempt_id),
        f"{PREFIX}/job-type": attempt.job_type,
        f"{PREFIX}/network": "internet" if attempt.network else "none",
    }


def job(
    placement: Placement, attempt: Attempt, command: Command, parcels: Parcels, secrets: Mapping[str, str]
) -> JsonObject:
    """The Job. `secrets` says which Secret holds each granted value, "" for the attempt's own."""
    name = job_name(placement, attempt)
    told = labels(placement, attempt) | ({CREW_LABEL: "lead"} if command.crew else {})
    containers = [_container(each, placement, attempt, command) for each in (FETCH, WORK, DELIVER)]
    containers[1]["env"] = _secret_values(name, secrets)
    volumes = [
        _emptied("job", command.limits.disk_bytes),
        *_volumes(name, command),
        {"name": "token", "secret": {"secretName": name, "items": _items("token")}},
    ]
    if command.crew is not None:
        volumes[0] = _claimed(placement, command, told)
    pod = {
        **_pod(placement, volumes, containers),
        "hostname": "sandbox",
        "initContainers": containers[:2],
        "containers": containers[2:],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "labels": told,
            "annotations": {PARCELS: parcels.text(), f"{PREFIX}/lease": str(attempt.lease)},
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": math.ceil(attempt.seconds_left) + DEADLINE_NET_SECONDS,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {"metadata": {"labels": told}, "spec": pod},
        },
    }


def crew_job(
    placement: Placement,
    attempt: Attempt,
    command: Command,
    crew: Crew,
    secrets: Mapping[str, str],
    *,
    owner: str,
    pod: str,
    address: str,
) -> JsonObject:
    """The crew's Job, for the attempt's pod of this name and address. It goes with the Job whose uid is
    `owner`."""
    name = job_name(placement, attempt)
    told = labels(placement, attempt) | {CREW_LABEL: "hand"}
    hand = _container(CREW, placement, attempt, command)
    hand["name"] = WORK
    hand["env"] = [{"name": "CREW_CALLS", "value": address}, *_secret_values(name, secrets)]
    volumes = [
        {"name": "job", "persistentVolumeClaim": {"claimName": f"{pod}-job"}},
        *_volumes(name, command),
    ]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": crew_name(placement, attempt),
            "labels": told,
            "ownerReferences": [_owned_by(name, owner)],
        },
        "spec": {
            "completionMode": "Indexed",  # each knows which it is
            "completions": crew.count,
            "parallelism": crew.count,
            "backoffLimit": CREW_RETRIES * crew.count,
            "activeDeadlineSeconds": math.ceil(attempt.seconds_left) + DEADLINE_NET_SECONDS,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                "metadata": {"labels": told},
                "spec": {**_pod(placement, volumes, [hand]), "containers": [hand]},
            },
        },
    }


def secret(
    placement: Placement,
    attempt: Attempt,
    command: Command,
    parcels: Parcels,
    values: Mapping[str, str],
    *,
    environment: Mapping[str, str],
    names: tuple[str, ...],
    owner: str,
) -> JsonObject:
    """The Secret: the attempt's token, the agent and its order, and the values of granted secrets. It goes
    with the Job, whose uid is `owner`. `environment` is what is promised, without secrets."""
    name = job_name(placement, attempt)
    order = {
        "door": placement.door_url,
        "anon_key": placement.anon_key,
        "origins": [_origin(placement.public_url), _origin(placement.door_url)],
        "attempt": attempt.attempt_id,
        "mark": parcels.mark,
        "kit": {"parts": parcels.kit, "sha256": parcels.kit_sha256},
        "argv": list(command.argv),
        "environment": dict(environment),
        "secrets": sorted(names),
        "closed": not attempt.network and not placement.open_network,
        "limits": {
            "file_bytes": command.limits.file_bytes,
            "open_files": command.limits.open_files,
            "disk_bytes": command.limits.disk_bytes,
        },
    }
    if (crew := command.crew) is not None:
        order["crew"] = {
            "argv": list(crew.argv),
            "port": crew.port,
            "called": crew.called,
            "logs": crew.logs,
            "begins": crew.begins,
        }
    data = {
        "token": attempt.token,
        "pod_agent.py": Path(pod_agent.__file__).read_text("utf-8"),
        "lines.py": Path(lines.__file__).read_text("utf-8"),
        "order.json": json.dumps(order),
        **{f"secret.{each}": value for each, value in values.items()},
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": name,
            "labels": labels(placement, attempt),
            "ownerReferences": [_owned_by(name, owner)],
        },
        "data": encoded(data),
    }


def encoded(data: Mapping[str, str]) -> dict[str, str]:
    """Values as a Secret holds them."""
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}


def _pod(placement: Placement, volumes: list[JsonObject], containers: list[JsonObject]) -> JsonObject:
    """What every pod is, whoever is in it."""
    pod: JsonObject = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "runAsGroup": NOBODY,
            "fsGroup": NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": volumes,
    }
    if placement.pull_secrets:
        pod["imagePullSecrets"] = [{"name": each} for each in placement.pull_secrets]
    if placement.runtime_class:
        pod["runtimeClassName"] = placement.runtime_class
    if placement.pull_policy:
        for each in containers:
            each["imagePullPolicy"] = placement.pull_policy
    return pod


def _volumes(name: str, command: Command) -> list[JsonObject]:
    """What every pod of an attempt has beside /job."""
    made = [
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": str(command.limits.tmp_bytes)}},
        {
            "name": "order",
            "secret": {"secretName": name, "items": _items("pod_agent.py", "lines.py", "order.json")},
        },
    ]
    if command.crew is not None:
        made.append(_emptied("scratch", command.limits.disk_bytes))
    return made


def _emptied(name: str, most_bytes: int) -> JsonObject:
    return {"name": name, "emptyDir": {"sizeLimit": str(most_bytes)}}


def _claimed(placement: Placement, command: Command, told: Mapping[str, str]) -> JsonObject:
    """/job for many pods. The claim is called `<pod>-job`."""
    claim = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": placement.shared_storage,
        "resources": {"requests": {"storage": str(command.limits.disk_bytes)}},
    }
    template = {"metadata": {"labels": dict(told)}, "spec": claim}
    return {"name": "job", "ephemeral": {"volumeClaimTemplate": template}}


def _secret_values(name: str, secrets: Mapping[str, str]) -> list[JsonObject]:
    """Variables of the agent that hold granted secrets; `name` is the attempt's own Secret."""
    return [
        {
            "name": f"SECRET_{each}",
            "valueFrom": {
                "secretKeyRef": {"name": other or name, "key": each if other else f"secret.{each}"}
            },
        }
        for each, other in sorted(secrets.items())
    ]


def _owned_by(name: str, uid: str) -> JsonObject:
    """A reference to the attempt's Job: what bears it goes with that."""
    return {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid, "blockOwnerDeletion": False}


def _container(which: str, placement: Placement, attempt: Attempt, command: Command) -> JsonObject:
    limits = command.limits
    image = placement.image(attempt.job_type, attempt.engine)
    if attempt.image is not None and which in (WORK, CREW):  # the two that know the token stay ours
        image = attempt.image.name
    mounts = [
        {"name": "job", "mountPath": JOB},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - inside the pod
        {"name": "order", "mountPath": f"{HERE}/order", "readOnly": True},
    ]
    if which in (WORK, CREW) and command.crew is not None:
        mounts.append({"name": "scratch", "mountPath": f"{HERE}/scratch"})
    if which in (FETCH, DELIVER):
        mounts.append({"name": "token", "mountPath": f"{HERE}/token", "readOnly": True})
    memory = str(limits.memory_bytes)
    most = {"cpu": _millis(limits.cpus), "memory": memory}
    asked = {"cpu": _millis(limits.cpus * placement.cpu_share), "memory": memory}
    return {
        "name": which,
        "image": image,
        "command": ["python3", "-I", f"{HERE}/order/pod_agent.py", which],
        "workingDir": "/",
        "terminationMessagePolicy": "File",
        "resources": {"limits": most, "requests": asked},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _millis(cpus: float) -> str:
    return f"{max(1, round(cpus * 1000))}m"


def _items(*keys: str) -> list[dict[str, str]]:
    return [{"key": key, "path": key} for key in keys]
