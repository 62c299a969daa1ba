"""The structure of a part of a network: two parts with one signature are one thing, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from archc.analysis.compare.normal import SYMMETRIC, bears, normal_arguments
from archc.graph import Graph, Node, Scope, Value


@dataclass(slots=True)
class Part:
    """A scope as folding sees it: its layers in order, the values that it takes from outside, and those that others use.

    rows: of each layer its name from the part's edge (empty where it owns no tensors), kind, and what it reads: the places of
    layers within the part, or of values taken; arguments stand apart, in the normal form
    """

    scope: Scope
    nodes: list[Node]
    taken: list[Value]
    given: list[Value]
    rows: tuple[tuple[Any, ...], ...]
    arguments: list[dict[str, Any]]
    outputs: tuple[tuple[int, int], ...]

    @property
    def plain(self) -> bool:
        """Whether one value goes in, and one comes out."""
        return len(self.taken) == 1 and len(self.given) == 1

    @property
    def end(self) -> Value:
        """What the next entry takes of it."""
        return self.given[-1] if self.given else self.nodes[-1].output

    @property
    def skeleton(self) -> tuple[Any, ...]:
        """All but the arguments."""
        return self.rows, self.outputs

    @property
    def signature(self) -> tuple[Any, ...]:
        """All, arguments included, and the shapes that come in."""
        shapes = tuple(tuple(map(int, value.shape)) for value in self.taken)
        return self.skeleton, tuple(tuple(sorted(args.items(), key=lambda pair: pair[0])) for args in self.arguments), shapes


class Parts:
    """The parts of a graph, each looked at once."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.positions = graph.positions
        self.returned = set(graph.returned)
        self._found: dict[Scope, Part] = {}

    def of(self, scope: Scope) -> Part:
        found = self._found.get(scope)
        if found is None:
            found = self._found[scope] = self._read(scope)
        return found

    def _read(self, scope: Scope) -> Part:
        nodes = sorted((node for node in scope.walk() if node in self.positions), key=self.positions.__getitem__)
        own = {node: at for at, node in enumerate(nodes)}
        taken: dict[Value, int] = {}
        rows = []
        for node in nodes:
            reads = [self._place(value, own, taken) for value in node.inputs]
            rows.append(
                (
                    node.name[len(scope.name) + 1 :] if bears(node) else "",
                    node.kind,
                    tuple(sorted(reads) if node.kind in SYMMETRIC else reads),
                    node.train_only,
                    _other(node.shared, own) if node.shared is not None and bears(node) else None,
                    tuple((name, _other(tie.node, own), tie.tensor, tie.transposed) for name, tie in node.ties.items()),
                )
            )
        given = [*self._given(nodes, own)]
        return Part(
            scope=scope,
            nodes=nodes,
            taken=list(taken),
            given=given,
            rows=tuple(rows),
            arguments=[normal_arguments(node) for node in nodes],
            outputs=tuple((own[value.node], value.index) for value in given if value.node is not None),
        )

    @staticmethod
    def _place(value: Value, own: dict[Node, int], taken: dict[Value, int]) -> tuple[str, int, int]:
        if value.node is not None and value.node in own:
            return ("own", own[value.node], value.index)
        return ("taken", taken.setdefault(value, len(taken)), 0)

    def _given(self, nodes: list[Node], own: dict[Node, int]) -> Iterator[Value]:
        for node in nodes:
            for value in node.outputs:
                if value in self.returned or any(user not in own for user in self.graph.uses.get(value, ())):
                    yield value


def _other(node: Node, own: dict[Node, int]) -> Any:
    """A layer whose tensors are used: its place within the part, or its name."""
    return own.get(node, node.name)
