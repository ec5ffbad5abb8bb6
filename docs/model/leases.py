"""A model of claim, renew, settle, cancel and reap with leases: what the room `queue` must keep.

    python docs/model/leases.py            checks it, then shows that each broken variant fails
    python docs/model/leases.py --large    with retries and losses of two runs at once: a minute

Each verb is one step, since each is one transaction; anything may happen between two of them. A runner works
on what it was given until it settles it, is told that it is stale, or dies; what it believes is no part of
the database. Time has one face: a lease that is not renewed may run out at any moment. A claim is committed
without waiting for the disk: until the next step that does, a crash may forget it.
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

#: More than one run is claimed between two crashes; 4096 in the database.
CLAIMS_OF_AN_EPOCH = 8

Phase = Literal["queued", "running", "ended"]


class Ticket(NamedTuple):
    """What a runner believes: that it holds this try of this run under this lease."""

    runner: int
    run: int
    number: int
    lease: int


class Run(NamedTuple):
    """A run of one task with its present try; `events` are terminal, `ended_by` the lease that ended it."""

    phase: Phase = "queued"
    number: int = 1
    lease: int = 0
    lost: int = 0
    expired: bool = False
    canceled: bool = False
    events: int = 0
    ended_by: int | None = None


class State(NamedTuple):
    runs: tuple[Run, ...]
    slots: int = 0  # of one tenant, as queue.slots says
    tickets: frozenset[Ticket] = frozenset()
    owed: frozenset[tuple[int, int]] = (
        frozenset()
    )  # (runner, run): events still to be written, if not in the same step
    deaths: int = 0
    unflushed: tuple[tuple[int, Run], ...] = ()  # claims that a crash would forget: the run, as it was before
    epoch: int = 0  # grows with each crash
    crashes: int = 0


@dataclass(frozen=True)
class Variant:
    """The model's size, and which guard is taken out; all guards are in by default."""

    runs: int = 2
    runners: int = 2
    limit: int = 1
    max_lost: int = 1
    max_retries: int = 1
    max_deaths: int = 1
    max_crashes: int = 0
    settle_is_fenced: bool = True
    reaper_frees_the_slot: bool = True
    event_is_in_the_transaction: bool = True
    lease_grows: bool = True
    crash_begins_an_epoch: bool = True

    def initial(self) -> State:
        return State(tuple(Run() for _ in range(self.runs)))

    # ------------------------------------------------------------------------------------- the verbs

    def steps(self, s: State) -> Iterator[Step[State]]:
        yield from self._claims(s)
        # what writes waits for the disk, for all that was written before it too
        yield from (replace(step, to=step.to._replace(unflushed=())) for step in self._writes(s))
        yield from self._faults(s)

    def _claims(self, s: State) -> Iterator[Step[State]]:
        for place, run in enumerate(s.runs):
            if run.phase == "queued" and s.slots < self.limit:
                yield from (self._claim(s, place, runner) for runner in range(self.runners))

    def _writes(self, s: State) -> Iterator[Step[State]]:
        for place, run in enumerate(s.runs):
            if run.phase == "running" and not run.expired:
                yield Step(f"the lease of run {place} runs out", _put(s, place, run._replace(expired=True)))
            if run.phase == "running" and run.expired:
                yield Step(f"run {place} is reaped", self._reap(s, place), fair=f"reap {place}")
            if run.phase != "ended" and not run.canceled:
                yield Step(f"run {place} is canceled", self._cancel(s, place))
        for ticket in s.tickets:
            yield from self._work(s, ticket)
        for runner, place in s.owed:
            run = s.runs[place]
            told = _put(s, place, run._replace(events=run.events + 1))
            yield Step(
                f"runner {runner} announces run {place}",
                told._replace(owed=s.owed - {(runner, place)}),
                fair=f"announce {place}",
            )

    def _faults(self, s: State) -> Iterator[Step[State]]:
        for ticket in s.tickets:
            run = s.runs[ticket.run]
            if not _held(run, ticket):
                yield Step(
                    f"runner {ticket.runner} is told that {_lease(ticket)} is stale",
                    s._replace(tickets=s.tickets - {ticket}),
                )
        if s.crashes < self.max_crashes:
            for kept in range(len(s.unflushed) + 1):
                yield Step(
                    f"the database crashes and forgets {len(s.unflushed) - kept} claims", self._crash(s, kept)
                )
        if s.deaths < self.max_deaths:
            for runner in range(self.runners):
                yield Step(
                    f"runner {runner} dies and starts afresh",
                    s._replace(
                        tickets=frozenset(it for it in s.tickets if it.runner != runner),
                        owed=frozenset(it for it in s.owed if it[0] != runner),
                        deaths=s.deaths + 1,
                    ),
                )

    def _claim(self, s: State, place: int, runner: int) -> Step[State]:
        run = s.runs[place]
        floor = s.epoch * CLAIMS_OF_AN_EPOCH
        lease = max(run.lease, floor) + 1 if self.lease_grows else 1
        ticket = Ticket(runner, place, run.number, lease)
        claimed = _put(s, place, run._replace(phase="running", lease=lease, expired=False))
        return Step(
            f"runner {runner} claims run {place}, try {run.number}, lease {lease}",
            claimed._replace(
                slots=s.slots + 1,
                tickets=s.tickets | {ticket},
                unflushed=(*s.unflushed, (place, run)) if self.max_crashes else (),
            ),
            fair=f"claim {place}",
        )

    def _work(self, s: State, ticket: Ticket) -> Iterator[Step[State]]:
        run = s.runs[ticket.run]
        who = f"runner {ticket.runner}"
        what = _lease(ticket)
        held = _held(run, ticket)
        without = s._replace(tickets=s.tickets - {ticket})
        if held and run.expired:
            yield Step(f"{who} renews {what}", _put(s, ticket.run, run._replace(expired=False)))
        # settle: the fence is (try, lease, running); without it, whoever works on the run ends it
        if held or (not self.settle_is_fenced and run.phase == "running"):
            fair = f"settle {ticket.run}" if held else None
            free = without._replace(slots=s.slots - 1)
            done = self._end(free, ticket.run, ticket.lease, by=ticket.runner)
            yield Step(f"{who} settles {what} as done", done, fair=fair)
            if run.number <= self.max_retries and not run.canceled:
                again = _put(free, ticket.run, Run(number=run.number + 1))
            else:
                again = done
            yield Step(f"{who} settles {what} as failed", again, fair=fair)

    def _reap(self, s: State, place: int) -> State:
        run = s.runs[place]
        free = s._replace(slots=s.slots - 1) if self.reaper_frees_the_slot else s
        if run.canceled or run.lost >= self.max_lost:
            return self._end(free, place, run.lease, by=0)
        return _put(free, place, run._replace(phase="queued", lost=run.lost + 1, expired=False))

    def _crash(self, s: State, kept: int) -> State:
        for place, before in reversed(s.unflushed[kept:]):
            s = _put(s, place, before)._replace(slots=s.slots - 1)
        epoch = s.epoch + 1 if self.crash_begins_an_epoch else 0
        return s._replace(unflushed=(), epoch=epoch, crashes=s.crashes + 1)

    def _cancel(self, s: State, place: int) -> State:
        canceled = _put(s, place, s.runs[place]._replace(canceled=True))
        return (
            self._end(canceled, place, s.runs[place].lease, by=0)
            if s.runs[place].phase == "queued"
            else canceled
        )

    def _end(self, s: State, place: int, lease: int, by: int) -> State:
        run = s.runs[place]._replace(phase="ended", expired=False, ended_by=lease)
        if self.event_is_in_the_transaction:
            return _put(s, place, run._replace(events=run.events + 1))
        return _put(s, place, run)._replace(owed=s.owed | {(by, place)})

    # -------------------------------------------------------------------------------------- the laws

    @property
    def invariants(self) -> tuple[Callable[[State], bool], ...]:
        def the_limit_is_exact(s: State) -> bool:
            return s.slots == sum(run.phase == "running" for run in s.runs) <= self.limit

        def a_run_is_ended_by_the_last_lease_given(s: State) -> bool:
            return all(run.ended_by in {None, run.lease} for run in s.runs)

        def one_lease_has_one_holder(s: State) -> bool:
            held = [ticket[1:] for ticket in s.tickets]
            return len(held) == len({*held})

        def a_run_is_announced_at_most_once(s: State) -> bool:
            return all(run.events <= (run.phase == "ended") for run in s.runs)

        def retries_and_losses_are_within_their_budgets(s: State) -> bool:
            return all(r.number <= self.max_retries + 1 and r.lost <= self.max_lost for r in s.runs)

        return (
            the_limit_is_exact,
            a_run_is_ended_by_the_last_lease_given,
            one_lease_has_one_holder,
            a_run_is_announced_at_most_once,
            retries_and_losses_are_within_their_budgets,
        )

    def check(self) -> int:
        """Explores everything; the number of states. Raises Violation."""
        found = explore(self.initial(), self.steps, self.invariants)

        def every_run_ends_and_is_announced(s: State) -> bool:
            return all(run.phase == "ended" and run.events == 1 for run in s.runs)

        check_eventually(found, every_run_ends_and_is_announced)
        return len(found.steps)


def _held(run: Run, ticket: Ticket) -> bool:
    return run.phase == "running" and (run.number, run.lease) == (ticket.number, ticket.lease)


def _lease(ticket: Ticket) -> str:
    return f"run {ticket.run}, try {ticket.number}, lease {ticket.lease}"


def _put(s: State, place: int, run: Run) -> State:
    return s._replace(runs=(*s.runs[:place], run, *s.runs[place + 1 :]))


SMALL = Variant(max_retries=0)  # two runs that compete for a slot
DEEP = Variant(runs=1, max_lost=2, max_deaths=2)  # one run with all that may become of it
CRASH = Variant(runs=1, max_retries=0, max_crashes=2)  # and the database forgets what it did last
LARGE = Variant()  # all together but for that

# what must fail, and the law that says so
BROKEN: dict[str, tuple[Variant, str]] = {
    "settle without the fence": (
        replace(SMALL, settle_is_fenced=False),
        "a run is ended by the last lease given",
    ),
    "a reaper that forgets the slot": (replace(SMALL, reaper_frees_the_slot=False), "the limit is exact"),
    "an event outside the transaction": (
        replace(SMALL, event_is_in_the_transaction=False),
        "every run ends and is announced: never, from here on",
    ),
    "a crash that begins no epoch": (
        replace(CRASH, crash_begins_an_epoch=False),
        "one lease has one holder",
    ),
    "a lease that does not grow": (replace(SMALL, lease_grows=False), "one lease has one holder"),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Checks the model of leases, and that each broken variant fails."
    )
    parser.add_argument("--large", action="store_true", help="two runs with retries and losses")
    return demonstrate([SMALL, DEEP, *([LARGE] if parser.parse_args().large else [])], BROKEN)


if __name__ == "__main__":
    sys.exit(main())
