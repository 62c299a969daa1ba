"""Layers and units by name, and what they give when the network runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from torch import Tensor, nn

from archc.analysis.cost.paper_names import paper_names
from archc.errors import ArchcError
from archc.graph import Graph, Node
from archc.ops.facts import Module
from archc.text.suggest import did_you_mean


class LookError(ArchcError):
    """What cannot be looked at, for the user."""


@dataclass(frozen=True, slots=True)
class LayerPlace:
    """A layer, its module, and one of its units (channels, or features of a vector); None for all of them."""

    node: Node
    module: nn.Module
    unit: int | None

    @property
    def units(self) -> int:
        return int(self.node.output.shape[0])


def place(graph: Graph, module: nn.Module, text: str) -> LayerPlace:
    """`layer.unit` or `layer`: conv2.5, layer1.0.conv1. Raises LookError."""
    nodes = {node.name: node for node in graph.deployed().nodes}
    text = _ours(graph, text)
    head, _, last = text.rpartition(".")
    name, unit = (head, int(last)) if text not in nodes and head in nodes and last.isdecimal() and len(last) < 8 else (text, None)
    if name not in nodes:
        hint = did_you_mean(head if last.isdecimal() and head else text, nodes) or "`archc analyze` lists the layers"
        raise LookError(f'no layer is called "{text}"; {hint}')
    found = LayerPlace(nodes[name], _submodule(module, nodes[name], nodes), unit)
    if unit is not None and unit >= found.units:
        raise LookError(f"{name} has {found.units:,} units, 0 to {found.units - 1:,}; there is no {unit:,}")
    return found


def _ours(graph: Graph, text: str) -> str:
    """The name of a layer, with or without a unit, that may be the paper's."""
    papers = paper_names(graph)
    head, _, unit = text.rpartition(".")
    return papers[text] if text in papers else f"{papers[head]}.{unit}" if head in papers and unit.isdecimal() else text


def _submodule(module: nn.Module, node: Node, nodes: dict[str, Node]) -> nn.Module:
    if isinstance(node.facts.torch, Module):
        return module.get_submodule(node.name)
    before = next((value.node.name for value in node.inputs if value.node is not None), None)
    hint = f"; look at {before} before it" if before in nodes else ""
    raise LookError(f"{node.name} ({node.kind}) is a line of forward, not a module{hint}")


def first_convolution(graph: Graph, module: nn.Module) -> LayerPlace:
    """Raises LookError where there is none."""
    name = next((node.name for node in graph.nodes if node.kind == "conv"), None)
    if name is None:
        raise LookError(f"{graph.name} has no convolution, so no filters to look at")
    return place(graph, module, name)


def last_maps(graph: Graph, module: nn.Module) -> LayerPlace:
    """The last layer that gives maps of more than one pixel: where Grad-CAM looks (Selvaraju et al., 2017). Raises LookError."""
    for node in reversed(graph.deployed().nodes):
        shape = tuple(map(int, node.output.shape))
        if node.kind in ("conv", "concat", "relu") and len(shape) == 3 and shape[1] * shape[2] > 1:
            with suppress(LookError):
                return place(graph, module, node.name)
    raise LookError(f"{graph.name} has no convolution that gives maps, which Grad-CAM needs")


@contextmanager
def outputs(layer: nn.Module) -> Iterator[list[Tensor]]:
    """What a layer gives while the network runs; the last of the list is the latest."""
    caught: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, __, given: caught.append(given))
    try:
        yield caught
    finally:
        hook.remove()
