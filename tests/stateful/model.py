"""What ought to be: runs, tasks and attempts in plain dicts, and what each move makes of them.

Written from the design's words, not from the SQL. It knows no time: a lease is expired or not, a retry waits
or not, a deadline lies ahead, within its grace or past it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

FINAL = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELED", "SKIPPED"})
BAD = frozenset({"FAILED", "TIMED_OUT", "CANCELED"})
MAX_LOST = 2
MAX_LOG_LINES = 6

Deadline = Literal["none", "ahead", "grace", "past"]

# of the upstream tasks, all of which have ended
RUN_IF: dict[str, Callable[[Sequence[str]], bool]] = {
    "ALL_SUCCESS": lambda up: all(state == "SUCCEEDED" for state in up),
    "ALL_DONE": lambda up: True,
    "NONE_FAILED": lambda up: not any(state in BAD for state in up),
    "AT_LEAST_ONE_SUCCESS": lambda up: any(state == "SUCCEEDED" for state in up),
    "ALL_FAILED": lambda up: all(state in BAD for state in up),
    "AT_LEAST_ONE_FAILED": lambda up: any(state in BAD for state in up),
}


@dataclass(frozen=True)
class Ticket:
    """A lease that some runner was given once; it may be stale by now."""

    attempt_id: int
    lease: int
    instance: str


@dataclass(frozen=True)
class Outcome:
    """What a runner says of an attempt; `recorded` is what becomes of it."""

    state: str
    recorded: str
    retryable: bool = False
    waits: bool = False  # its retry comes in an hour, else at once


OUTCOMES: dict[str, Outcome] = {
    "succeeded": Outcome("SUCCEEDED", "SUCCEEDED"),
    "failed": Outcome("FAILED", "FAILED"),
    "failed, again at once": Outcome("FAILED", "FAILED", retryable=True),
    "failed, again later": Outcome("FAILED", "FAILED", retryable=True, waits=True),
    "timed out": Outcome("TIMED_OUT", "TIMED_OUT"),
    "canceled": Outcome("CANCELED", "CANCELED"),
    "nonsense": Outcome("NONSENSE", "FAILED"),  # cannot be recorded: ends FAILED by itself
}


@dataclass
class Attempt:
    task: Task
    number: int = 1
    id: int | None = None  # known from the first claim on
    lease: int = 0
    lost: int = 0
    running: bool = False
    waits: bool = False
    expired: bool = False
    deadline: Deadline = "none"
    external_id: str | None = None
    runner: str | None = None
    log_lines: int = 0


@dataclass
class Task:
    run: Run
    key: str
    requires: str
    max_retries: int
    depends_on: tuple[str, ...] = ()
    run_if: str = "ALL_SUCCESS"
    state: str = "QUEUED"
    excluded: bool = False  # skipped because its run_if did not come true, not because of a failure before it
    percent: int = 0
    message: str | None = None
    live: Attempt | None = None
    past: list[str] = field(default_factory=list)
    first: int = 1  # the attempt with which it began, or began anew

    def begin(self) -> None:
        self.state = "QUEUED"
        self.first = len(self.past) + 1
        self.live = Attempt(self, self.first)


@dataclass
class Run:
    id: int
    tenant: str
    callbacks: frozenset[str]
    tasks: dict[str, Task] = field(default_factory=dict)
    state: str = "QUEUED"
    lane: int | None = None  # the job, where it lets one run be under way at a time
    canceled: bool = False
    repairs: list[int] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    log_seq: int = 0


@dataclass
class Model:
    limits: dict[str, int]
    runs: dict[int, Run] = field(default_factory=dict)
    keys: dict[tuple[str, str], int] = field(default_factory=dict)

    # reading

    def live(self) -> list[Attempt]:
        tasks = [task for run in self.runs.values() for task in run.tasks.values()]
        return [task.live for task in tasks if task.live is not None]

    def running(self, tenant: str) -> int:
        return sum(it.running and it.task.run.tenant == tenant for it in self.live())

    def held(self, ticket: Ticket) -> Attempt | None:
        """The attempt, if this very lease holds it: law 1."""
        for it in self.live():
            if it.id == ticket.attempt_id:
                return it if it.running and it.lease == ticket.lease else None
        return None

    # people

    def submit(self, run: Run, tasks: Iterable[Task]) -> None:
        is_free = self._is_free(run.lane)
        self.runs[run.id] = run
        for task in tasks:
            run.tasks[task.key] = task
            task.state = "BLOCKED"
        if is_free:
            self._begin(run)
        else:
            run.state = "BLOCKED"

    def cancel(self, run: Run) -> None:
        run.canceled = True
        for task in run.tasks.values():
            if task.live is not None and not task.live.running:
                task.past.append("CANCELED")
                task.live = None
            if task.state in {"QUEUED", "BLOCKED"}:
                task.state = "CANCELED"
        self._advance(run)

    @staticmethod
    def to_do_again(run: Run, chosen: Collection[str], *, failed: bool, dependents: bool) -> list[str]:
        """What a repair of the run does again: the tasks chosen, all that did not succeed, what comes after them."""
        wanted = {
            key
            for key, task in run.tasks.items()
            if key in chosen or (failed and task.state != "SUCCEEDED" and not task.excluded)
        }
        if dependents:  # a task stands behind those on which it depends
            for key, task in run.tasks.items():
                if wanted.intersection(task.depends_on):
                    wanted.add(key)
        return [key for key in run.tasks if key in wanted]

    def repair(self, run: Run, repair_id: int, keys: Collection[str]) -> None:
        is_free = self._is_free(run.lane)
        run.repairs.append(repair_id)
        run.canceled = False
        for key in keys:
            task = run.tasks[key]
            task.state, task.excluded, task.percent, task.message = "BLOCKED", False, 0, None
        run.state = "BLOCKED"
        if is_free:
            self._begin(run)

    # runners

    def claim(self, attempt: Attempt, attempt_id: int, instance: str) -> None:
        attempt.id = attempt_id
        attempt.lease += 1
        attempt.running = True
        attempt.runner = instance
        if attempt.external_id is None or attempt.deadline == "none":
            attempt.deadline = "ahead"  # an adopted attempt keeps its own
        attempt.task.state = "RUNNING"
        attempt.task.run.state = "RUNNING"

    def renew(self, attempt: Attempt, percent: int | None, message: str | None) -> None:
        attempt.expired = False
        self._progress(attempt.task, percent, message)

    def report(
        self, attempt: Attempt, percent: int | None, message: str | None, external_id: str | None, lines: int
    ) -> None:
        self._progress(attempt.task, percent, message)
        if external_id is not None:
            attempt.external_id = external_id
        taken = min(lines, MAX_LOG_LINES - attempt.log_lines)
        attempt.log_lines += taken
        attempt.task.run.log_seq += taken

    def settle(self, ended: Sequence[tuple[Attempt, Outcome]]) -> None:
        for attempt, outcome in ended:
            task = attempt.task
            task.past.append(outcome.recorded)
            task.live = None
            again = (
                outcome.retryable and attempt.number - task.first < task.max_retries and not task.run.canceled
            )
            if again:
                task.live = Attempt(task, attempt.number + 1, waits=outcome.waits)
            task.state = "QUEUED" if again else outcome.recorded
            if outcome.recorded == "SUCCEEDED":
                task.percent = 100
        for attempt, _ in ended:
            self._advance(attempt.task.run)

    def release(self, attempt: Attempt) -> None:
        if attempt.task.run.canceled:
            self.settle([(attempt, OUTCOMES["canceled"])])
        else:
            self._requeue(attempt)

    def reap(self) -> int:
        lost = [it for it in self.live() if it.running and it.expired]
        for attempt in lost:
            if attempt.task.run.canceled:
                self.settle([(attempt, OUTCOMES["canceled"])])
            elif attempt.deadline in {"grace", "past"}:
                self.settle([(attempt, OUTCOMES["timed out"])])
            elif attempt.lost >= MAX_LOST:
                self.settle([(attempt, OUTCOMES["failed"])])
                attempt.task.past[-1] = "LOST"
            else:
                attempt.lost += 1
                self._requeue(attempt)
        return len(lost)

    # both

    def _is_free(self, lane: int | None) -> bool:
        """Whether one more run of the job may begin."""
        return lane is None or all(
            it.lane != lane or it.state == "BLOCKED" or it.state in FINAL for it in self.runs.values()
        )

    def _begin(self, run: Run) -> None:
        run.state = "QUEUED"
        self._advance(run)

    def _pass_on(self, lane: int | None) -> None:
        for run in sorted(self.runs.values(), key=lambda it: it.id):
            if lane is not None and run.lane == lane and run.state == "BLOCKED" and self._is_free(lane):
                self._begin(run)

    def _requeue(self, attempt: Attempt) -> None:
        attempt.running = False
        attempt.expired = False
        attempt.runner = None
        attempt.task.state = "QUEUED"

    def _progress(self, task: Task, percent: int | None, message: str | None) -> None:
        further = percent is not None and percent > task.percent
        if further and percent is not None:
            task.percent = min(percent, 100)
        news = message is not None and message != task.message
        if news:
            task.message = message
        if (further or news) and "run.progress" in task.run.callbacks:
            task.run.events.append("run.progress")

    def _advance(self, run: Run) -> None:
        if run.state in FINAL:
            return
        moved = True
        while moved:
            moved = False
            for task in run.tasks.values():
                before = [run.tasks[key] for key in task.depends_on]
                up = [it.state for it in before]
                if task.state == "BLOCKED" and all(state in FINAL for state in up):
                    moved = True
                    if (not up or RUN_IF[task.run_if](up)) and not run.canceled:
                        task.begin()
                    else:
                        task.state = "SKIPPED"
                        wants_failure = task.run_if in {"ALL_FAILED", "AT_LEAST_ONE_FAILED"}
                        task.excluded = wants_failure or all(
                            it.state == "SUCCEEDED" or it.excluded for it in before
                        )
        states = [task.state for task in run.tasks.values()]
        if all(state in FINAL for state in states):
            run.state = verdict(states, canceled=run.canceled)
            run.events.append("run.completed" if run.state == "SUCCEEDED" else "run.failed")
            self._pass_on(run.lane)


def verdict(states: Sequence[str], *, canceled: bool) -> str:
    """The worst state of the tasks, all of which have ended; CANCELED if a cancel left something undone."""
    worst = next((it for it in ("FAILED", "TIMED_OUT", "CANCELED", "SUCCEEDED") if it in states), "SKIPPED")
    undone = any(state != "SUCCEEDED" for state in states)
    return "CANCELED" if canceled and undone and worst in {"SUCCEEDED", "SKIPPED"} else worst
