"""Spans by OTLP over HTTP, where OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) says where to.

The OpenTelemetry SDK reads the other variables of that name by itself (headers, sampler, batches). It sends
from a thread of its own: a collector that is away costs spans, never work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Self

from opentelemetry import trace as api
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from runner.model import trace
from runner.watch.tracer import Span, Value

SERVICE = "control-room-runner"
#: How long a stopping runner waits for what was not sent yet.
LAST_SPANS_SECONDS = 2.0

#: The trace that a span without a parent begins, where it is not left to chance.
_TRACE: ContextVar[int | None] = ContextVar("trace", default=None)


class _Ids(RandomIdGenerator):
    def generate_trace_id(self) -> int:
        return _TRACE.get() or super().generate_trace_id()


class Exported:
    """A span of the SDK. See `tracer.Span`."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: api.Tracer, span: api.Span) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def parent(self) -> trace.Parent | None:
        """Itself, for what is below it."""
        context = self._span.get_span_context()
        return trace.Parent(context.trace_id, context.span_id, context.trace_flags.sampled)

    def child(self, name: str, **attributes: Value) -> Exported:
        """A part of it that begins now."""
        context = api.set_span_in_context(self._span)
        return Exported(self._tracer, self._tracer.start_span(name, context, attributes=_named(attributes)))

    def say(self, **attributes: Value) -> None:
        """What is known of it by now."""
        self._span.set_attributes(_named(attributes))

    def fault(self, text: str) -> None:
        """It did not go well."""
        self._span.set_status(Status(StatusCode.ERROR, text))

    def end(self) -> None:
        """It is over."""
        if self._span.is_recording():
            self._span.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, where: TracebackType | None
    ) -> None:
        if raised is not None:
            self.fault(type(raised).__name__)
        self.end()


class Otlp:
    """See `tracer.Tracer`."""

    def __init__(self, instance: str, name: str, version: str) -> None:
        said = Resource.create()  # by OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
        named = not str(said.attributes["service.name"]).startswith("unknown_service")
        about = {"service.version": version, "service.instance.id": instance, "host.name": name}
        resource = Resource(about).merge(said).merge(Resource({} if named else {"service.name": SERVICE}))
        self._exporter = OTLPSpanExporter()
        self._provider = TracerProvider(resource=resource, id_generator=_Ids(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("control_room.runner", version)

    def begin(
        self,
        name: str,
        tenant_id: str,
        run_id: int | None,
        traceparent: str | None,
        about: Mapping[str, Value],
        *,
        ago_seconds: float = 0.0,
    ) -> Span:
        """See `tracer.Tracer`."""
        parent = trace.read(traceparent)
        context = None
        if parent is not None:
            flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
            there = SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags)
            context = api.set_span_in_context(NonRecordingSpan(there))
        whose: dict[str, Value] = {"tenant_id": tenant_id, **({} if run_id is None else {"run_id": run_id})}
        begins = _TRACE.set(None if run_id is None else trace.of_run(tenant_id, run_id))
        try:
            span = self._tracer.start_span(
                name,
                context,
                kind=SpanKind.CLIENT if name == "callback" else SpanKind.CONSUMER,
                attributes=_named(whose | dict(about)),
                start_time=time.time_ns() - int(ago_seconds * 1e9),
            )
        finally:
            _TRACE.reset(begins)
        return Exported(self._tracer, span)

    async def close(self) -> None:
        """Send what was not sent yet, but not for ever."""
        ended = asyncio.create_task(asyncio.to_thread(self._provider.shutdown))
        done, _ = await asyncio.wait((ended,), timeout=LAST_SPANS_SECONDS)
        if not done:
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # ends its tries; it is untyped
        await ended


def _named(attributes: dict[str, Value]) -> dict[str, Value]:
    return {f"control_room.{name}": value for name, value in attributes.items()}
