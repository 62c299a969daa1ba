"""What flows into and out of each part of the network."""

from __future__ import annotations

from archc.graph import Graph, Node, Scope, Value


class Wires:
    """`takes`: the values that a part uses and does not make; `gives`: those that it makes and others use. In order, by part."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.place = graph.positions
        self.used = graph.last_uses().keys()
        self._above: dict[Scope, tuple[Scope, ...]] = {}
        self._used: dict[Scope, dict[Value, None]] = {}
        self._given: dict[Scope, dict[Value, None]] = {}
        self._alive: dict[Scope, bool] = {}
        for node in graph.nodes:
            for value in node.inputs:
                self._connect(value, node)
        for value in graph.returned:
            if value.node is not None:
                for scope in self.above(value.node.scope):
                    self._given.setdefault(scope, {})[value] = None
        for node in graph.nodes:
            for scope in self.above(node.scope):
                self._alive[scope] = True

    def above(self, scope: Scope) -> tuple[Scope, ...]:
        """A part and those around it, from the innermost, without the root."""
        found = self._above.get(scope)
        if found is None:
            found = () if scope.parent is None else (scope, *self.above(scope.parent))
            self._above[scope] = found
        return found

    def children(self, scope: Scope) -> list[Node | Scope]:
        """The layers and parts of a part, without those that are not in the graph or hold no layer."""
        return [one for one in scope.children if (one in self.place if isinstance(one, Node) else self._alive.get(one, False))]

    def takes(self, scope: Scope) -> list[Value]:
        if scope.parent is None:
            return list(self.graph.inputs.values())
        used = self._used.get(scope, {})
        first = [value for value in dict.fromkeys(scope.inputs) if value in used]
        return [*first, *(value for value in used if value not in first)]

    def gives(self, scope: Scope) -> list[Value]:
        if scope.parent is None:
            return list(self.graph.outputs.values())
        given = self._given.get(scope, {})
        first = [value for value in dict.fromkeys(scope.outputs) if value in given]
        rest = [value for value in given if value not in first]
        return [*first, *sorted(rest, key=lambda value: (self.place[value.node], value.index) if value.node else (-1, 0))]

    def give(self, scope: Scope, value: Value) -> None:
        """Lets a value out of the parts around its layer, up to `scope`."""
        assert value.node is not None
        for one in self.above(value.node.scope):
            self._given.setdefault(one, {})[value] = None
            if one is scope:
                return

    def _connect(self, value: Value, node: Node) -> None:
        users = self.above(node.scope)
        makers = self.above(value.node.scope) if value.node is not None else ()
        for scope in users:
            if scope in makers:
                break
            self._used.setdefault(scope, {})[value] = None
        for scope in makers:
            if scope in users:
                break
            self._given.setdefault(scope, {})[value] = None
