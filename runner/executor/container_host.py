"""The daemon of this machine, tried before it is relied on: what containers here are made of, and what dead
runners left.

    ContainerHost = a daemon that bounds what it runs and shares our folders | NoContainerHost with the reason

A container of a runner that was killed goes on. Whoever claims its attempt on this machine adopts it; where
nobody comes within two minutes, or the work is claimed elsewhere and lives twice, it is removed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from runner.executor import adoption, container_form, ownership, seccomp
from runner.executor.container_form import Frame
from runner.executor.daemon import Daemon, DaemonRefused, DaemonUnavailable, Image, State
from runner.executor.group import Groups, Nest
from runner.executor.sandbox import NOBODY
from runner.model.attempt import Attempt
from runner.model.command import MIB, Command, Limits
from runner.model.errors import Permanent, Retryable
from runner.model.termination import TerminationCode

log = logging.getLogger(__name__)

PREFIX = "io.control-room."
PATIENCE_SECONDS = 120.0
PERIOD_SECONDS = 20.0
PROBE_SECONDS = 30.0
#: What a daemon keeps beside a container, in the same group.
BESIDE = 16


@dataclass(frozen=True, slots=True)
class NoContainerHost:
    """No containers here; job types that need one are not offered."""

    reason: str

    @property
    def description(self) -> dict[str, object]:
        """What `health` says about us."""
        return {"mechanism": "none", "reason": self.reason}


class ContainerHost:
    """A daemon that works."""

    def __init__(
        self, daemon: Daemon, frame: Frame, groups: Groups, folder: Path, *, facts: str, nests: bool
    ) -> None:
        self.daemon = daemon
        self.frame = frame
        self._groups = groups
        self._folder = folder
        self._facts = facts
        self._nests = nests
        self._held: set[str] = set()
        self._pulls: dict[str, asyncio.Lock] = {}
        self._seen: dict[str, float] = {}

    @property
    def description(self) -> dict[str, object]:
        """What `health` says about us."""
        return {
            "mechanism": self._facts,
            "user": self.frame.user,
            "network": self.frame.network,
            "init": self.frame.init,
            "seccomp": bool(self.frame.seccomp),
            "out_of_memory": "by our own group" if self._nests else "as the daemon tells",
        }

    def labels(self, attempt: Attempt, name: str) -> dict[str, str]:
        """What a container is found by."""
        return {
            **self._own_labels(name),
            PREFIX + "tenant": attempt.tenant_id,
            PREFIX + "run": str(attempt.run_id),
            PREFIX + "attempt": str(attempt.attempt_id),
            PREFIX + "lease": str(attempt.lease),
        }

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """While it is entered the container of this name is ours; afterwards none may be left."""
        self._held.add(name)
        try:
            yield
        finally:
            self._held.discard(name)

    def _own_labels(self, name: str) -> dict[str, str]:
        return {
            PREFIX + "work": str(self._folder),
            PREFIX + "runner": ownership.own_name(),
            PREFIX + "name": name,
        }

    def nest(self, name: str, limits: Limits) -> Nest | None:
        """A group around one container, where that tells more than the daemon does. Raises OSError."""
        if not self._nests:
            return None
        return self._groups.nest(name, replace(limits, pids=limits.pids + BESIDE))

    @staticmethod
    def nest_name(name: str) -> str:
        """What the group around a container is called: whose it is can be seen, for the sweep."""
        return f"{ownership.own_name()}-{name}"

    async def image(self, reference: str, *, of_task: bool) -> Image:
        """An image that is here afterwards. Raises Permanent or Retryable, and what the daemon raises.

        `of_task`: a task names it. What was granted to its tenant may be fetched although its name has no
        digest, and one that cannot be had is the tenant's fault and not ours.
        """
        missing = TerminationCode.IMAGE_UNAVAILABLE if of_task else TerminationCode.EXECUTOR_UNAVAILABLE
        async with self._pulls.setdefault(reference, asyncio.Lock()):
            found = await self.daemon.image(reference)
            if found is None:
                if "@sha256:" not in reference and not of_task:
                    raise Permanent(
                        TerminationCode.NOT_GRANTED,
                        f"the image {reference} is not here, and none is fetched by a name without a digest "
                        "(name@sha256:…)",
                    )
                try:
                    await self.daemon.pull(reference)
                    found = await self.daemon.image(reference)
                except DaemonRefused as error:
                    raise Retryable(
                        missing, f"the image {reference} cannot be fetched: {error.message}"
                    ) from error
            if found is None:
                raise Retryable(missing, f"the image {reference} was fetched and is not here")
            return found

    async def try_image(self, reference: str) -> str:
        """Run a container of it; why it cannot be offered, or ""."""
        try:
            image = await self.image(reference, of_task=False)
            had_init = self.frame.init
            fault = await self._try(image)
            if fault and had_init:
                self.frame = replace(self.frame, init=False)  # Podman without catatonit
                fault = await self._try(image)
        except (Permanent, Retryable) as error:
            return error.message
        except (DaemonUnavailable, DaemonRefused) as error:
            return str(error)
        return fault

    async def _try(self, image: Image) -> str:
        mine = self._folder / ownership.own_name()  # where a sweep finds it if we are killed in the middle
        mine.mkdir(exist_ok=True)
        mine.chmod(0o711)
        root = Path(tempfile.mkdtemp(dir=mine, prefix="probe-"))
        if os.getuid() == 0:
            os.chown(root, NOBODY, NOBODY)
        command = Command(argv=("touch", "/job/reached"), limits=Limits(memory_bytes=64 * MIB))
        name = f"control-room-probe-{os.getpid()}-{root.name}"
        nest = self.nest(self.nest_name(name), command.limits)
        try:
            form = container_form.form(
                self.frame,
                image=image,
                command=command,
                environment={"PATH": command.path},
                root=root,
                labels=self._own_labels(name),
                network=False,
                parent=nest.place if nest else None,
            )
            with self.hold(name):
                await self.daemon.create(name, form)
                await self.daemon.start(name)
                state = await self._ended(name)
            if state is None or state.exit_code:
                said = f"exit {state.exit_code} {state.error}".strip() if state else "it did not end"
                return f"a container of it does not work here: {said}"
            if not (root / "reached").exists():
                return f"the daemon does not see our folders: mount {self._folder} where it runs"
            if nest is not None and not nest.measure().peak_memory_bytes:
                self._nests = False  # the daemon makes its groups somewhere else
            return ""
        except DaemonRefused as error:
            return f"the daemon refuses a container: {error.message}"
        finally:
            await self.daemon.remove(name)
            if nest is not None:
                await asyncio.to_thread(nest.remove)
            await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)

    async def _ended(self, container: str) -> State | None:
        end = time.monotonic() + PROBE_SECONDS
        while time.monotonic() < end:
            state = await self.daemon.inspect(container)
            if state is None or state.ended:
                return state
            await asyncio.sleep(0.02)
        return None

    async def inherit(self, attempt: Attempt) -> tuple[Path, adoption.AdoptionRecord] | None:
        """The place and the container of this attempt that a dead runner left; others' containers of it are
        removed, for theirs is an older lease."""
        for place, found in await asyncio.to_thread(list, adoption.found(self._folder, orphans=True)):
            if found.fits(attempt) and await self._is_sound(found):
                return place, found
        await self.clear(attempt)
        return None

    async def clear(self, attempt: Attempt) -> None:
        """Remove every container of this attempt."""
        labels = {PREFIX + "tenant": attempt.tenant_id, PREFIX + "attempt": str(attempt.attempt_id)}
        for each in await self.daemon.list(labels):
            await self.daemon.remove(each.container)

    async def _is_sound(self, found: adoption.AdoptionRecord) -> bool:
        state = await self.daemon.inspect(found.container)
        return state is not None and (state.running or (state.ended and found.boot == adoption.boot()))

    async def run(self) -> None:
        """Sweep now and then, until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            await self.sweep()

    async def sweep(self, patience: float = PATIENCE_SECONDS) -> int:
        """Remove what dead runners left and nobody adopted; how many there were."""
        try:
            return await self._sweep(patience)
        except (DaemonUnavailable, DaemonRefused, OSError) as error:
            log.warning("containers_not_swept", extra={"reason": str(error)})
            return 0

    async def _sweep(self, patience: float) -> int:
        now, swept, seen = time.monotonic(), 0, {}
        kept: set[str] = set()
        nests: set[str] = set()
        for place, found in await asyncio.to_thread(list, adoption.found(self._folder, orphans=False)):
            kept.add(found.container)
            nests.add(found.nest)
            if not ownership.is_orphan(place.parent.name):
                continue
            seen[found.container] = since = self._seen.get(found.container, now)
            if now - since >= patience or not await self._is_sound(found):
                await self._remove(place, found)
                swept += 1
        self._seen = seen
        for each in await self.daemon.list({PREFIX + "work": str(self._folder)}):
            owner, name = (each.labels.get(PREFIX + what, "") for what in ("runner", "name"))
            gone = name not in self._held if owner == ownership.own_name() else ownership.is_orphan(owner)
            if each.container not in kept and gone:
                await self.daemon.remove(each.container)
                swept += 1
        await asyncio.to_thread(self._groups.sweep_nests, nests)
        return swept

    async def _remove(self, place: Path, found: adoption.AdoptionRecord) -> None:
        await self.daemon.remove(found.container)
        if found.nest and (nest := self._groups.nest(found.nest, found.limits)) is not None:
            await asyncio.to_thread(nest.remove)
        await asyncio.to_thread(_remove_place, place)


def _remove_place(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    if not any(place.parent.iterdir()):
        place.parent.rmdir()


async def probe(
    socket: Path | None, groups: Groups, folder: Path, *, network: str
) -> ContainerHost | NoContainerHost:
    """Ask the daemon what it can bound. `folder` is the work directory, which the daemon must see under the
    same name."""
    if socket is None:
        return NoContainerHost(
            "no socket of Docker or Podman was found; name it in CONTROL_ROOM_CONTAINER_SOCKET"
        )
    daemon = Daemon(socket)
    try:
        info = await daemon.info()
    except (DaemonUnavailable, DaemonRefused, ValueError, KeyError) as error:
        await daemon.close()
        return NoContainerHost(f"the daemon at {socket} does not answer as one: {error}")
    missing = [
        what
        for what, name in (("memory", "MemoryLimit"), ("processes", "PidsLimit"), ("cpu", "CpuCfsQuota"))
        if not info.get(name)
    ]
    if missing:
        await daemon.close()
        return NoContainerHost(
            f"the daemon at {socket} cannot bound {', '.join(missing)} (rootless without cgroup v2?)"
        )
    facts = "containers of {OperatingSystem}, {ServerVersion}, control groups {CgroupVersion}"
    return ContainerHost(
        daemon,
        Frame(
            user=_user(),
            init=True,
            network=network,
            userns=_userns(info),
            seccomp=await asyncio.to_thread(_seccomp, folder, podman=info["Podman"]),
        ),
        groups,
        folder,
        facts=facts.format_map(defaultdict(str, info)),
        nests=info.get("CgroupDriver") == "cgroupfs",
    )


def _user() -> str:
    return f"{NOBODY}:{NOBODY}" if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}"


def _userns(info: Mapping[str, object]) -> str:
    options = info.get("SecurityOptions") or []
    rootless = isinstance(options, list) and any("rootless" in str(each) for each in options)
    return "keep-id" if rootless else ""


def _seccomp(folder: Path, *, podman: bool) -> str:
    """The profile, in full or as a file: Podman reads one where Docker's API has the text."""
    profile = seccomp.profile()
    if profile is None:
        return ""
    text = json.dumps(profile)
    if not podman:
        return text
    file = folder / f"seccomp-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    if not file.exists():
        fresh = folder / f".{file.name}-{os.getpid()}"
        fresh.write_text(text)
        fresh.replace(file)
    return str(file)
