"""The life of one attempt in a cluster: begin or adopt, follow, end.

    find the Job of the attempt ─ none → send the kit → create Job, then Secret ┐
                                └ there → give it our token (adopted)           ┴→ external id
    follow the pod (watch; list again after a break) and the log of `work`
    over → what `work` and `deliver` said → fetch the results → outcome

A lost lease or a drain leaves the Job as it is: whoever claims the attempt next adopts it. A cancel or a
deadline deletes it, and `run` does not return before its last pod is gone. A Job that ended is not deleted
here, for its outcome is not written down yet: `forget` does it later, `ttlSecondsAfterFinished` at last.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets as entropy
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from runner.executor import verdict, view
from runner.executor.base import Reporter
from runner.executor.kubernetes import diagnosis, manifest, parcel
from runner.executor.kubernetes.cluster import Away, Cluster, Gone, Refused
from runner.executor.kubernetes.diagnosis import State
from runner.executor.kubernetes.manifest import Parcels, Placement
from runner.executor.lines import Redactor
from runner.executor.transcript import Transcript
from runner.model.attempt import Attempt
from runner.model.command import Command
from runner.model.errors import Failure, Permanent, Retryable
from runner.model.outcome import Outcome, Usage
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace

log = logging.getLogger(__name__)
T = TypeVar("T")
JsonObject = dict[str, Any]

LOG_FILE = "log"
#: How often the cluster is asked whatever the watch says, and how often while a pod does not begin.
POLL_SECONDS = 10.0
PENDING_POLL_SECONDS = 2.0
#: How often a Job's annotation says how far its log has been reported: an adopter repeats two of these.
LOGGED_SECONDS = 5.0
#: How long a stop waits for the last pod to be gone.
GONE_SECONDS = 60.0
#: A little for lines that the kubelet has not handed out when the container is already over.
LOG_END_SECONDS = 15.0
LAST_LINES_SECONDS = 0.5
OUT_OF_MEMORY_EXIT = 137

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


class Carriage(Protocol):
    """The attempt's door for parcels (`transfer.door.Door`)."""

    async def send_parcel(self, attempt: Attempt, name: str, path: Path) -> object:
        """Put one file where the pod can fetch it."""
        ...

    async def fetch_parcel(self, attempt: Attempt, name: str, target: Path) -> object:
        """Bring one file that the pod has put there."""
        ...

    async def drop_parcel(self, attempt: Attempt, name: str) -> None:
        """Remove one."""
        ...


class JobPlace(NamedTuple):
    """Which Job, and not another of its name."""

    namespace: str
    name: str
    uid: str


async def connect(carriage: Carriage, placement: Placement) -> KubernetesExecutor | str:
    """The executor for the cluster of KUBECONFIG, or of this pod; else why it can carry nothing out."""
    try:
        made = KubernetesExecutor(await Cluster.connect(), carriage, placement)
    except Away as error:
        return str(error)
    if reason := await made.readiness():
        await made.close()
        return reason
    return made


class KubernetesExecutor:
    """Carries attempts out as Jobs."""

    def __init__(self, cluster: Cluster, carriage: Carriage, placement: Placement) -> None:
        self._cluster = cluster
        self._carriage = carriage
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
        work = _Work(
            cluster=self._cluster,
            carriage=self._carriage,
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


@dataclass
class _Work:
    """One attempt in the cluster, from our first look to our last."""

    cluster: Cluster
    carriage: Carriage
    placement: Placement
    attempt: Attempt
    workspace: Workspace
    command: Command
    reporter: Reporter
    transcript: Transcript
    namespace: str
    name: str
    uid: str = ""
    parcels: Parcels = field(default_factory=lambda: Parcels("", 0, ""))
    logged: str = ""  # the time of the last line that an earlier lease has reported
    usage: Usage = field(default_factory=Usage)
    last_line_at: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    state: State | None = None

    async def run(self) -> Outcome:
        """Begin or adopt, follow to the end, and say what became of it."""
        try:
            job = await self._begin_or_adopt()
            self.reporter.external_id(f"{self.namespace}/{self.name}/{self.uid}")
            return await self._outcome(await self._follow(job))
        except asyncio.CancelledError:
            if self.reporter.stop in (Stop.CANCELED, Stop.DEADLINE):
                await self._delete()  # once more, where it was canceled before it was followed
            raise
        except Failure as failure:
            await self._delete()  # nobody adopts an attempt that has failed
            await self._clean_up(0)
            if self.attempt.image is not None:
                raise diagnosis.blamed(failure, self.state) from failure
            raise

    async def _follow(self, job: JsonObject) -> JsonObject:
        """Watch the pod and read its log until both have ended; a stop is followed to its end as well."""
        watching = asyncio.create_task(self._watch())
        reading = asyncio.create_task(self._log())
        try:
            try:
                job = await self._end(job)
            except asyncio.CancelledError:
                if self.reporter.stop in (Stop.CANCELED, Stop.DEADLINE):
                    await self._end_for_good()
                    await asyncio.wait([reading], timeout=LAST_LINES_SECONDS)
                raise
            await asyncio.wait([reading], timeout=LOG_END_SECONDS)
            return job
        finally:
            for task in (watching, reading):
                task.cancel()
            for result in await asyncio.gather(watching, reading, return_exceptions=True):
                if isinstance(result, Exception):
                    log.error("follower_failed", extra={"job": self.name}, exc_info=result)

    # ------------------------------------------------------------------------------- begin or adopt

    async def _begin_or_adopt(self) -> JsonObject:
        while True:
            found = await self._patiently(lambda: self.cluster.read_job(self.namespace, self.name))
            if found is None:
                begun = await self._begin()
                if begun is not None:
                    return begun
            elif "deletionTimestamp" in found["metadata"] or not await self._adopt(found):
                await self._wait_until_gone(found["metadata"]["uid"])
            else:
                return found

    async def _begin(self) -> JsonObject | None:
        """Create Job and Secret; None when somebody else has created the Job meanwhile."""
        secrets = self._secrets()
        self.parcels = await self._send_kit()
        try:
            job = await self._patiently(
                lambda: self.cluster.create_job(
                    self.namespace,
                    manifest.job(self.placement, self.attempt, self.command, self.parcels, secrets),
                )
            )
        except Refused as refused:
            if refused.reason == "AlreadyExists":
                await self._clean_up(0)
                return None
            raise _not_taken(refused, self.namespace) from refused
        self.uid = job["metadata"]["uid"]
        await self._write_secret()
        return job

    async def _adopt(self, job: JsonObject) -> bool:
        """Take over what an earlier lease has begun; False when it is not whole."""
        about = job["metadata"]
        annotations = about.get("annotations") or {}
        try:
            self.parcels = Parcels.read(annotations.get(manifest.PARCELS, ""))
        except ValueError:
            return False
        self.uid = about["uid"]
        self.logged = annotations.get(manifest.LOGGED, "")
        if not diagnosis.is_over(job):
            # The whole Secret, not the token alone: its maker may have died before it made it.
            await self._write_secret()
        if self.parcels.kept and not await self._restore_kept():
            return False
        self.reporter.log(
            "system",
            f"adopted Job {self.name}, begun under lease {annotations.get('control-room/lease', '?')}",
        )
        return True

    async def _write_secret(self) -> None:
        secret = manifest.secret(
            self.placement,
            self.attempt,
            self.command,
            self.parcels,
            self.workspace.secrets,
            environment=view.environment(self.attempt, replace(self.workspace, secrets={}), self.command),
            names=self.attempt.secrets,
            owner=self.uid,
        )
        try:
            await self._patiently(lambda: self.cluster.create_secret(self.namespace, secret))
        except Refused as refused:
            raise _not_taken(refused, self.namespace) from refused

    def _secrets(self) -> dict[str, str]:
        """Where each granted secret's value is: our own Secret where we have it, else the namespace's."""
        found: dict[str, str] = {}
        for name in self.attempt.secrets:
            if name in self.workspace.secrets:
                found[name] = ""
            elif self.placement.secret:
                found[name] = self.placement.secret
            else:
                raise Permanent(
                    TerminationCode.SECRET_UNAVAILABLE, f"the runner has no value for the secret {name}"
                )
        return found

    async def _send_kit(self) -> Parcels:
        mark = entropy.token_hex(8)
        kit = await self._send(self.workspace.root, f"{mark}.kit")
        kept = (
            await self._send(self.workspace.kept, f"{mark}.kept")
            if any(self.workspace.kept.iterdir())
            else None
        )
        if kept is None:
            return Parcels(mark, len(kit.parts), kit.sha256)
        return Parcels(mark, len(kit.parts), kit.sha256, len(kept.parts), kept.sha256)

    async def _send(self, folder: Path, name: str) -> parcel.Packed:
        place = self.workspace.kept.parent / "parcels"
        place.mkdir(mode=0o700, exist_ok=True)
        packed = await asyncio.to_thread(parcel.pack, folder, place, name)
        for path in packed.parts:
            await self.carriage.send_parcel(self.attempt, path.name, path)
            path.unlink()
        return packed

    async def _fetch(self, name: str, parts: int, sha256: str) -> list[Path]:
        """Parcels that have come, as the digest says that they were sent. Raises Failure."""
        place = self.workspace.kept.parent / "parcels"
        place.mkdir(mode=0o700, exist_ok=True)
        paths = []
        for number in range(parts):
            path = place / f"{name}.{number}"
            await self.carriage.fetch_parcel(self.attempt, path.name, path)
            paths.append(path)
        if await asyncio.to_thread(parcel.digest, paths) != sha256:
            raise Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, "what came is not what was sent")
        return paths

    async def _restore_kept(self) -> bool:
        try:
            paths = await self._fetch(
                f"{self.parcels.mark}.kept", self.parcels.kept, self.parcels.kept_sha256
            )
        except Failure as failure:
            log.warning("not_adopted", extra={"job": self.name, "reason": failure.message})
            return False
        await asyncio.to_thread(parcel.unpack, paths, self.workspace.kept, self.command.limits.disk_bytes)
        return True

    # --------------------------------------------------------------------------------------- follow

    async def _end(self, job: JsonObject) -> JsonObject:
        """Wait until the pod is over; the Job as it is then. Raises Failure for a pod that never begins."""
        began = time.monotonic()
        asked = 0.0
        while True:
            state = self.state
            if state is not None and state.over:
                return job
            now = time.monotonic()
            pending = state is None or not state.begun
            if now - asked >= (PENDING_POLL_SECONDS if pending else POLL_SECONDS):
                asked = now
                found = await self._patiently(lambda: self.cluster.read_job(self.namespace, self.name))
                if found is None or found["metadata"]["uid"] != self.uid:
                    raise Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, "somebody else has deleted the Job")
                job = found
                await self._look()
                if diagnosis.is_over(job) and (self.state is None or not self.state.over):
                    return job
                if (
                    pending
                    and now - began > PENDING_POLL_SECONDS
                    and (why := await self._hopeless(now - began))
                ):
                    raise why
            self.changed.clear()
            await _until(self.changed, PENDING_POLL_SECONDS if pending else POLL_SECONDS)

    async def _hopeless(self, waited: float) -> Failure | None:
        events = await self._patiently(lambda: self.cluster.list_events(self.namespace, self.name))
        if self.state is not None:
            name = self.state.name
            events += await self._patiently(lambda: self.cluster.list_events(self.namespace, name))
        return diagnosis.hopeless(self.state, events, waited, self.placement.pending_seconds)

    async def _look(self) -> str:
        """List the pods; the version from which to watch."""
        pods, version = await self._patiently(lambda: self.cluster.list_pods(self.namespace, self._selector))
        for pod in pods:
            self._see(pod)
        return version

    async def _watch(self) -> None:
        """See every change of the pod, for ever; a break is a reason to list again, and no more."""
        pause = 0.2
        while True:
            version = await self._look()
            try:
                async for kind, pod in self.cluster.watch_pods(self.namespace, self._selector, version):
                    pause = 0.2
                    if kind in ("ADDED", "MODIFIED", "DELETED"):
                        self._see(pod)
            except (Gone, Away):
                pass
            except Refused as refused:
                log.warning("watch_refused", extra={"job": self.name, "reason": str(refused)})
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - spreads load
            pause = min(pause * 2, 5.0)

    def _see(self, pod: JsonObject) -> None:
        owners = pod["metadata"].get("ownerReferences") or ()
        if any(each.get("uid") == self.uid for each in owners):
            self.state = diagnosis.read(pod)
            self.changed.set()

    async def _log(self) -> None:
        """Follow the log of `work` to its end, over any number of connections."""
        while self.state is None or not self.state.begun:
            if self.state is not None and self.state.over:
                return
            await _until(self.changed, 0.5)
        noting = asyncio.create_task(self._note_logged())
        streams = {b"1": self.transcript.stream("stdout"), b"2": self.transcript.stream("stderr")}
        try:
            while True:
                over = self.state.work is not None or self.state.over
                try:
                    async for line in self.cluster.follow_log(
                        self.namespace, self.state.name, manifest.WORK, self._since()
                    ):
                        self._hear(line, streams)
                    if over:
                        break
                except Away:
                    pass
                except Refused as refused:
                    if over:
                        log.warning("log_lost", extra={"job": self.name, "reason": str(refused)})
                        break
                await asyncio.sleep(0.2)
        finally:
            noting.cancel()
            for stream in streams.values():
                stream.end()

    def _since(self) -> int | None:
        """Seconds back from which lines are new, with room for clocks that differ; seen lines are dropped."""
        if not self.last_line_at:
            return None
        last = datetime.fromisoformat(self.last_line_at[:19]).replace(tzinfo=UTC)
        return max(1, int((datetime.now(UTC) - last).total_seconds()) + 60)

    def _hear(self, line: bytes, streams: Mapping[bytes, Any]) -> None:
        at, _, said = line.partition(b" ")
        mark, _, text = said.partition(b" ")
        when = at.decode("ascii", "replace")
        if mark not in streams or when <= self.last_line_at:
            return
        self.last_line_at = when
        if when <= self.logged:
            with self.transcript.muted():
                streams[mark].feed(text + b"\n")
        else:
            streams[mark].feed(text + b"\n")

    async def _note_logged(self) -> None:
        """Say on the Job how far the log has been reported, one step late: what is said is surely written."""
        before, noted = self.last_line_at, self.logged
        while True:
            await asyncio.sleep(LOGGED_SECONDS)
            if before > noted:
                try:
                    await self.cluster.annotate_job(self.namespace, self.name, {manifest.LOGGED: before})
                    noted = before
                except (Away, Refused) as error:
                    log.debug("not_noted", extra={"job": self.name, "reason": str(error)})
            before = self.last_line_at

    # ------------------------------------------------------------------------------------------ end

    async def _outcome(self, job: JsonObject) -> Outcome:
        state = self.state
        work = None if state is None else state.work
        if work is None or "exit" not in work.message:
            raise diagnosis.lost(state, job)
        said = work.message
        code = int(said["exit"])
        killed = work.reason == diagnosis.OOM_KILLED or (code != 0 and bool(said.get("oom_kills")))
        if killed and code == 0:
            code = OUT_OF_MEMORY_EXIT  # the command lived on, and its results stay where they are
        end = verdict.End(
            usage=Usage(
                exit_code=code,
                peak_memory_bytes=_maybe(said.get("peak_memory_bytes")),
                cpu_ms=_maybe(said.get("cpu_ms")),
            ),
            limits=self.command.limits,
            out_of_memory=killed,
            last_line=self.transcript.last_error_line,
            values=self.transcript.values.found,
        )
        self.usage = end.usage
        if killed:
            await self._clean_up(0)
            await self._delete()
            return verdict.judge(end)
        assert state is not None
        if state.deliver is None or "sha256" not in state.deliver.message:
            raise diagnosis.lost(state, job)
        sent = state.deliver.message
        parts = int(sent["parts"])
        paths = await self._fetch(f"{self.parcels.mark}.out", parts, str(sent["sha256"]))
        await asyncio.to_thread(parcel.unpack, paths, self.workspace.root, self.command.limits.disk_bytes)
        await self._clean_up(parts)
        return verdict.judge(end)

    async def _clean_up(self, parts: int) -> None:
        """Remove the parcels: all that counts is here."""
        mark = self.parcels.mark
        names = [f"{mark}.kit.{n}" for n in range(self.parcels.kit)]
        names += [f"{mark}.kept.{n}" for n in range(self.parcels.kept)]
        names += [f"{mark}.out.{n}" for n in range(parts)]
        for name in names:
            try:
                await self.carriage.drop_parcel(self.attempt, name)
            except Failure as failure:
                log.warning("parcel_left", extra={"parcel": name, "reason": failure.message})

    async def _end_for_good(self) -> None:
        """Delete the Job and see its last pod go."""
        if not await self._delete():
            return
        try:
            async with asyncio.timeout(GONE_SECONDS):
                await self._wait_until_gone(self.uid, delete=False)
            self.reporter.log("system", "the pod has stopped")
        except TimeoutError:
            log.error("pod_left", extra={"job": self.name, "namespace": self.namespace})
            self.reporter.log(
                "system", f"the pod has not stopped within {GONE_SECONDS:g} s; the cluster goes on ending it"
            )

    async def _delete(self) -> bool:
        if not self.uid:
            return False  # none of ours was begun
        try:
            async with asyncio.timeout(GONE_SECONDS):
                await self._patiently(lambda: self.cluster.delete_job(self.namespace, self.name, self.uid))
            return True
        except (TimeoutError, Refused) as error:
            log.error("job_left", extra={"job": self.name, "namespace": self.namespace, "reason": str(error)})
            return False

    async def _wait_until_gone(self, uid: str, *, delete: bool = True) -> None:
        if delete:
            await self._patiently(lambda: self.cluster.delete_job(self.namespace, self.name, uid))
        while True:
            pods, _ = await self._patiently(lambda: self.cluster.list_pods(self.namespace, self._selector))
            job = await self._patiently(lambda: self.cluster.read_job(self.namespace, self.name))
            if not pods and (job is None or job["metadata"]["uid"] != uid):
                return
            await asyncio.sleep(0.2)

    @property
    def _selector(self) -> str:
        return manifest.selector(self.placement, self.attempt)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until the API server answers: how long it may be away is the attempt's deadline's business."""
        pause, warned = 0.2, False
        while True:
            try:
                return await call()
            except Away as error:
                if not warned:
                    warned = True
                    log.warning("cluster_away", extra={"job": self.name, "reason": str(error)})
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - spreads load
            pause = min(pause * 2, 5.0)


async def _or_failure(call: Awaitable[T]) -> T:
    try:
        return await call
    except (Away, Refused) as error:
        raise Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, str(error)) from error


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most so long."""
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait([waiting], timeout=seconds)
    finally:
        waiting.cancel()


def _maybe(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _not_taken(refused: Refused, namespace: str) -> Failure:
    """What a refused Job or Secret means for the attempt."""
    message = f"namespace {namespace} does not take it: {refused.message[:500]}"
    if refused.status == 403 and "exceeded quota" in refused.message:
        return Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, message, after_ms=10_000)
    return Permanent(TerminationCode.EXECUTOR_UNAVAILABLE, message)
