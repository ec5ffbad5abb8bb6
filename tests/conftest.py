"""Fixtures that any test may ask for: a real Postgres, a fresh database in it, tenants in that."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from dev.stack import postgres, testbed
from dev.stack.testbed import Cluster, Database, Tenant


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", type=int, choices=postgres.MAJORS, help="major of the test cluster")


def pytest_configure(config: pytest.Config) -> None:
    # for the stacks that acceptance tests start by script
    if major := config.getoption("--postgres"):
        os.environ["CONTROL_ROOM_POSTGRES"] = str(major)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One throw-away cluster per session (per worker under xdist)."""
    with testbed.cluster(postgres.default_major()) as started:
        yield started


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """A database of the test's own, with every migration and without a row of any tenant."""
    with cluster.database() as made:
        yield made


@pytest.fixture
def tenant_factory(database: Database) -> Callable[..., Tenant]:
    """Makes tenants, each with a viewer, an operator and an admin: `tenant_factory("acme")`."""

    def make(slug: str = "acme") -> Tenant:
        return database.add_tenant(slug)

    return make
