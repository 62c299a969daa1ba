"""The parameters of an optimizer in groups: which are decayed, and how fast each learns."""

from __future__ import annotations

from typing import Any

from torch import nn

from archc.graph import Graph, Node
from archc.recipe import Recipe
from archc.recipe.patterns import matching
from archc.training.freeze import frozen_names

UNDECAYED = ("class_token", "position_embedding", "layer_scale")  # as Dosovitskiy et al., 2021, and Touvron et al., 2021, train them


def parameter_groups(module: nn.Module, graph: Graph, recipe: Recipe) -> list[dict[str, Any]]:
    """What torch.optim takes as groups: tensors of one axis are not decayed, unless `decay_norms`; `rates` multiply the learning rate.

    A tensor that no epoch of the recipe lets learn is in no group. Groups stand in the order of their first tensor.
    """
    rate, decay = float(recipe.optimizer.options["lr"]), float(recipe.optimizer.options.get("weight_decay") or 0.0)
    gone = frozen_names(dict(module.named_parameters()), recipe, recipe.epochs)
    alone = {tensor_name(node, weight.name) for node in graph.nodes if node.kind in UNDECAYED for weight in node.facts.owned}
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if name in gone:
            continue
        decays = recipe.decay_norms or (parameter.ndim > 1 and name not in alone)
        key = rate * factor(name, recipe), decay if decays else 0.0
        group = groups.setdefault(key, {"params": [], "lr": key[0], "weight_decay": key[1]})
        group["params"].append(parameter)
    return list(groups.values())


def tensor_name(node: Node, own: str) -> str:
    return f"{node.name}.{own}" if own else node.name


def factor(name: str, recipe: Recipe) -> float:
    """What a tensor's learning rate is multiplied by: the factor of the last pattern that fits its name."""
    found = 1.0
    for pattern, value in recipe.rates.items():
        if matching(pattern)(name):
            found = float(value)
    return found
