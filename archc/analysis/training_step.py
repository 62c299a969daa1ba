"""The arithmetic of a training step: multiply-accumulates of the forward and the backward pass."""

from __future__ import annotations

from dataclasses import dataclass

from archc.analysis.count import Count, count, total
from archc.analysis.traffic import backward_macs, wanted_gradients
from archc.graph import Graph


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
