"""Whole numbers that remember how they were made.

An operator is written once, with plain ints. Run on tracked ints, the very same lines yield each number's formula and
the formula with the numbers in it, so a derivation cannot disagree with the figure that it explains.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_SUM, _PRODUCT, _ATOM = 1, 2, 3


class Tracked(int):
    """An int with its formula in symbols and in numbers; `binds` is how tightly the formula's last operator binds."""

    symbols: str
    numbers: str
    binds: int
    parent: Tracked | None

    def __new__(cls, value: int, symbols: str, numbers: str | None = None, binds: int = _ATOM) -> Tracked:
        self = super().__new__(cls, value)
        self.symbols = symbols
        self.numbers = f"{value:,}" if numbers is None else numbers
        self.binds = binds
        self.parent = None
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Tracked, (int(self), self.symbols, self.numbers, self.binds)

    def __add__(self, other: int) -> int:
        return _sum(self, "+", other, int(self) + int(other))

    def __radd__(self, other: int) -> int:
        return _sum(other, "+", self, int(other) + int(self))

    def __sub__(self, other: int) -> int:
        return _sum(self, "-", other, int(self) - int(other))

    def __rsub__(self, other: int) -> int:
        return _sum(other, "-", self, int(other) - int(self))

    def __mul__(self, other: int) -> int:
        return _product(self, other)

    def __rmul__(self, other: int) -> int:
        return _product(other, self)

    def __floordiv__(self, other: int) -> int:
        return _quotient(self, other)

    def __rfloordiv__(self, other: int) -> int:
        return _quotient(other, self)

    def __neg__(self) -> int:
        return _sum(0, "-", self, -int(self))


def label(value: int, name: str) -> int:
    """A name for a number on its way: no effect on plain ints; a tracked one is `name` in formulas from here on."""
    if type(value) is int or not isinstance(value, Tracked):
        return value
    named = Tracked(int(value), name)
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


def track(values: Iterable[int], names: Iterable[str]) -> tuple[int, ...]:
    return tuple(Tracked(int(value), name) for value, name in zip(values, names, strict=True))


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
    return Tracked(int(left) * int(right), symbols, numbered, _PRODUCT)


def _quotient(left: int, right: int) -> int:
    value, rest = divmod(int(left), int(right))
    if type(right) is int and right == 1:
        return left
    symbols, numbered = (f"{_side(left, w, _PRODUCT)}/{_side(right, w, _PRODUCT, True)}" for w in ("symbols", "numbers"))
    if rest:
        return Tracked(value, f"floor({symbols})", f"floor({numbered})")
    return Tracked(value, symbols, numbered, _PRODUCT)
