"""Counts that are exact, bounded or unknown, and their sums."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from archc.ops.facts import Between, Known, Work


class Count(NamedTuple):
    """A number between `low` and `high`; `high` None means that it may be anything from `low` up."""

    low: int
    high: int | None

    @property
    def status(self) -> str:
        """`exact`; `bounded` on both sides or from below; `unknown` where nothing at all is known."""
        if self.high == self.low:
            return "exact"
        return "unknown" if self.high is None and self.low == 0 else "bounded"

    @property
    def exact(self) -> bool:
        return self.high == self.low


def count(known: Known) -> Count:
    """A fact of an operator as a Count."""
    if known is None:
        return Count(0, None)
    if isinstance(known, Between):
        return Count(known.low, known.high)
    return Count(known, known)


def flops(work: Work | Between | None) -> Count:
    return count(work.flops if isinstance(work, Work) else work)


def total(counts: Iterable[Count]) -> Count:
    """The sum; unknown parts make it a lower bound."""
    low, high = 0, 0
    open_ended = False
    for term in counts:
        low += term.low
        if term.high is None:
            open_ended = True
        else:
            high += term.high
    return Count(low, None if open_ended else high)
