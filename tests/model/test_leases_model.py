"""The model of leases holds, and each variant without one of its guards fails by the law that guard keeps."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from docs.model import leases
from docs.model.checker import Step, Violation, check_eventually, explore


@pytest.mark.parametrize("variant", [leases.SMALL, leases.DEEP, leases.CRASH])
def test_every_law_holds_in_every_interleaving(variant: leases.Variant) -> None:
    assert variant.check() > 1_000


@pytest.mark.long
def test_every_law_holds_with_retries_of_two_runs_at_once() -> None:
    assert leases.LARGE.check() > 90_000


@pytest.mark.parametrize("name", leases.BROKEN)
def test_a_broken_variant_fails_by_its_law(name: str) -> None:
    variant, law = leases.BROKEN[name]
    with pytest.raises(Violation) as raised:
        variant.check()

    assert raised.value.law == law
    assert raised.value.trace


class Light(NamedTuple):
    on: bool = False
    broken: bool = False


def always(_: Light) -> bool:
    return True


def lit(light: Light) -> bool:
    return light.on


def test_the_checker_gives_the_shortest_trace() -> None:
    def count(n: int) -> list[Step[int]]:
        return [Step("one more", n + 1), Step("two more", n + 2)] if n < 10 else []

    def below_five(n: int) -> bool:
        return n < 5

    with pytest.raises(Violation) as raised:
        explore(0, count, [below_five])

    assert len(raised.value.trace) == 3


def test_what_is_fair_happens_at_last_and_what_is_not_may_never() -> None:
    def wait_or_switch(light: Light) -> list[Step[Light]]:
        return [Step("wait", light), Step("switch", Light(on=True), fair=fair)]

    fair: str | None = "switch"
    check_eventually(explore(Light(), wait_or_switch, [always]), lit)
    fair = None
    with pytest.raises(Violation, match="lit: never"):
        check_eventually(explore(Light(), wait_or_switch, [always]), lit)


def test_a_dead_end_is_no_arrival() -> None:
    def break_or_switch(light: Light) -> list[Step[Light]]:
        if light.on or light.broken:
            return []
        return [Step("break", Light(broken=True)), Step("switch", Light(on=True), fair="switch")]

    with pytest.raises(Violation, match=r"1\. break"):
        check_eventually(explore(Light(), break_or_switch, [always]), lit)
