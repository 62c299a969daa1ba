"""Receptive fields, on any graph.

Along one axis, position i of a value sees the input pixels from i*jump + low to i*jump + high. Windows compose: with a
window's step, low and high, `jump' = jump*step`, `low' = low + jump*low_w`, `high' = high + jump*high_w` (Araujo, Norris &
Sim, "Computing receptive fields of convolutional neural networks", Distill 2019). Where paths meet, the field is what
any of them sees; paths of unequal jump have no single field and count as the whole input. A field is not cut at the
borders of the image, as papers state it.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from archc.graph import Graph, Node, Value
from archc.ops.facts import POINT


class Axis(NamedTuple):
    """One axis of a field, in pixels of the input."""

    jump: int | Fraction
    low: int | Fraction
    high: int | Fraction

    @property
    def size(self) -> int:
        return floor(self.high) - ceil(self.low) + 1


class Field(NamedTuple):
    """A receptive field: `axes` one for each spatial axis of the input, empty where the whole input is seen."""

    axes: tuple[Axis, ...]

    @property
    def whole(self) -> bool:
        return not self.axes

    @property
    def size(self) -> tuple[int, ...]:
        return tuple(axis.size for axis in self.axes)

    @property
    def jump(self) -> tuple[int | Fraction, ...]:
        return tuple(axis.jump for axis in self.axes)

    @property
    def offset(self) -> tuple[int | Fraction, ...]:
        """The first pixel that position 0 sees; negative in the padding."""
        return tuple(axis.low for axis in self.axes)

    def __str__(self) -> str:
        return "all" if self.whole else "x".join(map(str, self.size))


WHOLE_INPUT = Field(())


def fields(graph: Graph) -> dict[Node, Field]:
    """The field of each layer's output."""
    known: dict[Value, Field] = {}
    for value in graph.inputs.values():
        pixel = Axis(1, 0, 0)
        known[value] = Field((pixel,) * (len(value.shape) - 1))
    found: dict[Node, Field] = {}
    for node in graph.nodes:
        field = _composed(node, [known[value] for value in node.inputs])
        found[node] = field
        for output in node.outputs:
            known[output] = field
    return found


def _composed(node: Node, inputs: list[Field]) -> Field:
    met = _union(inputs)
    reach = node.facts.reach
    if met.whole or reach == POINT:
        return met
    if isinstance(reach, str) or len(reach) != len(met.axes):
        return WHOLE_INPUT
    pairs = zip(met.axes, reach, strict=True)
    return Field(tuple(Axis(a.jump * r.step, a.low + a.jump * r.low, a.high + a.jump * r.high) for a, r in pairs))


def _union(inputs: list[Field]) -> Field:
    first = inputs[0]
    if len(inputs) == 1:
        return first
    if any(one.whole or one.jump != first.jump for one in inputs):
        return WHOLE_INPUT
    columns = zip(*(one.axes for one in inputs), strict=True)
    return Field(tuple(Axis(c[0].jump, min(a.low for a in c), max(a.high for a in c)) for c in columns))
