"""A network run by PyTorch for training, layer by layer from its graph, with what autograd keeps measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from archc.codegen.emit.preamble import FUNCTIONS
from archc.graph import Graph, Node, Value
from archc.ops.facts import Expression, Facts, Module
from tests.helpers.torch_form import outputs


class Layer(nn.Module):
    """A layer in its PyTorch form. Its weights are not drawn: what autograd keeps does not depend on them."""

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        form = facts.torch
        names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F}
        for text in FUNCTIONS.values():
            exec(text, names)
        assert form is not None
        with torch.device("meta"):
            if isinstance(form, Module):
                exec(form.source, names)
                self.own = eval(form.construction(), names)
            elif form.holds != "parameter":
                self.register_buffer("own", eval(form.start, names))
            else:
                self.own = nn.Parameter(eval(form.start, names)) if form.start else None
        self.to_empty(device="cpu")
        for one in self.buffers():
            if not one.is_floating_point():
                one.zero_()  # places in a table, of which any that are there will do
        self.names = names
        self.text = form.text if isinstance(form, Expression) else form.call

    def forward(self, *inputs: torch.Tensor) -> Any:
        given = {f"input_{i}": value for i, value in enumerate(inputs)}
        return eval(self.text.format(*given, self="own"), self.names, given | {"own": self.own})


@dataclass
class Measured:
    """The tensors of all values, and each kept storage with the layer that ran when it was first kept."""

    values: dict[Value, torch.Tensor] = field(default_factory=dict)
    kept: dict[int, tuple[Node, Any]] = field(default_factory=dict)  # the storages themselves, so that no address is used again
    owned: set[int] = field(default_factory=set)

    def by_node(self) -> dict[Node, int]:
        found: dict[Node, int] = {}
        for key, (node, held) in self.kept.items():
            if key not in self.owned:
                found[node] = found.get(node, 0) + held.nbytes()
        return found


def storage(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def trained(graph: Graph, batch: int = 2, hooks: bool = True) -> Measured:
    """The forward pass. Without hooks, backward can follow."""
    torch.manual_seed(0)
    done, layers = Measured(), {}
    for value in graph.inputs.values():
        shape = (batch, *value.shape)
        done.values[value] = torch.zeros(shape, dtype=torch.int64) if value.name.startswith("indices") else torch.randn(shape)
    for node in graph.nodes:
        if node.shared is None:
            layers[node] = Layer(node.facts).train()
        layer = layers[node.shared or node]
        done.owned |= {storage(tensor) for tensor in (*layer.parameters(), *layer.buffers())}
        inputs = [done.values[value] for value in node.inputs]
        results = outputs(_kept(node, layer, inputs, done) if hooks else layer(*inputs))
        done.values.update(zip(node.outputs, results, strict=True))
    return done


def _kept(node: Node, layer: Layer, inputs: list[torch.Tensor], done: Measured) -> Any:
    def pack(tensor: torch.Tensor) -> torch.Tensor:
        done.kept.setdefault(storage(tensor), (node, tensor.untyped_storage()))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        return layer(*inputs)


def backward(graph: Graph, done: Measured) -> None:
    """From the sum of all values that no layer reads, so that every layer takes part."""
    read = {value for node in graph.nodes for value in node.inputs[: node.facts.reads]}
    ends = [tensor for value, tensor in done.values.items() if value not in read and tensor.requires_grad]
    total = sum(part for part in map(_summed, ends) if part is not None)
    if isinstance(total, torch.Tensor):
        total.backward()


def _summed(tensor: torch.Tensor) -> torch.Tensor | None:
    """The sum; nothing of a view that PyTorch lets nobody read any more."""
    try:
        return tensor.sum()
    except RuntimeError as error:
        assert "another view of its base has been modified inplace" in str(error)
        return None


def kept_in_forward(module: nn.Module, *inputs: torch.Tensor, **named: torch.Tensor) -> int:
    """Bytes of the storages that autograd keeps in a forward pass of training, without those of parameters and buffers."""
    held: dict[int, Any] = {}
    owned = {storage(one) for one in (*module.parameters(), *module.buffers())}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        held.setdefault(storage(tensor), tensor.untyped_storage())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = module(*inputs, **named)
    del result
    return sum(one.nbytes() for key, one in held.items() if key not in owned)
