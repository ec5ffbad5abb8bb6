"""What was owed is what arrived, died or was given up, exactly, whatever receivers, kills and crashes did."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import ClassVar, Self

import pytest
from standardwebhooks import webhooks

from dev.stack import edge, postgres, testbed
from dev.stack.testbed import Cluster, Database
from runner.callback import signature
from tests.integration.callback.receivers import BAD, BEHAVIOURS, LEAVES_AFTER, TRAP
from tests.integration.callback.storm import Storm, storm

#: Receivers that take everything in the end.
PATIENT = ("well", "flaky", "reset", "busy", "slow", "garbage")
ROUNDS = 10
VERIFY = Path(__file__).with_name("verify.ts")


class Arrival(datetime):
    """The clock of the official verifier, at the moment when the message came: it refuses what is five minutes old."""

    at: ClassVar[float] = 0.0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(cls.at, tz)


@pytest.fixture(scope="module")
def durable() -> Iterator[Cluster]:
    with testbed.cluster(postgres.default_major(), testbed.DURABLE_SETTINGS) as started:
        yield started


@pytest.fixture
def stormy(durable: Cluster) -> Iterator[Database]:
    with durable.database() as made:
        yield made


async def rage(on: Storm, each_round: int, pause: float) -> None:
    """Events in rounds, and between them a sender dies, or Postgres."""
    await on.start_sender()
    await on.start_sender()
    for number in range(ROUNDS):
        await asyncio.to_thread(on.emit, BEHAVIOURS, each_round)
        await asyncio.sleep(pause)
        if number in (3, 7):
            await on.crash_postgres()
        else:
            await on.kill_sender(len(on.senders) - 2)
            await on.start_sender()


async def test_emitted_is_delivered_or_dead_or_gone_exactly(
    durable: Cluster, stormy: Database, is_long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "datetime", Arrival)
    each_round = 910 if is_long else 91  # of 11 receivers in 10 rounds: 100,000 or 10,000
    async with storm(durable, stormy) as on:
        await rage(on, each_round, 4 if is_long else 0.4)
        await on.calm(600 if is_long else 60)
        await on.rest()
        ended, events, rows = on.books()
        answers = on.answers()
        verified_by_python_and_javascript(on)

        # the books: each owed once, and ended one way
        assert len(on.emitted) == each_round * ROUNDS * len(BEHAVIOURS) >= 10_000
        assert len(rows) == len(set(rows))
        assert set(ended) == {"DELIVERED", "DEAD", "GONE"}
        assert ended["DELIVERED"] | ended["DEAD"] | ended["GONE"] == on.emitted
        assert sum(map(len, ended.values())) == len(on.emitted)

        # the receivers: delivered is what they took, and nothing else reached them
        took = {
            owed for owed in events if any(said.startswith("2") for said in answers[owed[1], events[owed]])
        }
        known = set(events.values())
        assert ended["DELIVERED"] <= took
        assert {event for path, event in answers if path != "alarm"} <= known
        assert all(path != TRAP.strip("/") for path, _ in answers)

        # how each kind ended
        by_kind = {
            kind: Counter(state for state, owed in ended.items() for _, path in owed if path == kind)
            for kind in BEHAVIOURS
        }
        count = each_round * ROUNDS
        assert {kind: by_kind[kind] for kind in PATIENT} == {kind: {"DELIVERED": count} for kind in PATIENT}
        poison = {owed for owed in events if owed[1] == "poison" and answers["poison", events[owed]]["422"]}
        assert len(poison) == BAD
        assert {owed for owed in ended["DEAD"] if owed[1] == "poison"} == poison
        assert by_kind["poison"]["GONE"] == 0
        for kind in ("down", "hang", "redirect"):
            assert by_kind[kind]["DELIVERED"] == 0
            assert by_kind[kind]["GONE"] > 0
        assert LEAVES_AFTER - 20 <= by_kind["gone"]["DELIVERED"] <= LEAVES_AFTER + 20
        assert by_kind["gone"]["DELIVERED"] + by_kind["gone"]["GONE"] == count
        alarms = on.ask(
            "select data ->> 'endpoint_url' from callback.events where type = 'endpoint.disabled'"
        )
        assert {url for (url,) in alarms} == {on.url(kind) for kind in ("down", "hang", "redirect", "gone")}
        assert (
            sum(count for (path, _), said in answers.items() if path == "alarm" for count in said.values())
            >= 4
        )

        # and it was a storm
        assert (on.kills, on.crashes) == (ROUNDS - 2, 2)


def verified_by_python_and_javascript(on: Storm) -> None:
    """Every message, the repeated ones too, by the official libraries of both languages."""
    secrets = {
        f"/{url.rpartition('/')[2]}": signature.shown(
            signature.derive(on.database.secrets.master_key, str(endpoint), 1)
        )
        for endpoint, url in on.ask("select id, url from callback.endpoints")
    }
    verifiers = {path: webhooks.Webhook(secret) for path, secret in secrets.items()}
    (on.folder / "secrets.json").write_text(json.dumps(secrets))
    messages = (on.folder / "messages.jsonl").read_text().splitlines()
    for line in messages:
        path, headers, body, Arrival.at = json.loads(line)
        verifiers[path].verify(body, headers)
    deno = [str(edge.deno()), "run", "--no-config", "--no-lock", "--quiet", f"--allow-read={on.folder}"]
    done = subprocess.run(
        [*deno, str(VERIFY), str(on.folder / "messages.jsonl"), str(on.folder / "secrets.json")],
        env={**edge.fetching(), "DENO_DIR": str(edge.cache())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(len(messages))), done.stderr
