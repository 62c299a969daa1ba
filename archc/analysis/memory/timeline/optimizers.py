"""Bytes of what an optimizer keeps, and of what its step makes on the way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

from archc.catalog.optimizers import OPTIMIZERS, Arguments
from archc.errors import ArgumentError

FOREACH, LOOP, FUSED = "foreach", "loop", "fused"
IMPLEMENTATIONS = (FOREACH, LOOP, FUSED)
Shapes = Sequence[tuple[int, ...]]
_COUNTER, _NUMBER = 4, 8  # bytes of a step's count, and of a number that PyTorch wraps as a tensor on the CPU
_NONE: dict[str, Any] = {}


def usual(name: str, device: str) -> str:
    """The implementation that is taken where nothing is said."""
    return FOREACH if device == "cuda" and OPTIMIZERS[name].foreach is not None else LOOP


def state_bytes(name: str, shapes: Shapes, item: int, device: str, how: str, arguments: Arguments = _NONE) -> list[int]:
    """The bytes of the state, a block a tensor. Counters on the CPU take no room of a GPU."""
    entry = OPTIMIZERS[name]
    arguments = entry.with_defaults(arguments)
    counters = [_COUNTER] * entry.counters if device == "cpu" or how == FUSED or entry.resident else []
    return [size for shape in shapes for size in (*(item * values for values in entry.kept(shape, arguments) if values), *counters)]


def step_bytes(name: str, shapes: Shapes, item: int, device: str, how: str, arguments: Arguments = _NONE) -> int:
    """The most that a step has made at one time. Raises ValueError for an implementation that there is not."""
    entry = OPTIMIZERS[name]
    if how == FUSED:
        if not entry.fused:
            raise ArgumentError(
                f"{f'torch.optim has no fused {name}' if entry.torch else f'there is no fused {name}'}; write foreach or loop"
            )
        return 0
    text = entry.foreach if how == FOREACH else entry.loop
    if text is None:
        raise ArgumentError(f"a foreach {name} is not modelled; write loop")
    words = entry.made(text, entry.with_defaults(arguments))
    sizes = [item * prod(shape) for shape in shapes]
    if how == FOREACH:
        return _peak(words, [sum(sizes)], on_cpu=False)  # numbers are wrapped inside of its operators
    # What is alive at a weight is its own and that of the one before it, so that each pair of sizes has to be played once.
    return max((_peak(words, pair, device == "cpu") for pair in set(pairwise([0, *sizes]))), default=0)


def _peak(words: Sequence[str], sizes: Sequence[int], on_cpu: bool) -> int:
    """The most bytes alive while `words` (see `Optimizer.loop`) are done for one weight after the other."""
    alive: dict[str, int] = {}
    peak = 0
    for size in filter(None, sizes):
        for word in words:
            name, _, small = word.strip("-?#").partition(":")
            if word.startswith("-"):
                alive.pop(name, None)
                continue
            made = (int(small) * on_cpu if small else size) if name else 0
            number = _NUMBER if on_cpu and word.endswith("#") else 0
            peak = max(peak, sum(alive.values()) + made + number)
            if name:
                alive[name] = made
    return peak
