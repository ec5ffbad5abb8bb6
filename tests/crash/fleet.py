"""The fleet: real `python -m runner` processes in a few places, started again whenever they die."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import glob
import json
import os
import random
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dev.stack.state import CLONE, home

#: Two runners of one name beside each other, and one of its own: a name says nothing about who holds what.
NAMES = ("twin", "twin", "solo")
SKEW = Path(__file__).parent / "skew"
PR_SET_CHILD_SUBREAPER = 36
#: The ways to go that are in order; SIGTERM ends one that is not yet dressed to hear it.
CODES = {0: "ended", -signal.SIGTERM: "ended early", -signal.SIGKILL: "killed"}


@dataclass
class Place:
    """Where one runner of the fleet stands."""

    number: int
    name: str
    folder: Path
    process: asyncio.subprocess.Process | None = None
    born: float = 0.0
    starts: int = 0

    @property
    def log(self) -> Path:
        return self.folder / f"runner-{self.number}.log"

    @property
    def clock(self) -> Path:
        return self.folder / f"clock-{self.number}"

    @property
    def instance(self) -> str | None:
        """Under which name the database knows the runner that stands here now."""
        with contextlib.suppress(FileNotFoundError):
            words = self.log.read_text(errors="replace").rpartition("about_to_start")[2]
            said = re.search(r'"event": "started".*?"instance": "([^"]+)"', words)
            return said and said[1]
        return None

    def signal(self, which: signal.Signals) -> bool:
        """False where nobody is there to hear it."""
        if self.process is None or self.process.returncode is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            # not process.send_signal: it polls first, and what it buries asyncio reports as 255
            os.kill(self.process.pid, which)
            return True
        return False


def _ticks() -> int:
    """How long the machine has been up, as `/proc/<pid>/stat` counts."""
    return int(float(Path("/proc/uptime").read_text().split()[0]) * os.sysconf("SC_CLK_TCK"))


@dataclass
class Fleet:
    """Keeps a runner in every place until it is told to rest."""

    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    places: list[Place] = field(default_factory=list)
    pids: set[int] = field(default_factory=set)
    since: int = field(default_factory=_ticks)
    deaths: Counter[str] = field(default_factory=Counter)
    arms: Callable[[random.Random], str] = lambda _: ""
    seed: int = 0
    resting: bool = False

    def __post_init__(self) -> None:
        for number, name in enumerate(NAMES):
            self.places.append(Place(number, name, self.folder))

    async def start(self, place: Place, failpoints: str = "", **environment: str) -> None:
        env = {
            **self.environment,
            "CONTROL_ROOM_RUNNER_NAME": place.name,
            "CONTROL_ROOM_HEALTH_FILE": str(self.folder / f"health-{place.number}"),
            **environment,
        }
        if failpoints:
            env["CONTROL_ROOM_FAILPOINTS"] = failpoints
        if place.number == len(NAMES) - 1:
            if not place.starts:
                place.clock.write_text("0")
            env |= {"PYTHONPATH": str(SKEW), "CONTROL_ROOM_TEST_CLOCK": str(place.clock)}
        with place.log.open("ab") as log:
            log.write(f'{{"event": "about_to_start", "failpoints": "{failpoints}"}}\n'.encode())
            log.flush()
            # a killed pytest leaves no fleet behind
            place.process = await asyncio.create_subprocess_exec(
                "setpriv",
                "--pdeathsig=KILL",
                "--",
                sys.executable,
                "-m",
                "runner",
                env=env,
                cwd=CLONE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pids.add(place.process.pid)
        place.starts += 1
        place.born = asyncio.get_running_loop().time()

    async def keep(self, place: Place) -> None:
        """A runner stands here, again and again; some carry the seed of their own death."""
        rng = random.Random(f"fleet {self.seed} {place.number}")
        while not self.resting:
            await self.start(place, self.arms(rng))
            process = place.process
            assert process is not None
            if self.resting:  # it was being born when the others were told
                place.signal(signal.SIGTERM)
            code = await process.wait()
            self.deaths[CODES.get(code, f"failed {code}")] += 1

    def last_words(
        self, events: frozenset[str] = frozenset({"loop_failed", "attempt_dropped", "attempt_crashed"})
    ) -> list[str]:
        """What no runner ever says unless it is broken."""
        return [line[:2000] for place in self.places for line in self.lines(place) if _event(line) in events]

    def lines(self, place: Place) -> list[str]:
        return place.log.read_text(errors="replace").splitlines() if place.log.exists() else []

    def said(self, event: str) -> int:
        """How often the runners said so."""
        return sum(_event(line) == event for place in self.places for line in self.lines(place))

    async def rest(self) -> None:
        """Everybody stops in good order; who does not is killed and counted."""
        self.resting = True
        for place in self.places:
            place.signal(signal.SIGCONT)
            place.signal(signal.SIGTERM)
        for place in self.places:
            if place.process is not None:
                try:
                    async with asyncio.timeout(30):
                        await place.process.wait()
                except TimeoutError:
                    self.deaths["would not stop"] += 1
                    place.signal(signal.SIGKILL)
                    await place.process.wait()


def _event(line: str) -> str | None:
    with contextlib.suppress(ValueError):
        said = json.loads(line)
        return said.get("event") if isinstance(said, dict) else None
    return None


def environment(database_url: str, master_key: str, work: Path) -> dict[str, str]:
    """What every runner of the fleet is told. code_validation is played, spark_etl is real where it can be."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "CONTROL_ROOM_DATABASE_URL": database_url,
        "CONTROL_ROOM_SUPABASE_URL": "http://127.0.0.1:1",
        "CONTROL_ROOM_MASTER_KEY": master_key,
        "CONTROL_ROOM_ENGINES": str(home() / "engines"),
        "CONTROL_ROOM_WORK_DIR": str(work),
        "CONTROL_ROOM_CALLBACK_ALLOW": "127.0.0.0/8",
        "CONTROL_ROOM_CAPACITY": "4",
        "CONTROL_ROOM_DRAIN_SECONDS": "1",
        "CONTROL_ROOM_EXECUTOR_CODE_VALIDATION": "scripted",
    }


# ------------------------------------------------------------------------------------- what stays behind


@contextlib.contextmanager
def foster_parent() -> Iterator[set[int]]:
    """Whoever loses his parent below us becomes our child, so that nobody can be left behind unseen.

    Gives the children that are there already (another test's Postgres, say): they are nobody's leftovers.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield set(orphans(set()))
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def orphans(known: set[int]) -> dict[int, str]:
    """Living children of ours that nobody knows; those that only wait to be buried are buried.

    A thread that ends while we look hands its children on to another one of ours: then all is read again.
    """
    found = {}
    for child in _children():
        if child in known:
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child, os.WNOHANG)
                continue
            found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")[:200]
    return found


def _children() -> set[int]:
    while True:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            lists = glob.glob(f"/proc/{os.getpid()}/task/*/children")
            return {int(child) for one in lists for child in Path(one).read_text().split()}


def leftovers(work: Path, pids: set[int], since: int) -> list[str]:
    """Workspaces, and control groups of these runners; one of an earlier day may have had the same pid."""
    # the few files of /etc that every sandbox sees stay on purpose
    left = [str(path) for path in work.iterdir() if path.name != "etc"] if work.exists() else []
    for root in glob.glob("/sys/fs/cgroup/**/control-room*", recursive=True):
        for group in Path(root).iterdir():
            match = re.fullmatch(r"runner-(\d+)-(\d+)", group.name)
            if match and int(match[1]) in pids and int(match[2]) >= since:
                left.append(str(group))
    return left
