"""The executor: whether the cluster takes our Jobs, a `Work` for each attempt, and what is left of them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple, TypeVar

from runner.executor.base import Reporter
from runner.executor.kubernetes import manifest
from runner.executor.kubernetes.cluster import Away, Cluster, Refused
from runner.executor.kubernetes.manifest import Placement
from runner.executor.kubernetes.transfer import ParcelDoor, Transfer
from runner.executor.kubernetes.work import Work
from runner.executor.lines import Redactor
from runner.executor.transcript import Transcript
from runner.model.attempt import Attempt
from runner.model.errors import Permanent, Retryable
from runner.model.outcome import Outcome
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace

T = TypeVar("T")

LOG_FILE = "log"

#: What the runner does in a namespace; deploy/kubernetes/rbac.yaml grants no more.
VERBS = (
    ("create", "jobs"),
    ("get", "jobs"),
    ("list", "jobs"),
    ("patch", "jobs"),
    ("delete", "jobs"),
    ("create", "secrets"),
    ("patch", "secrets"),
    ("list", "pods"),
    ("watch", "pods"),
    ("get", "pods/log"),
    ("list", "events"),
)


class JobPlace(NamedTuple):
    """Which Job, and not another of its name."""

    namespace: str
    name: str
    uid: str


async def connect(door: ParcelDoor, placement: Placement) -> KubernetesExecutor | str:
    """The executor for the cluster of KUBECONFIG, or of this pod; else why it can carry nothing out."""
    try:
        made = KubernetesExecutor(await Cluster.connect(), door, placement)
    except Away as error:
        return str(error)
    if reason := await made.readiness():
        await made.close()
        return reason
    return made


class KubernetesExecutor:
    """Carries attempts out as Jobs."""

    def __init__(self, cluster: Cluster, door: ParcelDoor, placement: Placement) -> None:
        self._cluster = cluster
        self._door = door
        self._placement = placement
        self._namespaces = {placement.namespace}

    @property
    def description(self) -> dict[str, object]:
        """What `health` says about us."""
        network = "open" if self._placement.open_network else "refused where it is open"
        return {"mechanism": "kubernetes", "namespace": self._placement.namespace, "network": network}

    async def close(self) -> None:
        """Close the connections; Jobs go on."""
        await self._cluster.close()

    async def readiness(self) -> str:
        """Why no attempt can be carried out there, with the mend; "" when they can."""
        placement = self._placement
        try:
            missing = await self._cluster.lacking(placement.namespace, VERBS)
        except (Away, Refused) as error:
            return f"the cluster does not answer: {error}"
        if missing:
            return (
                f"not allowed in namespace {placement.namespace}: {', '.join(missing)} "
                "(mend: kubectl apply -f deploy/kubernetes/rbac.yaml)"
            )
        return ""

    def has_image(self, job_type: str, engine: str) -> bool:
        """Whether an image is configured for this engine."""
        return self._placement.image(job_type, engine) is not None

    async def run(self, attempt: Attempt, workspace: Workspace, reporter: Reporter) -> Outcome:
        """See `executor.base.Executor`."""
        if workspace.command is None:
            raise TypeError("a pod needs a command")
        namespace = self._namespace(attempt)
        transcript = Transcript(
            workspace.kept / LOG_FILE, Redactor(workspace.secrets.values()), reporter.log, reporter.progress
        )
        work = Work(
            cluster=self._cluster,
            transfer=Transfer(self._door, attempt, workspace, workspace.command.limits.disk_bytes),
            placement=self._placement,
            attempt=attempt,
            workspace=workspace,
            command=workspace.command,
            reporter=reporter,
            transcript=transcript,
            namespace=namespace,
            name=manifest.job_name(self._placement, attempt),
        )
        try:
            return await work.run()
        finally:
            reporter.usage(work.usage)
            transcript.close()

    async def left(self) -> dict[int, list[JobPlace]]:
        """Every Job of this Control Room by attempt. Raises Retryable when the cluster cannot tell."""
        found: dict[int, list[JobPlace]] = {}
        for namespace in sorted(self._namespaces):
            for job in await _or_failure(
                self._cluster.list_jobs(namespace, manifest.selector(self._placement))
            ):
                about = job["metadata"]
                number = about.get("labels", {}).get(f"{manifest.PREFIX}/attempt", "")
                if number.isdigit():
                    place = JobPlace(namespace, about["name"], about["uid"])
                    found.setdefault(int(number), []).append(place)
        return found

    async def forget(self, what: list[JobPlace]) -> None:
        """Delete the Jobs of an attempt that is over. Raises Retryable when the cluster does not do it."""
        for each in what:
            await _or_failure(self._cluster.delete_job(each.namespace, each.name, each.uid))

    def _namespace(self, attempt: Attempt) -> str:
        """The tenant's own namespace: the runner's, where it is granted, else the first that is."""
        granted = attempt.granted.get("namespace", ())
        if self._placement.namespace in granted:
            return self._placement.namespace
        if not granted:
            raise Permanent(
                TerminationCode.NOT_GRANTED,
                f"the tenant was not granted the namespace {self._placement.namespace} (or another)",
            )
        self._namespaces.add(granted[0])
        return granted[0]


async def _or_failure(call: Awaitable[T]) -> T:
    try:
        return await call
    except (Away, Refused) as error:
        raise Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, str(error)) from error
