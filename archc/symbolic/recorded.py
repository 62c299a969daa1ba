"""Whole numbers that write down what is done with them.

A program written for plain ints runs on these as it is. Arithmetic leaves a step on the tape, a comparison leaves a guard. Whatever
hands out the plain number (`int`, `float`, a hash, a division that is not rounded) pins the number: the tape is then good for
this value of it alone, which is always right and seldom wanted. What C code reads without a question (`range`, `math.gcd`, a float on
the left of an operator) cannot be seen, so programs say `int(…)` there, or call `gcd` below.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from archc.symbolic.tape import CONSTANT, OPERATIONS, SYMBOL, Step, Tape

raw = int.__int__  # the number itself, without a word to the tape


class Recorded(int):
    """An int, and the step of a tape that it is the result of."""

    tape: Tape
    at: int

    def __hash__(self) -> int:
        return hash(self.pinned())

    def __int__(self) -> int:
        return self.pinned()

    def __index__(self) -> int:
        return self.pinned()

    def __float__(self) -> float:
        return float(self.pinned())

    def __format__(self, form: str) -> str:
        written = self.tape.written
        return written(self.at, form == ",") if written is not None else format(raw(self), form)

    def __bool__(self) -> bool:
        return self != 0

    def __neg__(self) -> int:
        return 0 - self

    def __pos__(self) -> int:
        return self

    def __abs__(self) -> int:
        return self if self >= 0 else -self

    def __floor__(self) -> int:
        return self

    __ceil__ = __trunc__ = __floor__

    def __round__(self, digits: Any = None) -> int:
        return self if digits is None else round(self.pinned(), digits)

    def __truediv__(self, other: Any) -> Any:
        return self.pinned() / _plain(other)

    def __rtruediv__(self, other: Any) -> Any:
        return _plain(other) / self.pinned()

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if type(other) is not int or modulus is not None or not 1 <= other <= 8:
            return pow(self.pinned(), _plain(other), modulus)
        result: int = self
        for _ in range(other - 1):
            result = result * self
        return result

    def __rpow__(self, other: Any, modulus: Any = None) -> Any:
        return pow(_plain(other), self.pinned(), modulus)

    def __mod__(self, other: Any) -> Any:
        return self - self // other * other if isinstance(other, int) else self.pinned() % other

    def __rmod__(self, other: Any) -> Any:
        return other - other // self * self if isinstance(other, int) else other % self.pinned()

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (raw(self),)

    def pinned(self) -> int:
        """The plain number; what follows is good where it is the same."""
        value = raw(self)
        self.tape.guard("==", self.at, _place(self.tape, value), True)
        return value

    def gcd(self, other: int) -> int:
        """The greatest common divisor with another number."""
        return _record(self, "gcd", self, other, math.gcd(raw(self), raw(other)))


def symbol(tape: Tape, name: str, value: int) -> Recorded:
    """A size that is open: its name, and the value with which a program is run."""
    return _made(tape, tape.put(Step(SYMBOL, name)), value)


def step_of(tape: Tape, value: int) -> int:
    """The step of a number: a recorded one, or a constant."""
    return _place(tape, value)


def plain(value: Any) -> Any:
    """The number itself, for texts, from which no figure follows: nothing is written down."""
    return raw(value) if isinstance(value, Recorded) else value


def identity(value: Any) -> Any:
    """What tells recorded numbers apart by their steps, within tuples too; anything else is its own."""
    if isinstance(value, Recorded):
        return ("step", value.at)
    return tuple(map(identity, value)) if isinstance(value, tuple) else value


def _made(tape: Tape, at: int, value: int) -> Recorded:
    made = int.__new__(Recorded, value)
    made.tape, made.at = tape, at
    return made


def _place(tape: Tape, value: int) -> int:
    return value.at if isinstance(value, Recorded) else tape.put(Step(CONSTANT, raw(value)))


def _plain(value: Any) -> Any:
    return value.pinned() if isinstance(value, Recorded) else value


def _record(own: Recorded, operation: str, left: int, right: int, value: int) -> int:
    """The result of an operation; what changes nothing is no step."""
    if type(right) is int and ((right == 0 and operation in "+-") or (right == 1 and operation in ("*", "//"))):
        return left
    if type(left) is int and ((left == 0 and operation == "+") or (left == 1 and operation == "*")):
        return right
    if operation == "*" and ((type(left) is int and left == 0) or (type(right) is int and right == 0)):
        return 0
    tape = own.tape
    if operation in "+-" and type(right) is int and isinstance(left, Recorded):
        return _shifted(tape, left, right if operation == "+" else -right, value)
    if operation == "+" and type(left) is int and isinstance(right, Recorded):
        return _shifted(tape, right, left, value)
    return _made(tape, tape.put(Step(operation, _place(tape, left), _place(tape, right))), value)


def _shifted(tape: Tape, base: Recorded, by: int, value: int) -> int:
    """A number and a constant: `x - 3 + 2` is the step `x - 1`, so that layers which keep a size keep its step."""
    at, step = base.at, tape.steps[base.at]
    if step.operation == "+" and tape.steps[step.right].operation == CONSTANT:
        at, by = step.left, by + tape.steps[step.right].left
    return _made(tape, at if by == 0 else tape.put(Step("+", at, tape.put(Step(CONSTANT, by)))), value)


def _arithmetic(operation: str, swapped: bool) -> Callable[[Recorded, Any], Any]:
    compute: Callable[[Any, Any], Any] = OPERATIONS[operation]

    def method(self: Recorded, other: Any) -> Any:
        if not isinstance(other, int):
            if not isinstance(other, float):
                return NotImplemented
            return compute(other, self.pinned()) if swapped else compute(self.pinned(), other)
        left, right = (other, self) if swapped else (self, other)
        return _record(self, operation, left, right, compute(raw(left), raw(right)))

    return method


def _comparison(method: str, comparison: str, swapped: bool, negated: bool) -> Callable[[Recorded, Any], Any]:
    compute: Callable[[int, Any], bool] = getattr(int, method)

    def compare(self: Recorded, other: Any) -> Any:
        if not isinstance(other, int):
            return getattr(float(self.pinned()), method)(other) if isinstance(other, float) else NotImplemented
        result = compute(raw(self), raw(other))
        place = _place(self.tape, other)
        if place != self.at:
            left, right = (place, self.at) if swapped else (self.at, place)
            self.tape.guard(comparison, left, right, result is not negated)
        return result

    return compare


for _name, _operation in {"add": "+", "sub": "-", "mul": "*", "floordiv": "//"}.items():
    setattr(Recorded, f"__{_name}__", _arithmetic(_operation, False))
    setattr(Recorded, f"__r{_name}__", _arithmetic(_operation, True))
_WAYS = {"lt": ("<", False, False), "le": ("<=", False, False), "gt": ("<", True, False), "ge": ("<=", True, False)}
for _name, _way in (_WAYS | {"eq": ("==", False, False), "ne": ("==", False, True)}).items():
    setattr(Recorded, f"__{_name}__", _comparison(f"__{_name}__", *_way))
