"""The log of a pod's work, each line once, over broken connections and from lease to lease."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runner.executor.kubernetes import manifest, retry
from runner.executor.kubernetes.cluster import Away, Refused
from runner.executor.kubernetes.pod_watch import PodWatch
from runner.executor.transcript import Transcript

log = logging.getLogger(__name__)

#: How often a Job's annotation says how far its log has been reported: an adopter repeats two of these.
LOGGED_SECONDS = 5.0


@dataclass
class LogFollower:
    """Hears what one pod's work prints, and writes it down."""

    pod: PodWatch
    transcript: Transcript
    logged: str  # the time of the last line that an earlier lease has reported
    last_line_at: str = ""

    async def follow(self) -> None:
        """Follow the log of `work` to its end, over any number of connections."""
        pod = self.pod
        while pod.state is None or not pod.state.begun:
            if pod.state is not None and pod.state.over:
                return
            await retry.until(pod.changed, 0.5)
        noting = asyncio.create_task(self._note_logged())
        streams = {b"1": self.transcript.stream("stdout"), b"2": self.transcript.stream("stderr")}
        try:
            while True:
                over = pod.state.work is not None or pod.state.over
                try:
                    async for line in pod.cluster.follow_log(
                        pod.namespace, pod.state.name, manifest.WORK, self._since()
                    ):
                        self._hear(line, streams)
                    if over:
                        break
                except Away:
                    pass
                except Refused as refused:
                    if over:
                        log.warning("log_lost", extra={"job": pod.job, "reason": str(refused)})
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
        pod = self.pod
        before, noted = self.last_line_at, self.logged
        while True:
            await asyncio.sleep(LOGGED_SECONDS)
            if before > noted:
                try:
                    await pod.cluster.annotate_job(pod.namespace, pod.job, {manifest.LOGGED: before})
                    noted = before
                except (Away, Refused) as error:
                    log.debug("not_noted", extra={"job": pod.job, "reason": str(error)})
            before = self.last_line_at
