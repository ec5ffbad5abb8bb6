"""What the worker verbs promise, whoever implements them. Law 1: stale words change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from runner.dispatch import entries
from runner.model.attempt import Attempt
from runner.model.errors import StoreRefused, StoreUnavailable
from runner.model.outcome import Canceled, PermanentFailure, RetryableFailure, StagedTable, Succeeded, Usage
from runner.model.termination import TerminationCode
from runner.model.wire import Opening
from runner.store.base import Heartbeat, LogLine, Registration, Report, Store
from runner.store.verbs import Verbs
from tests.contract.houses import OFFER, House, MemoryHouse, PostgresHouse

FAILED = RetryableFailure(code=TerminationCode.USER_CODE_FAILED, message="exit code 1", after_ms=0)
AT = "2026-01-01T00:00:00+00:00"


@pytest.fixture(params=["memory", "postgres"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    if request.param == "memory":
        yield MemoryHouse()
        return
    database = request.getfixturevalue("database")
    made = PostgresHouse(database, database.add_tenant("acme"))
    yield made
    for store in made.stores:
        await store.close()


@pytest.fixture
async def postgres(request: pytest.FixtureRequest) -> AsyncIterator[PostgresHouse]:
    database = request.getfixturevalue("database")
    made = PostgresHouse(database, database.add_tenant("acme"))
    yield made
    for store in made.stores:
        await store.close()


async def claim(store: Store, limit: int = 1) -> list[Attempt]:
    attempts, unreadable = await store.claim_attempts([OFFER], limit)
    assert unreadable == []
    return attempts


async def claim_one(store: Store) -> Attempt:
    (attempt,) = await claim(store)
    return attempt


async def test_a_claim_gives_what_was_submitted(house: House) -> None:
    run = house.submit(answer=42)
    attempt = await claim_one(house.store())

    assert (attempt.run_id, attempt.params, attempt.number, attempt.lease) == (run, {"answer": 42}, 1, 1)
    assert (attempt.tenant_slug, attempt.requires, attempt.timeout_seconds) == ("acme", OFFER, 600)
    assert house.state(run) == "RUNNING"


async def test_a_claim_gives_no_more_than_was_asked_for(house: House) -> None:
    for _ in range(5):
        house.submit()
    store = house.store()

    assert [len(await claim(store, 3)), len(await claim(store, 3)), len(await claim(store, 3))] == [3, 2, 0]


async def test_what_is_not_offered_is_not_claimed(house: House) -> None:
    house.submit()

    assert await house.store().claim_attempts(["spark_etl/duckdb"], 10) == ([], [])


async def test_a_glance_sees_what_waits_whoever_may_have_it(house: House) -> None:
    store = house.store()
    empty = await store.anything_waits()
    house.submit()
    waiting = await store.anything_waits()
    (attempt,) = await claim(store)
    running = await store.anything_waits()
    again = RetryableFailure(code=TerminationCode.USER_CODE_FAILED, message="later", after_ms=60_000)
    await store.settle_attempts([(attempt.key, again)])

    assert [empty, waiting, running, await store.anything_waits()] == [False, True, False, False]


async def test_two_runners_never_hold_the_same(house: House) -> None:
    for _ in range(4):
        house.submit()
    first, second = await claim(house.store(), 2), await claim(house.store(), 9)

    assert len({each.attempt_id for each in first + second}) == len(first + second) == 4


async def test_success_is_written_once(house: House) -> None:
    run, store = house.submit(), house.store()
    attempt = await claim_one(store)
    first = await store.settle_attempts([(attempt.key, Succeeded(usage=Usage(0, 1, 2)))])
    second = await store.settle_attempts([(attempt.key, FAILED)])

    assert [(each.settled, each.run_state) for each in first] == [(True, "SUCCEEDED")]
    assert [(each.settled, each.reason) for each in second] == [(False, "stale")]
    assert house.state(run) == "SUCCEEDED"


async def test_a_retryable_failure_is_tried_again_under_the_next_number(house: House) -> None:
    run, store = house.submit(max_retries=1), house.store()
    first = await claim_one(store)
    await store.settle_attempts([(first.key, FAILED)])
    second = await claim_one(store)
    await store.settle_attempts([(second.key, FAILED)])

    assert (first.number, second.number) == (1, 2)
    assert await claim(store) == []
    assert house.state(run) == "FAILED"


async def test_a_permanent_failure_is_final(house: House) -> None:
    run, store = house.submit(), house.store()
    attempt = await claim_one(store)
    outcome = PermanentFailure(code=TerminationCode.INVALID_CODE, message="no entry file")
    await store.settle_attempts([(attempt.key, outcome)])

    assert house.state(run) == "FAILED"
    assert await claim(store) == []


async def test_a_renewed_lease_is_held(house: House) -> None:
    house.submit()
    store = house.store()
    attempt = await claim_one(store)
    (answer,) = await store.renew_leases([Heartbeat(attempt.key)])

    assert (answer.held, answer.cancel) == (True, False)


async def test_a_lost_lease_is_claimed_again_and_the_old_holder_is_deaf_and_dumb(house: House) -> None:
    run, old, new = house.submit(), house.store(), house.store()
    stale = await claim_one(old)
    house.expire(stale.attempt_id)
    assert (await new.tick()).reaped == 1
    fresh = await claim_one(new)

    assert fresh.attempt_id == stale.attempt_id
    assert (fresh.lease, fresh.number, fresh.adopted) == (stale.lease + 1, stale.number, True)
    assert [each.held for each in await old.renew_leases([Heartbeat(stale.key)])] == [False]
    said = Report(stale.key, percent=99, logs=[LogLine("stdout", AT, "from the grave")])
    assert [each.held for each in await old.report([said])] == [False]
    assert [each.settled for each in await old.settle_attempts([(stale.key, Succeeded())])] == [False]
    await old.release_attempts([stale.key])
    with pytest.raises(StoreRefused, match="STALE_LEASE"):
        await old.open_output(stale.key, "x", [])
    assert [each.held for each in await new.renew_leases([Heartbeat(fresh.key)])] == [True]
    assert (house.state(run), house.logs(run)) == ("RUNNING", [])


async def test_what_comes_too_late_is_counted(postgres: PostgresHouse) -> None:
    postgres.submit()
    old, new = postgres.store(), postgres.store()
    assert isinstance(old, Verbs)
    stale = await claim_one(old)
    postgres.expire(stale.attempt_id)
    await new.tick()
    await old.renew_leases([Heartbeat(stale.key)])
    await old.report([Report(stale.key, percent=99)])
    await old.settle_attempts([(stale.key, Succeeded())])

    assert old.stale == 3


async def test_what_is_given_back_is_claimed_again_under_the_same_number(house: House) -> None:
    house.submit(max_retries=0)
    store = house.store()
    first = await claim_one(store)
    await store.release_attempts([first.key])
    second = await claim_one(store)

    assert (second.attempt_id, second.number, second.lease) == (first.attempt_id, 1, first.lease + 1)
    assert not second.adopted or second.lease > first.lease


async def test_a_cancel_is_told_by_renew_and_by_report(house: House) -> None:
    run, store = house.submit(), house.store()
    attempt = await claim_one(store)
    house.cancel(run)

    assert [each.cancel for each in await store.renew_leases([Heartbeat(attempt.key)])] == [True]
    assert [each.cancel for each in await store.report([Report(attempt.key, percent=1)])] == [True]
    (answer,) = await store.settle_attempts([(attempt.key, Canceled(message="canceled"))])
    assert (answer.settled, house.state(run)) == (True, "CANCELED")


async def test_lines_keep_their_order(house: House) -> None:
    run, store = house.submit(), house.store()
    attempt = await claim_one(store)
    await store.report([Report(attempt.key, logs=[LogLine("stdout", AT, f"{i}") for i in range(50)])])
    await store.report([Report(attempt.key, logs=[LogLine("stderr", AT, "last")])])

    assert house.logs(run) == [("stdout", str(i)) for i in range(50)] + [("stderr", "last")]


async def test_a_batch_is_answered_item_by_item(house: House) -> None:
    store = house.store()
    for _ in range(3):
        house.submit()
    a, b, c = await claim(store, 3)
    await store.settle_attempts([(b.key, Succeeded())])
    answers = await store.settle_attempts([(each.key, Succeeded()) for each in (a, b, c)])

    assert {each.attempt_id: each.settled for each in answers} == {
        a.attempt_id: True,
        b.attempt_id: False,
        c.attempt_id: True,
    }


async def test_an_idle_clock_has_nothing_due(house: House) -> None:
    tick = await house.store().tick()

    assert (tick.reaped, tick.due_in_ms) == (0, None)


async def test_a_retry_that_waits_is_told_by_the_clock(house: House) -> None:
    house.submit()
    store = house.store()
    attempt = await claim_one(store)
    later = RetryableFailure(code=TerminationCode.USER_CODE_FAILED, message="", after_ms=60_000)
    await store.settle_attempts([(attempt.key, later)])
    tick = await store.tick()

    assert tick.due_in_ms is not None
    assert 50_000 < tick.due_in_ms <= 60_000


# --------------------------------------------------------------------------- what only Postgres can show


async def test_registering_and_the_canary(postgres: PostgresHouse) -> None:
    store = postgres.store()
    assert isinstance(store, Verbs)
    terms = await store.register(
        Registration(
            instance=store.instance,
            name="test",
            offers=(OFFER,),
            capacity=1,
            version="0",
            sandbox={"mechanism": "none"},
        )
    )

    assert 0 < terms.heartbeat_seconds < terms.lease_seconds
    assert (await store.canary())["ok"] is True
    await store.farewell()
    assert postgres.sql("select stopped_at is not null from queue.runners") == [(True,)]


async def test_characters_that_json_in_postgres_refuses_are_replaced(postgres: PostgresHouse) -> None:
    run, store = postgres.submit(), postgres.store()
    attempt = await claim_one(store)
    await store.report([Report(attempt.key, logs=[LogLine("stdout", AT, "a\0b\ud800c")])])
    outcome = Succeeded(values={"nul\0": "\0", "nan": float("nan"), "inf": [float("inf")]})
    (answer,) = await store.settle_attempts([(attempt.key, outcome)])

    assert (answer.settled, answer.reason) == (True, None)
    assert postgres.logs(run) == [("stdout", "a\ufffdb?c")]


def never_loaded(attempt: Attempt) -> StagedTable:
    staging = f"staging.o{attempt.attempt_id}_{attempt.lease}_x"
    return StagedTable(name="x", staging=staging, layer="gold", table="x", mode="overwrite", rows=1)


async def test_an_outcome_that_cannot_be_recorded_fails_alone(postgres: PostgresHouse) -> None:
    outputs = [{"name": "x", "layer": "gold", "table": "x"}]
    good, bad, store = postgres.submit(), postgres.run(outputs=outputs), postgres.store()
    attempts = {each.run_id: each for each in await claim(store, 2)}
    answers = await store.settle_attempts(
        [
            (attempts[good].key, Succeeded()),
            (attempts[bad].key, Succeeded(tables=(never_loaded(attempts[bad]),))),
        ]
    )

    assert {each.attempt_id: (each.settled, each.reason) for each in answers} == {
        attempts[good].attempt_id: (True, None),
        attempts[bad].attempt_id: (True, "publish_failed"),
    }
    assert (postgres.state(good), postgres.state(bad)) == ("SUCCEEDED", "FAILED")


async def test_a_killed_connection_is_unavailable_once_and_then_works(postgres: PostgresHouse) -> None:
    store = postgres.store()
    await store.tick()
    postgres.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'control-room %%'"
    )

    with pytest.raises(StoreUnavailable):
        await store.tick()
    assert (await store.tick()).reaped == 0


async def test_nobody_at_the_other_end_is_unavailable() -> None:
    store = Verbs("postgresql://runner:x@127.0.0.1:1/postgres", "0b9b7f0e-7a54-4e0a-9c0f-5d9d9f3f1a11")

    with pytest.raises(StoreUnavailable):
        await store.tick()


async def test_a_wrong_password_is_refused_for_good(postgres: PostgresHouse) -> None:
    url = postgres.database.runner.replace("runner:", "runner:not-")
    store = Verbs(url, "0b9b7f0e-7a54-4e0a-9c0f-5d9d9f3f1a11")

    with pytest.raises(StoreRefused):
        await store.tick()


async def test_the_runner_may_call_its_verbs_and_nothing_else(postgres: PostgresHouse) -> None:
    with psycopg.connect(postgres.database.runner, autocommit=True) as connection:
        for statement in (
            "select * from queue.runs",
            "select * from tenancy.tenants",
            "create table public.x ()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)  # type: ignore[call-overload]


async def test_whatever_is_claimed_is_handed_out(postgres: PostgresHouse) -> None:
    """A run that commits while a claim is under way is claimed and told of, or left for the next claim."""
    store = postgres.store()
    told: set[int] = set()
    async with asyncio.TaskGroup() as group:
        submitting = group.create_task(asyncio.to_thread(lambda: [postgres.submit() for _ in range(60)]))
        while not submitting.done():
            await claim_all(store, told)
    while await claim_all(store, told):
        pass

    assert told == set(submitting.result())


async def claim_all(store: Store, told: set[int]) -> int:
    """Claim, settle and note what there is; how many there were."""
    attempts = await claim(store, 8)
    told.update(each.run_id for each in attempts)
    if attempts:
        await store.settle_attempts([(each.key, Succeeded()) for each in attempts])
    return len(attempts)


async def test_work_outside_is_told_of_to_whoever_holds_the_attempt(house: House) -> None:
    store = house.store()
    house.submit()
    attempt = await claim_one(store)
    house.grant("kb_catalog")

    opening = await store.open_outside(attempt.key, "kb_catalog")
    assert opening.token is not None
    assert (await store.read_outside([attempt.key]))[0].report is None
    house.tell(opening.token, {"event": "complete", "result": {"answer": 42}, "external_id": "7"})
    (told,) = await store.read_outside([attempt.key])

    assert (told.attempt_id, told.external_id) == (attempt.attempt_id, "7")
    assert told.report is not None
    assert told.report["result"] == {"answer": 42}


async def test_the_next_lease_adopts_what_the_outside_does(house: House) -> None:
    store = house.store()
    house.submit()
    house.grant("kb_catalog")
    first = await claim_one(store)
    opening = await store.open_outside(first.key, "kb_catalog")
    assert opening.token is not None
    house.tell(opening.token, {"event": "progress", "external_id": "7"})
    house.expire(first.attempt_id)
    await store.tick()
    second = await claim_one(store)

    assert await store.open_outside(second.key, "kb_catalog") == Opening(external_id="7")
    assert await store.read_outside([first.key]) == []
    with pytest.raises(StoreRefused, match="STALE_LEASE"):
        await store.open_outside(first.key, "kb_catalog")


async def test_a_workflow_is_started_only_where_it_was_granted(house: House) -> None:
    store = house.store()
    house.submit()
    attempt = await claim_one(store)

    with pytest.raises(StoreRefused, match="WORKFLOW_NOT_GRANTED"):
        await store.open_outside(attempt.key, "other")


async def test_entries_have_the_columns_that_the_database_reads(postgres: PostgresHouse) -> None:
    ((columns,),) = postgres.sql("select catalog.entry_columns()")

    assert [{"name": each.name, "type": each.type} for each in entries.COLUMNS] == columns


class Ear:
    """Counts the hints that a store passes on."""

    def __init__(self, store: Verbs) -> None:
        self.hints = 0
        self._came = asyncio.Event()
        store.hear_work(self._hear)

    def _hear(self, _payload: str) -> None:
        self.hints += 1
        self._came.set()

    async def hint(self) -> None:
        """The next one, which must come within seconds."""
        async with asyncio.timeout(5):
            await self._came.wait()
        self._came.clear()


async def test_a_claimer_hears_of_work_where_it_claims(postgres: PostgresHouse) -> None:
    store = postgres.store()
    ear = Ear(store)
    assert await claim(store) == []
    postgres.submit()  # between two statements
    await ear.hint()
    await claim_one(store)
    await store.close()
    postgres.submit()
    await asyncio.sleep(0.1)
    assert ear.hints == 1  # closed: it hears nothing, and nobody watches a socket that is not its own


async def test_a_hint_that_comes_in_the_middle_of_a_claim_is_heard(postgres: PostgresHouse) -> None:
    store = postgres.store()
    ear = Ear(store)
    assert await claim(store) == []
    for _ in range(20):
        looking = asyncio.create_task(claim(store, 0))
        await asyncio.sleep(0)  # its statement is on its way
        postgres.sql("select pg_notify('control_room_attempts', '')")
        await looking
        await ear.hint()


async def test_a_claimer_whose_connection_was_cut_looks_and_hears_again(postgres: PostgresHouse) -> None:
    store = postgres.store()
    ear = Ear(store)
    assert await claim(store) == []
    postgres.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'control-room claims'"
    )
    await ear.hint()  # what was said meanwhile is lost: it looks
    assert await claim(store) == []
    postgres.submit()
    await ear.hint()
    await claim_one(store)
