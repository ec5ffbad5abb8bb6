"""The figures of one runner, as Prometheus and OpenMetrics read them.

Names of tenants, jobs and runs are no labels: there are as many as people make. Every label here has a
handful of values that this code or the database's own lists bound.

Counting is adding to a number, a third of the time that prometheus_client's own histogram takes, and it is
done four times for each of ten thousand jobs a second. Its families are made when somebody looks. All of it
happens in the one event loop of the runner, so nothing is locked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

#: Seconds. From what is felt at once to a day: waiting and work.
LONG = (0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 15, 30, 60, 300, 900, 3600, 14400, 86400)
#: Seconds. One question to a database, one call of a receiver.
SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 30)
#: Seconds from an event to its receipt: the schedule of tries goes over 75 hours.
DELIVERY = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 36000, 86400, 300000)
STREAMS = frozenset({"stdout", "stderr", "system"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What is asked at the moment of a scrape."""

    running: Callable[[], int]
    held: Callable[[], int]
    outstanding: Callable[[], int]
    listening: Callable[[], bool]
    draining: Callable[[], bool]
    stale: Callable[[], int]


class Count:
    """What only grows, by the values of its labels."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self._named = name, text, labels
        self.of: Counter[tuple[str, ...]] = Counter() if labels else Counter({(): 0})

    def family(self) -> Metric:
        """As it is now."""
        name, text, labels = self._named
        family = CounterMetricFamily(f"control_room_{name}", text, labels=labels)
        for values, n in self.of.items():
            family.add_metric(values, n)
        return family


class Spread:
    """How often which length was seen, by the value of its one label, or of none."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], *labels: str) -> None:
        self._named = name, text, labels
        self._bounds = bounds
        self._of: dict[str, _Seen] = {} if labels else {"": _Seen(len(bounds))}

    def add(self, seconds: float, label: str = "", trace_id: str | None = None) -> None:
        """One more; of which trace, where that is known."""
        seen = self._of.get(label)
        if seen is None:
            seen = self._of[label] = _Seen(len(self._bounds))
        place = bisect_left(self._bounds, seconds)
        seen.counts[place] += 1
        seen.total += seconds
        if trace_id is not None:
            seen.last[place] = Exemplar({"trace_id": trace_id}, seconds)

    def family(self) -> Metric:
        """As it is now."""
        name, text, labels = self._named
        family = HistogramMetricFamily(f"control_room_{name}", text, labels=labels)
        for label, seen in self._of.items():
            buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
            n = 0
            for place, bound in enumerate((*self._bounds, float("inf"))):
                n += seen.counts[place]
                last = seen.last.get(place)
                said = "+Inf" if bound == float("inf") else str(float(bound))
                buckets.append((said, n) if last is None else (said, n, last))
            family.add_metric([label] if labels else [], buckets, seen.total)
        return family


class _Seen:
    __slots__ = ("counts", "last", "total")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.total = 0.0
        self.last: dict[int, Exemplar] = {}


class Meter(Collector):
    """Counts. Has a registry of its own, so that two runners in one process do not count for each other."""

    def __init__(self) -> None:
        self._about: dict[str, str] = {}
        self._capacity = 0
        self._depth = 0
        self._now: Now | None = None
        self._claims = Count("claims", "Questions for work, by whether there was some.", "found")
        self._claimed = Count("attempts_claimed", "Attempts that became ours.", "job_type")
        self._settled = Count(
            "attempts_settled", "Attempts whose outcome was written down.", "job_type", "outcome", "code"
        )
        self._released = Count("attempts_given_back", "Attempts given back while draining.")
        self._lost = Count("leases_lost", "Attempts that were stopped because somebody else may hold them.")
        self._lines = Count("log_lines", "Lines of jobs that were sent.", "stream")
        self._callbacks = Count("callbacks", "Tries of callbacks, by how they ended.", "result", "status")
        self._trouble = Count(
            "database_errors", "Statements that failed: away (tried again) or refused.", "lane", "kind"
        )
        self._restarts = Count(
            "loop_failures", "Faults of ours that ended one of the runner's loops; it began anew.", "loop"
        )
        self._wait = Spread(
            "attempt_wait_seconds", "From when an attempt could be claimed to its claim.", LONG
        )
        self._start = Spread(
            "attempt_start_seconds",
            "From the claim to the start of the executor: files, tables and code are laid out meanwhile.",
            LONG,
            "job_type",
        )
        self._work = Spread("attempt_duration_seconds", "From the claim to the outcome.", LONG, "job_type")
        self._call = Spread("callback_duration_seconds", "One try of a callback.", SHORT)
        self._delivery = Spread(
            "callback_latency_seconds",
            "From the event to the receiver's word that it has it, all tries included.",
            DELIVERY,
        )
        self._trip = Spread(
            "database_trip_seconds", "One statement, from asking to its answer.", SHORT, "lane"
        )
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def introduce(self, *, name: str, version: str, capacity: int, now: Now) -> None:
        """Who is counted here, and whom to ask when somebody looks."""
        self._about = {"name": name, "version": version}
        self._capacity = capacity
        self._now = now

    def claimed(self, attempts: Sequence[tuple[str, int | None]]) -> None:
        """One claim and what it brought: job type and wait in milliseconds of each."""
        self._claims.of["true" if attempts else "false",] += 1
        count = self._claimed.of
        for job_type, waited in attempts:
            count[job_type,] += 1
            if waited is not None:
                self._wait.add(max(0, waited) / 1000)

    def started(self, job_type: str, seconds: float) -> None:
        """An executor begins, so long after the claim."""
        self._start.add(seconds, job_type)

    def ended(self, job_type: str, seconds: float, trace_id: str | None = None) -> None:
        """An outcome is there, or it is known that there will be none, so long after the claim."""
        self._work.add(seconds, job_type, trace_id)

    def settled(self, job_type: str, outcome: str, code: str) -> None:
        """One outcome is written down."""
        self._settled.of[job_type, outcome, code] += 1

    def given_back(self) -> None:
        """One attempt."""
        self._released.of[()] += 1

    def lost(self) -> None:
        """One lease."""
        self._lost.of[()] += 1

    def lines(self, streams: Iterable[str]) -> None:
        """Lines that were sent, each by its stream."""
        count = self._lines.of
        for stream in streams:
            count[stream if stream in STREAMS else "other",] += 1

    def called(self, result: str, status: int | None, seconds: float, age_seconds: float | None) -> None:
        """One try of a callback; `age_seconds`: of its event by now."""
        self._callbacks.of[result, f"{status // 100}xx" if status else "none"] += 1
        self._call.add(seconds)
        if result == "delivered" and age_seconds is not None:
            self._delivery.add(age_seconds)

    def tripped(self, lane: str, seconds: float) -> None:
        """The database answered."""
        self._trip.add(seconds, lane)

    def troubled(self, lane: str, kind: str) -> None:
        """It did not, or not as was asked."""
        self._trouble.of[lane, kind] += 1

    def depth(self, waiting: int) -> None:
        """What waits, as the tick saw it."""
        self._depth = waiting

    def restarted(self, loop: str) -> None:
        """A loop fell over and began anew."""
        self._restarts.of[loop,] += 1

    def told(self, accept: str) -> tuple[bytes, str]:
        """All of it, in the form that is asked for: OpenMetrics, or Prometheus' older text."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        yield InfoMetricFamily("control_room_runner", "Which runner this is.", value=self._about)
        for name, text, value in self._gauges():
            yield GaugeMetricFamily(f"control_room_{name}", text, value=float(value))
        for each in vars(self).values():
            if isinstance(each, Count | Spread):
                yield each.family()
        yield CounterMetricFamily(
            "control_room_late_discarded",
            "Renewals, reports and outcomes that the database discarded, their lease being lost.",
            value=self._now.stale() if self._now else 0,
        )

    def _gauges(self) -> Iterator[tuple[str, str, int | bool]]:
        yield "capacity", "Places for attempts.", self._capacity
        yield (
            "queue_depth",
            "Attempts that wait, of all tenants, as the last tick saw it; 1000 means so many or more. Every "
            "runner tells the same: take the max.",
            self._depth,
        )
        now = self._now
        if now is None:
            return
        yield "attempts_running", "Attempts that occupy a place.", now.running()
        yield "leases_held", "Attempts under our lease, those being written down included.", now.held()
        yield "callbacks_outstanding", "Callbacks claimed and not yet settled.", now.outstanding()
        yield "listening", "1 while the database's notifications arrive; a poll insures it.", now.listening()
        yield "draining", "1 since the runner was asked to stop.", now.draining()
