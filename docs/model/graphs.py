"""A model of runs of one job: two tasks, b after a; a lane with too few places; cancel and repair.

    python docs/model/graphs.py            checks it, then shows that each broken variant fails
    python docs/model/graphs.py --large    three runs for two places

As in `leases.py` each verb is one step, since each is one transaction. Leases are left out: that a task is
ended by who holds it is proved there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

if __name__ == "__main__":  # run as a file, from anywhere
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from docs.model.checker import Step, check_eventually, demonstrate, explore

Phase = Literal["unborn", "waiting", "under way", "ended"]
TaskState = Literal["blocked", "queued", "running", "succeeded", "failed", "canceled", "skipped"]
ENDED = frozenset({"succeeded", "failed", "canceled", "skipped"})


class Run(NamedTuple):
    """A run of a then b. `a_done` counts how often a was done, `b_saw` which of them b began after."""

    phase: Phase = "unborn"
    a: TaskState = "blocked"
    b: TaskState = "blocked"
    canceled: bool = False
    repairs: int = 0
    events: int = 0
    a_done: int = 0
    b_saw: int | None = None


class State(NamedTuple):
    runs: tuple[Run, ...]
    looked: frozenset[int] = frozenset()  # runs whose submitter has seen a free place and is about to take it


@dataclass(frozen=True)
class Variant:
    """The model's size, and which guard is taken out; all guards are in by default."""

    runs: int = 2
    places: int = 1
    max_repairs: int = 1
    lane_is_locked: bool = True
    ends_pass_places_on: bool = True
    cancel_ends_what_is_blocked: bool = True
    repair_lines_up: bool = True
    repair_takes_dependents: bool = True
    dependents_wait: bool = True
    only_the_last_end_tells: bool = True

    def initial(self) -> State:
        return State(tuple(Run() for _ in range(self.runs)))

    # ------------------------------------------------------------------------------------- the verbs

    def steps(self, s: State) -> Iterator[Step[State]]:
        for place, run in enumerate(s.runs):
            if run.phase == "unborn" and place not in s.looked:
                yield from self._submit(s, place)
            if place in s.looked:
                taken = _put(s, place, self._begin(run))
                yield Step(
                    f"run {place} takes the place",
                    taken._replace(looked=s.looked - {place}),
                    fair=f"take {place}",
                )
            if run.phase == "under way":
                yield from self._work(s, place)
            if run.phase in {"waiting", "under way"} and not run.canceled:
                yield Step(f"run {place} is canceled", self._cancel(s, place))
            if run.phase == "ended" and run.repairs < self.max_repairs:
                if {run.a, run.b} != {"succeeded"}:
                    yield Step(
                        f"what failed of run {place} is repaired",
                        self._repair(s, place, a=run.a != "succeeded"),
                    )
                yield Step(f"run {place} is repaired from a on", self._repair(s, place, a=True))

    def _free(self, s: State) -> int:
        return self.places - sum(run.phase == "under way" for run in s.runs)

    def _submit(self, s: State, place: int) -> Iterator[Step[State]]:
        if self._free(s) <= 0:
            yield Step(f"run {place} waits", _put(s, place, s.runs[place]._replace(phase="waiting")))
        elif self.lane_is_locked:
            yield Step(f"run {place} begins", _put(s, place, self._begin(s.runs[place])))
        else:
            yield Step(f"run {place} sees a free place", s._replace(looked=s.looked | {place}))

    def _begin(self, run: Run) -> Run:
        """It has a place: what waits for nothing is queued."""
        if run.a == "blocked":
            ready = run.b == "blocked" and not self.dependents_wait
            return run._replace(phase="under way", a="queued", b="queued" if ready else run.b)
        return run._replace(phase="under way", b="queued" if run.b == "blocked" else run.b)

    def _work(self, s: State, place: int) -> Iterator[Step[State]]:
        run = s.runs[place]
        if run.a == "queued":
            yield Step(
                f"a of run {place} is claimed",
                _put(s, place, run._replace(a="running")),
                fair=f"claim a {place}",
            )
        if run.b == "queued":
            begun = run._replace(b="running", b_saw=run.a_done)
            yield Step(f"b of run {place} is claimed", _put(s, place, begun), fair=f"claim b {place}")
        if run.a == "running":
            for end in ("succeeded", "failed"):
                done = run._replace(a=end, a_done=run.a_done + 1)
                yield Step(
                    f"a of run {place} has {end}", self._advance(s, place, done), fair=f"settle a {place}"
                )
        if run.b == "running":
            for end in ("succeeded", "failed"):
                yield Step(
                    f"b of run {place} has {end}",
                    self._advance(s, place, run._replace(b=end)),
                    fair=f"settle b {place}",
                )

    def _advance(self, s: State, place: int, run: Run) -> State:
        """b begins or is skipped when a has ended; the run ends with its last task."""
        if run.b == "blocked" and run.a in ENDED:
            run = run._replace(b="queued" if run.a == "succeeded" and not run.canceled else "skipped")
        if not self.only_the_last_end_tells:
            run = run._replace(events=run.events + 1)
        return self._end(s, place, run)

    def _end(self, s: State, place: int, run: Run) -> State:
        if run.a not in ENDED or run.b not in ENDED:
            return _put(s, place, run)
        told = run.events + self.only_the_last_end_tells
        s = _put(s, place, run._replace(phase="ended", events=told))
        return self._pass_on(s) if self.ends_pass_places_on else s

    def _pass_on(self, s: State) -> State:
        for place, run in enumerate(s.runs):
            if run.phase == "waiting" and self._free(s) > 0:
                s = _put(s, place, self._begin(run))
        return s

    def _cancel(self, s: State, place: int) -> State:
        run = s.runs[place]._replace(canceled=True)
        stops = {"queued", "blocked"} if self.cancel_ends_what_is_blocked else {"queued"}
        return self._end(
            s,
            place,
            run._replace(
                a="canceled" if run.a in stops else run.a, b="canceled" if run.b in stops else run.b
            ),
        )

    def _repair(self, s: State, place: int, *, a: bool) -> State:
        run = s.runs[place]
        b = run.b != "succeeded" or (a and self.repair_takes_dependents)
        run = run._replace(
            phase="waiting",
            a="blocked" if a else run.a,
            b="blocked" if b else run.b,
            canceled=False,
            repairs=run.repairs + 1,
        )
        if self._free(s) > 0 or not self.repair_lines_up:
            run = self._begin(run)
        return _put(s, place, run)

    # -------------------------------------------------------------------------------------- the laws

    @property
    def invariants(self) -> tuple[Callable[[State], bool], ...]:
        def a_lane_holds_no_more_than_its_places(s: State) -> bool:
            return self._free(s) >= 0

        def nobody_waits_beside_a_free_place(s: State) -> bool:
            return self._free(s) <= 0 or not any(run.phase == "waiting" for run in s.runs)

        def a_run_has_ended_iff_its_tasks_have(s: State) -> bool:
            return all((run.phase == "ended") == (run.a in ENDED and run.b in ENDED) for run in s.runs)

        def b_comes_after_the_last_a(s: State) -> bool:
            return all(
                run.a == "succeeded" and run.b_saw == run.a_done
                for run in s.runs
                if run.phase != "waiting" and run.b in {"running", "succeeded"}
            )

        def each_end_is_told_once(s: State) -> bool:
            return all(
                run.events == run.repairs + (run.phase == "ended") for run in s.runs if run.phase != "unborn"
            )

        return (
            a_lane_holds_no_more_than_its_places,
            nobody_waits_beside_a_free_place,
            a_run_has_ended_iff_its_tasks_have,
            b_comes_after_the_last_a,
            each_end_is_told_once,
        )

    def check(self) -> int:
        """Explores everything; the number of states. Raises Violation."""
        found = explore(self.initial(), self.steps, self.invariants)

        def every_run_that_was_asked_for_ends(s: State) -> bool:
            return all(run.phase in {"unborn", "ended"} for run in s.runs)

        check_eventually(found, every_run_that_was_asked_for_ends)
        return len(found.steps)


def _put(s: State, place: int, run: Run) -> State:
    return s._replace(runs=(*s.runs[:place], run, *s.runs[place + 1 :]))


SMALL = Variant()
LARGE = Variant(runs=3, places=2)

# what must fail, and the law that says so
BROKEN: dict[str, tuple[Variant, str]] = {
    "a lane that is looked at without its lock": (
        replace(SMALL, lane_is_locked=False),
        "a lane holds no more than its places",
    ),
    "a repair that takes no place": (
        replace(SMALL, repair_lines_up=False),
        "a lane holds no more than its places",
    ),
    "an end that passes nothing on": (
        replace(SMALL, ends_pass_places_on=False),
        "nobody waits beside a free place",
    ),
    "a cancel that forgets what is blocked": (
        replace(SMALL, cancel_ends_what_is_blocked=False),
        "every run that was asked for ends: never, from here on",
    ),
    "a task that does not wait": (replace(SMALL, dependents_wait=False), "b comes after the last a"),
    "a repair that keeps what came after": (
        replace(SMALL, repair_takes_dependents=False),
        "b comes after the last a",
    ),
    "an end told by each task": (replace(SMALL, only_the_last_end_tells=False), "each end is told once"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--large", action="store_true", help="three runs for two places")
    return demonstrate([SMALL, *([LARGE] if parser.parse_args().large else [])], BROKEN)


if __name__ == "__main__":
    sys.exit(main())
