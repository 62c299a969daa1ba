"""Shapes as comments: numbers where all parts of a class have the same, letters where they differ."""

from __future__ import annotations

from collections.abc import Sequence

from archc.graph import Scope
from archc.plan.classes import Class
from archc.shape import Shape

_LETTERS = {1: ("C",), 2: ("C", "L"), 3: ("C", "H", "W"), 4: ("C", "D", "H", "W")}


def spoken(one: Class, shapes: Sequence[Shape], given: Sequence[Shape]) -> str:
    """The shape of a value in each part of a class, beside that of what the part is given: `[channels, H/2, W/2]`."""
    rank = len(shapes[0])
    if any(len(shape) != rank for shape in shapes):
        return ""
    letters = _LETTERS.get(rank, ())
    known = [len(shape) == rank for shape in given]
    sizes = []
    for axis in range(rank):
        column = [int(shape[axis]) for shape in shapes]
        before = [int(shape[axis]) for shape in given] if all(known) else []
        sizes.append(_size(one, column, before, letters[axis] if letters else "*", axis))
    return "[" + ", ".join(sizes) + "]"


def _size(one: Class, column: list[int], before: list[int], letter: str, axis: int) -> str:
    if len(set(column)) == 1:
        return str(column[0])
    if axis == 0:
        for parameter in one.parameters:
            if list(parameter.values) == column:
                return parameter.name
    if before == column:
        return letter
    for k in range(2, 65):
        if before and all(a == -(-b // k) for a, b in zip(column, before, strict=True)):
            return f"{letter}/{k}"
        if before and all(a == b * k for a, b in zip(column, before, strict=True)):
            return f"{k}*{letter}"
    return f"{letter}'"


def of_steps(one: Class, scopes: Sequence[Scope], given: dict[Scope, Shape]) -> list[str]:
    """The shape after each step, where it is another than before it."""
    rows = [one.steps[scope] for scope in scopes]
    told = []
    for steps in zip(*rows, strict=True):
        made = [next((value.shape for value in step.outputs if value is not None), None) for step in steps]
        before = [step.inputs[0].shape for step in steps]
        changed = all(a is not None for a in made) and made != before
        told.append(spoken(one, [shape for shape in made if shape is not None], [given[scope] for scope in scopes]) if changed else "")
    return told
