"""Comparing how long callables take, within one run, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import comb
from typing import TypeVar

import torch

Call = Callable[[], object]
Name = TypeVar("Name", bound=Hashable)
AT_LEAST = 0.03  # seconds of one go: a short call is repeated until the clock and its overhead do not matter


@dataclass(frozen=True, slots=True)
class Interval:
    """A median, and the range that holds the true one with `confidence`."""

    median: float
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The median between two order statistics: exact for any distribution. Below six values, all of their range, which is less sure.

    The true median lies outside the k-th from either end with a probability of 2 * P(Binomial(n, 1/2) < k).
    """
    ordered, count = sorted(values), len(values)
    rank, outside = 1, 2 / 2**count
    for k in range(2, (count + 1) // 2 + 1):
        more = 2 * sum(comb(count, i) for i in range(k)) / 2**count
        if more > 1 - confidence:
            break
        rank, outside = k, more
    return Interval(statistics.median(ordered), ordered[rank - 1], ordered[-rank], 1 - outside)


@dataclass(slots=True)
class Timing:
    """Seconds of one call in each round, and how many times those of the first callable in the same round."""

    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)

    @property
    def time(self) -> Interval:
        return interval(self.seconds)

    @property
    def ratio(self) -> Interval:
        return interval(self.ratios)


def compare(
    calls: Mapping[Name, Call],
    rounds: int = 7,
    warm: int = 2,
    at_least: float = AT_LEAST,
    sync: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Name, Timing]:
    """Every callable once a round, each round in the reverse order of the one before: A B, B A, A B, …

    Ratios are taken within a round, so that a machine that slows down does not bear on them; the order, so that
    neither what a callable finds in the caches nor a drift inside the round always helps the same one.

    warm: calls before the first round; the last one says how often a callable runs in one go of `at_least` seconds
    sync: waits until the device has done all; called before and after each go
    """
    repeats = {name: _repeats(call, warm, at_least, sync, clock) for name, call in calls.items()}
    timings = {name: Timing() for name in calls}
    first = next(iter(calls))
    with no_garbage():
        for turn in range(rounds):
            gc.collect(0)  # all that is new since the last round
            for name in list(calls)[:: -1 if turn % 2 else 1]:
                timings[name].seconds.append(_go(calls[name], repeats[name], sync, clock))
            for timing in timings.values():
                timing.ratios.append(timing.seconds[-1] / timings[first].seconds[-1])
    return timings


def _repeats(call: Call, warm: int, at_least: float, sync: Callable[[], object], clock: Callable[[], float]) -> int:
    """How often a callable is to run in one go."""
    once = min(_go(call, 1, sync, clock) for _ in range(max(warm, 1)))
    return max(1, min(1000, round(at_least / max(once, 1e-9))))


def _go(call: Call, repeats: int, sync: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds of one call."""
    sync()
    start = clock()
    for _ in range(repeats):
        call()
    sync()
    return (clock() - start) / repeats


@contextmanager
def no_garbage() -> Iterator[None]:
    """No collection of garbage in the midst of a measurement."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for PyTorch's own work."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def conditions() -> str:
    """What the figures depend on, with the load of the machine: above the threads in use, others were at work."""
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores" if hasattr(os, "getloadavg") else f"{os.cpu_count()} cores"
    cpu = torch.backends.cpu.get_cpu_capability()
    return f"PyTorch {torch.__version__}, {cpu}, {torch.get_num_threads()} of its threads, {load}"
