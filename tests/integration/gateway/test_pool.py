"""The pool: nobody waits for ever, nothing leaks."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from psycopg import pq

from dev.gateway.errors import Refusal
from dev.gateway.pool import Pool
from dev.stack.postgres import Server


@pytest.fixture
async def pool(gateway_server: Server) -> AsyncIterator[Pool]:
    made = Pool(gateway_server.dsn("authenticator"), 2, 0.05)
    yield made
    made.close()


async def test_who_waits_too_long_is_told_504(pool: Pool) -> None:
    held = [await pool.acquire(), await pool.acquire()]

    with pytest.raises(Refusal) as refused:
        await pool.acquire()
    for session in held:
        pool.release(session)

    assert (refused.value.status, refused.value.code) == (504, "PGRST003")
    pool.release(await pool.acquire())


async def test_who_waits_gets_what_is_given_back(pool: Pool) -> None:
    first, second = await pool.acquire(), await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)

    pool.release(first)

    assert await waiting is first
    pool.release(first)
    pool.release(second)


async def test_who_gives_up_in_the_moment_of_its_turn_passes_it_on(pool: Pool) -> None:
    first, second = await pool.acquire(), await pool.acquire()
    leaving = asyncio.create_task(pool.acquire())
    staying = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)

    pool.release(first)
    leaving.cancel()

    assert await staying is first
    pool.release(first)
    pool.release(second)


async def test_a_broken_session_makes_room_for_a_new_one(pool: Pool) -> None:
    first, second = await pool.acquire(), await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)

    first.close()
    pool.release(first)

    fresh = await waiting
    assert fresh not in (first, second)
    pool.release(fresh)
    pool.release(second)


async def test_a_session_in_mid_transaction_is_not_handed_on(pool: Pool) -> None:
    session = await pool.acquire()
    await session.run([(b"begin", ())])

    pool.release(session)

    assert session.closed


async def test_sessions_that_nobody_needs_are_closed_but_one(pool: Pool) -> None:
    held = [await pool.acquire(), await pool.acquire()]
    for session in held:
        pool.release(session)

    pool.trim(60)
    before = [session.closed for session in held]
    pool.trim(-1)

    assert before == [False, False]
    assert sorted(session.closed for session in held) == [False, True]


async def test_results_come_in_order_and_a_failure_tells_its_step(pool: Pool) -> None:
    session = await pool.acquire()
    for _ in range(3):
        results = await session.run(
            [(b"select $1::text", [b"a"]), (b"select 1/0", ()), (b"select $1::text", [b"b"])]
        )

        assert [result.status for result in results] == [
            pq.ExecStatus.TUPLES_OK,
            pq.ExecStatus.FATAL_ERROR,
            pq.ExecStatus.PIPELINE_ABORTED,
        ]
        assert results[0].get_value(0, 0) == b"a"
    pool.release(session)


async def test_more_texts_than_are_kept_prepared_do_no_harm(pool: Pool) -> None:
    session = await pool.acquire()
    for number in range(600):
        results = await session.run([(b"select %d" % number, ()), (b"select $1::text", [b"same"])])

        assert (results[0].get_value(0, 0), results[1].get_value(0, 0)) == (str(number).encode(), b"same")
    counted = await session.run([(b"select count(*) from pg_prepared_statements", ())])

    assert int(counted[0].get_value(0, 0) or 0) < 300
    pool.release(session)
