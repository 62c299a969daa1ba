"""The order in which a program's forward runs its layers, and how long it holds each value.

A name is bound anew, or deleted, where its value is used for the last time. A module's arguments are held until it returns.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from archc.graph import Graph, Node, Scope, Value
from archc.ops.facts import Module
from archc.program.parts import CALL, CHAIN, Parts
from archc.program.steps import NOTHING, Step, draws, gather_regions, steps_of

RUN, HOLD, DROP, AGAIN = "run", "hold", "drop", "again"
KEPT = 4  # answers, since one network is simulated many times: for other batches, dtypes and optimizers


@dataclass(eq=False, slots=True)
class RegionCall:
    """A call through `checkpoint`: what it is given, what it returns, held once each, and what the function does.

    noise: whether the state of the random generator is kept for it
    """

    inputs: list[Value]
    outputs: tuple[Value, ...]
    body: list[Instruction]
    noise: bool


Instruction: TypeAlias = tuple[str, Node | Value | RegionCall]
_Values: TypeAlias = Mapping[Value, Value]
_Nodes: TypeAlias = Mapping[Node, Node]


@lru_cache(maxsize=KEPT)
def order(graph: Graph, training: bool, regions: tuple[range, ...] = ()) -> tuple[Instruction, ...]:
    """Layers to run, values to hold and drop, and calls of regions. A layer's outputs are held once from the start, outputs of the
    network stay held. `again` are the places of the layers of regions, those around others first."""
    return tuple(_OrderWalk(graph, training, regions).frame(graph.root, {}, {}))


@lru_cache(maxsize=KEPT)
def owners_of(graph: Graph) -> tuple[Node, ...]:
    """The layers with tensors of their own as `parameters()` has them: of each part, tensors before modules."""
    parts = _whole(graph)

    def below(scope: Scope) -> Iterator[Node]:
        children = parts.attributes(scope)
        yield from (child for child in children if isinstance(child, Node) and not isinstance(child.facts.torch, Module))
        for child in children:
            if isinstance(child, Scope):
                yield from below(child)
            elif isinstance(child.facts.torch, Module):
                yield child

    found = dict.fromkeys(below(graph.root))
    return (*found, *(node for node in graph.nodes if node.shared is None and node not in found))


@lru_cache(maxsize=KEPT)
def _whole(graph: Graph) -> Parts:
    """The parts of a network of which nothing runs again."""
    return Parts(graph)


class _OrderWalk:
    def __init__(self, graph: Graph, training: bool, regions: Sequence[range]) -> None:
        self.graph = graph
        self.training = training
        self.parts = Parts(graph, regions) if regions else _whole(graph)

    def frame(self, scope: Scope, values: _Values, nodes: _Nodes) -> Iterator[Instruction]:
        """The call of a part. In a copy of a part, values and nodes are those of the copy."""
        takes = [values.get(value, value) for value in self.parts.dataflow.inputs(scope)]
        gives = [values.get(value, value) for value in self._gives(scope)]
        return self._body(takes, gives, self._steps(scope), values, nodes, scope.parent is None)

    def _body(
        self, takes: list[Value], gives: list[Value], steps: list[Step], values: _Values, nodes: _Nodes, root: bool = False
    ) -> Iterator[Instruction]:
        """The call of a function."""
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
            if not root or value not in gives:
                yield DROP, value

    def _gives(self, scope: Scope) -> list[Value]:
        if scope.parent is not None:
            return self.parts.dataflow.outputs(scope)
        outputs = [v for v in self.graph.outputs.values() if self.training or v.node is None or not v.node.train_only]
        return [*outputs, *(self.graph.heads.values() if self.training else ())]

    def _steps(self, scope: Scope) -> list[Step]:
        if self.parts.kind(scope) != CHAIN:
            return gather_regions(self.parts, scope, steps_of(self.parts, scope))
        found = []
        for child in self.parts.dataflow.children(scope):
            if isinstance(child, Node):
                found.append(Step(NOTHING, list(child.inputs), list(child.outputs), child.label, False, child))
            else:
                gives: list[Value | None] = [*self.parts.dataflow.outputs(child)]
                found.append(Step(NOTHING, self.parts.dataflow.inputs(child), gives, child.label, False, child))
        return found

    def _run(self, step: Step, values: _Values, nodes: _Nodes, made: list[Value]) -> Generator[Instruction, None, list[Value]]:
        """Runs a step; its outputs that nobody uses are still held."""
        if step.recomputed:
            call = self._call(step, values, nodes)
            yield AGAIN, call
            return [value for value in call.outputs if value not in made]
        if isinstance(step.of, Node):
            node = nodes.get(step.of, step.of)
            yield RUN, node
            return [value for value in node.outputs if value not in made]
        child = step.of
        if self.parts.kind(child) == CALL:
            original = self.parts.sharing.original[child]
            mapping = self.parts.sharing.mapping(child)
            values = {mine: values.get(theirs, theirs) for mine, theirs in mapping.items()}
            pairs = zip(original.walk(), child.walk(), strict=True)
            nodes = {mine: nodes.get(theirs, theirs) for mine, theirs in pairs}
            child = original
        given = dict.fromkeys(values.get(value, value) for value in self.parts.dataflow.outputs(child))
        yield from _hold_result(self.frame(child, values, nodes), given)
        return [value for value in given if value not in made]

    def _call(self, step: Step, values: _Values, nodes: _Nodes) -> RegionCall:
        """A region, with what its function does."""
        inputs = [values.get(value, value) for value in step.inputs]
        made = [values.get(value, value) for value in step.outputs if value is not None]
        if step.body:
            body = list(_hold_result(self._body(inputs, made, step.body, values, nodes), dict.fromkeys(made)))
            return RegionCall(inputs, tuple(made), body, _noisy(body))
        walk = self._run(replace(step, recomputed=False), values, nodes, made)
        body = []
        while True:
            try:
                body.append(next(walk))
            except StopIteration as stop:
                return RegionCall(inputs, (*made, *stop.value), body, _noisy(body))


def _hold_result(body: Iterator[Instruction], given: Mapping[Value, None]) -> Iterator[Instruction]:
    """What a function returns is held for its caller."""
    for what, part in body:
        yield what, part
        if isinstance(part, Node | RegionCall):
            for value in part.outputs:
                if value in given:
                    yield HOLD, value


def _noisy(body: list[Instruction]) -> bool:
    return any(draws(part) if isinstance(part, Node) else isinstance(part, RegionCall) and part.noise for _, part in body)
