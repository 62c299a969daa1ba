"""The memory of a run on the CPU, as PyTorch's profiler records it: every allocation, and the operator inside which it was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch


@dataclass
class Recorded:
    """Bytes alive after each event; those of the last round begin at `last`. What an operator allocated and freed before it ended is
    left out."""

    peak: int = 0
    last: int = 0
    live: list[int] = field(default_factory=list)
    at: str = ""
    marks: dict[str, int] = field(default_factory=dict)


@dataclass
class _Event:
    time: int
    ptr: int
    bytes: int
    op: int | None
    where: str


def recorded(work: Callable[[], Any], rounds: int = 2) -> Recorded:
    """Runs the work some times; the peak is that of the last, above what was alive before the first.

    The profiler does not see that memory of before goes, so the first leaves what the last replaces.
    """
    events: list[_Event] = []
    marks: list[tuple[int, str]] = []
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        for _ in range(rounds - 1):
            work()
        with torch.profiler.record_function("mark:last"):
            pass
        work()
    for root in profile.profiler.kineto_results.experimental_event_tree():
        _walk(root, None, "", events, marks)
    events.sort(key=lambda one: one.time)
    return _summed(_without_scratch(events), sorted(marks))


def _walk(event: Any, op: int | None, where: str, found: list[_Event], marks: list[tuple[int, str]]) -> None:
    name = event.name
    if event.tag == torch._C._profiler._EventType.Allocation:
        found.append(_Event(event.start_time_ns, event.extra_fields.ptr, event.extra_fields.alloc_size, op, where))
    if name.startswith("mark:"):
        marks.append((event.start_time_ns, name[5:]))
    if op is None and name.startswith("aten::"):
        op = event.id
    for child in event.children:
        _walk(child, op, f"{where}/{name}", found, marks)


def _without_scratch(events: list[_Event]) -> list[_Event]:
    """Leaves out what lives inside one operator alone."""
    kept, alive = [True] * len(events), dict[int, int]()
    for at, one in enumerate(events):
        if one.bytes > 0:
            alive[one.ptr] = at
        elif one.ptr in alive:
            made = alive.pop(one.ptr)
            number = made == at - 1 and -one.bytes <= 8 and events[made].op is None  # inside an operator that has no event of its own
            if number or (one.op is not None and events[made].op == one.op):
                kept[made] = kept[at] = False
    return [one for one, keep in zip(events, kept, strict=True) if keep]


def _summed(events: list[_Event], marks: list[tuple[int, str]]) -> Recorded:
    done, total, waiting = Recorded(), 0, list(marks)
    for one in events:
        while waiting and waiting[0][0] <= one.time:
            done.marks[waiting.pop(0)[1]] = total
            done.last = len(done.live)
        total += one.bytes
        done.live.append(total)
        if "last" in done.marks and total > done.peak:
            done.peak, done.at = total, one.where
    done.marks.update((name, total) for _, name in waiting)
    return done


def turns(live: list[int]) -> list[int]:
    """Where bytes alive stop rising or falling. In between, one operator may free in another order."""
    steps = [live[0], *(b for a, b in pairwise(live) if a != b)]
    return [b for (a, b), (_, c) in pairwise(pairwise(steps)) if (b - a) * (c - b) < 0]
