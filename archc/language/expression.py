"""Expressions: `$name` and `${…}` in a spec.

Python's own parser reads them, a whitelist of node types turns them into closures. Nothing else can be reached: no
attributes but an input's axes, no calls but the functions below. Work is bounded: short texts, small exponents, short
lists, numbers that stay below 2**53.
"""

from __future__ import annotations

import _ast as ast  # the node classes without the `ast` module, which costs start-up time
import math
from collections.abc import Callable, Mapping
from typing import Any

from archc.shape import AXES
from archc.text.suggest import did_you_mean

LONGEST = 400
LONGEST_LIST = 100_000
LARGEST = 2**53
Env = Mapping[str, Any]
Work = Callable[[Env], Any]


class ExpressionError(Exception):
    """What is wrong in an expression; `start` and `end` are offsets in its text."""

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

    def read(self, name: str) -> Any:
        if name not in AXES:
            raise ExpressionError(f'an input has no "{name}"', did_you_mean(name, AXES) or "it has " + ", ".join(AXES))
        if self.shape is None:
            raise Unknown
        wanted, get = AXES[name]
        value = get(self.shape)
        if value is None:
            raise ExpressionError(f"an input of shape {self.shape} has no {name}", f"only {wanted} has", "A405")
        return value


class Expression:
    """A compiled expression: its text, the names that it reads, and its value in an environment."""

    __slots__ = ("names", "text", "value")

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ExpressionError(f"{len(text)} characters, more than {LONGEST}", "name a part in `params`")
        self.text = text
        self.names: set[str] = set()
        self.value: Work = self._compile(_parse(text))

    def _compile(self, node: Any) -> Work:
        build = _BUILDERS.get(type(node))
        if build is None:
            raise ExpressionError("not part of the language", "only arithmetic, comparison, indexing and calls of functions").at(node)
        work = build(self, node)

        def run(env: Env) -> Any:
            try:
                return work(env)
            except ExpressionError as error:
                raise error.at(node) from None

        return run if isinstance(node, ast.BinOp | ast.Call | ast.Attribute | ast.Subscript | ast.Name | ast.Compare) else work

    def _constant(self, node: Any) -> Work:
        value = node.value
        if not isinstance(value, int | float | str | bool | None):
            raise ExpressionError("not a value of the language").at(node)
        checked = _checked(value)
        return lambda env: checked

    def _name(self, node: Any) -> Work:
        name = _WORDS.get(node.id, node.id)
        if name is not node.id:
            return lambda env: name
        self.names.add(name)

        def read(env: Env) -> Any:
            if name in env:
                value = env[name]
                if value is Unknown:
                    raise Unknown
                return value
            if name in FUNCTIONS:
                raise ExpressionError(f"{name} is a function", f"call it: {name}(…)")
            hint = did_you_mean(name, [*env, *FUNCTIONS]) or ("names here: " + ", ".join(list(env)[:8]) if env else None)
            raise ExpressionError(f'nothing is called "{name}" here', hint, "A303")

        return read

    def _binary(self, node: Any) -> Work:
        left, right = self._compile(node.left), self._compile(node.right)
        apply = _BINARY.get(type(node.op))
        if apply is None:
            raise ExpressionError("not an operator of the language", "there are + - * / // % **").at(node)
        return lambda env: _checked(apply(left(env), right(env)))

    def _unary(self, node: Any) -> Work:
        value = self._compile(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda env: not value(env)
        if isinstance(node.op, ast.Invert):
            raise ExpressionError("not an operator of the language").at(node)
        sign = -1 if isinstance(node.op, ast.USub) else 1
        return lambda env: sign * _number(value(env))

    def _boolean(self, node: Any) -> Work:
        parts = [self._compile(part) for part in node.values]
        stop = isinstance(node.op, ast.Or)

        def run(env: Env) -> Any:
            value = None
            for part in parts:
                value = part(env)
                if bool(value) is stop:
                    break
            return value

        return run

    def _compare(self, node: Any) -> Work:
        left = self._compile(node.left)
        steps = []
        for op, right in zip(node.ops, node.comparators, strict=True):
            if type(op) not in _COMPARE:
                raise ExpressionError("not a comparison of the language", "there are == != < <= > >= in, not in").at(node)
            steps.append((_COMPARE[type(op)], self._compile(right)))

        def run(env: Env) -> bool:
            value = left(env)
            for compare, right in steps:
                other = right(env)
                try:
                    if not compare(value, other):
                        return False
                except TypeError:
                    raise ExpressionError("values that cannot be compared", code="A405") from None
                value = other
            return True

        return run

    def _choice(self, node: Any) -> Work:
        test, yes, no = self._compile(node.test), self._compile(node.body), self._compile(node.orelse)
        return lambda env: yes(env) if test(env) else no(env)

    def _list(self, node: Any) -> Work:
        parts = [self._compile(part) for part in node.elts]
        return lambda env: [part(env) for part in parts]

    def _index(self, node: Any) -> Work:
        value, index = self._compile(node.value), self._compile(node.slice)

        def run(env: Env) -> Any:
            whole, at = value(env), index(env)
            try:
                return whole[at]
            except IndexError:
                raise ExpressionError(f"index {at} of a list of {len(whole)}", code="A405") from None
            except KeyError:
                raise ExpressionError(f"no {at!r} in the mapping", did_you_mean(str(at), map(str, whole)), "A405") from None
            except TypeError:
                raise ExpressionError("this cannot be indexed so", code="A405") from None

        return run

    def _slice(self, node: Any) -> Work:
        ends = [self._compile(end) if end else (lambda env: None) for end in (node.lower, node.upper, node.step)]
        return lambda env: slice(*(None if (v := end(env)) is None else _whole(v) for end in ends))

    def _call(self, node: Any) -> Work:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name is None or name not in FUNCTIONS:
            hint = did_you_mean(name or "", FUNCTIONS) or "functions: " + ", ".join(FUNCTIONS)
            raise ExpressionError(f'no function is called "{name}"' if name else "only functions can be called", hint).at(node)
        if node.keywords or any(isinstance(arg, ast.Starred) for arg in node.args):
            raise ExpressionError("arguments are given by their place alone").at(node)
        function, args = FUNCTIONS[name], [self._compile(arg) for arg in node.args]

        def run(env: Env) -> Any:
            try:
                return _checked(function(*(arg(env) for arg in args)))
            except (TypeError, ValueError, IndexError, AttributeError):
                raise ExpressionError(f"{name} cannot take these arguments", code="A405") from None

        return run

    def _attribute(self, node: Any) -> Work:
        value, name = self._compile(node.value), node.attr

        def run(env: Env) -> Any:
            whole = value(env)
            if isinstance(whole, Axes):
                return whole.read(name)
            if isinstance(whole, dict) and name in whole:
                return whole[name]
            raise ExpressionError(f'only a block\'s inputs have parts like ".{name}"')

        return run


def _parse(text: str) -> Any:
    try:  # in brackets, so that a line break is a space; offsets are one too far
        tree: Any = compile(f"({text}\n)", "<expression>", "eval", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        raise _unreadable(text, error) from None
    except (RecursionError, MemoryError, ValueError):
        raise ExpressionError("too deep, or a character that no expression may hold") from None
    if not text.strip():
        raise ExpressionError("an empty expression", "write a value between the braces")
    return tree.body


def _unreadable(text: str, error: SyntaxError) -> ExpressionError:
    hint = {"&&": "write `and`", "||": "write `or`", "!": "write `not`", "^": "write ** for a power", "?": "write `a if c else b`"}
    found = next((f"{word} is not part of the language: {remedy}" for word, remedy in hint.items() if word in text.replace("!=", "")), None)
    made = ExpressionError("an expression that cannot be read", found or "check its brackets and operators")
    made.start = min(max((error.offset or 1) - 2, 0), max(len(text) - 1, 0))
    made.end, made.placed = min(made.start + 1, len(text)), True
    return made


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ExpressionError("a number is wanted here", code="A405")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ExpressionError("a whole number is wanted here", code="A405")
    return value


def _checked(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("the result is not finite", code="A405")
    if isinstance(value, int | float) and abs(value) > LARGEST:
        raise ExpressionError("the result is larger than 2**53", code="A405")
    if isinstance(value, list | str) and len(value) > LONGEST_LIST:
        raise ExpressionError(f"a list longer than {LONGEST_LIST:,}", code="A405")
    return value


def _add(left: Any, right: Any) -> Any:
    if type(left) is type(right) and isinstance(left, list | str):
        return left + right
    return _number(left) + _number(right)


def _multiply(left: Any, right: Any) -> Any:
    if isinstance(left, list) and isinstance(right, int):
        if len(left) * max(right, 0) > LONGEST_LIST:
            raise ExpressionError(f"a list longer than {LONGEST_LIST:,}", code="A405")
        return left * right
    return _number(left) * _number(right)


def _divided(how: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def divide(left: Any, right: Any) -> Any:
        if _number(right) == 0:
            raise ExpressionError("a division by zero", code="A405")
        return how(_number(left), right)

    return divide


def _power(left: Any, right: Any) -> Any:
    if abs(_number(right)) > 64:
        raise ExpressionError(f"an exponent of {right}, beyond 64", code="A405")
    if _number(left) == 0 and right < 0:
        raise ExpressionError("a division by zero", code="A405")
    if abs(left) > LARGEST or (isinstance(left, int | float) and left < 0 and isinstance(right, float)):
        raise ExpressionError("a power that is no real number", code="A405")
    try:
        return left**right
    except OverflowError:
        raise ExpressionError("the result is larger than 2**53", code="A405") from None


def _round(value: float, digits: int = 0) -> Any:
    return round(_number(value), _whole(digits)) if digits else round(_number(value))


def _range(*ends: int) -> list[int]:
    span = range(*map(_whole, ends))
    if len(span) > LONGEST_LIST:
        raise ExpressionError(f"a list longer than {LONGEST_LIST:,}", code="A405")
    return list(span)


def _linspace(start: float, stop: float, count: int) -> list[float]:
    """`count` numbers from `start` to `stop`, both included."""
    if not 0 <= _whole(count) <= LONGEST_LIST:
        raise ExpressionError(f"a list longer than {LONGEST_LIST:,}", code="A405")
    if count == 1:
        return [float(start)]
    return [_number(start) + (_number(stop) - start) * i / (count - 1) for i in range(count)]


def round_to(value: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, at least one, never below 90% of `value` (Sandler et al., MobileNetV2)."""
    if _whole(divisor) < 1:
        raise ExpressionError("round_to wants a divisor from 1 up", code="A405")
    near = max(divisor, int(_number(value) + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * value else near


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": lambda x: abs(_number(x)),
    "round": _round,
    "floor": lambda x: math.floor(_number(x)),
    "ceil": lambda x: math.ceil(_number(x)),
    "int": lambda x: int(_number(x)),
    "float": lambda x: float(_number(x)),
    "len": lambda x: len(x),
    "sum": lambda xs: sum(map(_number, xs)),
    "range": _range,
    "zip": lambda *lists: [list(row) for row in zip(*lists, strict=True)],
    "linspace": _linspace,
    "round_to": round_to,
}

_WORDS = {"true": True, "false": False, "null": None}
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: _add,
    ast.Sub: lambda a, b: _number(a) - _number(b),
    ast.Mult: _multiply,
    ast.Div: _divided(lambda a, b: a / b),
    ast.FloorDiv: _divided(lambda a, b: a // b),
    ast.Mod: _divided(lambda a, b: a % b),
    ast.Pow: _power,
}
_COMPARE: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_BUILDERS: dict[type, Callable[[Expression, Any], Work]] = {
    ast.Constant: Expression._constant,
    ast.Name: Expression._name,
    ast.BinOp: Expression._binary,
    ast.UnaryOp: Expression._unary,
    ast.BoolOp: Expression._boolean,
    ast.Compare: Expression._compare,
    ast.IfExp: Expression._choice,
    ast.List: Expression._list,
    ast.Tuple: Expression._list,
    ast.Subscript: Expression._index,
    ast.Slice: Expression._slice,
    ast.Call: Expression._call,
    ast.Attribute: Expression._attribute,
}
