"""Which parameters of a network learn, from which epoch, and with which learning rate and weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from archc.graph import Graph, Node
from archc.recipe import Recipe
from archc.recipe.recipe import matching

NORMS = (nn.modules.batchnorm._NormBase,)  # those that keep statistics of what they saw


def match_any(patterns: Iterable[str], names: Iterable[str]) -> set[str]:
    """The names that one of the patterns fits: `layer[1-3].*`."""
    fits = [matching(pattern) for pattern in patterns]
    return {name for name in names if any(fit(name) for fit in fits)}


def frozen_names(names: Iterable[str], recipe: Recipe, epoch: int) -> set[str]:
    """The tensors that stay in an epoch, which counts from 0: what is frozen, without what was unfrozen up to then."""
    known = list(names)
    freed = [pattern for when, patterns in recipe.unfreeze.items() if when <= epoch for pattern in patterns]
    return match_any(recipe.freeze, known) - match_any(freed, known)


class Freezer:
    """Freezes a module as a recipe says. A normalization with all its tensors frozen stays in eval mode, as its statistics would move."""

    def __init__(self, module: nn.Module, recipe: Recipe) -> None:
        self.module = module
        self.recipe = recipe
        self.still: list[nn.Module] = []

    def begin(self, epoch: int) -> bool:
        """Sets what learns in an epoch; whether that changed."""
        frozen = frozen_names(self.module.state_dict(keep_vars=True), self.recipe, epoch)
        changed = False
        for name, parameter in self.module.named_parameters():
            learns = name not in frozen
            changed |= parameter.requires_grad != learns
            parameter.requires_grad_(learns)
            if not learns:
                parameter.grad = None
        self.still = [layer for name, layer in self.module.named_modules() if isinstance(layer, NORMS) and _held(name, layer, frozen)]
        return changed

    def train(self) -> None:
        """Training mode, for all but the frozen normalizations."""
        self.module.train()
        for norm in self.still:
            norm.eval()


def _held(name: str, norm: nn.Module, frozen: set[str]) -> bool:
    own = [f"{name}.{tensor}" if name else tensor for tensor in norm.state_dict()]
    return bool(own) and all(tensor in frozen for tensor in own if not tensor.endswith("num_batches_tracked"))


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
        key = rate * rate_factor(name, recipe), decay if decays else 0.0
        group = groups.setdefault(key, {"params": [], "lr": key[0], "weight_decay": key[1]})
        group["params"].append(parameter)
    return list(groups.values())


def tensor_name(node: Node, own: str) -> str:
    return f"{node.name}.{own}" if own else node.name


def rate_factor(name: str, recipe: Recipe) -> float:
    """What a tensor's learning rate is multiplied by: the factor of the last pattern that fits its name."""
    found = 1.0
    for pattern, value in recipe.rates.items():
        if matching(pattern)(name):
            found = float(value)
    return found
