"""What runs again under a plan, in layers and multiply-accumulates, exact with PyTorch's early stop.

A region's second run ends as soon as everything is there that its layers keep for backward: at its last layer that keeps something,
or at the start of a region inside it that comes last, since that keeps its inputs. A convolution, a linear layer and a product of
matrices hand over what they keep before they compute, so that as the last one they do not run twice. A region inside another runs
with the other's second run where something after it is needed, and once more for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archc.analysis.memory.storages import run
from archc.analysis.recompute import CheckpointPlan, spans
from archc.analysis.recompute.plan import NetworkPlaces
from archc.graph import Graph, Node
from archc.ops.facts import Between

_AHEAD = ("conv", "conv_transpose", "linear", "matmul")  # what they keep is their inputs, handed over before they compute


@dataclass(frozen=True, slots=True)
class RegionTree:
    """A region by the places of its layers, and those that lie in it."""

    span: range
    inner: tuple[RegionTree, ...] = ()

    def walk(self) -> Iterator[RegionTree]:
        yield self
        for child in self.inner:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Recomputed:
    """How many layers run again, and their multiply-accumulates for one image."""

    layers: int
    macs: int


class Reruns:
    """Which layers of a network keep something, and what runs again for a region."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        steps = run(graph, 2).steps
        self.keeps = [bool(step.kept) for step in steps]
        self.macs = [_low(step.node) for step in steps]
        self.last = [_as_last(step.node) for step in steps]
        self.before = [0]
        for macs in self.macs:
            self.before.append(self.before[-1] + macs)

    def of(self, tree: RegionTree) -> Recomputed:
        """The second run of a region, without the runs of the regions in it for themselves."""
        starts = {at: child.span.start for child in tree.inner for at in child.span}
        start = tree.span.start
        for at in reversed(tree.span):
            if at in starts:
                if at == starts[at]:
                    return Recomputed(at - start, self.before[at] - self.before[start])
            elif self.keeps[at]:
                own = 0 if self.ahead(at) else 1
                return Recomputed(at - start + own, self.before[at] - self.before[start] + self.last[at])
        return Recomputed(0, 0)

    def ahead(self, at: int) -> bool:
        """Whether a layer that comes last does not run again."""
        return self.graph.nodes[at].kind in _AHEAD

    def plan(self, plan: CheckpointPlan) -> Recomputed:
        """All that runs again under a plan, in one step."""
        found = [self.of(child) for tree in trees(self.graph, plan) for child in tree.walk()]
        return Recomputed(sum(rerun.layers for rerun in found), sum(rerun.macs for rerun in found))


def trees(graph: Graph, plan: CheckpointPlan) -> list[RegionTree]:
    """The regions of a legal plan as they lie in each other, those of parts that are applied again as often as they are."""
    found = {*spans(graph, plan)}
    places = NetworkPlaces(graph)
    for copy, original in places.copies.items():
        within = places.parts.get(original, range(0))
        shift = places.parts[copy].start - within.start
        for rerun in list(found):
            if within.start <= rerun.start and rerun.stop <= within.stop and rerun != within:
                found.add(range(rerun.start + shift, rerun.stop + shift))
    return _nest(sorted(found, key=lambda rerun: (rerun.start, -rerun.stop)))


def _nest(ordered: Sequence[range]) -> list[RegionTree]:
    found = []
    at = 0
    while at < len(ordered):
        end = at + 1
        while end < len(ordered) and ordered[end].start < ordered[at].stop:
            end += 1
        found.append(RegionTree(ordered[at], tuple(_nest(ordered[at + 1 : end]))))
        at = end
    return found


def extra_macs(graph: Graph, plan: CheckpointPlan) -> int:
    """Multiply-accumulates for one image that a training step does again under a legal plan."""
    return Reruns(graph).plan(plan).macs


def step_macs(graph: Graph) -> int:
    """Those of a step without a plan: forward, and twice as many in backward, for the gradients of values and of weights."""
    return 3 * sum(map(_low, graph.nodes))


def _low(node: Node) -> int:
    macs = node.facts.macs
    return macs.low if isinstance(macs, Between) else int(macs or 0)


def _as_last(node: Node) -> int:
    """What a layer does again where nothing after it is needed. Attention keeps the input of its last projection."""
    if node.kind in _AHEAD:
        return 0
    if node.kind == "attention":
        tokens, features = node.output.shape
        return _low(node) - int(tokens) * int(features) ** 2
    return _low(node)
