"""Attempts as sandboxed processes of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from asyncio.subprocess import Process
from dataclasses import dataclass
from pathlib import Path

from runner.executor import disk, verdict, view
from runner.executor.base import Reporter
from runner.executor.egress import NoEgress
from runner.executor.group import Group
from runner.executor.sandbox import LAUNCH_ENVIRONMENT, Sandbox, memory_file, nul_separated
from runner.executor.transcript import Redactor, Stream, Transcript
from runner.model.attempt import Attempt
from runner.model.command import Command
from runner.model.errors import Permanent, Retryable
from runner.model.outcome import Outcome, Usage
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace

log = logging.getLogger(__name__)

GRACE_SECONDS = 2.0
CHUNK = 65_536
#: A job that floods its log is slowed to about 20 MiB/s, so that the others' heartbeats are not.
FLOOD_PAUSE_SECONDS = 0.003
PIPES_CLOSE_SECONDS = 5.0
CANNOT_ENTER_GROUP = 125
LOG_FILE = "log"


class ProcessExecutor:
    """Runs `workspace.command` in a sandbox with limits, and reads what it says."""

    def __init__(self, sandbox: Sandbox, grace_seconds: float = GRACE_SECONDS) -> None:
        self._sandbox = sandbox
        self._grace = grace_seconds

    async def run(self, attempt: Attempt, workspace: Workspace, reporter: Reporter) -> Outcome:
        """See `executor.base.Executor`."""
        command = workspace.command
        if command is None:
            raise TypeError("a process needs a command")
        if attempt.network and not self._sandbox.share_network:
            raise Permanent(
                TerminationCode.NOT_GRANTED,
                "the job asks for network access and this runner's sandbox has none: submit it without",
            )
        egress_networks = self._sandbox.egress_networks
        if not attempt.network or egress_networks is None:
            return await self._run(attempt, workspace, command, reporter, None)
        try:
            async with egress_networks.open(f"a{attempt.attempt_id}-l{attempt.lease}") as way_out:
                return await self._run(attempt, workspace, command, reporter, way_out)
        except NoEgress as error:
            raise Retryable(
                TerminationCode.EXECUTOR_UNAVAILABLE, f"no way to the internet could be made: {error}"
            ) from error

    async def _run(
        self,
        attempt: Attempt,
        workspace: Workspace,
        command: Command,
        reporter: Reporter,
        way_out: Path | None,
    ) -> Outcome:
        try:
            group = self._sandbox.groups.make(workspace.root.parent.name, command.limits)
        except OSError as error:
            raise Retryable(
                TerminationCode.EXECUTOR_UNAVAILABLE, f"no control group could be made: {error.strerror}"
            ) from error
        transcript = Transcript(
            workspace.kept / LOG_FILE, Redactor(workspace.secrets.values()), reporter.log, reporter.progress
        )
        work = _Work(self._sandbox, group, transcript, workspace, command, self._grace, way_out)
        try:
            code = await work.run(attempt, reporter)
        finally:
            measured = group.measure()
            usage = Usage(
                exit_code=work.exit_code,
                peak_memory_bytes=measured.peak_memory_bytes,
                cpu_ms=measured.cpu_ms,
            )
            reporter.usage(usage)
            transcript.close()
            await asyncio.to_thread(group.remove)
        why = "it could not enter its control group" if code == CANNOT_ENTER_GROUP else f"exit {code}"
        return verdict.judge(
            verdict.End(
                usage=usage,
                limits=command.limits,
                out_of_memory=bool(measured.oom_kills) and code != 0,
                overflowed=work.overflowed,
                fault=f"the sandbox could not be made ({why})",
                last_line=transcript.last_error_line,
                values=transcript.values.found,
            )
        )


@dataclass
class _Work:
    """One sandbox from its first process to its last."""

    sandbox: Sandbox
    group: Group
    transcript: Transcript
    workspace: Workspace
    command: Command
    grace: float
    way_out: Path | None = None
    exit_code: int | None = None
    overflowed: bool = False

    async def run(self, attempt: Attempt, reporter: Reporter) -> int:
        """The exit code of the launcher; `exit_code` is the command's own, None when it never started."""
        status_read, status_write = os.pipe()
        inherited = [status_write]
        try:
            filter_descriptor = memory_file(self.sandbox.filter) if self.sandbox.filter else None
            if filter_descriptor is not None:
                inherited.append(filter_descriptor)
            arguments = self.sandbox.arguments(
                self.workspace.root,
                self.command,
                view.environment(attempt, self.workspace, self.command),
                network=attempt.network,
                status=status_write,
                filter_descriptor=filter_descriptor,
            )
            descriptor = memory_file(nul_separated(arguments))
            inherited.append(descriptor)
            starting = asyncio.create_task(
                asyncio.create_subprocess_exec(
                    *self.sandbox.launch(self.group.entrances, self.command, descriptor, self.way_out),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    pass_fds=inherited,
                    env=LAUNCH_ENVIRONMENT,
                    cwd="/",
                    start_new_session=True,
                )
            )
            try:
                process = await asyncio.shield(starting)
            except asyncio.CancelledError:
                # A start that is cancelled half-way leaves processes behind: let it come to be, then end it.
                await self._attend(await starting, reporter, unwanted=True)
                raise
        except BaseException:
            os.close(status_read)
            raise
        finally:
            for each in inherited:
                os.close(each)
        with os.fdopen(status_read, "rb") as status:
            try:
                code = await self._attend(process, reporter)
            finally:
                os.set_blocking(status.fileno(), False)
                self.exit_code = _exit_code(status.read() or b"")
        return code

    async def _attend(self, process: Process, reporter: Reporter, *, unwanted: bool = False) -> int:
        assert process.stdout is not None
        assert process.stderr is not None
        tasks = [
            asyncio.create_task(self._pump(process.stdout, self.transcript.stream("stdout"))),
            asyncio.create_task(self._pump(process.stderr, self.transcript.stream("stderr"))),
        ]
        watch = asyncio.create_task(self._watch_disk(process))
        exited = asyncio.create_task(process.wait())
        try:
            if unwanted:
                return -1
            code = await asyncio.shield(exited)
        except asyncio.CancelledError:
            if reporter.stop not in (None, Stop.LOST):
                await self._ask_to_end(process)
            raise
        finally:
            # Without a pause, so that no further cancellation comes before it.
            self._kill(process)
            watch.cancel()
            # Everything inside died with the pid namespace, so the pipes close by themselves.
            _, open_still = await asyncio.wait([*tasks, exited], timeout=PIPES_CLOSE_SECONDS)
            for task in open_still:
                task.cancel()
            await asyncio.gather(watch, exited, *tasks, return_exceptions=True)
        return code if code >= 0 else 128 - code

    async def _pump(self, pipe: asyncio.StreamReader, stream: Stream) -> None:
        while data := await pipe.read(CHUNK):
            stream.feed(data)
            if self.transcript.truncated:
                await asyncio.sleep(FLOOD_PAUSE_SECONDS)
        stream.end()

    async def _ask_to_end(self, process: Process) -> None:
        for pid in _descendants(process.pid):
            _signal(pid, signal.SIGTERM)
        # Not asyncio.timeout: before Python 3.11.3 it cannot expire in a task that is being cancelled.
        exited = asyncio.create_task(process.wait())
        try:
            await asyncio.wait([exited], timeout=self.grace)
        finally:
            exited.cancel()

    def _kill(self, process: Process) -> None:
        """Kill what is below the launcher, then itself: a bwrap that still sets up would leave its child."""
        if process.returncode is None:
            _freeze(process.pid)
            for pid in (*_descendants(process.pid), process.pid):
                _signal(pid, signal.SIGKILL)

    async def _watch_disk(self, process: Process) -> None:
        await disk.overflow(self.workspace.root, self.command.limits.disk_bytes)
        self.overflowed = True
        self._kill(process)


def _exit_code(status: bytes) -> int | None:
    """What bwrap says the command's exit code was; None when it never got so far as to run it."""
    for line in status.splitlines():
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict) and isinstance(said.get("exit-code"), int):
                return int(said["exit-code"])
    return None


def _signal(pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, which)


def _freeze(pid: int) -> None:
    """Stop a process, so that it starts no other while its children are looked for; takes a millisecond."""
    _signal(pid, signal.SIGSTOP)
    for _ in range(20):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state in "TtZX":
            return
        time.sleep(0.00005)


def _descendants(pid: int) -> list[int]:
    """Every process below `pid`, nearest first. Orphans inside a pid namespace hang below its init."""
    found: list[int] = []
    queue = [pid]
    while queue:
        parent = queue.pop()
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
        except OSError:
            continue
        for task in tasks:
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{parent}/task/{task}/children").read_text().split()
                found.extend(map(int, children))
                queue.extend(map(int, children))
    return found
