"""From a tape to formulas: exact ones with whole parts of quotients, and those that sizes of a kind have without them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from math import gcd, lcm
from typing import NamedTuple

from archc.symbolic.polynomial import (
    Atom,
    Monomial,
    Number,
    Polynomial,
    TooLong,
    common_divisor,
    constant,
    floor,
    single,
    size,
)
from archc.symbolic.tape import CONSTANT, SYMBOL, Tape

MOST_APART = 100_000  # sizes that a formula is for are multiples of no more than this
_BUILD: dict[str, Callable[[Polynomial, Polynomial], Polynomial]] = {
    "+": Polynomial.__add__,
    "-": Polynomial.__sub__,
    "*": Polynomial.__mul__,
    "//": floor,
    "gcd": common_divisor,
}


class Forms:
    """The formulas of a tape's steps, each worked out when it is first asked for."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self._found: dict[int, Polynomial | None] = {}

    def of(self, at: int) -> Polynomial | None:
        """The formula of a step; None where it is too long to be one."""
        open_ = [at]
        while open_:
            step = open_[-1]
            operation, left, right = self.tape.steps[step]
            needed = [] if operation in (CONSTANT, SYMBOL) else [side for side in (left, right) if side not in self._found]
            if needed and step not in self._found:
                open_ += needed
                continue
            open_.pop()
            if step not in self._found:
                self._found[step] = self._build(operation, left, right)
        return self._found[at]

    def _build(self, operation: str, left: int | str, right: int) -> Polynomial | None:
        if operation == CONSTANT:
            return constant(int(left))
        if operation == SYMBOL:
            return size(str(left))
        first, second = self._found[int(left)], self._found[right]
        if first is None or second is None:
            return None
        try:
            return _BUILD[operation](first, second)
        except TooLong:
            return None


class Rest(NamedTuple):
    """Sizes that leave `rest` when they are divided by `divisor`."""

    divisor: int
    rest: int


Rests = Mapping[str, Rest]


def assume(formula: Polynomial, rests: Rests) -> Polynomial:
    """The formula for sizes that leave these rests: whole parts come apart where the rest of their quotient is known."""
    total = Polynomial({})
    for monomial, number in formula.terms.items():
        term = constant(number)
        for atom in monomial:
            term = term * _assumed(atom, rests)
        total = total + term
    return total


def _assumed(atom: Atom, rests: Rests) -> Polynomial:
    if atom.kind == "size":
        return single(atom)
    first, second = (assume(part, rests) for part in atom.parts)
    by = second.constant
    if second.open_terms or by < 1:
        return single(Atom(atom.kind, (first, second)))
    rest = _rest(first, int(by), rests)
    if rest is None:
        return single(Atom(atom.kind, (first, second)))
    return (first - constant(rest)).times(Fraction(1, int(by))) if atom.kind == "floor" else constant(gcd(int(rest), int(by)))


def _rest(formula: Polynomial, by: int, rests: Rests) -> Number | None:
    """What it leaves when divided by a number; None where that depends on more than the rests of the sizes."""
    for monomial, number in formula.open_terms.items():
        if any(atom.kind != "size" or (number * rests[atom.key].divisor / Fraction(by)).denominator != 1 for atom in monomial):
            return None
    return formula.value({name: one.rest for name, one in rests.items()}) % by


def divisors(formulas: Iterable[Polynomial], symbols: Iterable[str]) -> dict[str, int]:
    """The least divisors of the sizes that make the rest of every quotient known, as far as they can."""
    found = dict.fromkeys(symbols, 1)
    quotients = list(dict.fromkeys(atom for formula in formulas for atom in formula.within() if atom.kind == "floor"))
    for atom in quotients:  # those within others come first
        rests = {name: Rest(divisor, 0) for name, divisor in found.items()}
        first, second = (assume(part, rests) for part in atom.parts)
        if second.open_terms or second.constant < 1:
            continue
        for monomial, number in first.open_terms.items():
            _widen(found, monomial, number, int(second.constant))
    return found


def _widen(found: dict[str, int], monomial: Monomial, number: Number, by: int) -> None:
    if any(atom.kind != "size" for atom in monomial):
        return
    for atom in monomial:
        needed = (number * found[atom.key] / Fraction(by)).denominator
        wider = lcm(found[atom.key], found[atom.key] * needed)
        if wider <= MOST_APART:
            found[atom.key] = wider
