"""Looks after a hint: a silent submitter that commits just after a look is found within milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
import time

from runner.store.vigil import LOOK_AGAIN_SECONDS, Vigil


async def test_it_sleeps_as_long_as_the_poll_when_nothing_happens() -> None:
    vigil = Vigil(lambda: 0.2)
    began = time.monotonic()
    vigil.look()
    await vigil.rest()

    assert 0.15 <= time.monotonic() - began <= 1


async def test_a_hint_ends_the_sleep_at_once() -> None:
    vigil = Vigil(lambda: 60)
    vigil.look()
    asyncio.get_running_loop().call_later(0.01, vigil.wake)
    async with asyncio.timeout(5):
        await vigil.rest()


async def test_after_a_hint_it_looks_again_a_few_times_and_then_goes_back_to_the_poll() -> None:
    vigil = Vigil(lambda: 60)
    vigil.wake()
    await vigil.rest()
    looks = 0
    try:
        async with asyncio.timeout(sum(LOOK_AGAIN_SECONDS) + 0.5):
            while True:
                vigil.look()
                await vigil.rest()
                looks += 1
    except TimeoutError:
        pass

    assert looks == len(LOOK_AGAIN_SECONDS)


async def test_a_hint_that_came_during_the_look_is_not_lost() -> None:
    vigil = Vigil(lambda: 60)
    vigil.look()
    vigil.wake()
    async with asyncio.timeout(5):
        await vigil.rest()


async def test_a_nudge_ends_the_sleep_once() -> None:
    vigil = Vigil(lambda: 60)
    vigil.nudge()
    async with asyncio.timeout(5):
        await vigil.rest()
    vigil.look()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await vigil.rest()
            raise AssertionError("it looked again")


async def test_only_the_time_to_look_again_asks_for_a_glance() -> None:
    vigil = Vigil(lambda: 0.05, (0.001, 0.001))
    vigil.wake()

    assert [await vigil.rest()] == [False]
    vigil.look()
    assert [await vigil.rest(), await vigil.rest(), await vigil.rest()] == [True, True, False]


async def test_who_cannot_have_what_he_sees_waits_for_the_next_hint() -> None:
    vigil = Vigil(lambda: 0.05, (0.001, 0.001))
    vigil.wake()
    await vigil.rest()
    vigil.look()
    vigil.give_up()

    assert not await vigil.rest()
