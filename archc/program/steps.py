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
    recomputed: bool = False
    body: list[Step] = field(default_factory=list)
    method: str = ""


def structure(steps: list[Step], numbers: dict[Value, int]) -> tuple[Hashable, ...]:
    """Equal for steps that do the same. `numbers` stand for the values that are there, and get those that are made."""
    found: list[Hashable] = []
    for step in steps:
        inputs = tuple(numbers[value] for value in step.inputs)
        body = structure(step.body, dict(numbers)) if step.body else ()
        made = [value for value in step.outputs if value is not None]
        numbers.update((value, len(numbers) + i) for i, value in enumerate(made))
        outputs = tuple(-1 if value is None else numbers[value] for value in step.outputs)
        found.append((flat(step.value), inputs, outputs, step.training, body))
    return tuple(found)


def steps_of(parts: Parts, level: Scope) -> list[Step]:
    """The steps of the class of a part."""
    inside = level.parent is not None and parts.for_training(level)
    found = list(_steps(parts, level, level))
    for step in found:
        step.training = step.training and not inside
    return found


def _steps(parts: Parts, level: Scope, scope: Scope) -> Iterator[Step]:
    for child in parts.dataflow.children(scope):
        if isinstance(child, Node):
            yield _of_node(parts, level, child)
        elif parts.kind(child) == HOLDER or child in parts.regions.inlined:
            yield from _steps(parts, level, child)
        elif parts.kind(child) == CALL:
            yield _of_copy(parts, level, child)
        else:
            assert child.parent is not None
            yield _call(
                parts, child, parts.access(level, child.parent, child), parts.dataflow.inputs(child), list(parts.dataflow.outputs(child))
            )


def _of_node(parts: Parts, level: Scope, node: Node) -> Step:
    form = node.facts.torch
    owner = parts.sharing.owner.get(node, node)
    value = bound(form.tree, (), parts.access(level, owner.scope, owner)) if form is not None else NOTHING
    outputs: list[Value | None] = [value if value in parts.dataflow.used else None for value in node.outputs]
    return Step(value, list(node.inputs), outputs, node.label, node.train_only, node)


def _of_copy(parts: Parts, level: Scope, copy: Scope) -> Step:
    """A part that is applied again: a call of the first, on what comes into this one."""
    original = parts.sharing.original[copy]
    assert original.parent is not None
    theirs = parts.sharing.mapping(copy)
    inputs = [theirs.get(value, value) for value in parts.dataflow.inputs(original)]
    mine = set(parts.dataflow.outputs(copy))
    outputs: list[Value | None] = []
    for value in parts.dataflow.outputs(original):
        here = theirs.get(value, value)
        outputs.append(here if here in mine else None)
    path = parts.access(level, original.parent, original)
    return _call(parts, copy, path, inputs, outputs)


def _call(parts: Parts, scope: Scope, path: Tree, inputs: list[Value], outputs: list[Value | None]) -> Step:
    return Step(call(path, *map(Input, range(len(inputs)))), inputs, outputs, scope.label, parts.for_training(scope), scope)
