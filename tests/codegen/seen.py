"""A network whose every layer can be watched: expressions become modules, so that a hook sees each value."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from archc.graph import Graph, Node
from archc.ops.facts import Expression, Module
from archc.runtime.build.build import build

EXPRESSION = '''
class {name}(nn.Module):
    """{form}"""

    def __init__(self):
        super().__init__()
        self.own = {start}

    def forward(self, {inputs}):
        return {text}
'''


def watchable(graph: Graph) -> Graph:
    """The graph, each expression as a module of its own class. The graph itself is changed."""
    for at, node in enumerate(graph.nodes):
        form = node.facts.torch
        if form is None or (isinstance(form, Module) and form.call == "{self}({0})"):
            continue
        if node.shared is not None and node.shared.facts.torch is not form and _alike(node.shared.facts.torch, form):
            node.facts = replace(node.facts, torch=node.shared.facts.torch)
        else:
            node.facts = replace(node.facts, torch=_wrapped(form, f"Layer{at}", len(node.inputs)))
        if isinstance(form, Expression):
            node.name, node.label = node.name + "_value", node.label + "_value"
    return graph


def _alike(watched: Any, form: Any) -> bool:
    """Whether a layer that was wrapped does what a form does, so that one module serves both."""
    return isinstance(watched, Module) and (form.text if isinstance(form, Expression) else form.call) in watched.source


def _wrapped(form: Module | Expression, name: str, count: int) -> Module:
    inputs = [f"a{i}" for i in range(count)]
    template = form.call if isinstance(form, Module) else form.text
    start = form.construction() if isinstance(form, Module) else f"nn.Parameter({form.start})" if form.start else "None"
    source = EXPRESSION.format(
        name=name, start=start, inputs=", ".join(inputs), text=template.format(*inputs, self="self.own"), form=template
    )
    before = form.source if isinstance(form, Module) else ""
    return Module(name, call="{self}(" + ", ".join(f"{{{i}}}" for i in range(count)) + ")", source=before + source)


def run(graph: Graph, device: str = "cpu", batch: int = 2, train: bool = False,
        watch: Callable[[Node, Any], None] = lambda node, out: None, inputs: list[Any] | None = None) -> Any:  # fmt: skip
    """The network's outputs for random inputs; `watch` sees what each layer gives, in order."""
    module = build(watchable(graph), device).train(train)
    waiting: dict[str, list[Node]] = {}
    for node in graph.nodes:
        waiting.setdefault((node.shared or node).name, []).append(node)
    for name in waiting:
        module.get_submodule(name).register_forward_hook(
            lambda own, args, out, name=name: watch(waiting[name].pop(0), out)
        )  # fmt: skip
    return module(*(inputs or inputs_of(graph, device, batch)))


def inputs_of(graph: Graph, device: str = "cpu", batch: int = 2) -> list[torch.Tensor]:
    """Random images; zeros where the network takes indices."""
    indices = {value for node in graph.nodes if node.kind == "embedding" for value in node.inputs}
    return [
        torch.zeros(batch, *value.shape, dtype=torch.int64, device=device) if value in indices
        else torch.randn(batch, *value.shape, device=device)
        for value in graph.inputs.values()
    ]  # fmt: skip


def tensors_of(graph: Graph) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of all tensors, as the analysis has them."""
    owners = [node for node in graph.nodes if node.shared is None]
    return [(f"{node.name}.{w.name}".rstrip("."), tuple(w.shape)) for node in owners for w in node.facts.owned]


def shapes_of(out: Any) -> list[tuple[int, ...]]:
    """The shapes of a layer's outputs, without the batch."""
    values = [out] if isinstance(out, torch.Tensor) else list(out.values() if isinstance(out, dict) else out)
    return [tuple(value.shape[1:]) for value in values]


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights and statistics, so that nothing is 0 or 1 by chance."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator)
                scale = 2.0 / max(1, tensor[0].numel()) ** 0.5 if tensor.dim() > 1 else 1.0
                tensor.copy_(noise + 0.5 if re.search(r"(var|\bweight)$", name) and tensor.dim() == 1 else (noise - 0.5) * scale)
    return module
