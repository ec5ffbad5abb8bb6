"""The lineage of one attempt, as its engine reports it write by write.

Engines report flows between *places*: `job:<path>` for something in the workspace (`job:inputs/x`,
`job:outputs/y`, the part files and partitions below it included), and any other word for a hop that ends
with the attempt: a view, a catalog table, a file in /tmp, data that the program held. The ledger folds hops
away, so what is emitted leads from inputs to outputs, and from output to output where a job reads back what
it wrote.

Nothing here may reach user code: every report goes through `guard`, which turns an exception into a gap. A
gap makes every event of the attempt low in confidence and says why on stderr.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.lineage.flow import Column, Flow, Ledger
from runner.lineage.openlineage import Dataset, event

from .request import SIDE_CHANNEL, Request

JOB = "job:"
#: The hop for rows that the program itself made or held (createDataFrame of a list).
LOCAL = "local data"

_MAX_HELD = 200


class Capture:
    """Collects flows while the job runs and writes `lineage.ndjson` at its end. Safe to call from any
    thread."""

    def __init__(self, request: Request, method: str) -> None:
        self._request = request
        self._method = method
        self._ledger = Ledger(lambda name: not name.startswith(JOB))
        self._written: dict[str, Flow] = {}
        self._held: list[Callable[[], Flow]] = []
        self._held_reads: set[str] = set()
        self._opened: set[str] = set()
        self._made_by_program: set[str] = set()
        self._gaps: list[str] = []
        self._lock = threading.RLock()

    # -- what engines report

    @contextmanager
    def guard(self, doing: str) -> Iterator[None]:
        """Whatever goes wrong inside is noted as a gap and never raised."""
        try:
            yield
        except Exception as error:
            self.gap(f"{doing}: {type(error).__name__}: {error}")
            if "CONTROL_ROOM_HARNESS_DEBUG" in sys._xoptions:
                traceback.print_exc()

    def gap(self, reason: str) -> None:
        """Something was not captured; every event of the attempt will say so."""
        line = reason.splitlines()[0][:300] if reason else "unknown"
        with self._lock:
            if line not in self._gaps:
                self._gaps.append(line)
        print(f"lineage: not captured: {line}", file=sys.stderr)

    def place(self, path: str) -> str:
        """The place of a path as user code wrote it (relative, absolute, file:, with a glob or a part
        file)."""
        text = str(path)
        for prefix in ("file://", "file:"):
            if text.startswith(prefix):
                text = text[len(prefix) :]
                break
        absolute = Path(self._request.root, text)
        parts: list[str] = []
        for part in absolute.parts:
            if part == "..":
                parts.pop()
            elif part != ".":
                parts.append(part)
        root = self._request.root.parts
        if tuple(parts[: len(root)]) != root or len(parts) == len(root) or parts[len(root)] == SIDE_CHANNEL:
            return str(Path(*parts))
        inside = parts[len(root) :]
        if (known := self._known(inside)) is not None:
            return JOB + known
        while len(inside) > 1 and _is_inner(inside[-1]):
            inside.pop()
        return JOB + "/".join(inside)

    def _known(self, inside: list[str]) -> str | None:
        """The declared input or output, or the earlier write, that a path lies in."""
        for depth in range(1, len(inside) + 1):
            prefix = "/".join(inside[:depth])
            if JOB + prefix in self._written:
                return prefix
        if len(inside) > 1 and inside[0] in ("inputs", "outputs"):
            folder, name = inside[0], inside[1]
            declared = self._request.datasets_in if folder == "inputs" else self._request.datasets_out
            stem = name.split(".", 1)[0]
            if name in declared:
                return f"{folder}/{name}"
            if stem in declared and folder == "outputs":
                return f"{folder}/{stem}"
        return None

    def hop(self, flow: Flow, *, replaces: bool = True) -> None:
        """Something for the time of the attempt was made: a view over a file, a catalog table."""
        with self._lock:
            self._ledger.record(flow, replaces=replaces)

    def forget(self, name: str) -> None:
        """A table of the catalog was dropped."""
        with self._lock:
            self._ledger.forget(name)

    def wrote(self, path: str, flow: Flow, *, replaces: bool) -> None:
        """The engine wrote `flow` to a path; `replaces` when what was there before is gone."""
        with self._lock:
            target = self.place(path)
            folded = self._ledger.record(replace(flow, target=target), replaces=replaces)
            if target.startswith(JOB):
                before = self._written.get(target)
                self._written[target] = folded if before is None or replaces else before.joined(folded)

    def held(self, flow: Callable[[], Flow]) -> None:
        """The program took data out of the engine (collect, toPandas). Traced only if it matters later."""
        with self._lock:
            if len(self._held) < _MAX_HELD:
                self._held.append(flow)
            elif len(self._held) == _MAX_HELD:
                self._held.append(
                    lambda: Flow(None, "HELD", doubts=("too many collected results to follow",))
                )

    def local(self, columns: list[str]) -> Flow:
        """Rows that the program brought in. If it had read anything before, their origin is in doubt."""
        reads = self._program_reads()
        if not reads:
            return Flow(LOCAL, "LOCAL", columns={name: Column() for name in columns})
        doubt = "made from rows that the program held"
        return Flow(LOCAL, "LOCAL", reads, {name: Column(doubt=doubt) for name in columns})

    def opened(self, path: str, *, writes: bool) -> None:
        """The program itself opened a file below the workspace."""
        with self._lock:
            place = self.place(path)
            if place.startswith(f"{JOB}inputs/") and not writes:
                self._opened.add(place)
            elif place.startswith(f"{JOB}outputs/"):
                (self._made_by_program if writes else self._opened).add(place)

    def _program_reads(self) -> frozenset[str]:
        """What the program may have in its hands: files it opened itself, results it collected."""
        with self._lock:
            held, self._held = self._held, []
            for each in held:  # each is traced once
                self._held_reads |= self._ledger.fold(each()).reads
            return frozenset(self._opened | self._held_reads)

    # -- at the end

    def finish(self, *, succeeded: bool, schemas: dict[str, list[tuple[str, str]]]) -> None:
        """Write the events. `schemas`: output name -> columns as they will be published, where known."""
        with self.guard("writing the events"):
            self._add_unseen_files()
            lines = []
            for place, flow in sorted(self._written.items()):
                lines.append(json.dumps(self._event(place, flow, succeeded, schemas), separators=(",", ":")))
            target = self._request.side_channel / "lineage.ndjson"
            target.write_text("".join(line + "\n" for line in lines), "utf-8")

    def _add_unseen_files(self) -> None:
        """Outputs that no engine wrote: Python code did, and what it put there cannot be followed."""
        outputs = self._request.root / "outputs"
        unseen = {
            place for place in self._made_by_program if (self._request.root / place[len(JOB) :]).exists()
        }
        for found in sorted(outputs.iterdir()) if outputs.is_dir() else []:
            place = self.place(str(found))
            if not any(each == place or each.startswith(place + "/") for each in (*self._written, *unseen)):
                unseen.add(place)
        for place in unseen - set(self._written):
            doubt = "written by the program itself, not by the engine"
            self._written[place] = Flow(place, "FILE", self._program_reads(), doubts=(doubt,))

    def _event(
        self, place: str, flow: Flow, succeeded: bool, schemas: dict[str, list[tuple[str, str]]]
    ) -> dict[str, Any]:
        output = self.dataset(place)
        published = schemas.get(place.removeprefix(f"{JOB}outputs/"))
        if published is not None:
            columns = {name: flow.columns.get(name, Column()) for name, _ in published}
            flow = replace(flow, columns=columns, types=dict(published))
        flow = replace(flow, doubts=(*flow.doubts, *self._gaps))
        return event(
            flow,
            output=output,
            name_of=lambda name: self.dataset(name) if name.startswith(JOB) else None,
            job=self._request.job,
            engine=self._request.engine,
            method="event" if flow.operation == "FILE" else self._method,
            event_type="COMPLETE" if succeeded else "FAIL",
        )

    def dataset(self, place: str) -> Dataset:
        """The dataset at a place of the workspace."""
        path = place.removeprefix(JOB)
        folder, _, name = path.partition("/")
        declared = {"inputs": self._request.datasets_in, "outputs": self._request.datasets_out}.get(
            folder, {}
        )
        return declared.get(name) or Dataset(self._request.files, path)


def _is_inner(part: str) -> bool:
    """Is this last step of a path inside one dataset: a glob, a partition folder, a part file?"""
    return any(c in part for c in "*?[{") or "=" in part or part.startswith(("part-", "_"))
