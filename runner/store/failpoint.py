"""Failpoints: where a test makes this very process die, freeze or lose an answer between two steps.

    CONTROL_ROOM_FAILPOINTS=settle_attempts.after=kill@2,claim_attempts.before=sleep-0.5

Every verb of the store is a seam between what the runner did and what the database knows. It has two points:
`before` it is sent, and `after` it was answered (it is committed, and nobody here has heard of it). At its
Nth passage (the first if nothing is said) a point does one of these, once: `kill` (SIGKILL), `stop` (SIGSTOP;
whoever started us says SIGCONT), `cut` (the connection seems to be lost), `sleep-SECONDS`.

The composition root takes these verbs instead of the plain ones only where the variable is set (ADR 013).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import Counter
from dataclasses import dataclass
from typing import Any

from runner.model.errors import SettingsError, StoreUnavailable
from runner.store.base import Store
from runner.store.verbs import Verbs
from runner.watch.meter import Meter

VERBS = frozenset(name for name in vars(Store) if not name.startswith("_"))
_POINT = re.compile(r"([a-z_]+)\.(before|after)=(kill|stop|cut|sleep-([\d.]+))(?:@(\d+))?")


@dataclass(frozen=True, slots=True)
class Failpoint:
    """What happens at one passage of one point."""

    action: str
    seconds: float = 0.0

    async def happen(self) -> None:
        """Do it. Raises StoreUnavailable for `cut`; does not come back from `kill`."""
        match self.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "cut":
                raise StoreUnavailable("cut by a failpoint")
            case _:
                await asyncio.sleep(self.seconds)


Failpoints = dict[tuple[str, int], Failpoint]


def read(text: str) -> Failpoints:
    """By point and passage. Raises SettingsError."""
    found: Failpoints = {}
    for item in text.split(","):
        match = _POINT.fullmatch(item.strip())
        if match is None or match[1] not in VERBS:
            raise SettingsError(
                f"CONTROL_ROOM_FAILPOINTS: {item!r} is no VERB.before|after=kill|stop|cut|sleep-S[@N]; "
                f"VERB is one of {', '.join(sorted(VERBS))}"
            )
        action = match[3].partition("-")[0]
        found[f"{match[1]}.{match[2]}", int(match[5] or 1)] = Failpoint(action, float(match[4] or 0))
    return found


class FallibleVerbs(Verbs):
    """The worker verbs, with failpoints around each of them."""

    def __init__(
        self, conninfo: str, instance: str, failpoints: Failpoints, meter: Meter | None = None
    ) -> None:
        super().__init__(conninfo, instance, meter)
        self._failpoints = failpoints
        self._passages: Counter[str] = Counter()

    def __getattribute__(self, name: str) -> Any:
        verb = super().__getattribute__(name)
        if name not in VERBS:
            return verb

        async def between_its_points(*arguments: Any, **named: Any) -> Any:
            await self._pass(f"{name}.before")
            answer = await verb(*arguments, **named)
            await self._pass(f"{name}.after")
            return answer

        return between_its_points

    async def _pass(self, point: str) -> None:
        self._passages[point] += 1
        failpoint = self._failpoints.get((point, self._passages[point]))
        if failpoint is not None:
            await failpoint.happen()
