"""Shapes: sizes without a batch axis, and what each axis means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from math import isqrt
from typing import Any

MOST_AXES = 4
MOST_OUTPUTS = 4_096  # that one layer may have
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


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_shape(text: str) -> list[int | str]:
    """As `read_sizes`, with names for sizes that are open: `3xHxW`; between commas names may hold an x. None of anything else."""
    inside = text.strip().removeprefix("[").removeprefix("(").removesuffix("]").removesuffix(")").strip().removesuffix(",")
    parts = re.split(r"\s*[,;]\s*|\s+" if re.search(r"[,;\s]", inside) else r"[x×*]", inside) if len(text) < 100 else []
    known = all(re.fullmatch(r"[0-9]{1,18}", part, re.ASCII) or _NAME.fullmatch(part) for part in parts)
    return [int(part) if part.isdigit() else part for part in parts] if known else []


CHANNELS, SPACE, TOKENS, FEATURES, WINDOWS = "channels", "space", "tokens", "features", "windows"


class Shape(tuple[int, ...]):
    """`[C, L]`, `[C, H, W]` or `[C, D, H, W]` is a feature map, `[F]` a vector, `[T, D]` a sequence; `axes` says where it is otherwise.

    axes: the meaning of each axis: `channels`, `space`, `tokens`, `features`, or nothing where it is not known. Leading axes that are
        `windows` are part of PyTorch's batch axis. Shapes of equal sizes are equal, whatever their axes mean.
    """

    axes: tuple[str, ...] = ()

    def named(self, axes: Iterable[str]) -> Shape:
        """The same sizes with a meaning for each axis."""
        shape = Shape(self)
        shape.axes = tuple(axes)
        return shape

    @property
    def names(self) -> tuple[str, ...]:
        """The meaning of each axis, "" where it is not known."""
        return self.axes or ("",) * len(self)

    @property
    def joined(self) -> int:
        """How many leading axes are in the batch."""
        return self.axes.count(WINDOWS) if self.axes else 0

    @property
    def inner(self) -> Shape:
        """What a layer sees of it as one image: all but the axes that are in the batch."""
        count = self.joined
        return Shape(self[count:]).named(self.axes[count:]) if count else self

    def batched(self, batch: int) -> tuple[int, ...]:
        """The sizes of PyTorch's tensor for a batch of images."""
        count = self.joined
        return (batch * int(product(self[:count])), *map(int, self[count:]))

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


def input_shape(sizes: Iterable[int]) -> Shape:
    """The shape of a network's input: a vector, a map, or two axes, of which a layer must tell what they mean."""
    shape = Shape(sizes)
    return shape.named((FEATURES,) if len(shape) == 1 else ("", "") if len(shape) == 2 else (CHANNELS, *(SPACE,) * (len(shape) - 1)))


def _named_size(shape: Shape, name: str, place: int) -> int | None:
    """The size of an axis by what it means, of several the one at a place; None where none does."""
    sizes = [size for size, axis in zip(shape, shape.axes, strict=False) if axis == name]
    return sizes[place] if -len(sizes) <= place < len(sizes) else None


def _channels(shape: Shape) -> int:
    named = _named_size(shape, CHANNELS, 0)
    return shape[0] if named is None else named


def _side(place: int, least: int) -> Callable[[Shape], int | None]:
    """The size along a spatial axis, counted from the last, of a shape with so many axes at least."""

    def size(shape: Shape) -> int | None:
        if len(shape) < least:
            return None
        named = _named_size(shape, SPACE, place)
        return shape[place] if named is None else named

    return size


# What an expression may read of a block's input: `input.channels`, `input.height`, …
AXES: dict[str, tuple[str, Any]] = {
    "shape": ("any shape", list),
    "rank": ("any shape", len),
    "channels": ("any shape", _channels),
    "features": ("any shape", lambda shape: shape[-1]),
    "values": ("any shape", lambda shape: shape.values),
    "length": ("[C, L]", lambda shape: shape[1] if len(shape) == 2 else None),
    "tokens": ("[T, D]", lambda shape: shape[-2] if len(shape) - shape.joined == 2 else None),
    "depth": ("[C, D, H, W]", lambda shape: shape[1] if len(shape) == 4 else None),
    "height": ("[C, H, W]", _side(-2, 3)),
    "width": ("[C, H, W]", _side(-1, 3)),
}
