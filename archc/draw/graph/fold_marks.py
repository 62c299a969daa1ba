"""The marks of a picture: boxes, groups and edges; and which parts of a network are alike, so that one stands for all."""

from __future__ import annotations

from dataclasses import dataclass

from archc.graph import Node, Scope
from archc.graph.structure import is_within_block
from archc.ops.shape import Shape

PORT = "port"  # the end of a box at which a column of a picture ends or begins


@dataclass(slots=True, eq=False)
class GraphBox:
    """One box: layers that follow each other, or a closed block. `copies` has its layers, one list for each copy that it stands for.

    end: input or output for an end of the network, PORT for that of a column; else empty
    closed: the block that is shown closed, the first of `times` copies; `last` is the last of them
    """

    copies: list[list[Node]]
    name: str
    end: str = ""
    shape: Shape | None = None
    closed: Scope | None = None
    last: Scope | None = None
    times: int = 1
    index: int = 0

    @property
    def layers(self) -> list[Node]:
        """Those of the first copy."""
        return self.copies[0]


@dataclass(slots=True, eq=False)
class Group:
    """A block that is shown open; it stands for `times` copies, from `scope` to `last`. `place` says where it is, if not its label."""

    scope: Scope
    items: list[Item]
    times: int = 1
    last: Scope | None = None
    place: str = ""


Item = GraphBox | Group


@dataclass(slots=True, eq=False)
class Edge:
    """What flows from one box to another: its shapes, more than one where copies differ; `source` is the layer that makes it."""

    tail: GraphBox
    head: GraphBox
    shapes: list[Shape]
    source: Node | None = None


class Marks:
    """What must be equal in parts that one of them stands for: the block with its arguments, the layers, and the size of the map.

    Channels may differ where the same block, with the same arguments, was given other channels, as in a dense block.
    """

    def __init__(self, nodes: set[int]) -> None:
        self._nodes = nodes
        self._known: dict[int, tuple[object, ...]] = {}

    def of(self, part: Scope | Node) -> tuple[object, ...] | None:
        """The mark of a part; None for one that stands for itself alone."""
        if isinstance(part, Node):
            return None
        if id(part) not in self._known:
            self._known[id(part)] = self._mark(part)
        return self._known[id(part)]

    def _mark(self, scope: Scope) -> tuple[object, ...]:
        marks: list[object] = [scope.block]
        for child in scope.children:
            if isinstance(child, Scope):
                marks.append((child.label, self.of(child)))
            elif id(child) in self._nodes:
                same = (_plain(child.args), child.output.shape.space) if scope.block or is_within_block(scope) else id(child.facts)
                marks.append((child.label, child.kind, child.shared is not None, same))
        if scope.block:
            marks.append(_plain(scope.arguments))
        return tuple(marks)


def _plain(arguments: dict[str, object]) -> tuple[object, ...]:
    """Arguments that make a layer another one: not its probabilities and the like; layers as arguments show in what they became."""
    return tuple((name, repr(value)) for name, value in arguments.items() if isinstance(value, (bool, int, str, tuple, list)))


def spines(edges: list[Edge]) -> set[int]:
    """The edges (by id) on the longest way to each box that no other edge of theirs is on: at most one in and one out of each box."""
    depth: dict[int, int] = {}
    incoming: dict[int, list[Edge]] = {}
    for edge in edges:
        if edge.tail.index < edge.head.index:
            incoming.setdefault(edge.head.index, []).append(edge)
    chosen: dict[int, Edge] = {}
    for head in sorted(incoming):
        best = max(incoming[head], key=lambda edge: depth.get(edge.tail.index, 0))  # the first of equals
        depth[head] = depth.get(best.tail.index, 0) + 1
        chosen[head] = best
    below = _heights(edges)
    out: dict[int, Edge] = {}
    for edge in chosen.values():
        rival = out.get(edge.tail.index)
        if rival is None or below.get(edge.head.index, 0) > below.get(rival.head.index, 0):
            out[edge.tail.index] = edge
    return {id(edge) for edge in out.values()}


def ranks(edges: list[Edge]) -> int:
    """How many boxes stand one below the other."""
    return max(_heights(edges).values(), default=0) + 1


def _heights(edges: list[Edge]) -> dict[int, int]:
    """For each box, the longest way down from it."""
    height: dict[int, int] = {}
    for edge in sorted(edges, key=lambda edge: -edge.tail.index):
        if edge.tail.index < edge.head.index:
            height[edge.tail.index] = max(height.get(edge.tail.index, 0), height.get(edge.head.index, 0) + 1)
    return height
