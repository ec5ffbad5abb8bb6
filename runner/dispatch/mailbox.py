"""Reports of work that lives outside, waited for: a notification wakes, the query decides, a poll insures."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from runner.model.attempt import Attempt, Key
from runner.model.errors import Permanent, Retryable, StaleLease, StoreRefused, StoreUnavailable
from runner.model.termination import TerminationCode
from runner.model.wire import Opening, Told
from runner.store.base import Store
from runner.store.session import Backoff

log = logging.getLogger(__name__)


class Mailbox:
    """Implements `executor.base.Mailbox`. One question for all who wait; silent while nobody does."""

    def __init__(self, store: Store, *, poll_seconds: float) -> None:
        self._store = store
        self._poll = poll_seconds
        self._waiting: dict[Key, asyncio.Event] = {}
        self._told: dict[Key, Told] = {}
        self._wake = asyncio.Event()

    def wake(self, _payload: str = "") -> None:
        """Something was reported about somebody's attempt."""
        if self._waiting:
            self._wake.set()

    async def open(self, attempt: Attempt, workflow: str) -> Opening:
        """See `executor.base.Mailbox`."""
        try:
            return await self._store.open_outside(attempt.key, workflow)
        except StoreUnavailable as error:
            raise Retryable(
                TerminationCode.EXECUTOR_UNAVAILABLE, "the database went away before the start"
            ) from error
        except StoreRefused as error:
            if error.code == "STALE_LEASE":
                raise StaleLease from error
            if error.code == "WORKFLOW_NOT_GRANTED":
                raise Permanent(
                    TerminationCode.NOT_GRANTED,
                    f"the tenant was not granted the n8n workflow {workflow}: ask the platform operator",
                ) from error
            raise

    async def wait(self, attempt: Attempt, seconds: float) -> Told:
        """See `executor.base.Mailbox`."""
        key = attempt.key
        came = self._waiting.setdefault(key, asyncio.Event())
        self._wake.set()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await came.wait()
            return self._told.get(key, Told(attempt_id=key.attempt_id))
        finally:
            self._waiting.pop(key, None)
            self._told.pop(key, None)

    async def run(self) -> None:
        """Look until cancelled."""
        backoff = Backoff()
        while True:
            patience = self._poll if self._waiting else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._wake.wait()
            self._wake.clear()
            keys = list(self._waiting)
            if not keys:
                continue
            try:
                told = await self._store.read_outside(keys)
                backoff.reset()
            except (StoreUnavailable, StoreRefused) as error:
                if backoff.first:
                    log.warning("reports_not_read", extra={"reason": str(error)})
                self._wake.set()
                await backoff.pause()
                continue
            by_id = {each.attempt_id: each for each in told}
            for key in keys:
                found = by_id.get(key.attempt_id)
                came = self._waiting.get(key)
                if found is None or came is None:  # lost, which custody notices; or given up meanwhile
                    continue
                self._told[key] = found
                if found.report is not None:
                    came.set()
