"""What source says of itself: docstrings, and shapes as comments, with letters where the parts of a class differ."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from archc.codegen.emit.layout import WIDTH
from archc.graph import Graph, Scope
from archc.ops.shape import Shape
from archc.ops.syntax import flat
from archc.program.classes import Class
from archc.program.parameters import follows
from archc.program.scopes import Dataflow
from archc.program.steps import Step
from archc.text.diagnostics import printable

_LETTERS = {1: ("C",), 2: ("C", "L"), 3: ("C", "H", "W"), 4: ("C", "D", "H", "W")}


Row = tuple[int, Shape, Shape]  # which part, the shape of a value in it, the shape of what the part is given


def spoken(definition: Class, rows: Sequence[Row]) -> str:
    """The shape of a value over the parts of a class, beside what they are given: `[channels, H/2, W/2]`."""
    rank = len(rows[0][1])
    if any(len(shape) != rank for _, shape, _ in rows):
        return ""
    letters = _LETTERS.get(rank, ())
    sizes = [_size(definition, rows, axis, letters[axis] if letters else "N") for axis in range(rank)]
    return "[" + ", ".join(sizes) + "]"


def _size(definition: Class, rows: Sequence[Row], axis: int, letter: str) -> str:
    column = tuple(int(shape[axis]) for _, shape, _ in rows)
    if len(set(column)) == 1:
        return str(column[0])
    parts = [part for part, _, _ in rows]
    if axis == 0:
        known = {parameter.name: tuple(parameter.values[part] for part in parts) for parameter in definition.parameters}
        lists = {name: values for name, values in known.items() if all(isinstance(value, int) and value > 1 for value in values)}
        equal = [name for name, values in known.items() if values == column]
        derived = (follows(name, values, column) for name, values in lists.items())
        return equal[0] if equal else next((flat(tree) for tree in derived if tree is not None), f"{letter}'")
    before = tuple(int(given[axis]) for _, shape, given in rows if len(given) == len(shape))
    return _beside(definition, parts, column, before, letter) if len(before) == len(column) else f"{letter}'"


def _beside(definition: Class, parts: list[int], column: tuple[int, ...], before: tuple[int, ...], letter: str) -> str:
    """A spatial axis beside that of what came in: `H`, `H/2`, `2*H`, `H/stride`."""
    if before == column:
        return letter
    for k in range(2, 65):
        if all(a == -(-b // k) for a, b in zip(column, before, strict=True)):
            return f"{letter}/{k}"
        if all(a == b * k for a, b in zip(column, before, strict=True)):
            return f"{k}*{letter}"
    for parameter in definition.parameters:
        steps = [parameter.values[part] for part in parts]
        if parameter.name.endswith("stride") and all(
            isinstance(k, int) and k > 0 and a == -(-b // k) for a, b, k in zip(column, before, steps, strict=True)
        ):
            return f"{letter}/{parameter.name}"
    return f"{letter}'"


def of_steps(definition: Class, given: dict[Scope, Shape]) -> dict[int, str]:
    """The shape after each step, where it is another than before it, by the identity of the step's outputs."""
    return _of_steps(definition, given, [definition.aligned(part) for part in definition.parts])


def _of_steps(definition: Class, given: dict[Scope, Shape], aligned: Sequence[Sequence[Step | None]]) -> dict[int, str]:
    shapes: dict[int, str] = {}
    for steps in zip(*aligned, strict=True):
        present = [(index, step) for index, step in enumerate(steps) if step is not None]
        rows = [
            (index, value.shape, given[definition.parts[index]])
            for index, step in present
            for value in step.outputs[:1]
            if value is not None
        ]
        before = [step.inputs[0].shape for _, step in present]
        changed = len(rows) == len(present) and [shape for _, shape, _ in rows] != before
        first = present[0][1]
        shapes[id(first.outputs)] = spoken(definition, rows) if changed else ""
        if first.body:
            shapes |= _of_steps(definition, given, [step.body for _, step in present])
    return shapes


def about(graph: Graph, dataflow: Dataflow, definition: Class) -> list[str]:
    """What a class is, and its shapes: the paragraphs of its docstring."""
    scope = definition.first
    sides = []
    for flow in (dataflow.inputs, dataflow.outputs):
        values = [
            [(at, flow(part)[i].shape, given_shape(dataflow, part)) for at, part in enumerate(definition.parts)]
            for i in range(len(flow(scope)))
        ]
        sides.append(", ".join(filter(None, (spoken(definition, rows) for rows in values))))
    arrow = " -> ".join(sides)
    if scope.parent is None:
        return [f"{graph.name}: {arrow}"]
    what = scope.block or scope.name
    return [f"{what}: {scope.doc}" if scope.doc else what, arrow]


def given_shape(dataflow: Dataflow, part: Scope) -> Shape:
    """The shape of what a part is given first."""
    return (dataflow.inputs(part) or dataflow.outputs(part))[0].shape


def docstring(paragraphs: list[str], indent: int) -> list[str]:
    """A docstring whose words may come from anybody: nothing in it ends it or is an escape."""
    room, outer = WIDTH - indent, " " * indent
    clean = [printable(text).replace("\\", "/").replace('"', "'").strip() for text in paragraphs]
    if len(clean) == 1 and len(clean[0]) + 6 <= room:
        return [f'{outer}"""{clean[0]}"""']
    lines: list[str] = []
    for at, text in enumerate(clean):
        lines += wrap(("" if at else '"""') + text, room, break_on_hyphens=False) or [""]
        lines += [""] if at == 0 and len(clean) > 1 else []
    return [outer + line if line else "" for line in lines] + [f'{outer}"""']
