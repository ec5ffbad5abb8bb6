"""The life of one attempt in a cluster: begin or adopt, follow, end.

    find the Job of the attempt ─ none → send the kit → create Job, then Secret ┐
                                └ there → give it our token (adopted)           ┴→ external id
    follow the pod (watch; list again after a break) and the log of `work`
    a command with a crew: its pods, once `work` has begun and until it has ended
    over → what `work` and `deliver` said → fetch the results → outcome

A lost lease or a drain leaves the Job as it is: whoever claims the attempt next adopts it. A cancel or a
deadline deletes it, and `run` does not return before its last pod is gone. A Job that ended is not deleted
here, for its outcome is not written down yet: `forget` does it later, `ttlSecondsAfterFinished` at last.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from runner.executor import verdict, view
from runner.executor.base import Reporter
from runner.executor.kubernetes import diagnosis, manifest, retry
from runner.executor.kubernetes.cluster import Cluster, Refused
from runner.executor.kubernetes.crew import Hands
from runner.executor.kubernetes.diagnosis import State
from runner.executor.kubernetes.log_follower import LogFollower
from runner.executor.kubernetes.manifest import Parcels, Placement
from runner.executor.kubernetes.pod_watch import PodWatch
from runner.executor.kubernetes.transfer import Transfer
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

#: How often the cluster is asked whatever the watch says, and how often while a pod does not begin.
POLL_SECONDS = 10.0
PENDING_POLL_SECONDS = 2.0
#: How much of what an attempt has left its pod may take to begin: a deadline does not say why it did not.
PENDING_SHARE = 0.8
#: How long a stop waits for the last pod to be gone.
GONE_SECONDS = 60.0
#: A little for lines that the kubelet has not handed out when the container is already over.
LOG_END_SECONDS = 15.0
LAST_LINES_SECONDS = 0.5
OUT_OF_MEMORY_EXIT = 137


@dataclass
class Work:
    """One attempt in the cluster, from our first look to our last."""

    cluster: Cluster
    transfer: Transfer
    placement: Placement
    attempt: Attempt
    workspace: Workspace
    command: Command
    reporter: Reporter
    transcript: Transcript
    namespace: str
    name: str
    uid: str = ""
    logged: str = ""  # the time of the last line that an earlier lease has reported
    usage: Usage = field(default_factory=Usage)
    state: State | None = None  # the last that was seen of the pod

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
            await self.transfer.clean_up()
            if self.attempt.image is not None:
                raise diagnosis.blamed(failure, self.state) from failure
            raise

    async def _follow(self, job: JsonObject) -> JsonObject:
        """Watch the pod and read its log until both have ended; a stop is followed to its end as well."""
        pod = PodWatch(self.cluster, self.namespace, self.name, self.uid, self._selector)
        hands = asyncio.create_task(self._hands.serve(pod, self._secrets))
        hands.add_done_callback(lambda _: pod.changed.set())
        watching = asyncio.create_task(pod.watch())
        reading = asyncio.create_task(LogFollower(pod, self.transcript, self.logged).follow())
        try:
            try:
                job = await self._end(pod, job, hands)
            except asyncio.CancelledError:
                if self.reporter.stop in (Stop.CANCELED, Stop.DEADLINE):
                    await self._end_for_good()
                    await asyncio.wait([reading], timeout=LAST_LINES_SECONDS)
                raise
            await asyncio.wait([reading, hands], timeout=LOG_END_SECONDS)
            return job
        finally:
            self.state = pod.state
            followers = (watching, reading, hands)
            for task in followers:
                task.cancel()
            for result in await asyncio.gather(*followers, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, Failure):
                    log.error("follower_failed", extra={"job": self.name}, exc_info=result)

    # ------------------------------------------------------------------------------- begin or adopt

    async def _begin_or_adopt(self) -> JsonObject:
        while True:
            found = await self._answer(lambda: self.cluster.read_job(self.namespace, self.name))
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
        await self.transfer.send_kit()
        try:
            job = await self._answer(
                lambda: self.cluster.create_job(
                    self.namespace,
                    manifest.job(self.placement, self.attempt, self.command, self.transfer.parcels, secrets),
                )
            )
        except Refused as refused:
            if refused.reason == "AlreadyExists":
                await self.transfer.clean_up()
                return None
            raise diagnosis.not_taken(refused, self.namespace) from refused
        self.uid = job["metadata"]["uid"]
        await self._write_secret()
        return job

    async def _adopt(self, job: JsonObject) -> bool:
        """Take over what an earlier lease has begun; False when it is not whole."""
        about = job["metadata"]
        annotations = about.get("annotations") or {}
        try:
            self.transfer.parcels = Parcels.read(annotations.get(manifest.PARCELS, ""))
        except ValueError:
            return False
        self.uid = about["uid"]
        self.logged = annotations.get(manifest.LOGGED, "")
        if not diagnosis.is_over(job):
            # The whole Secret, not the token alone: its maker may have died before it made it.
            await self._write_secret()
        if not await self.transfer.restore_kept():
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
            self.transfer.parcels,
            self.workspace.secrets,
            environment=view.environment(self.attempt, replace(self.workspace, secrets={}), self.command),
            names=self.attempt.secrets,
            owner=self.uid,
        )
        try:
            await self._answer(lambda: self.cluster.create_secret(self.namespace, secret))
        except Refused as refused:
            raise diagnosis.not_taken(refused, self.namespace) from refused

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

    # --------------------------------------------------------------------------------------- follow

    async def _end(self, pod: PodWatch, job: JsonObject, hands: asyncio.Task[None]) -> JsonObject:
        """Wait until the pod is over; the Job as it is then. Raises Failure for a pod that never begins, or
        that is without the hands it was to have."""
        began = time.monotonic()
        asked = 0.0
        most = min(self.placement.pending_seconds, PENDING_SHARE * self.attempt.seconds_left)
        while True:
            state = pod.state
            if state is not None and state.over:
                return job
            if hands.done():
                hands.result()
            now = time.monotonic()
            pending = state is None or not state.begun
            if now - asked >= (PENDING_POLL_SECONDS if pending else POLL_SECONDS):
                asked = now
                found = await self._answer(lambda: self.cluster.read_job(self.namespace, self.name))
                if found is None or found["metadata"]["uid"] != self.uid:
                    raise Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, "somebody else has deleted the Job")
                job = found
                await pod.look()
                if diagnosis.is_over(job) and (pod.state is None or not pod.state.over):
                    return job
                waited = now - began
                if pending and waited > PENDING_POLL_SECONDS:
                    said = await pod.events()
                    if why := diagnosis.hopeless(pod.state, said, waited, most):
                        raise why
            pod.changed.clear()
            await retry.until(pod.changed, PENDING_POLL_SECONDS if pending else POLL_SECONDS)

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
            await self.transfer.clean_up()
            await self._delete()
            return verdict.judge(end)
        assert state is not None
        if state.deliver is None or "sha256" not in state.deliver.message:
            raise diagnosis.lost(state, job)
        sent = state.deliver.message
        await self.transfer.take_results(int(sent["parts"]), str(sent["sha256"]))
        return verdict.judge(end)

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
                await self._hands.dismiss()
                await self._answer(lambda: self.cluster.delete_job(self.namespace, self.name, self.uid))
            return True
        except (TimeoutError, Refused) as error:
            log.error("job_left", extra={"job": self.name, "namespace": self.namespace, "reason": str(error)})
            return False

    async def _wait_until_gone(self, uid: str, *, delete: bool = True) -> None:
        if delete:
            await self._answer(lambda: self.cluster.delete_job(self.namespace, self.name, uid))
        while True:
            pods, _ = await self._answer(lambda: self.cluster.list_pods(self.namespace, self._selector))
            job = await self._answer(lambda: self.cluster.read_job(self.namespace, self.name))
            if not pods and (job is None or job["metadata"]["uid"] != uid):
                return
            await asyncio.sleep(0.2)

    @property
    def _hands(self) -> Hands:
        return Hands(
            cluster=self.cluster,
            placement=self.placement,
            attempt=self.attempt,
            command=self.command,
            namespace=self.namespace,
            owner=self.uid,
        )

    @property
    def _selector(self) -> str:
        return manifest.selector(self.placement, self.attempt)

    async def _answer(self, call: Callable[[], Awaitable[T]]) -> T:
        return await retry.answer(self.name, call)


def _maybe(value: Any) -> int | None:
    return value if isinstance(value, int) else None
