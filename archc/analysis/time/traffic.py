"""FLOPs and bytes of each layer in a step, forward and backward, as a program moves them that runs layer by layer.

Counted are the least that any such program moves: each value once, nothing for views, and of an input only what its windows touch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archc.analysis.cost.count import Count, count, flops, total
from archc.graph import Graph, Node, Value
from archc.ops.facts import OWN, VIEW, Work
from archc.ops.reach import Reach, Rule, rules_of
from archc.ops.shape import product


@dataclass(frozen=True, slots=True)
class Amount:
    """FLOPs and bytes of a layer in one direction, for a batch; `weights` are those of the bytes that are weights or their gradients."""

    flops: int = 0
    bytes: int = 0
    weights: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.flops + other.flops, self.bytes + other.bytes, self.weights + other.weights)


NOTHING = Amount()


def forward(node: Node, batch: int, size: int, training: bool) -> Amount:
    """The layer's FLOPs as `analyze` counts them; its inputs, outputs and weights, of `size` bytes a value.

    In inference a layer that acts in training alone is nothing. Of a table that indices look up, the rows found are read.
    """
    facts = node.facts
    if facts.storage in (VIEW, OWN) or (facts.identity_in_eval and not training):
        return NOTHING
    indexed = facts.takes == "int64"
    sizes = {value: 8 if facts.taken(index) == "int64" else size for index, value in enumerate(node.inputs)}
    read = sum(count_touched(node, value) * sizes[value] for value in _read(node))
    written = sum(value.shape.values * facts.item(value.index, size) for value in node.outputs)
    weights = written * batch if indexed else _owned_values(node, True) * size
    return Amount(flops(facts.work).low * batch, (read + written) * batch + weights, weights)


def backward(node: Node, batch: int, size: int, wanted: set[Value]) -> Amount:
    """What the gradients of a layer take, of those inputs that are `wanted` and of its weights.

    FLOPs: two a MAC for the gradient of the inputs, where one is wanted, and two for that of the weights; a product of two inputs
    has one of each factor. Other layers count none. Bytes: the output's gradient read; each wanted gradient written; with weights
    or MACs, the inputs and weights read and the gradient of the weights written; of a pointwise layer, what autograd keeps of
    its inputs and outputs read. An addition or a joining hands its gradient on and moves nothing.
    """
    facts = node.facts
    inputs = [value for value in _read(node) if value in wanted]
    learned = _owned_values(node, False)
    if facts.storage == VIEW or not (inputs or learned):
        return NOTHING
    indexed = facts.takes == "int64"
    outputs = sum(value.shape.values for value in node.outputs if not facts.is_integer(value.index))
    moved = outputs + sum(count_touched(node, value) for value in inputs)
    weights = 2 * learned if inputs and facts.macs != 0 else learned
    if indexed:
        return Amount(0, 2 * outputs * batch * size, outputs * batch * size)
    if _hands_on(node):
        moved = outputs if learned else 0
    elif facts.macs != 0 or learned:
        moved += sum(count_touched(node, value) for value in _read(node))
    elif facts.pointwise:
        moved += _kept(node, wanted)
    return Amount(2 * backward_macs(node, wanted).low * batch, (moved * batch + weights) * size, weights * size)


def backward_macs(node: Node, wanted: set[Value]) -> Count:
    """MACs of one image in backward: those of forward for the gradient of the inputs, where one is wanted, and for that of the weights.

    A product of two inputs has them for each factor whose gradient is wanted.
    """
    inputs = [value for value in _read(node) if value in wanted]
    factors = bool(inputs) + 1 if _owned_values(node, False) else len(inputs)
    forward = count(node.facts.macs)
    return Count(factors * forward.low, None if forward.high is None and factors else factors * (forward.high or 0))


def wanted_gradients(graph: Graph) -> set[Value]:
    """The values whose gradient the weights before them need: all that comes from a layer with weights."""
    wanted: set[Value] = set()
    for node in graph.nodes:
        if _owned_values(node, False) or any(value in wanted for value in node.inputs):
            wanted.update(value for value in node.outputs if not node.facts.is_integer(value.index))
    return wanted


def count_touched(node: Node, value: Value) -> int:
    """The values of an input that lie in some window: a 1x1 convolution of stride 2 reads a quarter."""
    rules, space = rules_of(node.facts.reach), value.shape[1:]
    if rules is None or len(rules) < len(space) or len(node.inputs) != 1:
        return value.shape.values
    axes = zip(space, node.output.shape[1:], rules[-len(space) :], strict=True)
    return value.shape[0] * product(tuple(_seen(int(size), int(out), axis) for size, out, axis in axes))


def _seen(size: int, out: int, rule: Rule | str) -> int:
    """Positions of an axis that lie in a window: all between the first and the last, or those of windows that stand apart."""
    if not isinstance(rule, Reach):
        return size
    step, low, high = rule.step, rule.low, rule.high
    width = high - low + 1
    if width < step:
        return min(size, out * int(width))
    return max(0, int(min(size - 1, (out - 1) * step + high) - max(0, low) + 1))


def _read(node: Node) -> Iterator[Value]:
    """The inputs whose values are read, each once."""
    yield from dict.fromkeys(node.inputs if node.facts.reads is None else node.inputs[: node.facts.reads])


def _owned_values(node: Node, buffers: bool) -> int:
    """Values of its weights, also of those that it shares or that are tied."""
    return sum(weight.values for weight in node.facts.tensors if weight.role != "buffer" or (buffers and weight.dtype == "same"))


def _hands_on(node: Node) -> bool:
    """Whether the gradient of its inputs is that of its output, or a part of it: additions, joinings, paddings."""
    facts = node.facts
    work = facts.work
    return facts.macs == 0 and facts.keeps == () and isinstance(work, Work) and work.flops == work.add


def _kept(node: Node, wanted: set[Value]) -> int:
    """What autograd keeps of inputs and outputs of a pointwise layer."""
    found = {
        (kept.what, kept.which)
        for kept in node.facts.keeps or ()
        if kept.what != "new" and (not kept.wanted_by or any(node.inputs[i] in wanted for i in kept.wanted_by))
    }
    values = {node.inputs[which] if what == "input" else node.outputs[which] for what, which in found}
    return sum(value.shape.values for value in values)


@dataclass(frozen=True, slots=True)
class StepWork:
    """MACs of one image in a training step, without the loss and the optimizer.

    The backward pass of a convolution, linear, attention or matmul layer has the MACs of its forward pass twice: once for the
    gradient of its input, once for that of its weights. A layer whose input needs no gradient, as the network's first, has them once.
    """

    forward: Count
    backward: Count

    @property
    def step(self) -> Count:
        return total((self.forward, self.backward))

    def to_dict(self) -> dict[str, dict[str, int]]:
        """The stable keys of JSON; FLOPs here are two a MAC, as torch.utils.flop_counter has them."""
        macs = {"forward": self.forward.low, "backward": self.backward.low, "step": self.step.low}
        return {"macs": macs, "flops": {name: 2 * value for name, value in macs.items()}}


def step_work(graph: Graph) -> StepWork:
    """The MACs of a step of the network as it is for training."""
    wanted = wanted_gradients(graph)
    return StepWork(
        forward=total([count(node.facts.macs) for node in graph.nodes]),
        backward=total([backward_macs(node, wanted) for node in graph.nodes]),
    )
