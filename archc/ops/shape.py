"""Shapes: sizes without a batch axis."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isqrt
from typing import Any

MOST_AXES = 4
MOST_DIVISORS, MOST_TRIED = 6, 50_000


def product(sizes: Iterable[int]) -> int:
    """Unlike math.prod, it leaves tracked ints tracked and never starts a formula with 1."""
    result = 1
    for size in sizes:
        result = result * size
    return result


def divisors(number: int, near: int, name: str) -> str:
    """What to write for an argument that does not divide a number: its divisors, `groups: 1, 2 or 4`, of many the nearest."""
    count = int(number)
    small = [divisor for divisor in range(1, min(isqrt(count), MOST_TRIED) + 1) if count % divisor == 0]
    found = sorted({*small, *(count // divisor for divisor in small)}, key=lambda divisor: abs(divisor - int(near)))[:MOST_DIVISORS]
    *others, last = map(str, sorted(found))
    return f"{name}: {', '.join(others)}{' or ' * bool(others)}{last}"


_SEPARATOR = r"(?:\s*[x×X*,;]\s*|\s+)"
_SIZES = re.compile(rf"\s*[\[(]?\s*\d{{1,18}}(?:{_SEPARATOR}\d{{1,18}})*\s*,?\s*[\])]?\s*", re.ASCII)


def read_sizes(text: str) -> list[int]:
    """`3x224x224`, `3,224,224`, `3 224 224`, `(3, 224, 224)`: the numbers; none of anything else."""
    return [int(size) for size in re.findall("[0-9]+", text)] if len(text) < 100 and _SIZES.fullmatch(text) else []


class Shape(tuple[int, ...]):
    """`[C, L]`, `[C, H, W]` or `[C, D, H, W]` is a feature map, `[F]` a vector, `[T, D]` a sequence."""

    __slots__ = ()

    @property
    def channels(self) -> int:
        """The first axis."""
        return self[0]

    @property
    def features(self) -> int:
        """The last axis."""
        return self[-1]

    @property
    def space(self) -> tuple[int, ...]:
        """All axes after the first."""
        return tuple(self[1:])

    @property
    def values(self) -> int:
        """How many values there are, for one image."""
        return product(self)

    def __str__(self) -> str:
        return "x".join(map(str, self))


# What an expression may read of a block's input: `input.channels`, `input.height`, …
AXES: dict[str, tuple[str, Any]] = {
    "shape": ("any shape", list),
    "rank": ("any shape", len),
    "channels": ("any shape", lambda shape: shape[0]),
    "features": ("any shape", lambda shape: shape[-1]),
    "values": ("any shape", lambda shape: shape.values),
    "length": ("[C, L]", lambda shape: shape[1] if len(shape) == 2 else None),
    "tokens": ("[T, D]", lambda shape: shape[0] if len(shape) == 2 else None),
    "depth": ("[C, D, H, W]", lambda shape: shape[1] if len(shape) == 4 else None),
    "height": ("[C, H, W]", lambda shape: shape[-2] if len(shape) > 2 else None),
    "width": ("[C, H, W]", lambda shape: shape[-1] if len(shape) > 2 else None),
}
