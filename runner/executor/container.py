"""Attempts as containers of Docker or Podman.

    clear what older leases left → image → control group → create → adoption record → attach → start
    → lines as they are written → exit → remove

What goes on when the runner is killed is adopted by who claims the attempt on this machine: see `adoption`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from runner.executor import adoption, container_form, disk, verdict, view
from runner.executor.adoption import AdoptionRecord, Told
from runner.executor.base import Inheritance, Reporter
from runner.executor.container_host import ContainerHost
from runner.executor.daemon import DaemonRefused, DaemonUnavailable, Image, State
from runner.executor.group import Measured, Nest
from runner.executor.process import LOG_FILE
from runner.executor.transcript import Redactor, Transcript
from runner.model.attempt import Attempt
from runner.model.command import Command
from runner.model.errors import Permanent, Retryable
from runner.model.outcome import UNKNOWN_USAGE, Outcome, Usage
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace

log = logging.getLogger(__name__)
T = TypeVar("T")

GRACE_SECONDS = 2.0
FLOOD_PAUSE_SECONDS = 0.003
FIRST_LOOK_SECONDS = 0.005
LAST_LOOK_SECONDS = 0.25
TOLD_SECONDS = 1.0
#: How long a daemon that restarts is waited for; containers go on meanwhile where it is told to let them.
AWAY_SECONDS = 60.0
STREAM_CLOSE_SECONDS = 5.0
#: What daemons say of an image that has no such program, or one for another machine.
_NO_PROGRAM = re.compile(r"no such file|not found|exec format error|permission denied", re.IGNORECASE)
NOTHING_MEASURED = Measured()


class ContainerExecutor:
    """Runs `workspace.command` in a container of its own.

    `images` has the image for each `job_type/engine`: what the runner's environment names. A task may ask for
    another one that its tenant was granted.
    """

    def __init__(
        self, host: ContainerHost, images: Mapping[str, str], grace_seconds: float = GRACE_SECONDS
    ) -> None:
        self._host = host
        self._images = images
        self._grace = grace_seconds

    async def inherit(self, attempt: Attempt) -> Inheritance | None:
        """See `executor.base.Heir`."""
        try:
            found = await self._host.inherit(attempt)
        except (DaemonUnavailable, DaemonRefused) as error:
            raise Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, str(error)) from error
        if found is None:
            return None
        place, left = found
        return Inheritance(place, Command(argv=(), limits=left.limits))

    async def run(self, attempt: Attempt, workspace: Workspace, reporter: Reporter) -> Outcome:
        """See `executor.base.Executor`."""
        command = workspace.command
        if command is None:
            raise TypeError("a container needs a command")
        if attempt.network and self._host.frame.network == "none":
            raise Permanent(
                TerminationCode.NOT_GRANTED,
                "the job asks for network access and this runner's containers have none: submit it without",
            )
        work = _Work(self._host, attempt, workspace, command, reporter, self._grace)
        left = adoption.read(workspace.kept)
        try:
            if left is not None:
                end = await work.adopt(left)
            else:
                end = await work.begin(await self._image(attempt))
        except DaemonRefused as error:
            if attempt.image is not None and _NO_PROGRAM.search(error.message):
                raise Permanent(
                    TerminationCode.IMAGE_UNAVAILABLE,
                    f"the image {attempt.image.name} does not start: {error.message}",
                ) from error
            raise Retryable(
                TerminationCode.EXECUTOR_UNAVAILABLE, f"the container could not be run: {error.message}"
            ) from error
        except DaemonUnavailable as error:
            raise Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, str(error)) from error
        return verdict.judge(end)

    async def _image(self, attempt: Attempt) -> Image:
        if attempt.image is not None:
            return await self._host.image(attempt.image.name, of_task=True)
        reference = self._images.get(attempt.requires)
        if reference is None:
            raise Permanent(
                TerminationCode.EXECUTOR_UNAVAILABLE, f"this runner has no image for {attempt.requires}"
            )
        return await self._host.image(reference, of_task=False)


@dataclass
class _Work:
    """One container from its creation to its removal."""

    host: ContainerHost
    attempt: Attempt
    workspace: Workspace
    command: Command
    reporter: Reporter
    grace: float
    container: str = ""
    overflowed: bool = False
    nest: Nest | None = None
    measured: Measured = NOTHING_MEASURED
    usage: Usage = UNKNOWN_USAGE
    #: Lines that the runner before us has told already, and the progress that came among them.
    skip: int = 0
    passed_over: tuple[int, str] | None = None

    def __post_init__(self) -> None:
        self.told = Told(self.workspace.kept)
        self.transcript = self._open_transcript()

    async def begin(self, image: Image) -> verdict.End:
        """Create it and see it through."""
        # attempts of two databases have the same numbers
        mark = secrets.token_hex(3)
        self.container = f"control-room-a{self.attempt.attempt_id}-l{self.attempt.lease}-{mark}"
        with self.host.hold(self.container):
            try:
                await _whole(self._create(image))
                self.reporter.external_id(f"container:{self.container}")
                async with self.host.daemon.attach(self.container) as output:
                    await _whole(self.host.daemon.start(self.container))
                    return await self._attend(output)
            finally:
                await _whole(self._clear())

    async def adopt(self, left: AdoptionRecord) -> verdict.End:
        """See one through that runs already, or has ended while nobody looked."""
        self.container = left.container
        self.skip = self.told.before()
        log.info("container_adopted", extra={"attempt_id": left.attempt_id, "lease": self.attempt.lease})
        try:
            if left.nest:
                with contextlib.suppress(OSError):
                    self.nest = self.host.nest(left.nest, left.limits)
            return await self._attend(self.host.daemon.log(self.container, follow=True))
        finally:
            await _whole(self._clear())

    async def _create(self, image: Image) -> None:
        attempt, command = self.attempt, self.command
        try:
            nest = self.host.nest_name(self.container)
            self.nest = await asyncio.to_thread(self.host.nest, nest, command.limits)
        except OSError as error:
            raise Retryable(
                TerminationCode.EXECUTOR_UNAVAILABLE, f"no control group could be made: {error.strerror}"
            ) from error
        form = container_form.form(
            self.host.frame,
            image=image,
            command=command,
            environment=view.environment(attempt, self.workspace, command),
            root=self.workspace.root,
            labels=self.host.labels(attempt, self.container),
            network=attempt.network,
            parent=self.nest.place if self.nest else None,
        )
        made = await self.host.daemon.create(self.container, form)
        left = AdoptionRecord(
            container=made,
            nest=nest if self.nest else "",
            tenant_id=attempt.tenant_id,
            attempt_id=attempt.attempt_id,
            lease=attempt.lease,
            job_type=attempt.job_type,
            engine=attempt.engine,
            limits=command.limits,
            boot=adoption.boot(),
        )
        adoption.write(self.workspace.kept, left)

    async def _attend(self, output: AsyncIterator[tuple[str, bytes]]) -> verdict.End:
        """Until it has ended and everything it said is told; whatever happens, nothing runs afterwards."""
        listening = asyncio.create_task(self._listen(output))
        helpers = [asyncio.create_task(self._watch_disk()), asyncio.create_task(self._keep_told())]
        try:
            await asyncio.wait([listening])
            state = await self._ended()
            if isinstance(listening.exception(), DaemonUnavailable):
                await self._listen_again()
            else:
                listening.result()
        except asyncio.CancelledError:
            if self.reporter.stop not in (None, Stop.LOST):
                await self._ask_to_end()
            raise
        finally:
            await _whole(self._end(listening, helpers))
        self.usage = replace(self.usage, exit_code=state.exit_code)
        self.reporter.usage(self.usage)
        return verdict.End(
            usage=self.usage,
            limits=self.command.limits,
            out_of_memory=state.out_of_memory or bool(self.measured.oom_kills),
            overflowed=self.overflowed,
            last_line=self.transcript.last_error_line,
            values=self.transcript.values.found,
        )

    async def _end(self, listening: asyncio.Task[None], helpers: list[asyncio.Task[None]]) -> None:
        if self.nest is not None:
            self.measured = self.nest.measure()
        self.usage = Usage(peak_memory_bytes=self.measured.peak_memory_bytes, cpu_ms=self.measured.cpu_ms)
        self.reporter.usage(self.usage)
        await self._remove()
        # What it wrote is on its way still; the stream ends with the container.
        await asyncio.wait([listening], timeout=STREAM_CLOSE_SECONDS)
        for each in (*helpers, listening):
            each.cancel()
        await asyncio.gather(*helpers, listening, return_exceptions=True)

    async def _clear(self) -> None:
        self.transcript.close()
        await self._remove()
        if self.nest is not None:
            await asyncio.to_thread(self.nest.remove)
        adoption.clear(self.workspace.kept)

    async def _remove(self) -> None:
        try:
            await self.host.daemon.remove(self.container)
        except (DaemonUnavailable, DaemonRefused) as error:  # a sweep will find it
            log.warning("container_left", extra={"container": self.container, "reason": str(error)})

    async def _listen(self, output: AsyncIterator[tuple[str, bytes]]) -> None:
        streams = {name: self.transcript.stream(name) for name in ("stdout", "stderr")}
        async for name, data in output:
            streams[name].feed(data)
            if self.transcript.truncated:
                await asyncio.sleep(FLOOD_PAUSE_SECONDS)
        for stream in streams.values():
            stream.end()

    async def _listen_again(self) -> None:
        """The daemon went away meanwhile: what was missed stands in its own log."""
        self.transcript.close()
        self.skip = self.told.count
        self.told = Told(self.workspace.kept)
        self.transcript = self._open_transcript()
        await self._listen(self.host.daemon.log(self.container, follow=False))

    async def _ended(self) -> State:
        """How it ended. Raises DaemonUnavailable when the daemon stays away, DaemonRefused when it knows of
        no such container."""
        pause, away = FIRST_LOOK_SECONDS, 0.0
        while True:
            try:
                state = await self.host.daemon.inspect(self.container)
                if state is None or not (state.running or state.ended):
                    raise DaemonRefused(404, "the container is not there any more")
                if state.ended:
                    return state
                away = 0.0
            except DaemonUnavailable:
                away += pause
                if away > AWAY_SECONDS:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LAST_LOOK_SECONDS)

    async def _ask_to_end(self) -> None:
        with contextlib.suppress(DaemonUnavailable, DaemonRefused):
            await self.host.daemon.kill(self.container, "SIGTERM")
            # Not asyncio.timeout: before Python 3.11.3 it cannot expire in a task that is being cancelled.
            ended = asyncio.create_task(self._ended())
            try:
                await asyncio.wait([ended], timeout=self.grace)
            finally:
                ended.cancel()
                await asyncio.gather(ended, return_exceptions=True)

    async def _watch_disk(self) -> None:
        await disk.overflow(self.workspace.root, self.command.limits.disk_bytes)
        self.overflowed = True
        with contextlib.suppress(DaemonUnavailable, DaemonRefused):
            await self.host.daemon.kill(self.container, "SIGKILL")

    async def _keep_told(self) -> None:
        while True:
            await asyncio.sleep(TOLD_SECONDS)
            await asyncio.to_thread(self.told.keep)

    def _open_transcript(self) -> Transcript:
        redact = Redactor(self.workspace.secrets.values())
        return Transcript(self.workspace.kept / LOG_FILE, redact, self._log, self._progress)

    def _log(self, stream: str, line: str) -> None:
        self.told.line()
        if self.told.count <= self.skip:
            return
        if self.passed_over is not None:
            passed, self.passed_over = self.passed_over, None
            self.reporter.progress(*passed)
        self.reporter.log(stream, line)

    def _progress(self, percent: int, message: str) -> None:
        if self.told.count < self.skip:
            self.passed_over = (percent, message)
        else:
            self.passed_over = None
            self.reporter.progress(percent, message)


async def _whole(work: Coroutine[Any, Any, T]) -> T:
    """Wait for it to its end also when cancelled meanwhile: half of a creation would leave a container."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            log.warning("cancelled_and_failed", extra={"reason": str(task.exception())})
        raise
