"""The workspace of one attempt on its way to its pod and back, by the attempt's door for parcels."""

from __future__ import annotations

import asyncio
import logging
import secrets as entropy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runner.executor.kubernetes import parcel
from runner.executor.kubernetes.manifest import Parcels
from runner.model.attempt import Attempt
from runner.model.errors import Failure, Retryable
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace

log = logging.getLogger(__name__)


class ParcelDoor(Protocol):
    """The attempt's door for parcels (`transfer.door.Door`)."""

    async def send_parcel(self, attempt: Attempt, name: str, path: Path) -> object:
        """Put one file where the pod can fetch it."""
        ...

    async def fetch_parcel(self, attempt: Attempt, name: str, target: Path) -> object:
        """Bring one file that the pod has put there."""
        ...

    async def drop_parcel(self, attempt: Attempt, name: str) -> None:
        """Remove one."""
        ...


@dataclass
class Transfer:
    """The parcels of one attempt; those of an earlier lease where its Job is adopted."""

    door: ParcelDoor
    attempt: Attempt
    workspace: Workspace
    most_bytes: int  # unpacked
    parcels: Parcels = field(default_factory=lambda: Parcels("", 0, ""))

    async def send_kit(self) -> None:
        """The workspace, and what an earlier attempt has kept, to where the pod fetches it."""
        mark = entropy.token_hex(8)
        kit = await self._send(self.workspace.root, f"{mark}.kit")
        kept = (
            await self._send(self.workspace.kept, f"{mark}.kept")
            if any(self.workspace.kept.iterdir())
            else None
        )
        if kept is None:
            self.parcels = Parcels(mark, len(kit.parts), kit.sha256)
        else:
            self.parcels = Parcels(mark, len(kit.parts), kit.sha256, len(kept.parts), kept.sha256)

    async def restore_kept(self) -> bool:
        """What was kept before, for one who adopts; False where it cannot be had."""
        if not self.parcels.kept:
            return True
        try:
            paths = await self._fetch(
                f"{self.parcels.mark}.kept", self.parcels.kept, self.parcels.kept_sha256
            )
        except Failure as failure:
            log.warning("not_adopted", extra={"attempt": self.attempt.attempt_id, "reason": failure.message})
            return False
        await asyncio.to_thread(parcel.unpack, paths, self.workspace.kept, self.most_bytes)
        return True

    async def take_results(self, parts: int, sha256: str) -> None:
        """What `deliver` has sent, into the workspace; after it no parcel is left. Raises Failure."""
        paths = await self._fetch(f"{self.parcels.mark}.out", parts, sha256)
        await asyncio.to_thread(parcel.unpack, paths, self.workspace.root, self.most_bytes)
        await self.clean_up(parts)

    async def clean_up(self, parts: int = 0) -> None:
        """Remove the parcels: all that counts is here."""
        mark = self.parcels.mark
        names = [f"{mark}.kit.{n}" for n in range(self.parcels.kit)]
        names += [f"{mark}.kept.{n}" for n in range(self.parcels.kept)]
        names += [f"{mark}.out.{n}" for n in range(parts)]
        for name in names:
            try:
                await self.door.drop_parcel(self.attempt, name)
            except Failure as failure:
                log.warning("parcel_left", extra={"parcel": name, "reason": failure.message})

    async def _send(self, folder: Path, name: str) -> parcel.Packed:
        place = self.workspace.kept.parent / "parcels"
        place.mkdir(mode=0o700, exist_ok=True)
        packed = await asyncio.to_thread(parcel.pack, folder, place, name)
        for path in packed.parts:
            await self.door.send_parcel(self.attempt, path.name, path)
            path.unlink()
        return packed

    async def _fetch(self, name: str, parts: int, sha256: str) -> list[Path]:
        """Parcels that have come, as the digest says that they were sent. Raises Failure."""
        place = self.workspace.kept.parent / "parcels"
        place.mkdir(mode=0o700, exist_ok=True)
        paths = []
        for number in range(parts):
            path = place / f"{name}.{number}"
            await self.door.fetch_parcel(self.attempt, path.name, path)
            paths.append(path)
        if await asyncio.to_thread(parcel.digest, paths) != sha256:
            raise Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, "what came is not what was sent")
        return paths
