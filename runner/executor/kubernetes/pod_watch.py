"""What is known of the pod of one Job: listed, watched, and listed again after each break."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from runner.executor.kubernetes import diagnosis, retry
from runner.executor.kubernetes.cluster import Away, Cluster, Gone, Refused
from runner.executor.kubernetes.diagnosis import State

log = logging.getLogger(__name__)
JsonObject = dict[str, Any]


@dataclass
class PodWatch:
    """Sees the pods of one Job, and none of another Job of the same name."""

    cluster: Cluster
    namespace: str
    job: str
    uid: str
    selector: str
    state: State | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def look(self) -> str:
        """List the pods; the version from which to watch."""
        pods, version = await retry.answer(
            self.job, lambda: self.cluster.list_pods(self.namespace, self.selector)
        )
        for pod in pods:
            self._see(pod)
        return version

    async def watch(self) -> None:
        """See every change of the pod, for ever; a break is a reason to list again, and no more."""
        pause = retry.FIRST_PAUSE_SECONDS
        while True:
            version = await self.look()
            try:
                async for kind, pod in self.cluster.watch_pods(self.namespace, self.selector, version):
                    pause = retry.FIRST_PAUSE_SECONDS
                    if kind in ("ADDED", "MODIFIED", "DELETED"):
                        self._see(pod)
            except (Gone, Away):
                pass
            except Refused as refused:
                log.warning("watch_refused", extra={"job": self.job, "reason": str(refused)})
            pause = await retry.rest(pause)

    async def events(self) -> list[JsonObject]:
        """What the cluster says about the Job and its pod."""
        said = await retry.answer(self.job, lambda: self.cluster.list_events(self.namespace, self.job))
        if self.state is not None:
            pod = self.state.name
            said += await retry.answer(self.job, lambda: self.cluster.list_events(self.namespace, pod))
        return said

    def _see(self, pod: JsonObject) -> None:
        owners = pod["metadata"].get("ownerReferences") or ()
        if any(each.get("uid") == self.uid for each in owners):
            self.state = diagnosis.read(pod)
            self.changed.set()
