"""A graph copied layer by layer, some of them changed or left out. The graph that it came from stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from archc.graph import Graph, Node, Scope, Value
from archc.ops.facts import Facts, Weight
from archc.ops.registry import Op

Inputs = tuple[Value, ...]
Change = Mapping[str, Any] | None  # arguments to change; None leaves the layer out: its first input passes on


class Copy:
    """A graph in the making; `moved` says what stands for which value."""

    def __init__(self, graph: Graph) -> None:
        self.old = graph
        self.graph = Graph(graph.name, graph.doc, graph.params)
        self.graph.paper = graph.paper
        self.graph.inputs = dict(graph.inputs)
        self.graph.promises = graph.promises
        self.graph.passed_on = graph.passed_on
        self.graph.budget = graph.budget
        self.graph.captured = graph.captured
        self.graph.rename = graph.rename
        self.graph.take_recipe(graph)
        self.moved: dict[Value, Value] = {}
        self.nodes: dict[Node, Node] = {}
        self.scopes: dict[Scope, Scope] = {graph.root: self.graph.root}
        self.added: dict[Node, list[Node]] = {}

    def of(self, value: Value) -> Value:
        return self.moved.get(value, value)

    def keep(self, node: Node, arguments: Mapping[str, Any], inputs: Inputs | None = None) -> None:
        """A layer with some arguments changed, on what its inputs have become or on others."""
        inputs = tuple(map(self.of, node.inputs)) if inputs is None else inputs
        args = {**node.args, **arguments}
        same = not arguments and [v.shape for v in inputs] == [v.shape for v in node.inputs]
        self._put(node, node.op, args, inputs, node.facts if same else None)

    def make(self, node: Node, op: Op, args: Mapping[str, Any]) -> None:
        """Another layer in the place of one, under its name, on what its inputs have become."""
        self._put(node, op, dict(args), tuple(map(self.of, node.inputs)), None)

    def _put(self, node: Node, op: Op, args: dict[str, Any], inputs: Inputs, facts: Facts | None) -> None:
        facts = op(*(value.shape for value in inputs), **args) if facts is None else facts
        made = Node(node.name, op, args, inputs, facts, self.scope(node.scope))
        made.shared = self.nodes.get(node.shared) if node.shared is not None else None
        made.tie({name: tie._replace(node=self.nodes[tie.node]) for name, tie in node.ties.items() if tie.node in self.nodes})
        made.train_only, made.written = node.train_only, node.written
        self.nodes[node] = made
        self.graph.nodes.append(made)
        self.moved.update(zip(node.outputs, made.outputs, strict=True))

    def add(self, name: str, op: Op, args: dict[str, Any], value: Value) -> Value:
        """A further layer, on what a value of a layer that is kept has become. What is kept from here on reads what it gives."""
        assert value.node is not None
        given = (self.of(value),)
        made = Node(name, op, args, given, op(given[0].shape, **args), self.scope(value.node.scope))
        self.graph.nodes.append(made)
        self.added.setdefault(value.node, []).append(made)
        self.moved[value] = made.output
        return made.output

    def drop(self, node: Node) -> None:
        """Leaves a layer out: what came in passes on."""
        self.moved[node.output] = self.of(node.inputs[0])

    def replace(self, node: Node, layers: Sequence[tuple[Node, Mapping[str, Any]]]) -> None:
        """Puts layers in the place of one, each on what the one before it gives; with none, what came in passes on."""
        outputs = tuple(map(self.of, node.inputs))[:1]
        inputs: Inputs | None = None
        for old, arguments in layers:
            self.keep(old, arguments, inputs)
            inputs = outputs = self.nodes[old].outputs
        self.moved.update(zip(node.outputs, outputs, strict=False))

    def scope(self, old: Scope) -> Scope:
        found = self.scopes.get(old)
        if found is None:
            assert old.parent is not None
            found = self.scopes[old] = Scope(old.name, self.scope(old.parent), old.block)
            found.doc, found.arguments, found.names, found.held = old.doc, old.arguments, old.names, old.held
        return found

    def done(self) -> Graph:
        """The graph, once every layer was kept or dropped."""
        graph, old = self.graph, self.old
        graph.outputs = {name: self.of(value) for name, value in old.outputs.items() if self._is_there(value)}
        graph.heads = {name: self.of(value) for name, value in old.heads.items() if self._is_there(value)}
        graph.init = [rule._replace(targets=self._targets(rule.targets)) for rule in old.init]
        self._fill(old.root)
        return graph

    def _targets(self, old: tuple[tuple[Node, Weight], ...]) -> tuple[tuple[Node, Weight], ...]:
        return tuple((self.nodes[node], self._weight(node, weight)) for node, weight in old if node in self.nodes)

    def _weight(self, node: Node, weight: Weight) -> Weight:
        """What a layer's weight has become, where another operator took its place."""
        made = self.nodes[node]
        return weight if made.op is node.op else next((one for one in made.facts.owned if one.name == weight.name), weight)

    def _is_there(self, value: Value) -> bool:
        return value.node is None or value in self.moved

    def _fill(self, old: Scope) -> None:
        scope = self.scope(old)
        scope.inputs, scope.outputs = tuple(map(self.of, old.inputs)), tuple(map(self.of, old.outputs))
        if old.shared is not None:
            scope.shared = self.scope(old.shared)
        for child in old.children:
            if isinstance(child, Scope):
                scope.children.append(self.scope(child))
                self._fill(child)
            elif child in self.nodes:
                scope.children += [self.nodes[child], *self.added.get(child, ())]


def rewritten(graph: Graph, change: Callable[[Node], Change]) -> Graph:
    """The graph with each layer changed as `change` says: arguments, or None to leave it out."""
    copy = Copy(graph)
    for node in graph.nodes:
        arguments = change(node)
        if arguments is None:
            copy.drop(node)
        else:
            copy.keep(node, arguments)
    return copy.done()


def without(graph: Graph, left_out: Collection[Node]) -> Graph:
    """The graph without some layers, which no layer that stays reads, and without the outputs that they make."""
    copy = Copy(graph)
    for node in graph.nodes:
        if node not in left_out:
            copy.keep(node, {})
    return copy.done()
