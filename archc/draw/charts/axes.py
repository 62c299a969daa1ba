"""Round numbers for axes."""

from __future__ import annotations


def plain_ticks(top: float, most: int = 6) -> list[int]:
    """Multiples of 1, 2 or 5 times a power of ten, from 0 up to `top`."""
    step = 1
    while top / step > most:
        step = _next(step)
    return list(range(0, int(top) + 1, step))


def _next(step: int) -> int:
    return step * 5 // 2 if str(step)[0] == "2" else step * 2


def binary_ticks(top: int, most: int = 5) -> list[int]:
    """Multiples of a power of two from 0 to `top`, and so round in KiB, MiB and GiB."""
    step = 1
    while top // step > most:
        step *= 2
    return list(range(0, top + 1, step))
