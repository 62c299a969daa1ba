"""Tensors of a network for the network after its passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from archc.codegen.passes.result import Fold

State = dict[str, torch.Tensor]


def fold_tensors(state: Mapping[str, torch.Tensor], folds: Iterable[Fold], names: Iterable[str]) -> State:
    """The tensors called `names`, normalizations folded into the layers before them. Worked out in float64."""
    made = dict(state)
    for fold in folds:
        made.update(_fold_norm(state, fold))
    return {name: made[name] for name in names}


def _fold_norm(state: Mapping[str, torch.Tensor], fold: Fold) -> State:
    def of(layer: str, name: str) -> torch.Tensor:
        return state[f"{layer}.{name}"].double()

    weight = of(fold.into, "weight")
    scale = (of(fold.norm, "running_var") + fold.eps).rsqrt()
    scale = scale * of(fold.norm, "weight") if fold.affine else scale
    shift = -of(fold.norm, "running_mean") + (of(fold.into, "bias") if fold.bias else 0.0)
    bias = shift * scale + (of(fold.norm, "bias") if fold.affine else 0.0)
    dtype = state[f"{fold.into}.weight"].dtype
    return {f"{fold.into}.weight": (weight * _beside(scale, weight, fold)).to(dtype), f"{fold.into}.bias": bias.to(dtype)}


def _beside(scale: torch.Tensor, weight: torch.Tensor, fold: Fold) -> torch.Tensor:
    """One factor for each filter, shaped to multiply the weights."""
    ones = [1] * (weight.dim() - 2)
    if not fold.groups:
        return scale.reshape(-1, 1, *ones)
    inputs = weight.shape[0] // fold.groups
    return scale.reshape(fold.groups, 1, -1, *ones).expand(-1, inputs, -1, *ones).reshape(weight.shape[0], -1, *ones)
