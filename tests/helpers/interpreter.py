"""A network run layer by layer from the graph alone, with the tensors of a module: what the compiled source must equal."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from archc.codegen.emit.preamble import FUNCTIONS
from archc.graph import Graph, Node
from archc.ops.facts import Module


def interpret(graph: Graph, state: dict[str, torch.Tensor], inputs: list[torch.Tensor], train: bool = False) -> dict[str, Any]:
    """The outputs by name, in training those of the heads too. Each layer's own module is made here, and given its tensors."""
    values: dict[Any, Any] = dict(zip(graph.inputs.values(), inputs, strict=True))
    for node in graph.nodes:
        if node.train_only and not train:
            continue
        result = _applied(node, state, [values[value] for value in node.inputs], train)
        values.update(zip(node.outputs, [result] if isinstance(result, torch.Tensor) else result, strict=True))
    heads = graph.heads if train else {}
    return {name: values[value] for name, value in (graph.outputs | heads).items() if value in values}


def _applied(node: Node, state: dict[str, torch.Tensor], inputs: list[torch.Tensor], train: bool) -> Any:
    form, names = node.facts.torch, dict[str, Any](torch=torch, nn=nn, F=F)
    for text in FUNCTIONS.values():
        exec(text, names)
    owner = (node.shared or node).name
    if isinstance(form, Module):
        exec(form.source, names)
        own = eval(form.construction(), names).train(train)
        own.load_state_dict({key: state[f"{owner}.{key}"] for key in own.state_dict()})
        text = form.call
    else:
        assert form is not None
        constant = eval(form.start, names) if form.holds == "constant" else None  # which no state holds
        own, text = state.get(owner, constant), form.text
    for i, value in enumerate(inputs):
        names[f"v{i}"] = value
    return eval(text.format(*(f"v{i}" for i in range(len(inputs))), self="own"), names, {"own": own})
