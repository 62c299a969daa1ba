"""Whole numbers that remember how they were made.

An operator is written once, with plain ints. Run on tracked ints, the very same lines yield each number's formula and
the formula with the numbers in it, so a derivation cannot disagree with the figure that it explains.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd
from typing import Any

_SUM, _PRODUCT, _ATOM = 1, 2, 3


class Tracked(int):
    """An int with its formula in symbols and in numbers; `binds` is how tightly the formula's last operator binds.

    `of` is the number that it was made from, which may remember how it was made in its own way.
    """

    symbols: str
    numbers: str
    binds: int
    parent: Tracked | None
    of: int

    def __new__(cls, value: int, symbols: str, numbers: str | None = None, binds: int = _ATOM) -> Tracked:
        self = super().__new__(cls, value if type(value) is int else plain(value))
        self.of = value
        self.symbols = symbols
        self.numbers = f"{value:,}" if numbers is None else numbers
        self.binds = binds
        self.parent = None
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Tracked, (int(self), self.symbols, self.numbers, self.binds)

    def __add__(self, other: int) -> int:
        return _sum(self, "+", other, number_of(self) + number_of(other))

    def __radd__(self, other: int) -> int:
        return _sum(other, "+", self, number_of(other) + number_of(self))

    def __sub__(self, other: int) -> int:
        return _sum(self, "-", other, number_of(self) - number_of(other))

    def __rsub__(self, other: int) -> int:
        return _sum(other, "-", self, number_of(other) - number_of(self))

    def __mul__(self, other: int) -> int:
        return _product(self, other)

    def __rmul__(self, other: int) -> int:
        return _product(other, self)

    def __floordiv__(self, other: int) -> int:
        return _quotient(self, other)

    def __rfloordiv__(self, other: int) -> int:
        return _quotient(other, self)

    def __neg__(self) -> int:
        return _sum(0, "-", self, -number_of(self))

    def gcd(self, other: int) -> int:
        """The greatest common divisor with another number."""
        symbols, numbered = (f"gcd({_side(self, which, 0)}, {_side(other, which, 0)})" for which in ("symbols", "numbers"))
        return Tracked(common_divisor(number_of(self), number_of(other)), symbols, numbered)


def label(value: int, name: str) -> int:
    """A name for a number on its way: no effect on plain ints; a tracked one is `name` in formulas from here on."""
    if type(value) is int or not isinstance(value, Tracked):
        return value
    named = Tracked(value.of, name)
    named.parent = value
    return named


def formula(value: int) -> str:
    """`H' = (H - kernel + 2*padding)/stride + 1`, without the name."""
    shown = value.parent if isinstance(value, Tracked) and value.parent is not None else value
    return shown.symbols if isinstance(shown, Tracked) else f"{int(shown):,}"


def numbers(value: int) -> str:
    """The formula with the numbers in it."""
    shown = value.parent if isinstance(value, Tracked) and value.parent is not None else value
    return shown.numbers if isinstance(shown, Tracked) else f"{int(shown):,}"


def number_of(value: int) -> int:
    """The number that one was made from, without its formula."""
    return value.of if isinstance(value, Tracked) else value


def plain(value: Any) -> Any:
    """The number itself, without its memory: for texts and receptive fields, from which no figure follows. What is no int stays."""
    return int.__int__(value) if isinstance(value, int) else value


def common_divisor(first: int, second: int) -> int:
    """The greatest common divisor; that of numbers that remember how they were made is one too."""
    for own, other in ((first, second), (second, first)):
        if type(own) is not int and hasattr(own, "gcd"):
            divisor: int = own.gcd(other)
            return divisor
    return gcd(first, second)


def track(values: Iterable[int], names: Iterable[str]) -> tuple[int, ...]:
    return tuple(Tracked(number_of(value), name) for value, name in zip(values, names, strict=True))


def _side(value: int, which: str, binds: int, right: bool = False) -> str:
    if not isinstance(value, Tracked):
        return f"{value:,}" if value >= 0 else f"({value:,})"
    text: str = getattr(value, which)
    loose = value.binds < binds or (right and value.binds == binds)
    return f"({text})" if loose else text


def _sum(left: int, sign: str, right: int, value: int) -> int:
    if type(right) is int and right < 0:
        sign, right = ("-" if sign == "+" else "+"), -right
    if type(right) is int and right == 0:
        return left
    if type(left) is int and left == 0 and sign == "+":
        return right
    minus = sign == "-"
    symbols, numbered = (f"{_side(left, w, _SUM)} {sign} {_side(right, w, _SUM, minus)}" for w in ("symbols", "numbers"))
    return Tracked(value, symbols, numbered, _SUM)


def _product(left: int, right: int) -> int:
    if type(left) is int and left == 1:
        return right
    if type(right) is int and right == 1:
        return left
    symbols, numbered = (f"{_side(left, w, _PRODUCT)}*{_side(right, w, _PRODUCT)}" for w in ("symbols", "numbers"))
    return Tracked(number_of(left) * number_of(right), symbols, numbered, _PRODUCT)


def _quotient(left: int, right: int) -> int:
    value = number_of(left) // number_of(right)
    whole = type(value) is int and plain(left) % plain(right) == 0
    if type(right) is int and right == 1:
        return left
    symbols, numbered = (f"{_side(left, w, _PRODUCT)}/{_side(right, w, _PRODUCT, True)}" for w in ("symbols", "numbers"))
    if not whole:
        return Tracked(value, f"floor({symbols})", f"floor({numbered})")
    return Tracked(value, symbols, numbered, _PRODUCT)
