"""Looks after a hint: a silent submitter that commits just after a look is found within milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from runner.model.errors import StoreUnavailable
from runner.store.poller import LOOK_AGAIN_SECONDS, Poller


async def test_it_sleeps_as_long_as_the_poll_when_nothing_happens() -> None:
    poller = Poller(lambda: 0.2)
    began = time.monotonic()
    poller.look()
    await poller.rest()

    assert 0.15 <= time.monotonic() - began <= 1


async def test_a_hint_ends_the_sleep_at_once() -> None:
    poller = Poller(lambda: 60)
    poller.look()
    asyncio.get_running_loop().call_later(0.01, poller.wake)
    async with asyncio.timeout(5):
        await poller.rest()


async def test_after_a_hint_it_looks_again_a_few_times_and_then_goes_back_to_the_poll() -> None:
    poller = Poller(lambda: 60)
    poller.wake()
    await poller.rest()
    looks = 0
    try:
        async with asyncio.timeout(sum(LOOK_AGAIN_SECONDS) + 0.5):
            while True:
                poller.look()
                await poller.rest()
                looks += 1
    except TimeoutError:
        pass

    assert looks == len(LOOK_AGAIN_SECONDS)


async def test_a_hint_that_came_during_the_look_is_not_lost() -> None:
    poller = Poller(lambda: 60)
    poller.look()
    poller.wake()
    async with asyncio.timeout(5):
        await poller.rest()


async def test_a_nudge_ends_the_sleep_once() -> None:
    poller = Poller(lambda: 60)
    poller.nudge()
    async with asyncio.timeout(5):
        await poller.rest()
    poller.look()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await poller.rest()
            raise AssertionError("it looked again")


async def test_only_the_time_to_look_again_asks_for_a_glance() -> None:
    poller = Poller(lambda: 0.05, (0.001, 0.001))
    poller.wake()

    assert [await poller.rest()] == [False]
    poller.look()
    assert [await poller.rest(), await poller.rest(), await poller.rest()] == [True, True, False]


async def test_who_cannot_have_what_he_sees_waits_for_the_next_hint() -> None:
    poller = Poller(lambda: 0.05, (0.001, 0.001))
    poller.wake()
    await poller.rest()
    poller.look()
    poller.give_up()

    assert not await poller.rest()


class Steps:
    """Does one thing after the other, then nothing any more, and says when it has come to the end."""

    def __init__(self, *results: bool | Exception) -> None:
        self._results = list(results)
        self.over = asyncio.Event()

    async def __call__(self) -> bool:
        if not self._results:
            self.over.set()
            return False
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


async def kept(steps: Steps, seconds: float) -> bool:
    """Whether all of it was done in so many seconds, with a poll that is never waited for."""
    keeping = asyncio.create_task(Poller(lambda: 60, ()).keep(steps, "not_done"))
    try:
        async with asyncio.timeout(seconds):
            await steps.over.wait()
    except TimeoutError:
        return False
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
    return True


async def test_what_found_something_looks_again_at_once() -> None:
    assert await kept(Steps(True, True, True), 2)


async def test_what_found_nothing_sleeps_until_it_is_woken() -> None:
    assert not await kept(Steps(True, False), 0.2)


async def test_a_database_that_cannot_be_asked_is_complained_of_once_and_asked_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = [StoreUnavailable("away"), StoreUnavailable("away")]

    assert await kept(Steps(*away, True), 5)
    assert [each.message for each in caplog.records] == ["not_done"]
