"""One try of one callback: admit, sign, POST, and what the answer means.

No redirect is followed, no proxy of the environment is used (one that was meant may be), the body of the
answer is read up to a bound and thrown away: it may be a page of somebody's intranet.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import ssl
import time

from runner.callback import address, exchange, signature
from runner.callback.exchange import Answer, Broken, NotConnected, Way
from runner.callback.proxy import Proxy
from runner.model.wire import Delivery
from runner.store.base import DeliveryResult

log = logging.getLogger(__name__)

USER_AGENT = "control-room/1"


class Courier:
    """Carries callbacks to their receivers."""

    def __init__(self, guard: address.Guard, master_key: str, proxy: Proxy | None = None) -> None:
        self._guard = guard
        self._proxy = proxy
        self._master_key = master_key
        self._tls: ssl.SSLContext | None = None
        self._lead: float | None = None

    def set_clock(self, database_time: float, asked_at: float) -> None:
        """What the database's clock said (Unix seconds) to a question of `asked_at` (monotonic).

        Receivers refuse a timestamp that is minutes off, and this machine's clock may be.
        """
        self._lead = database_time - asked_at

    def _now(self) -> float:
        return time.time() if self._lead is None else time.monotonic() + self._lead

    async def carry(self, delivery: Delivery) -> DeliveryResult:
        """Send once. Never raises but for cancellation: every trouble is a result."""
        began = time.monotonic()
        answer: Answer | None = None
        error: str | None = None
        try:
            async with asyncio.timeout(delivery.timeout_seconds):
                answer = await self._post(delivery)
            if not 200 <= answer.status < 300:
                error = f"the receiver answered {answer.status}"
        except TimeoutError:
            error = f"no answer within {delivery.timeout_seconds:g} s"
        except address.Refused as refusal:
            error = f"not called: {refusal}"
        except NotConnected as trouble:
            error = ": ".join(filter(None, ("connection failed", str(trouble))))
        except Broken:
            error = "the connection broke before an answer came"
        except OSError:
            error = "the name cannot be resolved"
        except Exception as trouble:  # whatever is wrong with one delivery must not stop the outbox
            log.exception("callback_not_sent", extra={"delivery_id": delivery.delivery_id})
            error = type(trouble).__name__
        status = answer.status if answer else None
        return DeliveryResult(
            tenant_id=delivery.tenant_id,
            delivery_id=delivery.delivery_id,
            lease=delivery.lease,
            result="delivered" if error is None else "gone" if status == 410 else "failed",
            status=status,
            error=error,
            retry_after_seconds=_retry_after(answer, self._now()) if answer else None,
            duration_ms=int((time.monotonic() - began) * 1000),
        )

    async def _post(self, delivery: Delivery) -> Answer:
        target = address.parse(delivery.url)
        checked = await self._guard.admit(target, delivery.allow)
        body = delivery.body.encode()
        headers = {
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            "accept-encoding": "identity",  # a small answer must not unpack into a large one
            **({"traceparent": delivery.traceparent} if delivery.traceparent else {}),
            **self._sign(delivery, body),
        }
        way = Way(checked, self._context() if target.scheme == "https" else None, self._proxy)
        return await exchange.post(target, way, headers, body)

    def _sign(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        versions = [delivery.secret_version]
        if delivery.previous_secret_version is not None:
            versions.append(delivery.previous_secret_version)
        whose = self._master_key, delivery.endpoint_id
        return signature.headers(
            [signature.derive(*whose, version) for version in versions],
            delivery.event_id,
            int(self._now()),
            body,
            [signature.derive_key(*whose, version) for version in versions] if delivery.ed25519 else (),
        )

    def _context(self) -> ssl.SSLContext:
        # Reading the certificates of the world takes 20 ms: once, and only when somebody is called by https.
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _retry_after(answer: Answer, now: float) -> float | None:
    """Seconds to wait as the receiver asks for: a number or a date, never negative. The database clamps
    it (1 s … 1 h)."""
    text = answer.retry_after
    if not text or answer.status not in (429, 502, 503, 504):
        return None
    if text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
