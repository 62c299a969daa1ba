"""Shapes as comments: numbers where all parts of a class have the same, letters where they differ."""

from __future__ import annotations

from collections.abc import Sequence

from archc.graph import Scope
from archc.ops.shape import Shape
from archc.program.classes import Class
from archc.program.parameters import follows
from archc.program.steps import Step

_LETTERS = {1: ("C",), 2: ("C", "L"), 3: ("C", "H", "W"), 4: ("C", "D", "H", "W")}


Row = tuple[int, Shape, Shape]  # which part, the shape of a value in it, the shape of what the part is given


def spoken(one: Class, rows: Sequence[Row]) -> str:
    """The shape of a value over the parts of a class, beside what they are given: `[channels, H/2, W/2]`."""
    rank = len(rows[0][1])
    if any(len(shape) != rank for _, shape, _ in rows):
        return ""
    letters = _LETTERS.get(rank, ())
    sizes = [_size(one, rows, axis, letters[axis] if letters else "N") for axis in range(rank)]
    return "[" + ", ".join(sizes) + "]"


def _size(one: Class, rows: Sequence[Row], axis: int, letter: str) -> str:
    column = tuple(int(shape[axis]) for _, shape, _ in rows)
    if len(set(column)) == 1:
        return str(column[0])
    parts = [part for part, _, _ in rows]
    if axis == 0:
        known = {parameter.name: tuple(parameter.values[part] for part in parts) for parameter in one.parameters}
        whole = {name: values for name, values in known.items() if all(isinstance(value, int) and value > 1 for value in values)}
        equal = [name for name, values in known.items() if values == column]
        derived = (follows(name, values, column) for name, values in whole.items())
        return equal[0] if equal else next(filter(None, derived), f"{letter}'")
    before = tuple(int(given[axis]) for _, shape, given in rows if len(given) == len(shape))
    return _beside(one, parts, column, before, letter) if len(before) == len(column) else f"{letter}'"


def _beside(one: Class, parts: list[int], column: tuple[int, ...], before: tuple[int, ...], letter: str) -> str:
    """A spatial axis beside that of what came in: `H`, `H/2`, `2*H`, `H/stride`."""
    if before == column:
        return letter
    for k in range(2, 65):
        if all(a == -(-b // k) for a, b in zip(column, before, strict=True)):
            return f"{letter}/{k}"
        if all(a == b * k for a, b in zip(column, before, strict=True)):
            return f"{k}*{letter}"
    for parameter in one.parameters:
        steps = [parameter.values[part] for part in parts]
        if parameter.name.endswith("stride") and all(
            isinstance(k, int) and k > 0 and a == -(-b // k) for a, b, k in zip(column, before, steps, strict=True)
        ):
            return f"{letter}/{parameter.name}"
    return f"{letter}'"


def of_steps(one: Class, given: dict[Scope, Shape]) -> dict[int, str]:
    """The shape after each step, where it is another than before it, by the identity of the step's outputs."""
    return _of_steps(one, given, [one.aligned(part) for part in one.parts])


def _of_steps(one: Class, given: dict[Scope, Shape], aligned: Sequence[Sequence[Step | None]]) -> dict[int, str]:
    told: dict[int, str] = {}
    for steps in zip(*aligned, strict=True):
        there = [(index, step) for index, step in enumerate(steps) if step is not None]
        rows = [(index, value.shape, given[one.parts[index]]) for index, step in there for value in step.outputs[:1] if value is not None]
        before = [step.inputs[0].shape for _, step in there]
        changed = len(rows) == len(there) and [shape for _, shape, _ in rows] != before
        first = there[0][1]
        told[id(first.outputs)] = spoken(one, rows) if changed else ""
        if first.body:
            told |= _of_steps(one, given, [step.body for _, step in there])
    return told
