"""Which constants of a class become parameters of its constructor, what they are called, and what follows from others."""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archc.graph import Scope
from archc.ops.facts import literal
from archc.ops.syntax import Literal, Name, Operation, Tree
from archc.program.constructs import ABSENT, Slot, plain, same
from archc.signature import MISSING

Column = tuple[Any, ...]
_TAKEN = {"self", "nn", "F", "torch", "range", "super", "dict", "list", "tuple", "OrderedDict", "_"}
_PLACES = ("in_channels", "in_features", "channels", "features")


@dataclass(slots=True)
class Parameter:
    """A parameter of a constructor, with its value in each part."""

    name: str
    values: Column
    default: Any = MISSING


def parameters_of(scopes: list[Scope], rows: list[list[Slot]], taken: set[str]) -> tuple[list[Parameter], list[Tree | None]]:
    """The parameters of a class, and for each slot the expression in its place, if any has to stand there. `taken` are other names."""
    columns = [tuple(row[i] for row in rows) for i in range(len(rows[0]))]
    values = [tuple(plain(slot.value) for slot in column) for column in columns]
    varying = [column for column, row in zip(columns, values, strict=True) if not same(row)]
    found: dict[Any, Tree] = {}
    chosen = _Chosen(scopes, taken)
    for column in varying:
        chosen.offer(column)
    for column in varying:
        found[_key(column)] = chosen.expression(column)
    return chosen.ordered(varying), [_expression(column, row, found) for column, row in zip(columns, values, strict=True)]


def _expression(column: Sequence[Slot], values: Column, found: dict[Any, Tree]) -> Tree | None:
    """A constant or an expression; None where all parts have their default."""
    present = [slot for slot in column if slot.value is not ABSENT]
    if all(slot.default is not MISSING and _equal((plain(slot.default),), (plain(slot.value),)) for slot in present):
        return None
    return Literal(literal(plain(present[0].value))) if same(values) else found[_key(column)]


def _key(column: Sequence[Slot]) -> Column:
    return tuple((type(slot.value), plain(slot.value)) for slot in column)


class _Chosen:
    """The parameters in the making."""

    def __init__(self, scopes: list[Scope], taken: set[str]) -> None:
        self.known = {name: column for name, column in _known(scopes) if name not in taken}
        self.taken = _TAKEN | taken
        self.named: dict[str, Column] = {}
        self.expressions: dict[Column, Tree] = {}

    def offer(self, column: Sequence[Slot]) -> None:
        """A column that is what the part takes in, or an argument of its block, is called so."""
        values = tuple(plain(slot.value) for slot in column)
        for name, known in self.known.items():
            if _key(column) not in self.expressions and _equal(known, values):
                self.named[name] = known
                self.expressions[_key(column)] = Name(name)

    def expression(self, column: Sequence[Slot]) -> Tree:
        """A name, or what follows from names: `in_channels * 6`, `kernel // 2`."""
        values = tuple(plain(slot.value) for slot in column)
        found = self.expressions.get(_key(column)) or self._derived(values)
        if found is None:
            name = self._new_name(column)
            self.named[name] = values
            found = Name(name)
        self.expressions[_key(column)] = found
        return found

    def _derived(self, values: Column) -> Tree | None:
        if not all(_is_whole_number(value) for value in values if value is not ABSENT):
            return None
        for name, known in self.named.items():
            if _all_whole(known) and (found := follows(name, known, values)):
                return found
        pairs = [(a, b) for a in self.named for b in self.known if a != b]
        for a, b in pairs:
            first, second = self.named[a], self.known[b]
            if ABSENT in first or not (_all_whole(first) and _all_whole(second)):
                continue
            if all(value is ABSENT or x * y == value for x, y, value in zip(first, second, values, strict=True)):
                self.named.setdefault(b, second)
                return Operation((Name(a), Name(b)), ("*",))
        return None

    def _new_name(self, column: Sequence[Slot]) -> str:
        present = [slot for slot in column if slot.value is not ABSENT]
        hints = [name for name, _ in present[0].hints if all(_all_hinted(slot, name) for slot in present)]
        label = python_name(column[0].label)
        for name in [*hints[:1], *(f"{label}_{hint}" for hint in hints[:1]), label, *(f"{label}_{i}" for i in range(2, 99))]:
            free = name not in self.named and name not in self.known and name not in self.taken
            if free and not name.startswith("__") and not keyword.iskeyword(name):
                return name
        return f"constant_{len(self.named)}"

    def ordered(self, varying: list[tuple[Slot, ...]]) -> list[Parameter]:
        """First what comes in and goes out, as in torch.nn; those with a default last."""
        found = [_whole_column(name, values, self._default(values, varying)) for name, values in self.named.items()]
        order = list(self.known)
        return sorted(
            found,
            key=lambda parameter: (
                parameter.default is not MISSING,
                order.index(parameter.name) if parameter.name in order else len(order),
            ),
        )

    def _default(self, values: Column, varying: list[tuple[Slot, ...]]) -> Any:
        """PyTorch's own default, where all that the parameter stands for has the same."""
        columns = [column for column in varying if _equal(tuple(plain(slot.value) for slot in column), values)]
        uses = [slot.default for column in columns for slot in column if slot.value is not ABSENT]
        if uses and uses[0] is not MISSING and same(uses) and any(plain(uses[0]) == value for value in values):
            return uses[0]
        return MISSING


def _whole_column(name: str, values: Column, default: Any) -> Parameter:
    """A parameter; where a part lacks what it is for, it is None."""
    if ABSENT not in values:
        return Parameter(name, values, default)
    return Parameter(name, tuple(None if value is ABSENT else value for value in values), None)


def _known(scopes: list[Scope]) -> Iterator[tuple[str, Column]]:
    """What is known of the parts by name: the channels that come in, and the arguments of the block."""
    shapes = [scope.inputs[0].shape if scope.inputs else None for scope in scopes]
    if all(shape is not None and len(shape) > 1 for shape in shapes):
        yield "in_channels", tuple(int(shape.channels) for shape in shapes if shape is not None)
    if all(shape is not None and len(shape) <= 2 for shape in shapes):
        yield "in_features", tuple(int(shape.features) for shape in shapes if shape is not None)
    for name in scopes[0].arguments:
        word = python_name(name)
        values = tuple(plain(scope.arguments.get(name)) for scope in scopes)
        if all(isinstance(value, int | float | tuple) for value in values):
            yield word, values


def follows(name: str, known: Column, values: Column) -> Tree | None:
    """`name * k`, `name // k` or `name + k`, if one k does for all."""
    pairs = [(a, b) for a, b in zip(known, values, strict=True) if b is not ABSENT and a is not ABSENT]
    if all(a > 0 and b % a == 0 for a, b in pairs) and len({b // a for a, b in pairs}) == 1:
        return _with_number(name, "*", pairs[0][1] // pairs[0][0])
    for k in range(2, 65):
        if all(a // k == b for a, b in pairs):
            return _with_number(name, "//", k)
    if len({b - a for a, b in pairs}) == 1:
        more = pairs[0][1] - pairs[0][0]
        return _with_number(name, "+" if more > 0 else "-", abs(more))
    return None


def _with_number(name: str, sign: str, value: int) -> Tree:
    return Operation((Name(name), Literal(literal(value))), (sign,))


def _all_hinted(slot: Slot, name: str) -> bool:
    return any(hint == name and plain(value) == plain(slot.value) for hint, value in slot.hints)


def _equal(a: Column, b: Column) -> bool:
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x is not ABSENT and y is not ABSENT]
    return all(x == y and type(x) is type(y) for x, y in pairs)


def _all_whole(values: Column) -> bool:
    return all(_is_whole_number(value) for value in values if value is not ABSENT)


def _is_whole_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def python_name(name: str) -> str:
    """A name that Python takes as it is, and that no class has: two underscores before it would be mangled in a class."""
    word = f"layer_{name}" if name[:1].isdigit() else f"value{name}" if name.startswith("__") else name
    return f"{word}_" if keyword.iskeyword(word) or word in _TAKEN or (word[:1].isupper() and len(word) > 1) else word
