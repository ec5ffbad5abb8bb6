"""The loop over the fake store and scripted work: what is written down, what is not, and when."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from runner.dispatch.custody import Custody
from runner.dispatch.handover import Handover
from runner.dispatch.intake import Intake
from runner.dispatch.ledger import Ledger
from runner.dispatch.lifecycle import Capability, Lifecycle
from runner.dispatch.log_buffer import LogBuffer
from runner.dispatch.loop import Dispatcher
from runner.dispatch.vault import Vault
from runner.dispatch.workspaces import Workspaces
from runner.executor.scripted import ScriptedExecutor
from runner.model.attempt import Attempt
from runner.model.errors import StoreRefused
from runner.model.outcome import (
    Canceled,
    PermanentFailure,
    RetryableFailure,
    StagedTable,
    Succeeded,
    TimedOut,
)
from runner.model.termination import TerminationCode
from runner.model.wire import Terms, Unreadable
from runner.store.memory import MemoryStore, Row
from runner.target.loader import Loader
from runner.transfer.door import Door

OFFER = "code_validation/default"
HANG = [{"log": "hanging"}, {"hang": True}]


@dataclass
class Runner:
    """A runner without a database, a sandbox or an edge function."""

    store: MemoryStore
    dispatcher: Dispatcher
    custody: Custody
    ledger: Ledger
    nudges: list[int]
    count: int = 0

    def submit(self, script: list[dict[str, Any]] | None = None, **changes: Any) -> Row:
        self.count += 1
        attempt = Attempt(
            attempt_id=self.count * 100,
            lease=0,
            number=1,
            run_id=self.count,
            task_run_id=self.count,
            task_key="execute",
            tenant_id="0b9b7f0e-7a54-4e0a-9c0f-5d9d9f3f1a11",
            tenant_slug="acme",
            job_type="code_validation",
            engine="default",
            requires=OFFER,
            timeout_seconds=60,
            params={"script": script or []},
        )
        retries = changes.pop("max_retries", 0)
        row = self.store.submit(replace(attempt, **changes), retries)
        self.dispatcher.wake()
        return row

    async def until(self, what: Callable[[], Any], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not what():  # noqa: ASYNC110 - a fake store has no events to wait for
                await asyncio.sleep(0.002)

    async def end(self, row: Row) -> Any:
        await self.until(lambda: row.final)
        return row.outcome


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    store: MemoryStore | None = None,
    *,
    capacity: int = 4,
    lease: float = 3.0,
    heartbeat: float = 0.05,
    environment: dict[str, str] | None = None,
) -> AsyncIterator[Runner]:
    store = store or MemoryStore(Terms(lease_seconds=lease, heartbeat_seconds=heartbeat, poll_seconds=0.05))
    door, loader = Door("http://127.0.0.1:1"), Loader("")
    lifecycle = Lifecycle(
        {OFFER: Capability(ScriptedExecutor())},
        Workspaces(folder, None),
        Vault(environment or {}),
        Intake(store, loader, door),
        Handover(store, loader, door),
    )
    nudges: list[int] = []
    log_buffer = LogBuffer(store)
    custody = Custody(store, store.terms, log_buffer.note)

    def settled() -> None:
        dispatcher.nudge()

    ledger = Ledger(store, custody, settled=settled, retried=lambda: nudges.append(1))
    dispatcher = Dispatcher(
        store,
        lifecycle,
        custody,
        log_buffer,
        ledger,
        capacity=capacity,
        poll_seconds=store.terms.poll_seconds,
        listening=lambda: True,
    )
    loops = [asyncio.create_task(each.run()) for each in (dispatcher, custody, log_buffer, ledger)]
    try:
        yield Runner(store, dispatcher, custody, ledger, nudges)
    finally:
        store.away, store.refusal = False, None
        await dispatcher.drain(0)
        for loop in loops:
            loop.cancel()
        for result in await asyncio.gather(*loops, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError), result


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncIterator[Runner]:
    async with running(tmp_path) as made:
        yield made


async def test_work_is_claimed_done_and_settled(runner: Runner) -> None:
    row = runner.submit([{"values": {"answer": 42}}])
    outcome = await runner.end(row)

    assert isinstance(outcome, Succeeded)
    assert outcome.values == {"answer": 42}
    await runner.until(lambda: not len(runner.custody))


async def test_there_is_no_pause_on_the_way(runner: Runner) -> None:
    await runner.until(lambda: "claim_attempts" in runner.store.calls)
    await asyncio.sleep(0.06)
    clock = asyncio.get_running_loop().time
    took = []
    for _ in range(20):
        began = clock()
        row = runner.submit()
        while not row.final:  # noqa: ASYNC110 - every turn of the loop counts here
            await asyncio.sleep(0)
        took.append(clock() - began)

    assert sorted(took)[10] < 0.005


async def test_a_burst_is_settled_in_few_writes(tmp_path: Path) -> None:
    async with running(tmp_path, capacity=200) as runner:
        rows = [runner.submit() for _ in range(200)]
        await runner.until(lambda: all(row.final for row in rows))

        assert runner.store.calls.count("claim_attempts") <= 4
        assert runner.store.calls.count("settle_attempts") <= 10


async def test_no_more_runs_at_once_than_there_are_places(tmp_path: Path) -> None:
    async with running(tmp_path, capacity=3) as runner:
        rows = [runner.submit([{"sleep_ms": 30}]) for _ in range(9)]
        most = 0

        def done() -> bool:
            nonlocal most
            most = max(most, sum(row.running for row in rows))
            return all(row.final for row in rows)

        await runner.until(done)
        assert most == 3


async def test_failures_of_both_words_are_written_as_such(runner: Runner) -> None:
    permanent = runner.submit([{"fail": {"code": "INVALID_CODE", "message": "no entry"}}])
    retryable = runner.submit([{"exit": 3, "until": 1}], max_retries=1)
    first = await runner.end(permanent)
    second = await runner.end(retryable)

    assert first == PermanentFailure(code=TerminationCode.INVALID_CODE, message="no entry")
    assert isinstance(second, RetryableFailure)
    assert second.usage.exit_code == 3
    assert runner.nudges == [1]


async def test_a_fault_of_ours_is_an_internal_error_and_hides_its_details(
    runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = await runner.end(runner.submit([{"crash": True}]))

    assert isinstance(outcome, RetryableFailure)
    assert outcome.code is TerminationCode.INTERNAL_ERROR
    assert "crash" not in outcome.message
    assert "attempt_crashed" in caplog.messages


async def test_a_deadline_is_kept_by_our_own_clock(runner: Runner) -> None:
    outcome = await runner.end(runner.submit(HANG, timeout_seconds=0.1))

    assert outcome == TimedOut(message="ran longer than its 0.1 s")


async def test_an_adopted_attempt_has_only_the_rest_of_its_time(runner: Runner) -> None:
    outcome = await runner.end(runner.submit(HANG, timeout_seconds=60, remaining_ms=50))

    assert isinstance(outcome, TimedOut)


async def test_a_cancel_is_heard_at_the_next_heartbeat_or_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, heartbeat=60, lease=120) as runner:
        row = runner.submit(HANG)
        await runner.until(lambda: row.logs)
        row.cancel = True
        runner.custody.hear_cancel("999")
        await asyncio.sleep(0.05)
        assert row.running
        runner.custody.hear_cancel(str(row.attempt.run_id))

        assert await runner.end(row) == Canceled(message="canceled while it ran")


async def test_a_lost_lease_stops_the_work_and_nothing_is_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, lease=600) as runner:
        row = runner.submit(HANG)
        await runner.until(lambda: row.logs)
        row.attempt = replace(row.attempt, lease=row.attempt.lease + 1)  # somebody else has it now

        await runner.until(lambda: runner.dispatcher.running == 0)
        assert "settle_attempts" not in runner.store.calls
        assert "stale" in caplog.messages
        assert len(runner.custody) == 0


async def test_work_goes_on_while_the_database_is_away_for_a_moment(runner: Runner) -> None:
    row = runner.submit([{"log": "begun"}, {"sleep_ms": 400}])
    await runner.until(lambda: row.logs)
    runner.store.away = True
    await asyncio.sleep(0.2)
    runner.store.away = False

    assert isinstance(await runner.end(row), Succeeded)
    assert row.attempt.lease == 1


async def test_work_stops_when_its_lease_must_be_over(tmp_path: Path) -> None:
    async with running(tmp_path, lease=0.3) as runner:
        row = runner.submit(HANG)
        await runner.until(lambda: row.logs)
        runner.store.away = True

        await runner.until(lambda: runner.dispatcher.running == 0)
        assert row.outcome is None


async def test_an_outcome_outlives_an_outage(tmp_path: Path) -> None:
    async with running(tmp_path, lease=0.2) as runner:
        row = runner.submit([{"sleep_ms": 50}])
        await runner.until(lambda: row.running)
        runner.store.away = True
        await asyncio.sleep(0.5)  # the work is done, and its lease over by our clock
        runner.store.away = False

        assert isinstance(await runner.end(row), Succeeded)


async def test_an_outcome_is_discarded_when_nobody_will_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("runner.dispatch.ledger.PATIENCE_SECONDS", 0.1)
    async with running(tmp_path, lease=0.1) as runner:
        row = runner.submit([{"sleep_ms": 20}])
        await runner.until(lambda: row.running)
        runner.store.away = True
        await runner.until(lambda: "outcome_discarded" in caplog.messages)

        assert len(runner.custody) == 0
        await runner.ledger.quiet()


async def test_a_refused_outcome_becomes_a_plain_failure(runner: Runner) -> None:
    really = runner.store.settle_attempts

    async def settle(items: Any) -> Any:
        if any(isinstance(outcome, Succeeded) for _, outcome in items):
            raise StoreRefused("22P05", "unsupported Unicode escape sequence")
        return await really(items)

    runner.store.settle_attempts = settle  # type: ignore[method-assign]  # a fault on purpose
    outcome = await runner.end(runner.submit())

    assert isinstance(outcome, PermanentFailure)
    assert outcome.code is TerminationCode.INTERNAL_ERROR
    assert "22P05" in outcome.message


async def test_one_refused_outcome_does_not_sink_the_batch(tmp_path: Path) -> None:
    async with running(tmp_path, capacity=10) as runner:
        really = runner.store.settle_attempts

        async def settle(items: Any) -> Any:
            if any(isinstance(outcome, Succeeded) and "poison" in outcome.values for _, outcome in items):
                raise StoreRefused("XX000", "no")
            return await really(items)

        runner.store.settle_attempts = settle  # type: ignore[method-assign]  # a fault on purpose
        poison = runner.submit([{"values": {"poison": 1}}])
        others = [runner.submit() for _ in range(5)]

        assert isinstance(await runner.end(poison), PermanentFailure)
        assert [type(await runner.end(each)) for each in others] == [Succeeded] * 5


async def test_a_slow_publication_starves_neither_settles_nor_heartbeats(tmp_path: Path) -> None:
    async with running(tmp_path, lease=0.4) as runner:
        really = runner.store.settle_attempts
        gate = asyncio.Event()

        async def settle(items: Any) -> Any:
            if any(isinstance(outcome, Succeeded) and outcome.tables for _, outcome in items):
                await gate.wait()
            return await really(items)

        renew = runner.store.renew_leases

        async def renew_behind_the_lock(beats: Any) -> Any:
            # The settling transaction holds the row that this heartbeat would update.
            if any(beat.key.attempt_id == 77 for beat in beats):
                await gate.wait()
            return await renew(beats)

        runner.store.settle_attempts = settle  # type: ignore[method-assign]  # slow on purpose
        runner.store.renew_leases = renew_behind_the_lock  # type: ignore[method-assign]  # as above
        slow = runner.submit()
        await runner.until(lambda: slow.running or slow.final)
        table = StagedTable("x", "staging.x", "gold", "x", "overwrite", 1)
        held = runner.custody.take(replace(slow.attempt, attempt_id=77, lease=1), 0.0)
        runner.store.rows[77] = Row(held.attempt, running=True, expires=float("inf"))
        runner.ledger.enter(held, Succeeded(tables=(table,)))
        long = runner.submit([{"sleep_ms": 700}])
        quick = runner.submit()

        assert isinstance(await runner.end(quick), Succeeded)
        await asyncio.sleep(0.5)
        assert long.expires > time.monotonic()  # its lease of 0.4 s was renewed meanwhile
        assert isinstance(await runner.end(long), Succeeded)
        assert not runner.store.rows[77].final
        gate.set()
        await runner.until(lambda: runner.store.rows[77].final)


async def test_the_last_lines_are_written_before_the_outcome(runner: Runner) -> None:
    row = runner.submit([{"log": f"{i}"} for i in range(5)] + [{"exit": 1}])
    await runner.end(row)

    assert [line.line for line in row.logs] == ["0", "1", "2", "3", "4"]
    assert runner.store.calls.index("report") < runner.store.calls.index("settle_attempts")


async def test_many_lines_travel_in_bounded_reports(runner: Runner) -> None:
    row = runner.submit([{"log": str(i)} for i in range(4500)])
    await runner.end(row)

    assert [line.line for line in row.logs] == [str(i) for i in range(4500)]
    assert runner.store.calls.count("report") == 3


async def test_progress_is_gathered_and_the_newest_wins(runner: Runner) -> None:
    row = runner.submit([{"progress": i, "message": f"at {i}"} for i in range(0, 101, 5)])
    await runner.end(row)

    assert (row.percent, row.message) == (100, "at 100")
    assert runner.store.calls.count("report") == 1


async def test_a_drain_waits_for_what_runs(runner: Runner) -> None:
    row = runner.submit([{"sleep_ms": 150}])
    await runner.until(lambda: row.running)
    waiting = runner.submit()  # may be claimed or not, but is not lost
    await runner.dispatcher.drain(5)
    await runner.ledger.quiet()

    assert isinstance(row.outcome, Succeeded)
    assert waiting.final or not waiting.running


async def test_a_drain_gives_back_what_takes_too_long(runner: Runner) -> None:
    row = runner.submit(HANG)
    await runner.until(lambda: row.logs)
    await runner.dispatcher.drain(0.05)

    assert (row.running, row.final, row.attempt.number) == (False, False, 1)
    assert "release_attempts" in runner.store.calls


async def test_what_cannot_be_read_is_failed_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as runner:
        really = runner.store.claim_attempts
        row = Row(replace(runner.submit().attempt, attempt_id=5, lease=1), running=True)
        runner.store.rows[5] = row
        once = [Unreadable(attempt_id=5, lease=1, problem="timeout_seconds: missing")]

        async def claim(offers: Any, limit: int) -> Any:
            attempts, _ = await really(offers, limit)
            strange, once[:] = list(once), []
            return attempts, strange

        runner.store.claim_attempts = claim  # type: ignore[method-assign]  # strange on purpose
        outcome = await runner.end(row)

        assert isinstance(outcome, PermanentFailure)
        assert outcome.code is TerminationCode.INTERNAL_ERROR


async def test_secrets_come_from_the_environment_and_only_the_named_ones(tmp_path: Path) -> None:
    environment = {"CONTROL_ROOM_SECRET_TOKEN": "value-of-token", "OTHER": "x"}
    async with running(tmp_path, environment=environment) as runner:
        good = runner.submit([{"log": "it is value-of-token"}], secrets=("TOKEN",))
        absent = runner.submit(secrets=("NOT_THERE",))
        forbidden = runner.submit(secrets=("LD_PRELOAD",))
        await runner.end(good)

        assert [line.line for line in good.logs] == ["it is ***"]
        assert (await runner.end(absent)).code is TerminationCode.SECRET_UNAVAILABLE
        assert (await runner.end(forbidden)).code is TerminationCode.NOT_GRANTED


@pytest.fixture(autouse=True)
def all_events(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
