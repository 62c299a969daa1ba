"""What the positions of a map see along one axis of the network's input: the first pixel and the last, for each position.

A `PositionLine` is not cut at borders: it goes on for ever, by one rule for each of a few positions in turn. `Positions` are cut:
padding is not of the image, and each position has a pixel of its own to begin and to end with. `Always` is what every position sees alike.
"""

from __future__ import annotations

from math import gcd, lcm
from typing import NamedTuple

from archc.ops.reach import Reach, Rule

NOTHING = 1 << 60  # a position that sees no pixel is from NOTHING to -NOTHING
MOST_PHASES = 256


class Unfollowed(Exception):
    """A line does not say this: the pixels of each position must be known."""


class PositionLine(NamedTuple):
    """Position i sees from firsts[i % period] + shift*(i // period), and to lasts[…] + …, for all whole numbers i.

    positions: how many the map has
    full: whether within the borders position 0 sees the first pixel and the last position the last one, so that all together see the axis
    """

    shift: int
    firsts: tuple[int, ...]
    lasts: tuple[int, ...]
    positions: int
    full: bool

    def span(self, i: int) -> tuple[int, int]:
        turns, phase = divmod(i, len(self.firsts))
        return self.firsts[phase] + self.shift * turns, self.lasts[phase] + self.shift * turns

    def through(self, rule: Rule, out: int) -> PositionLine:
        """Behind a layer with `out` positions."""
        firsts, lasts, shift = self.firsts, self.lasts, self.shift
        full = self.full and 0 in rule.at(0) and self.positions - 1 in rule.at(out - 1)
        period = len(firsts)
        if period == 1 and type(rule) is Reach:
            return PositionLine(shift * rule.step, (firsts[0] + shift * rule.low,), (lasts[0] + shift * rule.high,), out, full)
        turns = period // gcd(rule.shift, period)
        if min(rule.shift, rule.period) > 1 or turns * rule.period > MOST_PHASES:
            raise Unfollowed
        spans = [self._within(rule.at(i)) for i in range(turns * rule.period)]
        return PositionLine(
            turns * rule.shift // period * shift, tuple([span[0] for span in spans]), tuple([span[1] for span in spans]), out, full
        )

    def _within(self, taps: range) -> tuple[int, int]:
        """What some positions see together: of those that are equal up to a shift, the first reaches least far and the last farthest."""
        period = len(self.firsts)
        first = min([self.span(j)[0] for j in taps[:period]], default=NOTHING)
        return first, max([self.span(j)[1] for j in taps[-period:]], default=-NOTHING)

    def union(self, other: Seen) -> PositionLine:
        if type(other) is not PositionLine or self.shift * len(other.firsts) != other.shift * len(self.firsts):
            raise Unfollowed
        if other == self:
            return self
        period = lcm(len(self.firsts), len(other.firsts))
        if period > MOST_PHASES:
            raise Unfollowed
        spans = [(self.span(i), other.span(i)) for i in range(period)]
        firsts, lasts = tuple([min(a[0], b[0]) for a, b in spans]), tuple([max(a[1], b[1]) for a, b in spans])
        return PositionLine(self.shift * period // len(self.firsts), firsts, lasts, self.positions, self.full or other.full)

    def everywhere(self, pixels: int) -> Always:
        if not self.full:
            raise Unfollowed
        return Always(0, pixels - 1)

    def widest(self) -> int:
        return max(last - first + 1 for first, last in zip(self.firsts[: self.positions], self.lasts, strict=False))

    def picked(self, order: list[int]) -> Positions:
        raise Unfollowed


class Positions(NamedTuple):
    """Position i sees from firsts[i] to lasts[i]."""

    firsts: tuple[int, ...]
    lasts: tuple[int, ...]

    @property
    def positions(self) -> int:
        return len(self.firsts)

    def span(self, i: int) -> tuple[int, int]:
        return self.firsts[i], self.lasts[i]

    def through(self, rule: Rule, out: int) -> Positions:
        size = len(self.firsts)
        spans = [self._within(_cut(rule, rule.at(i), size)) for i in range(out)]
        return Positions(tuple([span[0] for span in spans]), tuple([span[1] for span in spans]))

    def _within(self, taps: slice | list[int]) -> tuple[int, int]:
        if isinstance(taps, slice):
            return min(self.firsts[taps], default=NOTHING), max(self.lasts[taps], default=-NOTHING)
        return min([self.firsts[j] for j in taps]), max([self.lasts[j] for j in taps])

    def union(self, other: Seen) -> Positions:
        if type(other) is Always:
            other = other.each(len(self.firsts))
        if type(other) is not Positions or len(other.firsts) != len(self.firsts):
            raise Unfollowed
        return Positions(tuple(map(min, self.firsts, other.firsts)), tuple(map(max, self.lasts, other.lasts)))

    def everywhere(self, pixels: int) -> Always:
        return Always(min(self.firsts), max(self.lasts))

    def widest(self) -> int:
        return max(map(int.__sub__, self.lasts, self.firsts)) + 1

    def picked(self, order: list[int]) -> Positions:
        return Positions(tuple([self.firsts[i] for i in order]), tuple([self.lasts[i] for i in order]))


class Always(NamedTuple):
    """Every position sees from `first` to `last`."""

    first: int
    last: int

    def span(self, i: int) -> tuple[int, int]:
        return self.first, self.last

    def covers(self, pixels: int) -> bool:
        return self.first <= 0 and self.last >= pixels - 1

    def union(self, other: Seen) -> Always | Positions:
        if type(other) is Always:
            return Always(min(self.first, other.first), max(self.last, other.last))
        if type(other) is PositionLine:
            raise Unfollowed
        return other.union(self)  # type: ignore[return-value]

    def everywhere(self, pixels: int) -> Always:
        return self

    def widest(self) -> int:
        return self.last - self.first + 1

    def each(self, count: int) -> Positions:
        return Positions((self.first,) * count, (self.last,) * count)


Seen = PositionLine | Positions | Always
NOWHERE = Always(NOTHING, -NOTHING)


def _cut(rule: Rule, taps: range, size: int) -> slice | list[int]:
    """The taps that lie on a map of some size, or that stand for positions of it."""
    if taps.start >= 0 and taps.stop <= size:
        return slice(taps.start, taps.stop, taps.step)
    if type(rule) is Reach and rule.border:
        return [rule.inside(j, size) for j in taps]
    start = taps.start if taps.start >= 0 else taps.start % taps.step
    return slice(start, max(min(taps.stop, size), 0), taps.step)
