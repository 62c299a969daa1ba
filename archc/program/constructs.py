"""How an attribute of a module is made: a module of PyTorch, a tensor, a chain, another class of the program.

Each has a `key`, equal where two have the same structure, and `slots`, the constants in which they may differ.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archc.graph import Node
from archc.ops.facts import Expression, FormOptions, Module
from archc.ops.syntax import Input, Tree, flat, names, number, replace_leaves
from archc.ops.template import parse_plain
from archc.signature import MISSING

if TYPE_CHECKING:
    from archc.program.classes import Class


ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()  # a constant of a layer that a part does without


@dataclass(slots=True)
class Slot:
    """A constant. `hints` are what it may be called, each with the value that the name has there; `label` is its layer's."""

    value: Any
    label: str
    hints: tuple[tuple[str, Any], ...] = ()
    default: Any = MISSING


@dataclass(slots=True)
class Leaf:
    """`nn.Conv2d(64, 128, 3, stride=2)`; `options` are the names of the slots that are not positional."""

    name: str
    key: Hashable
    slots: list[Slot]
    options: tuple[str, ...]
    source: str = ""


@dataclass(slots=True)
class TensorConstruct:
    """`nn.Parameter(torch.zeros(1, 1, 64))`: `value` is what is in the brackets, its numbers as inputs, one for each slot.

    holds: whether it is a parameter, a buffer or a constant
    """

    value: Tree
    key: Hashable
    slots: list[Slot]
    holds: str = "parameter"


@dataclass(slots=True)
class ChainConstruct:
    """`nn.Sequential(…)`."""

    items: list[tuple[str, Construct]]
    numbered: bool
    key: Hashable
    slots: list[Slot] = field(init=False)

    def __post_init__(self) -> None:
        self.slots = [slot for _, item in self.items for slot in item.slots]


@dataclass(slots=True)
class Use:
    """An instance of a class of the program."""

    of: Class
    key: Hashable
    slots: list[Slot]


Construct = Leaf | TensorConstruct | ChainConstruct | Use


def of_node(node: Node) -> Leaf | TensorConstruct | None:
    """How a layer's own module or tensor is made; None where it has none."""
    form = node.facts.torch
    if isinstance(form, Module):
        return _leaf(node, form)
    if isinstance(form, Expression) and form.start:
        return _tensor(node, form)
    return None


def has_own(node: Node) -> bool:
    """Whether a layer has a module or a tensor of its own: whether `of_node` says how it is made."""
    form = node.facts.torch
    return isinstance(form, Module) or (isinstance(form, Expression) and bool(form.start))


def _leaf(node: Node, form: Module) -> Leaf:
    hints = hints_of(node)
    defaults = form.options.defaults if isinstance(form.options, FormOptions) else {}
    names = (*defaults, *(name for name in form.options if name not in defaults))
    slots = [Slot(value, node.label, hints) for value in form.args]
    for name in names:
        default = defaults.get(name, MISSING)
        value = form.options.get(name, None if default is MISSING else default)
        slots.append(Slot(value, node.label, ((name, value), *hints), default))
    return Leaf(form.name, ("leaf", form.name, len(form.args), names, form.source), slots, names, form.source)


def _tensor(node: Node, form: Expression) -> TensorConstruct:
    start, slots = parse_plain(form.start), list[Slot]()

    def held(leaf: Tree) -> Tree:
        value = number(leaf)
        if value is None:
            return leaf
        slots.append(Slot(value, node.label, hints_of(node)))
        return Input(len(slots) - 1)

    # numbers that were written out one by one are no constants with names
    value = start if "torch.tensor" in names(start) else replace_leaves(start, held)
    return TensorConstruct(value, ("tensor", flat(value), form.holds), slots, form.holds)


def hints_of(node: Node) -> tuple[tuple[str, Any], ...]:
    """What the constants of a layer may be called: the names of its arguments, and of what comes in."""
    shape = node.inputs[0].shape
    came = ("in_features", shape.features) if node.kind == "linear" else ("in_channels", shape.channels)
    return (*([came] if node.read else []), *((name, plain(value)) for name, value in node.args.items()))


def plain(value: Any) -> Any:
    """A value as constants are compared: lists as tuples."""
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


def same(values: Sequence[Any]) -> bool:
    """Whether all that are there are equal, in type too."""
    return len({(type(value), value) for value in values if value is not ABSENT}) == 1
