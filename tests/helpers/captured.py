"""Modules made of a function, captured, and what is asked of their graphs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from archc.graph import Graph
from archc.tracing import capture


class Of(nn.Module):
    """A module of a function and of some modules."""

    def __init__(self, function: Any, **modules: Any) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            if isinstance(module, Tensor) and not isinstance(module, nn.Parameter):
                self.register_buffer(name, module)
            else:
                setattr(self, name, module)

    def forward(self, *inputs: Tensor, **options: Tensor) -> Any:
        return self.function(self, *inputs, **options)


def of(function: Any, input: Any = (3, 8, 8), **modules: Any) -> Graph:
    return capture(Of(function, **modules), input)


def kinds(graph: Graph) -> list[str]:
    return [node.args["name"] + "?" if node.kind == "opaque" else node.kind for node in graph.nodes]


def numel(module: nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


def conv(inputs: int = 3, outputs: int = 4) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
