"""What expressions compute with: operators and functions, each of bounded work, each saying what it cannot take."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

from archc.ops.shape import AXES
from archc.signature import shown
from archc.text.suggest import did_you_mean

LONGEST_LIST = 100_000  # values, with those of the lists inside it
LONGEST_TEXT = 100_000
DEEPEST = 64  # lists in lists
MOST_DIGITS = 64  # that are rounded to
LARGEST = 2**53
LETTERS = 16  # of a text that weigh as much as a number
MOST_WORK = 60_000_000  # that one spec may cause, in units of some ten nanoseconds; a layer is about a thousand of them
WALK, ITEM = 4, 12  # looking at a value inside a list, computing with it


class Budget(threading.local):
    """What is left of the work that a spec may cause, in its expressions and in its layers; filled where one begins."""

    left = MOST_WORK

    def fill(self) -> None:
        self.left = MOST_WORK

    def take(self, items: int) -> bool:
        """Whether there is room for so much more."""
        self.left -= items
        return self.left >= 0

    def spend(self, items: int) -> None:
        """Room for so much more. Raises ExpressionError where there is none."""
        if not self.take(items):
            raise ExpressionError(
                "too much work in expressions", "the lists are long or built many times: define them once in `params`", "A603"
            )


budget = Budget()


class ExpressionError(Exception):
    """What is wrong in an expression; `start` and `end` are offsets in its text, in bytes of UTF-8."""

    def __init__(self, message: str, hint: str | None = None, code: str = "A401") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.start, self.end = 0, 0
        self.placed = False

    def at(self, node: Any) -> ExpressionError:
        if not self.placed:
            self.start, self.end, self.placed = node.col_offset - 1, node.end_col_offset - 1, True
        return self


class Unknown(Exception):
    """A value that follows from a mistake reported elsewhere."""


class Axes:
    """What an expression sees of a value in the network: its shape, or nothing where that is unknown."""

    __slots__ = ("shape",)

    def __init__(self, shape: Any) -> None:
        self.shape = shape

    def __str__(self) -> str:
        return "the input" if self.shape is None else f"an input of shape {list(self.shape)}"

    def read(self, name: str) -> Any:
        if name not in AXES:
            raise ExpressionError(f'an input has no "{name}"', did_you_mean(name, AXES) or "it has " + ", ".join(AXES))
        if self.shape is None:
            raise Unknown
        wanted, get = AXES[name]
        value = get(self.shape)
        if value is None:
            raise impossible(f"{self} has no {name}", f"only {wanted} has")
        return value


def impossible(message: str, hint: str | None = None) -> ExpressionError:
    """A value that cannot be worked out."""
    return ExpressionError(message, hint, "A405")


def instead(value: Any) -> str | None:
    """What to write in place of a whole input."""
    return "read one of its sizes, as in ${input.channels}" if isinstance(value, Axes) else None


def number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise impossible(f"{shown(value)} is not a number", instead(value))
    return value


def to_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        hint = "// divides to a whole number; int(…) and round(…) make one" if isinstance(value, float) else None
        raise impossible(f"{shown(value)} is not a whole number", hint)
    return value


def check_result(value: Any) -> Any:
    """A result, if it is finite and of bounded size."""
    if isinstance(value, float) and not math.isfinite(value):
        raise impossible("the result is not finite")
    if isinstance(value, int | float) and abs(value) > LARGEST:
        raise impossible("the result is larger than 2**53")
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            raise impossible(f"a text longer than {LONGEST_TEXT:,}")
        budget.spend(weight(value))
    elif isinstance(value, list):
        budget.spend(WALK * _check_bounds(len(value)))
        budget.spend(WALK * weight(value))
    return value


def weight(value: Any, depth: int = 0) -> int:
    """How many values a value is, written out: lists may share parts, and grow by doubling. Raises ExpressionError past the limits.

    Every list passes here when it is made, so that whoever walks one later walks no more than this.
    """
    if isinstance(value, str):
        return 1 + len(value) // LETTERS
    if not isinstance(value, list | dict):
        return 1
    if depth > DEEPEST:
        raise impossible(f"lists nested deeper than {DEEPEST} levels")
    total = 0
    for part in value.values() if isinstance(value, dict) else value:
        total += 1 if type(part) is int else weight(part, depth + 1)
        if total > LONGEST_LIST:
            raise impossible(f"a list of more than {LONGEST_LIST:,} values, with those inside it")
    return total + (depth > 0)


def _check_bounds(count: int) -> int:
    if count > LONGEST_LIST:
        raise impossible(f"a list longer than {LONGEST_LIST:,}")
    return count


def item(values: Any, at: Any) -> Any:
    """`values[at]`."""
    if isinstance(values, dict):
        return member(values, at if isinstance(at, str) else str(number(at)))
    if not isinstance(values, list | str):
        raise impossible(f"{shown(values)} has no items", instead(values))
    try:
        return check_result(values[at]) if isinstance(at, slice) else values[int(to_int(at))]
    except IndexError:
        raise impossible(f"index {at} of a list of {len(values)}", f"the last is {len(values) - 1}" if values else None) from None
    except ValueError:
        raise impossible("a slice with a step of 0") from None


def member(values: dict[str, Any], name: str) -> Any:
    """`values.name`, or `values["name"]`."""
    if name not in values:
        raise impossible(f'no "{name}" in the mapping', "it has " + ", ".join(map(str, list(values)[:8])))
    return values[name]


def _beside(left: Any, right: Any) -> Any:
    """The right operand: as a float beside a float, which would read a number that remembers how it was made without its knowing."""
    return float(right) if type(left) is float else right


def _add(left: Any, right: Any) -> Any:
    if type(left) is type(right) and isinstance(left, list | str):
        return left + right
    return number(left) + _beside(left, number(right))


def _multiply(left: Any, right: Any) -> Any:
    if isinstance(left, list) and isinstance(right, int):
        _check_bounds(len(left) * max(right, 0))
        return left * int(right)
    return number(left) * _beside(left, number(right))


def _divide_by(how: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def divide(left: Any, right: Any) -> Any:
        if number(right) == 0:
            raise impossible("a division by zero")
        return how(number(left), _beside(left, right))

    return divide


def _power(left: Any, right: Any) -> Any:
    if abs(number(right)) > 64:
        raise impossible(f"an exponent of {right}, beyond 64")
    if number(left) == 0 and right < 0:
        raise impossible("a division by zero")
    if abs(left) > LARGEST or (left < 0 and isinstance(right, float)):
        raise impossible("a power that is not a real number")
    try:
        return left ** _beside(left, right)
    except OverflowError:
        raise impossible("the result is larger than 2**53") from None


def _least_or_most(choose: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def function(*values: Any) -> Any:
        several = values[0] if len(values) == 1 and isinstance(values[0], list) else list(values)
        if not several:
            raise impossible(f"{choose.__name__} of nothing")
        return choose([number(value) for value in items(several)])

    return function


def _round(value: float, digits: int = 0) -> Any:
    if abs(to_int(digits)) > MOST_DIGITS:
        raise impossible(f"rounding to {digits} digits, beyond {MOST_DIGITS}")
    return round(number(value), to_int(digits)) if digits else round(number(value))


def _str(value: Any) -> str:
    return value if isinstance(value, str) else str(number(value) if isinstance(value, float) else int(number(value)))


def _len(value: Any) -> int:
    if not isinstance(value, list | str | dict):
        raise impossible(f"{shown(value)} has no length")
    return len(value)


def items(values: Any) -> list[Any]:
    """What can be gone through."""
    if not isinstance(values, list):
        raise impossible(f"{shown(values)} is not a list")
    budget.spend(ITEM * len(values))
    return values


def _comparable(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """A comparison that is charged for all that it may walk through."""

    def run(left: Any, right: Any) -> bool:
        for operand in (left, right):
            if isinstance(operand, list | dict | str):
                budget.spend(2 * WALK * weight(operand))
        return compare(left, _beside(left, right))

    return run


def _sum(values: Any) -> Any:
    return sum(map(number, items(values)))


def _range(*ends: int) -> list[int]:
    if len(ends) == 3 and to_int(ends[2]) == 0:
        raise impossible("a range with a step of 0")
    span = range(*(int(to_int(end)) for end in ends))
    _check_bounds(len(span))
    return list(span)


def _zip(*lists: Any) -> list[list[Any]]:
    lengths = {_len(values) for values in lists}
    if len(lengths) > 1:
        raise impossible(f"lists of different lengths: {', '.join(str(len(values)) for values in lists)}", "make them equal")
    return [list(row) for row in zip(*lists, strict=True)]


def _linspace(start: float, stop: float, count: int) -> list[float]:
    """`count` numbers from `start` to `stop`, both included."""
    count = int(to_int(count))
    if count < 0:
        raise impossible(f"a count of {count}")
    _check_bounds(count)
    if count == 1:
        return [float(number(start))]
    return [number(start) + (number(stop) - start) * i / (count - 1) for i in range(count)]


def round_to(value: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, at least one, never below 90% of `value` (Sandler et al., MobileNetV2)."""
    if to_int(divisor) < 1:
        raise impossible("round_to needs a divisor of at least 1")
    near = max(divisor, int(number(value) + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * value else near


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": _least_or_most(min),
    "max": _least_or_most(max),
    "abs": lambda x: abs(number(x)),
    "round": _round,
    "floor": lambda x: math.floor(number(x)),
    "ceil": lambda x: math.ceil(number(x)),
    "int": lambda x: math.trunc(number(x)),
    "float": lambda x: float(number(x)),
    "str": _str,
    "len": _len,
    "sum": _sum,
    "range": _range,
    "zip": _zip,
    "linspace": _linspace,
    "round_to": round_to,
}
USAGE = {
    "round": "round(x) or round(x, digits)",
    "range": "range(stop), range(start, stop) or range(start, stop, step)",
    "zip": "zip([1, 2], [3, 4])",
    "linspace": "linspace(start, stop, count)",
    "round_to": "round_to(x) or round_to(x, divisor)",
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": _add,
    "Sub": lambda a, b: number(a) - _beside(a, number(b)),
    "Mult": _multiply,
    "Div": _divide_by(lambda a, b: a / b),
    "FloorDiv": _divide_by(lambda a, b: a // b),
    "Mod": _divide_by(lambda a, b: a % b),
    "Pow": _power,
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "Eq": lambda a, b: a == b,
    "NotEq": lambda a, b: a != b,
    "Lt": lambda a, b: a < b,
    "LtE": lambda a, b: a <= b,
    "Gt": lambda a, b: a > b,
    "GtE": lambda a, b: a >= b,
    "In": lambda a, b: a in b,
    "NotIn": lambda a, b: a not in b,
}
COMPARE = {name: _comparable(compare) for name, compare in _COMPARE.items()}
