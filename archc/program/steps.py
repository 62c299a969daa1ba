"""The steps of a forward: expressions over values, in the order in which they run."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from archc.graph import Node, Scope, Value
from archc.ops.syntax import Input, Literal, Tree, bound, call, flat
from archc.program.parts import CALL, HOLDER, Parts

NOTHING = Literal("None")  # the value of a step of which the order alone is known


@dataclass(slots=True)
class Step:
    """One statement: an expression over `inputs`; an output that nobody uses is None. `label` is what it may be called.

    A step that runs again in backward may have steps of its own: `body`, in a method called `method`.
    """

    value: Tree
    inputs: list[Value]
    outputs: list[Value | None]
    label: str
    training: bool  # there in training alone, in a part that is there always
    of: Node | Scope
    test: Tree | None = None  # a condition: without it, the value is the first input
    again: bool = False
    body: list[Step] = field(default_factory=list)
    method: str = ""


def structure(steps: list[Step], numbers: dict[Value, int]) -> tuple[Hashable, ...]:
    """Equal for steps that do the same. `numbers` stand for the values that are there, and get those that are made."""
    told: list[Hashable] = []
    for step in steps:
        inputs = tuple(numbers[value] for value in step.inputs)
        body = structure(step.body, dict(numbers)) if step.body else ()
        made = [value for value in step.outputs if value is not None]
        numbers.update((value, len(numbers) + i) for i, value in enumerate(made))
        outputs = tuple(-1 if value is None else numbers[value] for value in step.outputs)
        told.append((flat(step.value), inputs, outputs, step.training, body))
    return tuple(told)


def steps_of(parts: Parts, level: Scope) -> list[Step]:
    """The steps of the class of a part."""
    inside = level.parent is not None and parts.for_training(level)
    found = list(_steps(parts, level, level))
    for step in found:
        step.training = step.training and not inside
    return found


def _steps(parts: Parts, level: Scope, scope: Scope) -> Iterator[Step]:
    for child in parts.wires.children(scope):
        if isinstance(child, Node):
            yield _of_node(parts, level, child)
        elif parts.kind(child) == HOLDER or child in parts.regions.opened:
            yield from _steps(parts, level, child)
        elif parts.kind(child) == CALL:
            yield _of_copy(parts, level, child)
        else:
            assert child.parent is not None
            yield _call(parts, child, parts.access(level, child.parent, child), parts.wires.takes(child), list(parts.wires.gives(child)))


def _of_node(parts: Parts, level: Scope, node: Node) -> Step:
    form = node.facts.torch
    owner = parts.shares.lender.get(node, node)
    value = bound(form.tree, (), parts.access(level, owner.scope, owner)) if form is not None else NOTHING
    outputs: list[Value | None] = [value if value in parts.wires.used else None for value in node.outputs]
    return Step(value, list(node.inputs), outputs, node.label, node.train_only, node)


def _of_copy(parts: Parts, level: Scope, copy: Scope) -> Step:
    """A part that is applied again: a call of the first, on what comes into this one."""
    original = parts.shares.whole[copy]
    assert original.parent is not None
    theirs = parts.shares.twin(copy)
    takes = [theirs.get(value, value) for value in parts.wires.takes(original)]
    mine = set(parts.wires.gives(copy))
    gives: list[Value | None] = []
    for value in parts.wires.gives(original):
        here = theirs.get(value, value)
        gives.append(here if here in mine else None)
    path = parts.access(level, original.parent, original)
    return _call(parts, copy, path, takes, gives)


def _call(parts: Parts, scope: Scope, path: Tree, takes: list[Value], gives: list[Value | None]) -> Step:
    return Step(call(path, *map(Input, range(len(takes)))), takes, gives, scope.label, parts.for_training(scope), scope)
