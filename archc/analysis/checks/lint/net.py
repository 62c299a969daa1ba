"""A network as the rules see it, and as it would be with some of its layers written otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from archc.analysis.cost.count import count, flops
from archc.analysis.memory.saved import Saved, saved, saved_by
from archc.analysis.memory.storages import Storage, StorageRun, run
from archc.graph import Graph, Node, Value
from archc.graph.rewrite import Copy
from archc.graph.structure import only_user
from archc.ops.facts import VIEW

# What stands in the place of a layer: layers with arguments to change, one after the other. None at all: its input passes on.
Plan = Mapping[Node, Sequence[tuple[Node, Mapping[str, Any]]]]


class Cost(NamedTuple):
    """What a finding costs at the batch size: bytes kept for backward, learned values, MACs and FLOPs of the forward pass;
    bytes that are copied, and bytes that are kept on CUDA alone."""

    kept: int = 0
    parameters: int = 0
    macs: int = 0
    flops: int = 0
    copied: int = 0
    cuda: int = 0

    def plus(self, other: Cost) -> Cost:
        return Cost(*(a + b for a, b in zip(self, other, strict=True)))


NOTHING = Cost()


class Net:
    """A graph with its users and what autograd keeps of it. `ends` are the values that come out."""

    def __init__(self, graph: Graph, batch: int = 1) -> None:
        self.graph = graph
        self.batch = batch
        self.users = graph.uses
        self.ends = graph.returned
        self.run: StorageRun = run(graph, batch)
        self.saved: Saved = saved_by(self.run, graph, batch)
        self.keepers: dict[Storage, list[Node]] = {}
        for step in self.run.steps:
            unknown = [x.storage for x in (*step.inputs, *step.outputs)] if step.node.facts.keeps is None else []
            for storage in dict.fromkeys((*step.kept, *unknown)):  # what does not say may keep all that it reads and makes
                self.keepers.setdefault(storage, []).append(step.node)
        self.twice = {node for node in graph.nodes if node.shared} | {node.shared for node in graph.nodes if node.shared}
        self.macs = sum(count(node.facts.macs).low for node in graph.nodes)

    def after(self, node: Node) -> Node | None:
        """The only layer that uses a layer's only output."""
        return only_user(self.graph, node.output) if len(node.outputs) == 1 else None

    def before(self, node: Node) -> Node | None:
        """The layer whose only user is this one, which has no other input."""
        maker = node.inputs[0].node if len(node.inputs) == 1 else None
        return maker if maker is not None and self.after(maker) is node else None

    def viewed(self, value: Value) -> set[Node]:
        """The layers that read a value or a view of it."""
        found: set[Node] = set()
        todo = [value]
        while todo:
            for user in self.users[todo.pop()]:
                if user not in found and user.facts.storage == VIEW:
                    todo += user.outputs
                found.add(user)
        return found

    def kept_by(self, value: Value, readers: set[Node]) -> int:
        """The bytes of a value's storage, if some of these layers alone keep it."""
        storage = self.run.tensors[value].storage
        keepers = self.keepers.get(storage, [])
        return storage.bytes if keepers and readers.issuperset(keepers) else 0

    def difference(self, plan: Plan) -> Cost:
        """What the network costs more than it would by the plan."""
        return _cost(self.graph, self.saved.total, self.batch).plus(_negative(self.by(plan)))

    def by(self, plan: Plan) -> Cost:
        planned = rewritten(self.graph, plan)
        return _cost(planned, saved(planned, self.batch).total, self.batch)


def argument(node: Node, name: str) -> Any:
    """An argument of a layer, or its default; None where the operator has no such argument."""
    param = node.op.signature.params.get(name)
    return node.args.get(name, param.default if param is not None else None)


def _negative(cost: Cost) -> Cost:
    return Cost(*(-figure for figure in cost))


def _cost(graph: Graph, kept: int, batch: int) -> Cost:
    owned = [weight for node in graph.nodes if node.shared is None for weight in node.facts.owned if weight.role != "buffer"]
    macs = sum(count(node.facts.macs).low for node in graph.nodes)
    work = sum(flops(node.facts.work).low for node in graph.nodes)
    return Cost(kept, sum(weight.values for weight in owned), macs * batch, work * batch)


def rewritten(graph: Graph, plan: Plan) -> Graph:
    """The graph with the plan carried out. Layers keep their names."""
    copy = Copy(graph)
    for node in graph.nodes:
        copy.replace(node, plan.get(node, ((node, {}),)))
    return copy.done()
