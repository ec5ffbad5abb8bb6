"""The doors of a fresh database, and of one in which a thousand tenants wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.stack.testbed import Cluster, Database
from tests.doors import Doors
from tests.integration.queue.crowd import INSTANCE, OFFERS, Crowd, gather

pytest.register_assert_rewrite("tests.integration.queue.plans")


@pytest.fixture
def doors(database: Database) -> Iterator[Doors]:
    with Doors(database) as opened:
        yield opened


@pytest.fixture(scope="module")
def crowd(is_long: bool) -> Crowd:
    return Crowd(past=1_000_000, queued=1_000_000) if is_long else Crowd()


@pytest.fixture(scope="module")
def crowded(cluster: Cluster, crowd: Crowd) -> Iterator[Doors]:
    """Made once for the tests of a module; they take from its ends and do not disturb each other."""
    with cluster.database() as database, Doors(database) as opened:
        opened.register(INSTANCE, OFFERS)
        gather(opened, crowd)
        yield opened
