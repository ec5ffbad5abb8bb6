"""Fixtures that any test may ask for: a real Postgres, a fresh database in it, tenants in that."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from dev.stack import postgres, testbed
from dev.stack.testbed import Cluster, Database, Tenant


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("control room", "what the everyday suite leaves out, and what it runs on")
    group.addoption("--postgres", type=int, choices=postgres.MAJORS, help="major of the test cluster")
    group.addoption(
        "--long",
        action="store_true",
        help="the longer forms: more examples, more rows, and tests marked long",
    )
    group.addoption(
        "--with",
        dest="heavy",
        metavar="NAME[,NAME]",
        default="",
        help='heavy things that are at hand, so that tests marked needs("NAME") run: spark, validation, …',
    )
    group.addoption("--seed", type=int, metavar="N", help="plays the chaos of that number again")
    group.addoption(
        "--chaos",
        type=float,
        metavar="MINUTES",
        help="for so long the tests marked chaos kill things and prove that nothing was lost",
    )


def pytest_configure(config: pytest.Config) -> None:
    for marker in (
        "long: takes minutes; runs with --long",
        "needs(name): wants something heavy; runs with --with NAME",
        "chaos: kills things for as long as it is told; runs with --chaos MINUTES",
    ):
        config.addinivalue_line("markers", marker)
    # runners that tests start dry-run migrations on any major
    os.environ["PATH"] = postgres.path_with_clients()
    # for the stacks that acceptance tests start by script
    if major := config.getoption("--postgres"):
        os.environ["CONTROL_ROOM_POSTGRES"] = str(major)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    at_hand = {name.strip() for name in config.getoption("--with").split(",")}
    for item in items:
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: scripts/test --long"))
        if item.get_closest_marker("chaos") and config.getoption("--chaos") is None:
            item.add_marker(pytest.mark.skip(reason="kills for minutes: scripts/test --chaos MINUTES"))
        for needed in item.iter_markers("needs"):
            if missing := {*needed.args} - at_hand:
                names = ",".join(sorted(missing))
                item.add_marker(pytest.mark.skip(reason=f"needs {names}: scripts/test --with {names}"))


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether the longer form of a test is asked for: more examples, more rows."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def chaos_seconds(request: pytest.FixtureRequest) -> float | None:
    """How long `--chaos` lets a test kill things; None is the quick form."""
    minutes: float | None = request.config.getoption("--chaos")
    return None if minutes is None else minutes * 60


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
