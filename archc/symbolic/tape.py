"""The operations that a program did on sizes which are open, and the comparisons by which it went one way and not another.

A program that is run once on `Recorded` numbers leaves such a tape. Worked out for other sizes, the tape gives what the program would
give there, as long as every guard holds: then the program would have gone the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import gcd
from operator import add, eq, floordiv, le, lt, mul, sub
from typing import Any, NamedTuple

SYMBOL, CONSTANT = "symbol", "constant"
OPERATIONS: dict[str, Callable[[int, int], int]] = {"+": add, "-": sub, "*": mul, "//": floordiv, "gcd": gcd}
COMPARISONS: dict[str, Callable[[int, int], bool]] = {"<": lt, "<=": le, "==": eq}


class Step(NamedTuple):
    """A symbol (`left` is its name), a constant (`left` is its value), or an operation on the results of two steps before it."""

    operation: str
    left: Any
    right: int = 0


class Guard(NamedTuple):
    """A comparison of two results, which must come out as it did."""

    comparison: str
    left: int
    right: int
    holds: bool


class Tape:
    """Steps, each once, and guards, each with the place where it was met first.

    place: whatever tells where the program is, for guards that come now
    written: how a step is written where a number is formatted, as itself or as a part of something; as its value unless it is set
    """

    __slots__ = ("_found", "guards", "place", "quiet", "steps", "symbols", "written")

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.symbols: dict[str, int] = {}
        self.guards: dict[Guard, Any] = {}
        self.place: Any = None
        self.quiet = False
        self.written: Callable[[int, bool], str] | None = None
        self._found: dict[Step, int] = {}

    def put(self, step: Step) -> int:
        """The number of a step."""
        at = self._found.get(step)
        if at is None:
            at = self._found[step] = len(self.steps)
            self.steps.append(step)
            if step.operation == SYMBOL:
                self.symbols[step.left] = at
        return at

    def guard(self, comparison: str, left: int, right: int, holds: bool) -> None:
        """A comparison came out so."""
        if not self.quiet:
            self.guards.setdefault(Guard(comparison, left, right, holds), self.place)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Comparisons decide nothing that is asked for."""
        before, self.quiet = self.quiet, True
        try:
            yield
        finally:
            self.quiet = before


class Program:
    """A tape that was cut to some results: a function of the sizes."""

    __slots__ = ("guards", "live", "results", "tape")

    def __init__(self, tape: Tape, results: Iterable[int]) -> None:
        self.tape = tape
        self.results = list(results)
        self.guards = list(tape.guards)
        self.live = _live(tape, [*self.results, *(side for guard in self.guards for side in (guard.left, guard.right))])

    def run(self, sizes: Mapping[str, int]) -> tuple[list[int], Guard | None]:
        """The results at these sizes, and the first guard that does not hold there: then the results mean nothing."""
        values: dict[int, int] = {}
        steps = self.tape.steps
        try:
            for at in self.live:
                operation, left, right = steps[at]
                if operation == CONSTANT:
                    values[at] = left
                elif operation == SYMBOL:
                    values[at] = sizes[left]
                else:
                    values[at] = OPERATIONS[operation](values[left], values[right])
        except ZeroDivisionError:  # a divisor that was no divisor where the tape was recorded: some guard says so
            return [], self.guards[0] if self.guards else Guard("==", 0, 0, False)
        broken = next((one for one in self.guards if COMPARISONS[one[0]](values[one[1]], values[one[2]]) is not one[3]), None)
        return [values[at] for at in self.results], broken


def _live(tape: Tape, wanted: Iterable[int]) -> list[int]:
    """The steps that some results need, in their order."""
    found: set[int] = set()
    open_ = list(wanted)
    while open_:
        at = open_.pop()
        if at not in found:
            found.add(at)
            operation, left, right = tape.steps[at]
            if operation in OPERATIONS:
                open_ += (left, right)
    return sorted(found)
