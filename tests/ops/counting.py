"""Numbers that count their operations, and arrays of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

COUNT: Counter[str] = Counter()


def number(value: Any) -> float:
    return value.value if isinstance(value, Number) else float(value)


class Number:
    """A number whose every operation is counted, by kind."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __add__(self, other: Any) -> Number:
        return done("add", self.value + number(other))

    def __sub__(self, other: Any) -> Number:
        return done("add", self.value - number(other))

    def __mul__(self, other: Any) -> Number:
        return done("multiply", self.value * number(other))

    def __truediv__(self, other: Any) -> Number:
        return done("special", self.value / number(other))

    def __pow__(self, other: Any) -> Number:
        return done("special", self.value ** number(other))

    def __neg__(self) -> Number:
        return Number(-self.value)  # a sign is free

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> Number:
        return done("add", number(other) - self.value)

    def __rtruediv__(self, other: Any) -> Number:
        return done("special", number(other) / self.value)


def done(kind: str, value: float) -> Number:
    COUNT[kind] += 1
    return Number(value)


def special(function: Callable[[float], float], x: Number) -> Number:
    return done("special", function(x.value))


def larger(a: Any, b: Any) -> Number:
    return done("compare", max(number(a), number(b)))


def smaller(a: Any, b: Any) -> Number:
    return done("compare", min(number(a), number(b)))


def choose(condition: bool, yes: Any, no: Any) -> Any:
    """One of two values that are both at hand."""
    COUNT["compare"] += 1
    return yes if condition else no


def total(numbers: Iterable[Number]) -> Number:
    return reduce(lambda a, b: a + b, numbers)


def largest(numbers: Iterable[Number]) -> Number:
    return reduce(larger, numbers)


def exp(x: Number) -> Number:
    return special(math.exp, x)


def log(x: Number) -> Number:
    return special(math.log, x)


def array(values: Any) -> Any:
    """A tensor as an array of counting numbers."""
    data = values if isinstance(values, np.ndarray) else values.detach().numpy()
    found = np.empty(data.shape, dtype=object)
    for at in np.ndindex(*data.shape):
        found[at] = Number(float(data[at]))
    return found


def filled(shape: Sequence[int], value: float) -> Any:
    return array(np.full(shape, value))
