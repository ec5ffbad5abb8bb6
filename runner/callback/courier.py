"""One try of one callback: admit, sign, POST, and what the answer means.

No redirect is followed, no proxy of the environment is used, the body of the answer is read up to a bound
and thrown away: it may be a page of somebody's intranet.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import ssl
import time
from typing import TYPE_CHECKING

from runner.callback import address, signature
from runner.model.wire import Delivery
from runner.store.base import DeliveryResult

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

TOTAL_SECONDS = 15.0
MAX_ANSWER = 64 * 1024
USER_AGENT = "control-room/1"
_MAX_RETRY_AFTER = 3600.0


class Courier:
    """Carries callbacks to their receivers."""

    def __init__(self, guard: address.Guard, master_key: str, total_seconds: float = TOTAL_SECONDS) -> None:
        self._guard = guard
        self._master_key = master_key
        self._total = total_seconds
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
        status: int | None = None
        retry_after: float | None = None
        error: str | None = None
        try:
            async with asyncio.timeout(self._total):
                status, retry_after = await self._post(delivery)
            if not 200 <= status < 300:
                error = f"the receiver answered {status}"
        except TimeoutError:
            error = f"no answer within {self._total:.0f} s"
        except address.Refused as refusal:
            error = f"not called: {refusal}"
        except Exception as trouble:  # whatever a network or a peer can do must not stop the outbox
            error = _plain(trouble)
        return DeliveryResult(
            delivery_id=delivery.delivery_id,
            lease=delivery.lease,
            result="delivered" if error is None else "gone" if status == 410 else "failed",
            status=status,
            error=error,
            retry_after_seconds=retry_after,
            duration_ms=int((time.monotonic() - began) * 1000),
        )

    async def _post(self, delivery: Delivery) -> tuple[int, float | None]:
        import httpx  # noqa: PLC0415 - an idle runner has no use for it

        target = address.parse(delivery.url)
        checked = await self._guard.admit(target, delivery.allow)
        body = delivery.body.encode()
        headers = {
            "host": target.authority,
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            "accept-encoding": "identity",  # a small answer must not unpack into a large one
            "connection": "close",
            **signature.headers(self._secrets(delivery), delivery.event_id, int(self._now()), body),
        }
        place = f"[{checked}]" if ":" in checked else checked
        transport = httpx.AsyncHTTPTransport(
            verify=self._context() if target.scheme == "https" else False, trust_env=False, retries=0
        )
        async with httpx.AsyncClient(
            transport=transport, timeout=self._total, follow_redirects=False, trust_env=False
        ) as client:
            request = client.build_request(
                "POST",
                f"{target.scheme}://{place}:{target.port}{target.path}",
                content=body,
                headers=headers,
                # The certificate must be that of the name, although we connect to an address.
                extensions={"sni_hostname": target.host, "timeout": httpx.Timeout(self._total).as_dict()},
            )
            response = await client.send(request, stream=True)
            try:
                size = 0
                async for piece in response.aiter_raw():
                    size += len(piece)
                    if size > MAX_ANSWER:
                        break
            finally:
                await response.aclose()
        return response.status_code, _retry_after(response, self._now())

    def _secrets(self, delivery: Delivery) -> list[bytes]:
        versions = [delivery.secret_version]
        if delivery.previous_secret_version is not None:
            versions.append(delivery.previous_secret_version)
        return [signature.derive(self._master_key, delivery.endpoint_id, version) for version in versions]

    def _context(self) -> ssl.SSLContext:
        # Reading the certificates of the world takes 20 ms: once, and only when somebody is called by https.
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _retry_after(response: httpx.Response, now: float) -> float | None:
    """Seconds to wait as the receiver asks for: a number or a date, clamped to 1 s … 1 h by the database
    too."""
    text = response.headers.get("retry-after", "").strip()
    if not text or response.status_code not in (429, 502, 503, 504):
        return None
    if text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 1.0), _MAX_RETRY_AFTER)


def _plain(trouble: Exception) -> str:
    """The kind of trouble, for the tenant to read: no addresses, no pages."""
    import httpx  # noqa: PLC0415 - loaded by then

    match trouble:
        case httpx.ConnectTimeout() | httpx.ConnectError():
            return "connection failed" + (
                ": certificate not accepted" if "CERTIFICATE" in str(trouble).upper() else ""
            )
        case httpx.ReadError() | httpx.WriteError() | httpx.RemoteProtocolError():
            return "the connection broke before an answer came"
        case httpx.TimeoutException():
            return "no answer in time"
        case OSError():
            return "the name cannot be resolved"
        case _:
            return type(trouble).__name__
