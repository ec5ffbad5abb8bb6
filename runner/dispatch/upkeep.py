"""Work of the house that belongs to no attempt: sealing the audit, tidying what is past its keeping, sweeping
what is left outside, removing bytes that nobody needs.

Every runner does it; the database lets one at a time. Neither costs anything while there is nothing to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from runner.model.errors import Failure, StaleLease, StoreRefused, StoreUnavailable
from runner.model.wire import JsonObject
from runner.store.base import Store
from runner.store.session import Backoff
from runner.transfer.door import Door

log = logging.getLogger(__name__)

#: Entries of half a second share a seal: each is chained within the second.
GATHER_SECONDS = 0.5
TIDY_SECONDS = 60.0
SWEEP_SECONDS = 20.0
HEADS_SECONDS = 3600.0
REMOVE_SECONDS = 60.0
#: Objects of one step: one request to the door, one to Storage.
REMOVE_AT_MOST = 200


class Sealer:
    """Calls `seal` after a hint, until nothing is left."""

    def __init__(self, store: Store, gather_seconds: float = GATHER_SECONDS) -> None:
        self._store = store
        self._gather = gather_seconds
        self._wake = asyncio.Event()

    def wake(self, _payload: str = "") -> None:
        """There is something to seal."""
        self._wake.set()

    async def run(self) -> None:
        """Seal until cancelled."""
        backoff = Backoff()
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                sealed = True
                while sealed:  # hints are coalesced: who commits after this look may have kept silent
                    await asyncio.sleep(self._gather)
                    sealed = await self._store.seal() > 0
                backoff.reset()
            except (StoreUnavailable, StoreRefused) as error:
                if backoff.first:
                    log.warning("not_sealed", extra={"reason": str(error)})
                self._wake.set()
                await backoff.pause()


class Outside(Protocol):
    """An executor whose work lives outside of this process, and may be left there."""

    async def left(self) -> Mapping[int, Any]:
        """Everything of it that is there, by attempt. Raises Failure when it cannot tell."""
        ...

    async def forget(self, what: Any) -> None:
        """Remove what one attempt has there. Raises Failure."""
        ...


class Sweeper:
    """Removes what attempts that are over have left outside: settled ones, and those that nobody will claim
    again because they were canceled or reaped while no runner held them."""

    def __init__(self, store: Store, outside: Outside, period_seconds: float = SWEEP_SECONDS) -> None:
        self._store = store
        self._outside = outside
        self._period = period_seconds

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(self._period * random.uniform(0.8, 1.2))  # noqa: S311 - spreads the runners
            try:
                await self.sweep()
            except (StoreUnavailable, StoreRefused, Failure) as error:
                log.warning("not_swept", extra={"reason": str(error)})

    async def sweep(self) -> int:
        """Once; how many attempts had left something. Raises as the store does, or Failure."""
        left = await self._outside.left()
        over = await self._store.over(sorted(left)) if left else ()
        for attempt in over:
            await self._outside.forget(left[attempt])
        if over:
            log.info("swept_outside", extra={"attempts": len(over)})
        return len(over)


class Tidier:
    """Calls `tidy` every minute or so, and at once again while there is more to do."""

    def __init__(self, store: Store, period_seconds: float = TIDY_SECONDS) -> None:
        self._store = store
        self._period = period_seconds

    async def run(self) -> None:
        """Tidy until cancelled."""
        pause = self._period
        while True:
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads the runners
            pause = self._period
            try:
                if await self._store.tidy():
                    pause = GATHER_SECONDS  # others have work to do as well
            except (StoreUnavailable, StoreRefused) as error:
                log.warning("not_tidied", extra={"reason": str(error)})


class Notary:
    """Keeps the heads of the audit's chains outside the database: a file a day, in a folder of yours.

    A chain that was written anew afterwards no longer holds the head that lies there. Every runner that was
    given a folder does it for itself; a day that is there is left as it is.
    """

    def __init__(self, store: Store, folder: Path, period_seconds: float = HEADS_SECONDS) -> None:
        self._store = store
        self._folder = folder
        self._period = period_seconds

    async def run(self) -> None:
        """Look once an hour whether today's file is there, until cancelled."""
        while True:
            now = datetime.now(UTC)
            file = self._folder / f"audit-heads-{now:%Y-%m-%d}.json"
            try:
                if not _is_there(file) and (heads := await self._heads()):
                    _write_once(file, json.dumps({"items": heads, "at": now.isoformat()}, indent=1))
                    log.info("heads_kept", extra={"file": str(file), "chains": len(heads)})
            except (StoreUnavailable, StoreRefused, OSError) as error:
                log.warning("heads_not_kept", extra={"reason": str(error), "file": str(file)})
            await asyncio.sleep(self._period)

    async def _heads(self) -> list[JsonObject]:
        heads: list[JsonObject] = []
        while page := await self._store.audit_heads(heads[-1]["tenant"] if heads else None):
            heads += page
        return heads


def _is_there(file: Path) -> bool:
    return file.exists()


def _write_once(file: Path, text: str) -> None:
    """Whole or not at all, and never over one that is there. Raises OSError."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".heads-") as draft:
        draft.write(text)
        draft.flush()
        os.fsync(draft.fileno())
        Path(draft.name).chmod(0o444)
        with contextlib.suppress(FileExistsError):
            Path(file).hardlink_to(draft.name)


class Broom:
    """Removes the bytes of artifacts that nobody needs any more, and those that are nobody's.

    claim (what is to go is written down) → the door, which has Storage's key, deletes → confirm (forgotten is
    what is gone, nothing else). Whoever dies between two of these leaves it to the next: twice is safe.
    """

    def __init__(self, store: Store, door: Door, period_seconds: float = REMOVE_SECONDS) -> None:
        self._store = store
        self._door = door
        self._period = period_seconds

    async def run(self) -> None:
        """Sweep until cancelled."""
        pause = self._period
        while True:
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads the runners
            pause = self._period
            try:
                if await self.sweep():
                    pause = GATHER_SECONDS
            except (StoreUnavailable, StoreRefused, Failure, StaleLease) as error:
                log.warning("bytes_not_removed", extra={"reason": str(error)})

    async def sweep(self) -> bool:
        """One step; whether there is more. Raises as store and door do."""
        swept = await self._store.sweep_artifacts(REMOVE_AT_MOST)
        if swept.removals is not None:
            await self._door.remove_swept(swept.removals)
            told = await self._store.confirm_removals(swept.removals.claim)
            log.info("bytes_removed", extra={"removed": told.removed, "kept": told.kept})
        return swept.more
