"""How long a call takes: repeated, on a device that may work behind the caller's back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch

LEAST_RUNS = 5
SHORTEST = 1e-3  # seconds: what is shorter is run several times between two looks at the clock


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of a call: the median, and the best of all runs."""

    median: float
    best: float


def taken(call: Callable[[], object], device: torch.device, budget: float) -> Taken:
    """Times a call for about `budget` seconds, after two runs that do not count."""
    first = min(_run(call, 1, device) for _ in range(2))
    inner = max(1, min(1000, int(SHORTEST / max(first, 1e-7))))
    runs: list[float] = []
    end = perf_counter() + budget
    while len(runs) < LEAST_RUNS or perf_counter() < end:
        runs.append(_run(call, inner, device))
    return Taken(median(runs), min(runs))


def _run(call: Callable[[], object], times: int, device: torch.device) -> float:
    _finish(device)
    start = perf_counter()
    for _ in range(times):
        call()
    _finish(device)
    return (perf_counter() - start) / times


def _finish(device: torch.device) -> None:
    """Waits for what is under way."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
