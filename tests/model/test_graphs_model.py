"""The model of lanes, graphs and repairs holds, and each variant without a guard fails by the law it keeps."""

from __future__ import annotations

import pytest

from docs.model import graphs
from docs.model.checker import Violation


def test_every_law_holds_in_every_interleaving() -> None:
    assert graphs.SMALL.check() > 2_000


@pytest.mark.long
def test_every_law_holds_for_three_runs_and_two_places() -> None:
    assert graphs.LARGE.check() > 100_000


@pytest.mark.parametrize("name", graphs.BROKEN)
def test_a_broken_variant_fails_by_its_law(name: str) -> None:
    variant, law = graphs.BROKEN[name]
    with pytest.raises(Violation) as raised:
        variant.check()

    assert raised.value.law == law
    assert raised.value.trace
