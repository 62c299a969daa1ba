"""A graph as a module of PyTorch."""

from __future__ import annotations

import torch
from torch import nn

from archc.emit.source import Source
from archc.graph import Graph
from archc.lowering import Lowered, lower
from archc.runtime.folding import folded
from archc.runtime.module import class_of


def build(graph: Graph, device: str = "cpu") -> nn.Module:
    """The network as a module, with the initialization of its spec, or PyTorch's own."""
    return made(lower(graph).source, device)


def made(source: Source, device: str = "cpu", autocast: str = "") -> nn.Module:
    """The module of a source."""
    with torch.device(device):
        return class_of(source.text, source.name, autocast)()


def optimized(module: nn.Module, lowered: Lowered, autocast: str = "") -> nn.Module:
    """The module after the passes, with the weights of the plain one, in eval mode if those are folded."""
    made_ = made(lowered.source, "meta", autocast)
    names = list(made_.state_dict())
    made_.load_state_dict(folded(module.state_dict(), lowered.result.folds, names), strict=True, assign=True)
    return made_.train(module.training and not lowered.result.folds)
