"""Submitters that keep a beat, the same for every queue: when each commit came back, by job id."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

WRITERS = 4


class Submitter(Protocol):
    """One connection that submits one job and returns its id after the commit."""

    def __call__(self) -> int: ...


def words(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("dsn")
    parser.add_argument("word", choices=("install", "fill", "single", "idle", "paced", "work"))
    parser.add_argument("numbers", nargs="*", type=float)
    parser.add_argument("--stamps", help="work: where the handlers' times go at the end")
    return parser.parse_args()


def answer(value: object) -> None:
    json.dump(value, sys.stdout)
    print(flush=True)


def keep(seen: dict[int, float], stamps: str | None) -> None:
    """When each handler began, for whoever asked for it."""
    if stamps:
        Path(stamps).write_text(json.dumps(seen))


def single(submit: Submitter, seconds: float) -> dict[str, float]:
    """One after the other as fast as one connection goes."""
    for _ in range(20):
        submit()
    n = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        submit()
        n += 1
    return {"n": n, "seconds": time.perf_counter() - began}


def idle(submit: Submitter, n: int) -> dict[int, float]:
    """With pauses, so that the worker sleeps whenever a job comes."""
    for _ in range(10):  # plans are made, the worker has met its first work
        submit()
        time.sleep(0.05)
    committed = {}
    for i in range(n):
        time.sleep(0.02 + (i % 7) * 0.01)
        job = submit()  # not in one line: the clock on the right would be read first
        committed[job] = time.time()
    return committed


def paced(submitters: Sequence[Submitter], seconds: float, rate: float) -> dict[int, float]:
    """`rate` a second over several connections, each on its own beat."""
    beat = len(submitters) / rate
    begin = time.monotonic() + 0.2
    committed: list[dict[int, float]] = [{} for _ in submitters]

    def write(i: int) -> None:
        n = 0
        while (due := begin + i / rate + n * beat) < begin + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            job = submitters[i]()
            committed[i][job] = time.time()
            n += 1

    threads = [threading.Thread(target=write, args=(i,)) for i in range(len(submitters))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {job: at for each in committed for job, at in each.items()}


def submissions(make: Callable[[], Submitter], word: str, numbers: Sequence[float]) -> object:
    """Carries out one of the words that submit."""
    match word:
        case "single":
            return single(make(), numbers[0])
        case "idle":
            return idle(make(), int(numbers[0]))
        case "paced":
            return paced([make() for _ in range(WRITERS)], numbers[0], numbers[1])
        case _:
            raise AssertionError(word)
