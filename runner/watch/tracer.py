"""Spans of what the runner does for a run, and what they are told when nobody wants them: nothing.

    submit (whoever asked, if they trace)
      ├ queue        ready → claimed
      ├ attempt      claimed → written down
      │   ├ prepare  workspace, code, inputs
      │   ├ execute  the executor; user code finds this span in TRACEPARENT
      │   ├ deliver  artifacts and tables go up
      │   └ settle   the outcome is written down
      └ callback     one try; the receiver finds this span in `traceparent`

`otlp` is the tracer that exports. Without it a run's `traceparent` is passed on as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol, Self

from runner.model import trace

Value = str | int | float | bool


class Span(Protocol):
    """Something that takes its time. A `with` block ends it, and notes what was raised."""

    @property
    def parent(self) -> trace.Parent | None:
        """What is done within it, here or elsewhere, names this as its parent."""
        ...

    def child(self, name: str, **attributes: Value) -> Span:
        """A part of it that begins now."""
        ...

    def say(self, **attributes: Value) -> None:
        """What is known of it by now."""
        ...

    def fault(self, text: str) -> None:
        """It did not go well."""
        ...

    def end(self) -> None:
        """It is over. Once is enough, more does no harm."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, where: TracebackType | None
    ) -> None: ...


class Tracer(Protocol):
    """Begins the spans that are nobody's part here."""

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
        """A span of a run, below the `traceparent` that the run has, if any. It began so long ago."""
        ...

    async def close(self) -> None:
        """Send what was not sent yet."""
        ...


class Passed:
    """The span of a runner that does not trace: others' work hangs where the run itself hangs."""

    __slots__ = ("parent",)

    def __init__(self, parent: trace.Parent | None = None) -> None:
        self.parent = parent

    def child(self, name: str, **attributes: Value) -> Passed:
        """Itself."""
        return self

    def say(self, **attributes: Value) -> None:
        """Nobody listens."""

    def fault(self, text: str) -> None:
        """Nobody listens."""

    def end(self) -> None:
        """Nobody listens."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, where: TracebackType | None
    ) -> None:
        pass


_NOTHING = Passed()
#: The span of the attempt that this task carries.
CURRENT: ContextVar[Span] = ContextVar("span", default=_NOTHING)


class Silent:
    """Passes on what runs were submitted with."""

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
        """See `Tracer`."""
        parent = trace.read(traceparent)
        return _NOTHING if parent is None else Passed(parent)

    async def close(self) -> None:
        """Nothing was kept."""
