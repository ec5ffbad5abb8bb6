"""People's uploads: PENDING until the bytes have been looked at, then READY or REFUSED.

claim → download by a token for this one upload → size, SHA-256, secrets → judge
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from pathlib import Path

from runner.model.errors import Failure, Permanent, StaleLease
from runner.model.wire import Upload
from runner.store.base import Store, Verdict
from runner.store.poller import Poller
from runner.transfer import scanner
from runner.transfer.door import Door, Measured

log = logging.getLogger(__name__)

AT_ONCE = 4


class Verification:
    """Judges uploads until it is cancelled."""

    def __init__(self, store: Store, door: Door, folder: Path, *, poll_seconds: float) -> None:
        self._store = store
        self._door = door
        self._folder = folder
        self._poller = Poller(lambda: poll_seconds)

    def wake(self, _payload: str = "") -> None:
        """The database says that there may be an upload to look at."""
        self._poller.wake()

    async def run(self) -> None:
        """Claim and judge."""
        await self._poller.keep(self._step, "uploads_not_judged")

    async def _step(self) -> bool:
        uploads = await self._store.claim_uploads(AT_ONCE)
        if uploads:
            verdicts = await asyncio.gather(*(self._look(each) for each in uploads))
            await self._store.judge_uploads([each for each in verdicts if each is not None])
        return bool(uploads)

    async def _look(self, upload: Upload) -> Verdict | None:
        """The verdict, or None when the bytes cannot be had now: the claim runs out and somebody looks
        again."""
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="upload-") as folder:
            path = Path(folder) / "bytes"
            try:
                measured = await self._door.fetch_upload(upload, path)
            except Permanent as error:
                return _refused(upload, None, "unreadable", error.message)
            except (Failure, StaleLease) as error:
                log.warning(
                    "upload_not_read", extra={"artifact_id": upload.artifact_id, "reason": str(error)}
                )
                return None
            if measured.size != upload.size:
                return _refused(
                    upload, measured, "size", f"{measured.size} bytes where {upload.size} were announced"
                )
            if upload.sha256 is not None and measured.sha256 != upload.sha256:
                return _refused(upload, measured, "sha256", "the bytes are not those that were announced")
            findings = await asyncio.to_thread(scanner.scan, path, text=upload.kind in scanner.TEXTS)
        log.info(
            "upload_judged",
            extra={"artifact_id": upload.artifact_id, "version": upload.version, "findings": len(findings)},
        )
        return Verdict(
            upload,
            ready=not findings,
            size=measured.size,
            sha256=measured.sha256,
            findings=tuple({"line": each.line, "rule": each.rule} for each in findings),
        )


def _refused(upload: Upload, measured: Measured | None, rule: str, message: str) -> Verdict:
    log.info(
        "upload_refused", extra={"artifact_id": upload.artifact_id, "version": upload.version, "rule": rule}
    )
    return Verdict(
        upload,
        ready=False,
        # What is recorded is what was announced; a version cannot hold more than the limit.
        size=None,
        sha256=None if measured is None else measured.sha256,
        findings=({"line": 0, "rule": rule, "message": message},),
    )
