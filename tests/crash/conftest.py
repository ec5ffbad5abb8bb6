"""A cluster of the suite's own: it is crashed, so what was committed must have been written."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from dev.stack import postgres, testbed
from dev.stack.testbed import Cluster, Database


@pytest.fixture(scope="module")
def durable() -> Iterator[Cluster]:
    with testbed.cluster(postgres.default_major(), testbed.DURABLE_SETTINGS) as started:
        yield started


@pytest.fixture
def house(durable: Cluster) -> Iterator[Database]:
    """A database in it."""
    with durable.database() as made:
        yield made


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """Where all chance comes from; printed, so that it can be given back."""
    given: int | None = request.config.getoption("--seed")
    return secrets.randbelow(1_000_000) if given is None else given
