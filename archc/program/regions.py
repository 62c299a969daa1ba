"""Regions that run again in backward: which part's forward calls each, and which parts give up their own for that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from archc.graph import Node, Scope
from archc.graph.structure import common_scope
from archc.program.wires import Wires


class Regions:
    """`opened`: parts whose layers are called from the part around them, since a region begins or ends in their middle, or since
    they have no forward that could be written. They are made as ever. `of`: the regions of a part's forward, the outer first."""

    def __init__(self, wires: Wires, has_forward: Callable[[Scope], bool], spans: Sequence[range]) -> None:
        self.wires = wires
        self.spans: dict[Scope, range] = {}
        self.opened: set[Scope] = set()
        self.of: dict[Scope, list[range]] = {}
        if not spans:
            return
        for node in wires.graph.nodes:
            for scope in wires.above(node.scope):
                self._measure(scope)
        self.opened.update(scope for span in spans for scope in self._cut(span))
        levels = [self._level(span, has_forward) for span in spans]
        for level, span in zip(levels, spans, strict=True):
            self.of.setdefault(level, []).append(span)
        self._join_siblings()

    def _join_siblings(self) -> None:
        """An opened block whose own forward nobody calls gets that of another use of its block, so that both are one class."""
        models: dict[str, list[Scope]] = {}
        for level in self.of:
            if level.block and level not in self.opened:
                models.setdefault(level.block, []).append(level)
        for scope in list(self.opened):
            for model in models.get(scope.block, []) if scope.block else []:
                if self._alike(scope, model):
                    break

    def _alike(self, scope: Scope, model: Scope) -> bool:
        """Gives a part the regions of another, by the names within; whether it could."""
        nodes = self.wires.graph.nodes
        own = {node.name[len(scope.name) :]: self.wires.place[node] for node in scope.walk() if node in self.wires.place}
        ends = [[own.get(nodes[at].name[len(model.name) :]) for at in (span.start, span.stop - 1)] for span in self.of[model]]
        below = {one.name[len(scope.name) :]: one for one in self._below(scope)}
        parts = [below.get(one.name[len(model.name) :]) for one in self._below(model) if one in self.opened]
        opened = {one for one in parts if one is not None}
        found = [range(first, last + 1) for first, last in ends if first is not None and last is not None]
        if len(found) < len(ends) or len(opened) < len(parts) or opened & self.of.keys():
            return False
        self.opened |= opened
        self.of[scope] = found
        return True

    def _below(self, scope: Scope) -> Iterator[Scope]:
        for child in scope.children:
            if isinstance(child, Scope) and child in self.spans:
                yield child
                yield from self._below(child)

    def _measure(self, scope: Scope) -> None:
        if scope not in self.spans:
            places = [self.wires.place[node] for node in scope.walk() if node in self.wires.place]
            self.spans[scope] = range(min(places), max(places) + 1)

    def _cut(self, span: range) -> Iterator[Scope]:
        nodes = self.wires.graph.nodes
        for node in (nodes[span.start], nodes[span.stop - 1]):
            for scope in self.wires.above(node.scope):
                own = self.spans[scope]
                if own.start < span.start < own.stop < span.stop or span.start < own.start < span.stop < own.stop:
                    yield scope

    def _level(self, span: range, has_forward: Callable[[Scope], bool]) -> Scope:
        """The part whose forward calls the region; chains up to it are opened."""
        nodes = self.wires.graph.nodes
        scope = common_scope((nodes[span.start].scope, nodes[span.stop - 1].scope))
        while scope.parent is not None and self.spans[scope] == span:
            scope = scope.parent
        while scope.parent is not None and (scope in self.opened or not has_forward(scope)):
            self.opened.add(scope)
            scope = scope.parent
        return scope

    def place(self, of: Node | Scope) -> int:
        """Where a layer, or the first of a part, stands."""
        return self.wires.place[of] if isinstance(of, Node) else self.spans[of].start
