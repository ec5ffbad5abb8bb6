"""The crew of one attempt: pods beside its own, made once its work has begun, gone when it has ended.

They are a Job of their own, which belongs to the attempt's and is named by it: another runner finds it, and
goes on with it or, where the first one died before it made it, makes it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.executor.kubernetes import diagnosis, manifest, retry
from runner.executor.kubernetes.cluster import Cluster, Refused
from runner.executor.kubernetes.manifest import Placement
from runner.executor.kubernetes.pod_watch import PodWatch
from runner.model.attempt import Attempt
from runner.model.command import Command, Crew
from runner.model.errors import Retryable
from runner.model.termination import TerminationCode

JsonObject = dict[str, Any]

#: How often a crew is looked at while it gathers, and when it is there.
GATHERING_SECONDS = 2.0
LOOK_SECONDS = 10.0
#: How much of what an attempt has left its crew may take to gather.
GATHERING_SHARE = 0.8


@dataclass(frozen=True)
class Hands:
    """The crew of the attempt whose Job has the uid `owner`; none where the command wants none."""

    cluster: Cluster
    placement: Placement
    attempt: Attempt
    command: Command
    namespace: str
    owner: str

    async def serve(self, pod: PodWatch, secrets: Callable[[], Mapping[str, str]]) -> None:
        """Have them while the pod works. Raises Failure when they do not come, or do not stay."""
        crew = self.command.crew
        if crew is None:
            return
        while pod.state is None or not ((pod.state.begun and pod.state.address) or pod.state.over):  # noqa: ASYNC110 - it is the cluster that changes
            await asyncio.sleep(0.2)
        if pod.state.over or pod.state.work is not None:
            await self.dismiss()
            return
        job = manifest.crew_job(
            self.placement,
            self.attempt,
            self.command,
            crew,
            secrets(),
            owner=self.owner,
            pod=pod.state.name,
            address=pod.state.address,
        )
        await self._have(job)
        await self._watch(pod, crew)
        await self.dismiss()

    async def dismiss(self) -> None:
        """Delete their Job, if it is the attempt's: one of another Job of that name is somebody else's."""
        if self.command.crew is None:
            return
        found = await retry.answer(self._name, lambda: self.cluster.read_job(self.namespace, self._name))
        if found is not None and self._is_ours(found):
            uid = found["metadata"]["uid"]
            await retry.answer(self._name, lambda: self.cluster.delete_job(self.namespace, self._name, uid))

    async def _have(self, job: JsonObject) -> None:
        """Make their Job, or find it made."""
        while True:
            try:
                await retry.answer(self._name, lambda: self.cluster.create_job(self.namespace, job))
                return
            except Refused as refused:
                if refused.reason != "AlreadyExists":
                    raise diagnosis.not_taken(refused, self.namespace) from refused
            found = await retry.answer(self._name, lambda: self.cluster.read_job(self.namespace, self._name))
            if found is not None and self._is_ours(found) and "deletionTimestamp" not in found["metadata"]:
                return
            await asyncio.sleep(GATHERING_SECONDS)  # it goes with the Job that it belongs to

    async def _watch(self, pod: PodWatch, crew: Crew) -> None:
        """Until the pod's work has ended."""
        began, gathered = time.monotonic(), False
        most = min(self.placement.pending_seconds, GATHERING_SHARE * self.attempt.seconds_left)
        while pod.state is not None and pod.state.work is None and not pod.state.over:
            job = await retry.answer(self._name, lambda: self.cluster.read_job(self.namespace, self._name))
            if job is None or not self._is_ours(job):
                raise Retryable(
                    TerminationCode.EXECUTOR_UNAVAILABLE, f"somebody has deleted every {crew.called}"
                )
            found, _ = await retry.answer(
                self._name, lambda: self.cluster.list_pods(self.namespace, self._selector)
            )
            states = [diagnosis.read(each) for each in found]
            if why := diagnosis.scattered(states, job, crew.called):
                raise why
            gathered = gathered or sum(each.begun for each in states) >= crew.count
            if not gathered:
                await self._despair(states, crew, time.monotonic() - began, most)
            await self._rest(pod, LOOK_SECONDS if gathered else GATHERING_SECONDS)

    async def _despair(self, states: list[diagnosis.State], crew: Crew, waited: float, most: float) -> None:
        """Raises Failure when one of them will never begin."""
        waiting: list[diagnosis.State | None] = [each for each in states if not each.begun and not each.over]
        for state in waiting or [None]:
            if state is None and len(states) >= crew.count:
                continue
            names = [self._name, *([state.name] if state else [])]
            said = [each for name in names for each in await self._events(name)]
            if why := diagnosis.hopeless(state, said, waited, most):
                raise type(why)(why.code, f"{crew.called}: {why.message}") from why

    async def _events(self, name: str) -> list[JsonObject]:
        return await retry.answer(self._name, lambda: self.cluster.list_events(self.namespace, name))

    async def _rest(self, pod: PodWatch, seconds: float) -> None:
        """So long, or until the work has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and pod.state is not None and pod.state.work is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.2)

    def _is_ours(self, job: JsonObject) -> bool:
        owners = job["metadata"].get("ownerReferences") or ()
        return any(each.get("uid") == self.owner for each in owners)

    @property
    def _name(self) -> str:
        return manifest.crew_name(self.placement, self.attempt)

    @property
    def _selector(self) -> str:
        return f"{manifest.selector(self.placement, self.attempt)},{manifest.CREW_LABEL}=hand"
