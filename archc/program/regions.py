"""Regions that run again in backward: which part's forward calls each, and which parts give up their own for that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from archc.graph import Node, Scope
from archc.graph.structure import common_scope
from archc.program.dataflow import Dataflow


class Regions:
    """`inlined`: parts whose layers are called from the part around them, since a region begins or ends in their middle, or since
    they have no forward that could be written. They are made as ever. `of`: the regions of a part's forward, the outer first."""

    def __init__(self, dataflow: Dataflow, has_forward: Callable[[Scope], bool], spans: Sequence[range]) -> None:
        self.dataflow = dataflow
        self.spans: dict[Scope, range] = {}
        self.inlined: set[Scope] = set()
        self.of: dict[Scope, list[range]] = {}
        if not spans:
            return
        for node in dataflow.graph.nodes:
            for scope in dataflow.around(node.scope):
                self._measure(scope)
        self.inlined.update(scope for span in spans for scope in self._cut(span))
        levels = [self._level(span, has_forward) for span in spans]
        for level, span in zip(levels, spans, strict=True):
            self.of.setdefault(level, []).append(span)
        self._join_siblings()

    def _join_siblings(self) -> None:
        """An inlined block whose own forward nobody calls gets that of another use of its block, so that both are one class."""
        models: dict[str, list[Scope]] = {}
        for level in self.of:
            if level.block and level not in self.inlined:
                models.setdefault(level.block, []).append(level)
        for scope in list(self.inlined):
            for model in models.get(scope.block, []) if scope.block else []:
                if self._alike(scope, model):
                    break

    def _alike(self, scope: Scope, model: Scope) -> bool:
        """Gives a part the regions of another, by the names within; whether it could."""
        nodes = self.dataflow.graph.nodes
        own = {node.name[len(scope.name) :]: self.dataflow.position[node] for node in scope.walk() if node in self.dataflow.position}
        ends = [[own.get(nodes[at].name[len(model.name) :]) for at in (span.start, span.stop - 1)] for span in self.of[model]]
        below = {inner.name[len(scope.name) :]: inner for inner in self._below(scope)}
        parts = [below.get(inner.name[len(model.name) :]) for inner in self._below(model) if inner in self.inlined]
        inlined = {part for part in parts if part is not None}
        found = [range(first, last + 1) for first, last in ends if first is not None and last is not None]
        if len(found) < len(ends) or len(inlined) < len(parts) or inlined & self.of.keys():
            return False
        self.inlined |= inlined
        self.of[scope] = found
        return True

    def _below(self, scope: Scope) -> Iterator[Scope]:
        for child in scope.children:
            if isinstance(child, Scope) and child in self.spans:
                yield child
                yield from self._below(child)

    def _measure(self, scope: Scope) -> None:
        if scope not in self.spans:
            places = [self.dataflow.position[node] for node in scope.walk() if node in self.dataflow.position]
            self.spans[scope] = range(min(places), max(places) + 1)

    def _cut(self, span: range) -> Iterator[Scope]:
        nodes = self.dataflow.graph.nodes
        for node in (nodes[span.start], nodes[span.stop - 1]):
            for scope in self.dataflow.around(node.scope):
                own = self.spans[scope]
                if own.start < span.start < own.stop < span.stop or span.start < own.start < span.stop < own.stop:
                    yield scope

    def _level(self, span: range, has_forward: Callable[[Scope], bool]) -> Scope:
        """The part whose forward calls the region; chains up to it are inlined."""
        nodes = self.dataflow.graph.nodes
        scope = common_scope((nodes[span.start].scope, nodes[span.stop - 1].scope))
        while scope.parent is not None and self.spans[scope] == span:
            scope = scope.parent
        while scope.parent is not None and (scope in self.inlined or not has_forward(scope)):
            self.inlined.add(scope)
            scope = scope.parent
        return scope

    def place(self, of: Node | Scope) -> int:
        """Where a layer, or the first of a part, stands."""
        return self.dataflow.position[of] if isinstance(of, Node) else self.spans[of].start
