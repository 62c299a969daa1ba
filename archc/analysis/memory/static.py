"""Bytes of values, parameters, gradients and optimizer state. A sum of what exists, not the peak over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archc.graph import Graph, Node
from archc.ops.facts import NEW
from archc.ops.shape import product

DTYPES = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "int8": 1}
_ALIASES = {
    "f32": "float32",
    "fp32": "float32",
    "f64": "float64",
    "f16": "float16",
    "fp16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
}


def dtype_name(text: str) -> str | None:
    """The dtype's full name, or None."""
    name = _ALIASES.get(text, text)
    return name if name in DTYPES else None


def copies(count: int) -> Callable[[tuple[int, ...]], int]:
    """So many values for each of a parameter's."""
    return lambda shape: count * product(shape)


def _factored(shape: tuple[int, ...]) -> int:
    """Adafactor (Shazeer & Stern, 2018) keeps the sums of rows and columns of a matrix, and vectors whole."""
    if len(shape) < 2:
        return product(shape)
    return product((*shape[:-1], 1)) + product((*shape[:-2], 1, shape[-1]))


# Values that an optimizer keeps for a parameter of a shape, step counters apart, as torch.optim keeps them.
OPTIMIZERS: dict[str, Callable[[tuple[int, ...]], int]] = {
    "sgd": copies(0),
    "momentum": copies(1),
    "adam": copies(2),
    "adamw": copies(2),
    "rmsprop": copies(1),
    "lion": copies(1),
    "adafactor": _factored,
}


@dataclass(frozen=True, slots=True)
class Memory:
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


def memory(graph: Graph, batch: int = 1, dtype: str = "float32", optimizer: str | None = None) -> Memory:
    """The bytes of a network; gradients and optimizer state are 0 without an optimizer."""
    size = DTYPES[dtype]
    made = sum(output_bytes(node, size) for node in graph.nodes if node.facts.storage == NEW)
    owned = [w for node in graph.nodes if node.shared is None for w in node.facts.owned]
    learned = [w for w in owned if w.role != "buffer"]
    parameters = size * sum(w.values for w in learned)
    if optimizer is not None and optimizer not in OPTIMIZERS:
        raise ValueError(f"no optimizer is called {optimizer}; there are {', '.join(OPTIMIZERS)}")
    state = OPTIMIZERS[optimizer] if optimizer else copies(0)
    return Memory(
        batch=batch,
        dtype=dtype,
        optimizer=optimizer,
        input=batch * size * sum(value.shape.values for value in graph.inputs.values()),
        activations_per_image=made,
        activations=batch * made,
        parameters=parameters,
        buffers=sum(w.values * (8 if w.dtype == "int64" else size) for w in owned if w.role == "buffer"),
        gradients=parameters if optimizer else 0,
        optimizer_state=size * sum(state(w.shape) for w in learned),
    )
