"""The demo's webhook receiver: it believes only what the official library verifies."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import httpx
from standardwebhooks import Webhook

from dev.demo.receiver import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def send(
    receiver: Receiver, secret: str = SECRET, seq: int = 1, at: datetime | None = None, **change: str
) -> int:
    body = json.dumps({"type": "run.progress", "data": {"run_id": 7, "seq": seq}})
    now = at or datetime.now(UTC)
    headers = {
        "webhook-id": f"evt_{seq}",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(f"evt_{seq}", now, body),
        **change,
    }
    return httpx.post(receiver.url, content=body, headers=headers).status_code


def test_a_well_signed_message_is_kept() -> None:
    with Receiver() as receiver:
        receiver.trust(SECRET)

        assert send(receiver) == 204
        (message,) = receiver.messages(7)
        assert (message.type, message.seq, message.verified) == ("run.progress", 1, True)


def test_a_forged_an_old_and_an_early_message_are_refused() -> None:
    with Receiver() as receiver:
        assert send(receiver) == 401  # no secret is known yet
        receiver.trust(SECRET)

        assert send(receiver, secret=OTHER) == 401
        assert send(receiver, at=datetime.now(UTC) - timedelta(minutes=6)) == 401
        assert send(receiver, **{"webhook-id": "evt_other"}) == 401
        assert receiver.messages(7) == []
        assert [it.verified for it in receiver.messages()] == [False] * 4


def test_a_message_that_comes_twice_counts_once_and_seqs_are_in_order() -> None:
    with Receiver() as receiver:
        receiver.trust(SECRET)
        for seq in (2, 1, 2):
            send(receiver, seq=seq)

        assert [it.seq for it in receiver.messages(7)] == [1, 2]


def test_waiting_ends_when_it_has_come() -> None:
    with Receiver() as receiver:
        receiver.trust(SECRET)
        threading.Timer(0.05, send, [receiver]).start()

        assert receiver.wait_for(lambda it: bool(it.messages(7)), seconds=5)
        assert not receiver.wait_for(lambda it: len(it.messages(7)) == 2, seconds=0.05)
