"""Which positions of its inputs an output position of a layer reads, as rules of whole numbers.

A rule is for one axis. It holds for every whole number `i`, as if the maps went on past their borders: `at(i)` are the positions of
the input that output position `i` reads. Each repeats itself: `at(i + period)` is `at(i)`, moved on by `shift`.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple


class Reach(NamedTuple):
    """A window: output `i` reads the inputs from `i*step + low` to `i*step + high`, every `hole`-th of them.

    border: what stands beyond the map, of the map itself: `reflect` or `replicate`. Any other border counts as more of the map
    """

    step: int
    low: int
    high: int
    hole: int = 1
    border: str = ""

    @property
    def period(self) -> int:
        return 1

    @property
    def shift(self) -> int:
        return self.step

    def at(self, i: int) -> range:
        first = i * self.step
        return range(first + self.low, first + self.high + 1, self.hole)

    def inside(self, j: int, size: int) -> int:
        """The position of the map that stands at position `j` of a border."""
        if self.border == "replicate" or size == 1:
            return min(max(j, 0), size - 1)
        j %= 2 * (size - 1)
        return min(j, 2 * (size - 1) - j)


class Spread(NamedTuple):
    """A transposed window: input `j` is written to the outputs `j*stride - padding + t*dilation`, for each tap `t` of the kernel."""

    stride: int
    padding: int
    kernel: int
    dilation: int

    @property
    def period(self) -> int:
        return self.stride

    @property
    def shift(self) -> int:
        return 1

    def at(self, i: int) -> range:
        """The inputs with a tap here: t*dilation = i + padding - j*stride has a solution in every `stride/common`-th tap, or in none."""
        common = gcd(self.dilation, self.stride)
        beyond, rest = divmod(i + self.padding, common)
        step = self.stride // common
        tap = beyond * pow(self.dilation // common, -1, step) % step
        if rest or tap >= self.kernel:
            return range(0)
        last = (i + self.padding - tap * self.dilation) // self.stride
        hole = self.dilation // common
        return range(last - (self.kernel - 1 - tap) // step * hole, last + 1, hole)


class Linear(NamedTuple):
    """The inputs around a position. Output `i` lies at (2*i + 1)*size/(2*out) - 1/2; with `corners` at i*(size - 1)/(out - 1)."""

    size: int
    out: int
    corners: bool

    @property
    def period(self) -> int:
        return self._ratio[1]

    @property
    def shift(self) -> int:
        return self._ratio[0]

    def at(self, i: int) -> range:
        if self.corners:
            place, parts = (i * (self.size - 1), self.out - 1) if self.out > 1 else (0, 1)
        else:
            place, parts = (2 * i + 1) * self.size - self.out, 2 * self.out
        return range(place // parts, -(-place // parts) + 1)

    @property
    def _ratio(self) -> tuple[int, int]:
        size, out = (self.size, self.out) if not self.corners else (self.size - 1, self.out - 1) if self.out > 1 else (0, 1)
        common = gcd(size, out)
        return size // common, out // common


class Bins(NamedTuple):
    """A bin: output `i` reads from floor(i*size/out) to ceil((i + 1)*size/out) - 1; with `nearest` the first of these alone."""

    size: int
    out: int
    nearest: bool = False

    @property
    def period(self) -> int:
        return self.out // gcd(self.size, self.out)

    @property
    def shift(self) -> int:
        return self.size // gcd(self.size, self.out)

    def at(self, i: int) -> range:
        first = i * self.size // self.out
        return range(first, first + 1 if self.nearest else -(-(i + 1) * self.size // self.out))


class Paired(NamedTuple):
    """Two inputs that are `apart`: of each 2*apart positions, i and i + apart read both."""

    apart: int

    @property
    def period(self) -> int:
        return 2 * self.apart

    @property
    def shift(self) -> int:
        return 2 * self.apart

    def at(self, i: int) -> range:
        first = i // self.period * self.period + i % self.apart
        return range(first, first + self.apart + 1, self.apart)


class Picked(NamedTuple):
    """Output `i` reads input `sources[i]`, of `size`: entries in another order, left out or repeated."""

    sources: tuple[int, ...]
    size: int

    @property
    def period(self) -> int:
        return len(self.sources)

    @property
    def shift(self) -> int:
        return self.size

    def at(self, i: int) -> range:
        turn, place = divmod(i, len(self.sources))
        first = turn * self.size + self.sources[place]
        return range(first, first + 1)


Rule = Reach | Spread | Linear | Bins | Paired | Picked


class Along(NamedTuple):
    """All entries along some axes are read together, one position along the others: a softmax, a matrix over the last axis.

    gone: whether the axes are gone from the output, as those of a mean are
    """

    axes: tuple[int, ...]
    gone: bool = False


class Joined(NamedTuple):
    """The inputs lie one after the other along an axis, after `before` entries of the layer's own."""

    axis: int
    before: int = 0


class Inserted(NamedTuple):
    """The inputs lie one after the other along a new axis."""

    axis: int


class Unfolded(NamedTuple):
    """Windows, the places of which, of these numbers along the axes, are one axis then."""

    rules: tuple[Rule | str, ...]
    space: tuple[int, ...]


class Folded(NamedTuple):
    """The last axis as several of these sizes, along which rules then hold."""

    rules: tuple[Rule | str, ...]
    space: tuple[int, ...]


class Each(NamedTuple):
    """Another rule for each input."""

    of: tuple[Behavior, ...]


class EachOutput(NamedTuple):
    """Another rule for each output."""

    of: tuple[Behavior, ...]


POINT = "point"  # each output value sees one input position
WHOLE = "whole"  # each output value sees all positions
MOVED = "moved"  # the output is a view of the input, moved as the layer's `moves` say
Behavior = str | tuple[Rule | str, ...] | Along | Joined | Inserted | Unfolded | Folded | Each | EachOutput | None


def rules_of(reach: Behavior) -> tuple[Rule | str, ...] | None:
    """The rule for each axis, of a layer that has such rules."""
    return reach if type(reach) is tuple else None  # type: ignore[return-value]
