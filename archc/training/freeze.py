"""Weights that stay as they are: for good, or until an epoch from which they learn."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from archc.recipe import Recipe
from archc.recipe.patterns import matching

NORMS = (nn.modules.batchnorm._NormBase,)  # those that keep statistics of what they saw


def fitting(patterns: Iterable[str], names: Iterable[str]) -> set[str]:
    """The names that one of the patterns fits: `layer[1-3].*`."""
    fits = [matching(pattern) for pattern in patterns]
    return {name for name in names if any(fit(name) for fit in fits)}


def frozen_names(names: Iterable[str], recipe: Recipe, epoch: int) -> set[str]:
    """The tensors that stay in an epoch, which counts from 0: what is frozen, without what was unfrozen up to then."""
    known = list(names)
    freed = [pattern for when, patterns in recipe.unfreeze.items() if when <= epoch for pattern in patterns]
    return fitting(recipe.freeze, known) - fitting(freed, known)


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
        self.still = [one for name, one in self.module.named_modules() if isinstance(one, NORMS) and _held(name, one, frozen)]
        return changed

    def train(self) -> None:
        """Training mode, for all but the frozen normalizations."""
        self.module.train()
        for one in self.still:
            one.eval()


def _held(name: str, norm: nn.Module, frozen: set[str]) -> bool:
    own = [f"{name}.{one}" if name else one for one in norm.state_dict()]
    return bool(own) and all(one in frozen for one in own if not one.endswith("num_batches_tracked"))
