"""What flows into each scope of the network and out of it."""

from __future__ import annotations

from archc.graph import Graph, Node, Scope, Value


class Dataflow:
    """The inputs of a scope, values that it uses and does not make, and its outputs, those that it makes and others use; in order."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.position = graph.positions
        self.used = graph.last_uses().keys()
        self._around: dict[Scope, tuple[Scope, ...]] = {}
        self._used: dict[Scope, dict[Value, None]] = {}
        self._given: dict[Scope, dict[Value, None]] = {}
        self._populated: dict[Scope, bool] = {}
        for node in graph.nodes:
            for value in node.inputs:
                self._connect(value, node)
        for value in graph.returned:
            if value.node is not None:
                for scope in self.around(value.node.scope):
                    self._given.setdefault(scope, {})[value] = None
        for node in graph.nodes:
            for scope in self.around(node.scope):
                self._populated[scope] = True

    def around(self, scope: Scope) -> tuple[Scope, ...]:
        """A part and those around it, from the innermost, without the root."""
        found = self._around.get(scope)
        if found is None:
            found = () if scope.parent is None else (scope, *self.around(scope.parent))
            self._around[scope] = found
        return found

    def children(self, scope: Scope) -> list[Node | Scope]:
        """The layers and parts of a part, without those that are not in the graph or hold no layer."""
        return [
            child for child in scope.children if (child in self.position if isinstance(child, Node) else self._populated.get(child, False))
        ]

    def inputs(self, scope: Scope) -> list[Value]:
        if scope.parent is None:
            return list(self.graph.inputs.values())
        used = self._used.get(scope, {})
        first = [value for value in dict.fromkeys(scope.inputs) if value in used]
        return [*first, *(value for value in used if value not in first)]

    def outputs(self, scope: Scope) -> list[Value]:
        if scope.parent is None:
            return list(self.graph.outputs.values())
        given = self._given.get(scope, {})
        first = [value for value in dict.fromkeys(scope.outputs) if value in given]
        rest = [value for value in given if value not in first]
        return [*first, *sorted(rest, key=lambda value: (self.position[value.node], value.index) if value.node else (-1, 0))]

    def let_out(self, scope: Scope, value: Value) -> None:
        """Lets a value out of the parts around its layer, up to `scope`."""
        assert value.node is not None
        for around in self.around(value.node.scope):
            self._given.setdefault(around, {})[value] = None
            if around is scope:
                return

    def _connect(self, value: Value, node: Node) -> None:
        users = self.around(node.scope)
        makers = self.around(value.node.scope) if value.node is not None else ()
        for scope in users:
            if scope in makers:
                break
            self._used.setdefault(scope, {})[value] = None
        for scope in makers:
            if scope in users:
                break
            self._given.setdefault(scope, {})[value] = None
