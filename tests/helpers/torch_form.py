"""Turns an operator's PyTorch form into a module that runs."""

from __future__ import annotations

import re
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from archc.codegen.emit.preamble import FUNCTIONS
from archc.ops import Facts, Module


class Layer(nn.Module):
    """One layer: its submodule or tensor is `own`, its inputs are `{0}`, `{1}`, …"""

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F}
        for text in FUNCTIONS.values():
            exec(text, names)
        form = facts.torch
        assert form is not None
        if isinstance(form, Module):
            exec(form.source, names)
            self.own = eval(form.construction(), names)
            template = form.call
        else:
            self.own = None
            if form.holds != "parameter":
                del self.own
                self.register_buffer("own", eval(form.start, names))
            elif form.start:
                self.own = nn.Parameter(eval(form.start, names))
            template = form.text
        inputs = [f"input_{i}" for i in range(1 + max((int(i) for i in re.findall(r"\{(\d+)\}", template)), default=-1))]
        text = template.format(*inputs, self="own")
        self.run = eval(f"lambda own, {', '.join(inputs)}, *rest: {text}", names)

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.run(self.own, *inputs)


def tensors(layer: Layer) -> list[tuple[str, tuple[int, ...], bool, torch.dtype]]:
    """(name, shape, whether it is a buffer, dtype) of what the layer owns, in the order of its state_dict."""
    buffers = {name for name, _ in layer.named_buffers()}
    return [(name.removeprefix("own").removeprefix("."), tuple(value.shape), name in buffers, value.dtype)
            for name, value in layer.state_dict().items()]  # fmt: skip


def outputs(result: Any) -> tuple[torch.Tensor, ...]:
    return (result,) if isinstance(result, torch.Tensor) else tuple(result)
