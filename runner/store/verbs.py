"""The worker verbs against Postgres: one statement each, jsonb in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from runner.model import wire
from runner.model.attempt import Attempt, Key
from runner.model.collected import Column
from runner.model.outcome import Outcome, Succeeded
from runner.store.base import (
    DeliveryResult,
    Findings,
    Heartbeat,
    JsonObject,
    Registration,
    Report,
    Verdict,
)
from runner.store.listener import Waker
from runner.store.listening_lane import ListeningLane
from runner.store.session import Lane
from runner.watch.meter import Meter

#: A heartbeat that takes longer than this is tried again on a new connection, while the lease still lives.
CUSTODY_SECONDS = 6.0
PUBLISH_SECONDS = 1800.0


class Verbs:
    """See `store.base.Store` for what each method promises."""

    def __init__(self, conninfo: str, instance: str, meter: Meter | None = None) -> None:
        self._conninfo = conninfo
        self._instance = instance
        self._meter = meter or Meter()
        #: How often the database discarded what came too late: renewals, reports, outcomes of lost leases.
        self.stale = 0
        self._claims = ListeningLane(conninfo, "claims", "control_room_attempts", meter=self._meter)
        self._settles = Lane(conninfo, "settles", meter=self._meter)
        self._custody = Lane(conninfo, "custody", patience=CUSTODY_SECONDS, meter=self._meter)
        self._errands = Lane(conninfo, "errands", meter=self._meter)
        # claimed while others are settled: one waits for the other only in the database
        self._deliveries = Lane(conninfo, "deliveries", meter=self._meter)
        self._receipts = Lane(conninfo, "receipts", meter=self._meter)

    @property
    def instance(self) -> str:
        """Under which name the database knows this process."""
        return self._instance

    async def close(self) -> None:
        """Close every lane."""
        for lane in (
            self._claims,
            self._settles,
            self._custody,
            self._errands,
            self._deliveries,
            self._receipts,
        ):
            await lane.close()

    def hear_work(self, waker: Waker) -> None:
        """Call `waker` when there may be something to claim. It is heard from the first claim on."""
        self._claims.hear(waker)

    async def register(self, registration: Registration) -> wire.Terms:
        """worker.register"""
        answer = await self._custody.value(
            "select worker.register(%s::jsonb)", [wire.dump(asdict(registration))]
        )
        return wire.read_one(wire.Terms, answer)

    async def claim_attempts(
        self, offers: Sequence[str], limit: int
    ) -> tuple[list[Attempt], list[wire.Unreadable]]:
        """worker.claim_attempts"""
        rows = await self._claims.rows(
            "select c from worker.claim_attempts(%s::uuid, %s::text[], %s::int) c",
            [self._instance, list(offers), limit],
        )
        return wire.read_attempts(rows)

    async def anything_waits(self) -> bool:
        """worker.anything_waits"""
        return bool(await self._claims.value("select worker.anything_waits()"))

    async def renew_leases(self, beats: Sequence[Heartbeat]) -> list[wire.Renewal]:
        """worker.renew_leases"""
        items = [_without_none(b.key, percent=b.percent, message=b.message) for b in beats]
        answer = await self._custody.value(
            "select worker.renew_leases(%s::uuid, %s::jsonb)", [self._instance, wire.dump(items)]
        )
        renewals = wire.read_list(wire.Renewal, answer)
        self.stale += sum(not each.held for each in renewals)
        return renewals

    async def report(self, reports: Sequence[Report]) -> list[wire.ReportAnswer]:
        """worker.report"""
        items = []
        for each in reports:
            item = _without_none(
                each.key, percent=each.percent, message=each.message, external_id=each.external_id
            )
            if each.logs:
                item["logs"] = [{"stream": x.stream, "at": x.at, "line": x.line} for x in each.logs]
            items.append(item)
        answer = await self._custody.value("select worker.report(%s::jsonb)", [wire.dump(items)])
        answers = wire.read_list(wire.ReportAnswer, answer)
        self.stale += sum(not each.held for each in answers)
        return answers

    async def settle_attempts(self, items: Sequence[tuple[Key, Outcome]]) -> list[wire.Settlement]:
        """worker.settle_attempts"""
        forms = [wire.settle_form(key, outcome) for key, outcome in items]
        # Publishing a table may take minutes: on a connection of its own, so that no other settle waits for
        # it.
        lane = self._settles
        if any(isinstance(outcome, Succeeded) and outcome.tables for _, outcome in items):
            lane = Lane(self._conninfo, "publishing", patience=PUBLISH_SECONDS, meter=self._meter)
        try:
            answer = await lane.value(
                "select worker.settle_attempts(%s::uuid, %s::jsonb)", [self._instance, wire.dump(forms)]
            )
        finally:
            if lane is not self._settles:
                await lane.close()
        settlements = wire.read_list(wire.Settlement, answer)
        self.stale += sum(not each.settled for each in settlements)
        return settlements

    async def release_attempts(self, keys: Sequence[Key]) -> None:
        """worker.release_attempts"""
        await self._settles.value(
            "select worker.release_attempts(%s::uuid, %s::jsonb)",
            [self._instance, wire.dump([_without_none(key) for key in keys])],
        )

    async def open_output(self, key: Key, name: str, columns: Sequence[Column]) -> str:
        """worker.open_output"""
        staging = await self._errands.value(
            "select worker.open_output(%s::bigint, %s::int, %s::text, %s::jsonb)",
            [key.attempt_id, key.lease, name, wire.dump([asdict(each) for each in columns])],
        )
        return str(staging)

    async def open_input(self, key: Key, name: str) -> wire.StagedInput:
        """worker.open_input"""
        answer = await self._errands.value(
            "select worker.open_input(%s::bigint, %s::int, %s::text)", [key.attempt_id, key.lease, name]
        )
        return wire.read_one(wire.StagedInput, answer)

    async def high_water(self, key: Key, name: str) -> datetime | None:
        """worker.high_water"""
        answer = await self._errands.value(
            "select worker.high_water(%s::bigint, %s::int, %s::text)", [key.attempt_id, key.lease, name]
        )
        return None if answer is None else datetime.fromisoformat(str(answer)).replace(tzinfo=UTC)

    async def open_outside(self, key: Key, workflow: str) -> wire.Opening:
        """worker.open_outside"""
        answer = await self._errands.value(
            "select worker.open_outside(%s::bigint, %s::int, %s::text)",
            [key.attempt_id, key.lease, workflow],
        )
        return wire.read_one(wire.Opening, answer)

    async def read_outside(self, keys: Sequence[Key]) -> list[wire.Told]:
        """worker.read_outside"""
        items = [_without_none(key) for key in keys]
        answer = await self._errands.value("select worker.read_outside(%s::jsonb)", [wire.dump(items)])
        return wire.read_list(wire.Told, answer)

    async def granted(self, key: Key, kind: str) -> tuple[str, ...]:
        """worker.granted"""
        answer = await self._errands.value(
            "select worker.granted(%s::bigint, %s::int, %s::text)", [key.attempt_id, key.lease, kind]
        )
        return tuple(wire.read_one(list[str], answer))

    async def over(self, attempts: Sequence[int]) -> tuple[int, ...]:
        """worker.over"""
        answer = await self._errands.value("select worker.over(%s::bigint[])", [list(attempts)])
        return tuple(wire.read_one(list[int], answer))

    async def tick(self) -> wire.Tick:
        """worker.tick"""
        return wire.read_one(
            wire.Tick, await self._custody.value("select worker.tick(%s::uuid)", [self._instance])
        )

    async def seal(self) -> int:
        """worker.seal"""
        return int(await self._errands.value("select worker.seal()", []))

    async def audit_heads(self, after: str | None) -> list[wire.JsonObject]:
        """worker.audit_heads"""
        answer = await self._errands.value("select worker.audit_heads(%s::text)", [after])
        return wire.read_list(wire.JsonObject, answer)

    async def tidy(self) -> bool:
        """worker.tidy"""
        answer = await self._errands.value("select worker.tidy()", [])
        return wire.read_one(wire.Tidied, answer).more

    async def fire(self, limit: int) -> int:
        """worker.fire"""
        return int(await self._errands.value("select worker.fire(%s::int)", [limit]))

    async def sweep_artifacts(self, limit: int) -> wire.Swept:
        """worker.sweep_artifacts"""
        answer = await self._errands.value("select worker.sweep_artifacts(%s::int)", [limit])
        return wire.read_one(wire.Swept, answer)

    async def confirm_removals(self, claim: str) -> wire.Removed:
        """worker.confirm_removals"""
        answer = await self._errands.value("select worker.confirm_removals(%s::uuid)", [claim])
        return wire.read_one(wire.Removed, answer)

    async def claim_uploads(self, limit: int) -> list[wire.Upload]:
        """worker.claim_uploads"""
        rows = await self._errands.rows(
            "select c from worker.claim_uploads(%s::uuid, %s::int) c", [self._instance, limit]
        )
        return wire.read_rows(wire.Upload, rows)

    async def judge_uploads(self, verdicts: Sequence[Verdict]) -> None:
        """worker.judge_uploads"""
        items = [
            {
                "artifact_id": each.upload.artifact_id,
                "version": each.upload.version,
                "tenant_id": each.upload.tenant_id,
                "lease": each.upload.lease,
                "verdict": "READY" if each.ready else "REFUSED",
                "size": each.size,
                "sha256": each.sha256,
                "findings": list(each.findings),
            }
            for each in verdicts
        ]
        await self._errands.value("select worker.judge_uploads(%s::jsonb)", [wire.dump(items)])

    async def claim_events(self, limit: int) -> list[wire.EventBatch]:
        """worker.claim_events"""
        rows = await self._errands.rows("select c from worker.claim_events(%s::int) c", [limit])
        return wire.read_rows(wire.EventBatch, rows)

    async def report_findings(self, found: Sequence[Findings]) -> None:
        """worker.report_findings"""
        items = [
            {
                "tenant_id": each.batch.tenant_id,
                "batch_id": each.batch.batch_id,
                "lease": each.batch.lease,
                "findings": [
                    {"event_id": event_id, "faults": [asdict(fault) for fault in faults]}
                    for event_id, faults in each.faults.items()
                ],
                "views": [{"event_id": event_id, **asdict(said)} for event_id, said in each.views.items()],
            }
            for each in found
        ]
        await self._errands.value("select worker.report_findings(%s::jsonb)", [wire.dump(items)])

    async def claim_deliveries(self, limit: int) -> list[wire.Delivery]:
        """worker.claim_deliveries"""
        rows = await self._deliveries.rows(
            "select c from worker.claim_deliveries(%s::uuid, %s::int) c", [self._instance, limit]
        )
        return wire.read_rows(wire.Delivery, rows)

    async def settle_deliveries(self, results: Sequence[DeliveryResult]) -> list[wire.DeliverySettlement]:
        """worker.settle_deliveries"""
        items = [{k: v for k, v in asdict(each).items() if v is not None} for each in results]
        answer = await self._receipts.value("select worker.settle_deliveries(%s::jsonb)", [wire.dump(items)])
        return wire.read_list(wire.DeliverySettlement, answer)

    async def farewell(self) -> None:
        """worker.farewell"""
        await self._custody.value("select worker.farewell(%s::uuid)", [self._instance])

    async def canary(self) -> JsonObject:
        """worker.canary"""
        answer = await self._custody.value("select worker.canary(%s::uuid)", [self._instance])
        return wire.read_one(dict[str, Any], answer)


def _without_none(key: Key, **fields: Any) -> JsonObject:
    form: JsonObject = {"attempt_id": key.attempt_id, "lease": key.lease}
    form.update((name, value) for name, value in fields.items() if value is not None)
    return form
