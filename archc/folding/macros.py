"""Blocks of a network's own: parts that are alike but for numbers, written once, with the numbers as parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from archc.folding.blocks import Layer
from archc.folding.calls import Call, NotFoldable, Written, call_of
from archc.folding.signature import Part, Parts
from archc.graph import Graph, Node, Scope
from archc.graph.write_spec import LevelOrder
from archc.language import library
from archc.ops import OPERATORS, Shape
from archc.ops.shape import AXES

LEAST_LAYERS = 2  # of a part that is worth a name
Child = Scope | Node


@dataclass(slots=True)
class Macro:
    """A block: the part that is written for it, its parameters with their types, and the calls in it that have parameters.

    inputs: names of what it takes, where that is more than one value
    body: its layers, written
    """

    name: str
    lead: Scope
    inputs: tuple[str, ...]
    body: list[str] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    calls: dict[Child, Call] = field(default_factory=dict)


class MacroFinder:
    """Makes blocks of parts that are alike, the innermost first; `uses` grows by their uses."""

    def __init__(
        self,
        graph: Graph,
        parts: Parts,
        uses: dict[Scope, Call],
        defaults: Mapping[str, Mapping[str, Any]],
        write: Callable[[Macro], list[str]],
    ) -> None:
        """write: the layers of a block, as lines; it raises NotFoldable where they cannot be written as one"""
        self.graph = graph
        self.write = write
        self.refused: set[Any] = set()
        self.parts = parts
        self.uses = uses
        self.defaults = defaults
        self.order = LevelOrder(graph)
        self.macros: list[Macro] = []
        self.taken = set(OPERATORS) | set(library.index())

    def find(self) -> list[Macro]:
        while (group := self._innermost()) is not None:
            self._make(group)
        return self.macros

    def _innermost(self) -> list[Scope] | None:
        """Parts of one structure that hold no other such parts."""
        pools: dict[Any, list[Scope]] = {}
        for scope in self._open(self.graph.root):
            part = self.parts.of(scope)
            if len(part.nodes) >= LEAST_LAYERS and part.given and part.taken and not self._is_run(scope):
                ranks = tuple(len(value.shape) for value in part.taken)
                if (part.skeleton, ranks) not in self.refused:
                    pools.setdefault((part.skeleton, ranks), []).append(scope)
        groups = [group for group in pools.values() if len(group) > 1]
        held = {scope for group in groups for scope in group}
        for group in groups:
            inside = any(inner in held for inner in self._open(group[0]))
            if not inside and (alike := [scope for scope in group if self._beside(group[0], scope) is not None])[1:]:
                return alike
        return None

    def _refuse(self, group: Sequence[Scope]) -> None:
        part = self.parts.of(group[0])
        self.refused.add((part.skeleton, tuple(len(value.shape) for value in part.taken)))

    def _open(self, scope: Scope) -> Iterator[Scope]:
        """The parts within that are no blocks yet, and may be."""
        merges = {child.label for child in scope.children if isinstance(child, Node)}
        for child in scope.children:
            if isinstance(child, Scope) and child not in self.uses:
                if not child.held and child.label not in merges:
                    yield child
                yield from self._open(child)

    def _is_run(self, scope: Scope) -> bool:
        """Whether a part is a row of uses of one block, which is a stage and no block, or a single part."""
        children = [child for _, child in self.order.of(scope)]
        kinds = {self.uses[child].kind if isinstance(child, Scope) and child in self.uses else None for child in children}
        return len(children) < 2 or (len(kinds) == 1 and None not in kinds)

    def _beside(self, lead: Scope, scope: Scope) -> list[tuple[Child, Child]] | None:
        """The children of two parts in pairs, at any depth down to layers and uses; None where the parts are not alike."""
        mine, theirs = self.order.of(lead), self.order.of(scope)
        if len(mine) != len(theirs):
            return None
        found: list[tuple[Child, Child]] = []
        for (_, a), (_, b) in zip(mine, theirs, strict=True):
            if isinstance(a, Node) != isinstance(b, Node):
                return None
            used = [child in self.uses for child in (a, b) if isinstance(child, Scope)]
            if isinstance(a, Scope) and isinstance(b, Scope) and not any(used):
                inner = self._beside(a, b)
                if inner is None:
                    return None
                found += inner
            elif (used and not all(used)) or self._call(a).kind != self._call(b).kind:
                return None
            else:
                found.append((a, b))
        return found

    def _call(self, child: Child) -> Call:
        return call_of(child, self.defaults) if isinstance(child, Node) else self.uses[child]

    def _value(self, call: Call, name: str, child: Child) -> Any:
        """An argument as a number, where the default of a block computes it of its input."""
        value = call.value(name)
        if isinstance(value, str) and "input.channels" in value and name not in call.args:
            shape = (child.inputs if isinstance(child, Node) else self.parts.of(child).taken)[0].shape
            return channels_of(shape)
        return value

    def _make(self, group: Sequence[Scope]) -> None:
        lead, parts = group[0], [self.parts.of(scope) for scope in group]
        rows = [[child for _, child in self._beside(lead, scope) or ()] for scope in group]
        taken = parts[0].taken
        macro = Macro(self._name(lead), lead, () if len(taken) == 1 else tuple(f"x{at}" for at in range(len(taken))))
        chosen = _Parameters(parts)
        for at, child in enumerate(rows[0]):
            calls = [self._call(row[at]) for row in rows]
            names = list(dict.fromkeys(name for call in calls for name in call.args))
            args: dict[str, Any] = {}
            for name in names:
                column = [self._value(call, name, row[at]) for call, row in zip(calls, rows, strict=True)]
                args[name] = column[0] if all(value == column[0] for value in column) else chosen.expression(name, child.label, column)
            macro.calls[child] = Call(calls[0].kind, args)
        macro.params = {name: _type(column) for name, column in chosen.columns.items()}
        try:
            macro.body = self.write(macro)
        except NotFoldable:
            self._refuse(group)
            return
        for scope, values in zip(group, zip(*chosen.columns.values(), strict=True) if chosen.columns else [()] * len(group), strict=True):
            self.uses[scope] = Call(macro.name, dict(zip(chosen.columns, values, strict=True)))
        self.macros.append(macro)

    def _name(self, scope: Scope) -> str:
        """After the class or block that the part was, or its label."""
        word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", scope.block or re.sub(r"_?\d+\Z", "", scope.label) or "part").lower()
        word = re.sub(r"\W+", "_", word).strip("_") or "part"
        word = f"part_{word}" if word[0].isdigit() else word
        name = next(name for name in (word if n == 1 else f"{word}_{n}" for n in count(1)) if name not in self.taken)
        self.taken.add(name)
        return name


class _Parameters:
    """The parameters of a block in the making: columns of values, one for each part."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.columns: dict[str, list[Any]] = {}
        shapes = [part.taken[0].shape for part in parts]
        maps = all(len(part.taken) == 1 and len(part.taken[0].shape) > 2 for part in parts)
        self.given = {"input.channels": [channels_of(shape) for shape in shapes]} if maps else {}

    def expression(self, name: str, label: str, column: list[Any]) -> Written:
        """What stands for values that differ from part to part: a parameter, or what follows from one."""
        for known, values in {**self.given, **self.columns}.items():
            if values == column and all(type(a) is type(b) for a, b in zip(values, column, strict=True)):
                return Written(f"${{{known}}}" if "." in known else f"${known}")
        if (found := self._derived(column)) is not None:
            return Written(f"${{{found}}}")
        word = label if not label[:1].isdigit() else ""
        names = [name, *([f"{word}_{name}"] if word.isidentifier() else []), *(f"{name}{n}" for n in range(2, 1000))]
        free = next(one for one in names if one not in self.columns and one not in _RESERVED)
        self.columns[free] = column
        return Written(f"${free}")

    def _derived(self, column: list[Any]) -> str | None:
        """A multiple or a part of what is known, if values of three kinds agree: of fewer, it may be by chance."""
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in column) or len(set(column)) < 3:
            return None
        for known, values in {**self.columns, **self.given}.items():
            if not all(isinstance(value, int) and not isinstance(value, bool) and value > 0 for value in values):
                continue
            if column[0] % values[0] == 0 and all(a * (column[0] // values[0]) == b for a, b in zip(values, column, strict=True)):
                return f"{known} * {column[0] // values[0]}"
            for k in (2, 3, 4, 8, 16):
                if all(a % k == 0 and a // k == b for a, b in zip(values, column, strict=True)):
                    return f"{known} // {k}"
        return None


def channels_of(shape: Shape) -> int:
    """What `input.channels` is in a spec."""
    found = AXES["channels"][1](shape)
    return int(shape[0] if found is None else found)


_RESERVED = {"input", "chain_input", "index", "first", "last", "true", "false", "null"}


def _type(column: Sequence[Any]) -> str:
    if all(isinstance(value, bool) for value in column):
        return "bool"
    if all(isinstance(value, int) and not isinstance(value, bool) for value in column):
        return "int"
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in column):
        return "number"
    return "layer" if all(isinstance(value, Layer) for value in column) else "list" if all(isinstance(v, list) for v in column) else "any"
