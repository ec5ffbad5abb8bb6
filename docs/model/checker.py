"""A small explicit-state model checker: every interleaving of a finite model, breadth first.

A model is an initial state (any hashable value) and a function that lists the steps out of a state. What is
checked: invariants, in each state, with the shortest trace to the fault; and that something happens at last,
on every path that is weakly fair (a step that stays possible is taken some time).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

State = TypeVar("State", bound=Hashable)


@dataclass(frozen=True)
class Step(Generic[State]):
    """One thing that may happen. Steps with the same `fair` name are, for fairness, one thing."""

    name: str
    to: State
    fair: str | None = None


class Violation(Exception):
    """A law that does not hold; `trace` is how it comes to that, step by step."""

    def __init__(self, law: str, trace: Sequence[str]) -> None:
        super().__init__(f"{law}\n" + "\n".join(f"  {n}. {name}" for n, name in enumerate(trace, 1)))
        self.law = law
        self.trace = tuple(trace)


@dataclass(frozen=True)
class Explored(Generic[State]):
    """All that can happen."""

    steps: dict[State, list[Step[State]]]
    came_by: dict[State, tuple[State, str] | None]

    def trace(self, state: State) -> list[str]:
        """The names of the shortest way to a state."""
        names = []
        while (before := self.came_by[state]) is not None:
            state, name = before
            names.append(name)
        return names[::-1]


def explore(
    initial: State,
    steps_of: Callable[[State], Iterable[Step[State]]],
    invariants: Sequence[Callable[[State], bool]],
) -> Explored[State]:
    """Visits every state that can be reached; raises Violation at the first that breaks an invariant."""
    found: Explored[State] = Explored({}, {initial: None})
    waiting = deque([initial])
    while waiting:
        state = waiting.popleft()
        for invariant in invariants:
            if not invariant(state):
                raise Violation(_said(invariant), found.trace(state))
        found.steps[state] = [*steps_of(state)]
        for step in found.steps[state]:
            if step.to not in found.came_by:
                found.came_by[step.to] = (state, step.name)
                waiting.append(step.to)
    return found


def check_eventually(found: Explored[State], reached: Callable[[State], bool]) -> None:
    """On every fair path `reached` comes true; raises Violation with a way into a place where it never does.

    That place is a set of states, each reachable from each, in which one can go round for ever: every fair
    step is taken in it, or is impossible somewhere in it. A state without a step out is such a place too.
    """
    order = {state: place for place, state in enumerate(found.steps)}  # breadth first: the nearest come first
    faults: list[State] = []
    for place in _components(found, {state for state in found.steps if not reached(state)}):
        members = {*place}
        inside = [(s, step) for s in place for step in found.steps[s] if step.to in members]
        is_dead_end = not any(found.steps[state] for state in place)
        if not inside and not is_dead_end:
            continue
        taken = {step.fair for _, step in inside}
        possible = [{step.fair for step in found.steps[state]} for state in place]
        always = set.intersection(*possible) - {None}
        if always <= taken:
            faults.append(min(place, key=order.__getitem__))
    if faults:
        nearest = min(faults, key=order.__getitem__)
        raise Violation(f"{_said(reached)}: never, from here on", found.trace(nearest))


class Checked(Protocol):
    """A model that can be looked through."""

    def check(self) -> int:
        """The number of its states; raises Violation."""
        ...


def demonstrate(variants: Sequence[Checked], broken: Mapping[str, tuple[Checked, str]]) -> int:
    """Checks the variants, and shows how each broken one fails; 1 where one does not by its own law."""
    began = time.monotonic()
    states = sum(variant.check() for variant in variants)
    print(f"every law holds in {states} states ({time.monotonic() - began:.1f} s)")
    status = 0
    for name, (variant, law) in broken.items():
        try:
            variant.check()
        except Violation as violation:
            print(f"\n{name} breaks: {violation}")
            status |= violation.law != law
        else:
            print(f"\n{name} breaks nothing: the model proves nothing")
            status = 1
    return status


def _components(found: Explored[State], within: set[State]) -> list[list[State]]:
    """Strongly connected components of a part of the graph: Tarjan's algorithm without recursion."""
    number: dict[State, int] = {}
    low: dict[State, int] = {}
    on_stack: set[State] = set()
    stack: list[State] = []
    components: list[list[State]] = []
    for root in within:
        if root in number:
            continue
        work = [(root, iter([step.to for step in found.steps[root] if step.to in within]))]
        number[root] = low[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        while work:
            state, successors = work[-1]
            for successor in successors:
                if successor not in number:
                    number[successor] = low[successor] = len(number)
                    stack.append(successor)
                    on_stack.add(successor)
                    work.append(
                        (successor, iter([step.to for step in found.steps[successor] if step.to in within]))
                    )
                    break
                if successor in on_stack:
                    low[state] = min(low[state], number[successor])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[state])
                if low[state] == number[state]:
                    component = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.append(member)
                        if member == state:
                            break
                    components.append(component)
    return components


def _said(law: Callable[[State], bool]) -> str:
    return law.__name__.replace("_", " ")
