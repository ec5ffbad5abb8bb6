"""Ours: submissions through the people's door as operators of their tenants, with all it checks and writes."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator

import psycopg

from benches.contenders import pacing

TENANTS = 100
#: What every submission carries; the runner's scripted executor does it, and says when it began.
SUBMISSION = {
    "job_type": "spark_etl",
    "spec": "say that you are there",
    "code": {"files": {"job.py": "print(1)"}},
}
STAMPED = json.dumps(SUBMISSION | {"params": {"script": [{"stamp": "began"}]}})

Session = psycopg.Connection[tuple[object, ...]]


def connect(dsn: str) -> Session:
    connection: Session = psycopg.connect(dsn)
    connection.prepare_threshold = 2
    return connection


def claims(tenant: str) -> str:
    return json.dumps({"sub": "bench", "user_id": "bench", "tenant_id": tenant, "role": "operator"})


def call(connection: Session, who: str, statement: str, body: str) -> object:
    """One transaction, as PostgREST makes it: role and claims first, then the call. Its four statements go out in
    one pipeline: what is measured is the database, and a peer's one statement is one round trip as well."""
    with connection.pipeline(), connection.cursor() as claimed, connection.cursor() as cursor:
        claimed.execute(
            "select set_config('role', 'operator', true), set_config('request.jwt.claims', %s, true)", [who]
        )
        cursor.execute(statement, [body])  # type: ignore[call-overload]  # one of our two
        connection.commit()
        row = cursor.fetchone()
    assert row is not None
    return row[0]


def install(dsn: str, tenants: int = TENANTS) -> None:
    """Tenants of default limits (ten attempts at a time), each with an operator."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set role service_role")
        for i in range(tenants):
            slug = f"bench_{i}"
            for function, body in (
                ("platform_create_tenant", {"slug": slug, "name": slug}),
                ("platform_add_member", {"tenant": slug, "user_id": "bench", "role": "operator"}),
            ):
                connection.execute(f"select public.{function}(%s)", [json.dumps(body)])


def tenants(connection: Session) -> list[str]:
    rows = connection.execute(
        r"select id::text from tenancy.tenants where slug like 'bench\_%' order by created_at, id"
    )
    found = [str(row[0]) for row in rows]
    connection.commit()
    return found


def fill(dsn: str, n: int) -> float:
    """Evenly over the tenants, up to a thousand in one call."""
    with connect(dsn) as connection:
        everybody = tenants(connection)
        each = n // len(everybody)
        began = time.perf_counter()
        for tenant in everybody:
            for start in range(0, each, 1000):
                body = json.dumps([SUBMISSION] * min(1000, each - start))
                call(connection, claims(tenant), "select public.submit_runs(%s)", body)
        return time.perf_counter() - began


def operator(dsn: str) -> pacing.Submitter:
    """One operator on one connection, who says once who it is; each submission is a transaction of one statement,
    as each of the peers' is."""
    connection = psycopg.connect(dsn, autocommit=True)
    connection.prepare_threshold = 2
    connection.execute(
        "select set_config('role', 'operator', false), set_config('request.jwt.claims', %s, false)",
        [claims(tenants(connection)[0])],
    )
    cursor = connection.cursor()

    def submit() -> int:
        cursor.execute("select public.run_job(%s)", [STAMPED])
        row = cursor.fetchone()
        assert row is not None
        assert isinstance(row[0], dict)
        return int(row[0]["run_id"])

    return submit


def submitter(dsn: str) -> pacing.Submitter:
    """A connection of the pool behind the Data API: another tenant's operator each time."""
    connection = connect(dsn)
    turns: Iterator[str] = itertools.cycle([claims(tenant) for tenant in tenants(connection)])

    def submit() -> int:
        answer = call(connection, next(turns), "select public.run_job(%s)", STAMPED)
        assert isinstance(answer, dict)
        return int(answer["run_id"])

    return submit


def main() -> None:
    asked = pacing.words(__doc__)
    match asked.word:
        case "install":
            pacing.answer(install(asked.dsn, *map(int, asked.numbers)))
        case "fill":
            pacing.answer(fill(asked.dsn, int(asked.numbers[0])))
        case "work":
            raise SystemExit("error: our worker is `python -m runner`")
        case _:
            one = operator if asked.word == "single" else submitter
            pacing.answer(pacing.submissions(lambda: one(asked.dsn), asked.word, asked.numbers))


if __name__ == "__main__":
    main()
