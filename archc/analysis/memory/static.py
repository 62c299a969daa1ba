"""Bytes of values, parameters, gradients and optimizer state. A sum of what exists, not the peak over time."""

from __future__ import annotations

from typing import NamedTuple

from archc.catalog.dtypes import NETWORK
from archc.errors import ArgumentError
from archc.graph import Graph, Node
from archc.graph.dtypes import input_items
from archc.ops.facts import NEW


class Memory(NamedTuple):
    """Bytes at a batch size and dtype. `activations` are all outputs that are not views or in place, kept at once."""

    batch: int
    dtype: str
    optimizer: str | None
    input: int
    activations_per_image: int
    activations: int
    parameters: int
    buffers: int
    gradients: int
    optimizer_state: int

    @property
    def training(self) -> int:
        """Everything that a training step holds if all activations are kept."""
        return self.input + self.activations + self.parameters + self.buffers + self.gradients + self.optimizer_state


def output_bytes(node: Node, size: int) -> int:
    """Bytes of a layer's outputs for one image, where a value of the network's dtype has `size`."""
    return sum(node.facts.item(value.index, size) * value.shape.values for value in node.outputs)


def _kept(optimizer: str, shapes: list[tuple[int, ...]]) -> int:
    """Values of an optimizer's state, counters apart. Raises ValueError for one that is not known."""
    from archc.catalog.optimizers import OPTIMIZERS  # a table that most analyses need nothing of

    if optimizer not in OPTIMIZERS:
        raise ArgumentError(f"no optimizer is called {optimizer}; there are {', '.join(OPTIMIZERS)}")
    entry = OPTIMIZERS[optimizer]
    return sum(sum(entry.kept(shape, entry.choice.defaults())) for shape in shapes)


def memory(graph: Graph, batch: int = 1, dtype: str = "float32", optimizer: str | None = None) -> Memory:
    """The bytes of a network; gradients and optimizer state are 0 without an optimizer."""
    size = NETWORK[dtype]
    made = sum(output_bytes(node, size) for node in graph.nodes if node.facts.storage == NEW)
    owned = [w for node in graph.nodes if node.shared is None for w in node.facts.owned]
    learned = [w for w in owned if w.role != "buffer"]
    parameters = size * sum(w.values for w in learned)
    kept = _kept(optimizer, [w.shape for w in learned]) if optimizer is not None else 0
    return Memory(
        batch=batch,
        dtype=dtype,
        optimizer=optimizer,
        input=batch * sum(item * value.shape.values for value, item in input_items(graph, size).items()),
        activations_per_image=made,
        activations=batch * made,
        parameters=parameters,
        buffers=sum(w.bytes(size) for w in owned if w.role == "buffer"),
        gradients=parameters if optimizer else 0,
        optimizer_state=size * kept,
    )
