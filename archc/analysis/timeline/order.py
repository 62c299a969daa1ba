"""The order in which a program's forward runs its layers, and how long it holds each value.

A name is bound anew, or deleted, where its value is used for the last time. A module's arguments are held until it returns.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping

from archc.graph import Graph, Node, Scope, Value
from archc.plan.parts import CALL, CHAIN, Parts
from archc.plan.steps import Step, steps_of

RUN, HOLD, DROP = "run", "hold", "drop"


def order(graph: Graph, training: bool) -> Iterator[tuple[str, Node | Value]]:
    """Layers to run, and values to hold and drop. A layer's outputs are held once from the start; outputs of the network stay held."""
    return _Walk(graph, training).frame(graph.root, {}, {})


class _Walk:
    def __init__(self, graph: Graph, training: bool) -> None:
        self.graph = graph
        self.training = training
        self.parts = Parts(graph)

    def frame(self, scope: Scope, values: Mapping[Value, Value], nodes: Mapping[Node, Node]) -> Iterator[tuple[str, Node | Value]]:
        """The call of a part. In a copy of a part, values and nodes are those of the copy."""
        wires = self.parts.wires
        takes = [values.get(value, value) for value in wires.takes(scope)]
        gives = [values.get(value, value) for value in self._gives(scope)]
        steps = self._steps(scope)
        last = {values.get(value, value): at for at, step in enumerate(steps) for value in step.inputs}
        last.update(dict.fromkeys(gives, len(steps)))
        bound = dict.fromkeys(takes)
        for value in bound:
            yield HOLD, value
        waiting: list[Value] = []  # values that end their life in a block of training
        inside: set[Value] = set()  # values that are made there
        underscore: list[Value] = []
        for at, step in enumerate(steps):
            runs = self.training or not step.training
            made = [values.get(value, value) for value in step.outputs if value is not None]
            if runs:
                unused = yield from self._run(step, values, nodes, made)
                if made and unused:  # the last of them is bound to `_`
                    unused, underscore = [*unused[:-1], *underscore], unused[-1:]
                for value in unused:
                    yield DROP, value
                bound.update(dict.fromkeys(made))
            if step.training:
                inside.update(made)
            ended = [value for value in dict.fromkeys(values.get(v, v) for v in step.inputs) if last[value] == at]
            ended += [value for value in made if last.get(value, -1) < 0]
            waiting += ended
            later = at + 1 < len(steps) and steps[at + 1].training
            for value in [value for value in waiting if value not in takes and not (step.training and later and value not in inside)]:
                waiting.remove(value)
                if value in bound:
                    del bound[value]
                    yield DROP, value
        for value in underscore:
            yield DROP, value
        for value in bound:
            if scope.parent is not None or value not in gives:
                yield DROP, value

    def _gives(self, scope: Scope) -> list[Value]:
        if scope.parent is not None:
            return self.parts.wires.gives(scope)
        outputs = [v for v in self.graph.outputs.values() if self.training or v.node is None or not v.node.train_only]
        return [*outputs, *(self.graph.heads.values() if self.training else ())]

    def _steps(self, scope: Scope) -> list[Step]:
        if self.parts.kind(scope) != CHAIN:
            return steps_of(self.parts, scope)
        found = []
        for child in self.parts.wires.children(scope):
            if isinstance(child, Node):
                found.append(Step("", list(child.inputs), list(child.outputs), child.label, False, child))
            else:
                gives: list[Value | None] = [*self.parts.wires.gives(child)]
                found.append(Step("", self.parts.wires.takes(child), gives, child.label, False, child))
        return found

    def _run(
        self, step: Step, values: Mapping[Value, Value], nodes: Mapping[Node, Node], made: list[Value]
    ) -> Generator[tuple[str, Node | Value], None, list[Value]]:
        """Runs a step; its outputs that nobody uses are still held."""
        if isinstance(step.of, Node):
            node = nodes.get(step.of, step.of)
            yield RUN, node
            return [value for value in node.outputs if value not in made]
        child = step.of
        if self.parts.kind(child) == CALL:
            original = self.parts.shares.whole[child]
            twin = self.parts.shares.twin(child)
            values = {mine: values.get(theirs, theirs) for mine, theirs in twin.items()}
            pairs = zip(original.walk(), child.walk(), strict=True)
            nodes = {mine: nodes.get(theirs, theirs) for mine, theirs in pairs}
            child = original
        given = dict.fromkeys(values.get(value, value) for value in self.parts.wires.gives(child))
        for what, one in self.frame(child, values, nodes):
            yield what, one
            if what == RUN:
                assert isinstance(one, Node)
                for value in one.outputs:
                    if value in given:
                        yield HOLD, value
        return [value for value in given if value not in made]
