"""Weights after the passes: how those of the plain network become those of the optimized one. Worked out in float64."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from archc.codegen.passes import Branch, Fold, Following, Merge

State = dict[str, torch.Tensor]


def fold_tensors(state: Mapping[str, torch.Tensor], folds: Iterable[Following], names: Iterable[str]) -> State:
    """The tensors called `names`, after each pass: normalizations folded into layers, branches merged, weights reshaped."""
    dtypes = {name: tensor.dtype for name, tensor in state.items()}
    made = dict(state)
    for fold in folds:
        if isinstance(fold, Fold):
            made.update(_fold_norm(made, fold))
        elif isinstance(fold, Merge):
            made.update(_merge_branches(made, fold))
        else:
            made[f"{fold.layer}.weight"] = made[f"{fold.layer}.weight"].reshape(fold.shape)
    return {name: made[name].to(dtypes.get(name, dtypes.get(_weight_beside(name), made[name].dtype))) for name in names}


def _weight_beside(bias: str) -> str:
    """The weight of a layer that had no bias."""
    return bias.removesuffix("bias") + "weight"


def _fold_norm(state: Mapping[str, torch.Tensor], fold: Fold) -> State:
    def of(layer: str, name: str) -> torch.Tensor:
        return state[f"{layer}.{name}"].double()

    weight = of(fold.into, "weight")
    scale, shift = _scale_and_shift(state, fold.norm, fold.affine, fold.eps)
    bias = shift + scale * of(fold.into, "bias") if fold.bias else shift
    return {f"{fold.into}.weight": weight * _beside(scale, weight, fold), f"{fold.into}.bias": bias}


def _scale_and_shift(state: Mapping[str, torch.Tensor], norm: str, affine: bool, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """What a normalization does in inference, for each channel."""
    scale = (state[f"{norm}.running_var"].double() + eps).rsqrt()
    scale = scale * state[f"{norm}.weight"].double() if affine else scale
    shift = -state[f"{norm}.running_mean"].double() * scale
    return scale, shift + state[f"{norm}.bias"].double() if affine else shift


def _beside(scale: torch.Tensor, weight: torch.Tensor, fold: Fold) -> torch.Tensor:
    """One factor for each filter, shaped to multiply the weights."""
    ones = [1] * (weight.dim() - 2)
    if not fold.groups:
        return scale.reshape(-1, 1, *ones)
    inputs = weight.shape[0] // fold.groups
    return scale.reshape(fold.groups, 1, -1, *ones).expand(-1, inputs, -1, *ones).reshape(weight.shape[0], -1, *ones)


def _merge_branches(state: Mapping[str, torch.Tensor], merge: Merge) -> State:
    weight = state[f"{merge.into}.weight"].double().clone()
    bias = state[f"{merge.into}.bias"].double().clone() if merge.bias else weight.new_zeros(len(weight))
    for branch in merge.branches:
        kernel, shift = _as_kernel(state, branch, weight, merge.groups)
        part = tuple(slice(first, first + size) for first, size in zip(branch.places, kernel.shape[2:], strict=True))
        weight[(slice(None), slice(None), *part)] += kernel
        bias += shift
    return {f"{merge.into}.weight": weight, f"{merge.into}.bias": bias}


def _as_kernel(state: Mapping[str, torch.Tensor], branch: Branch, weight: torch.Tensor, groups: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A branch as a kernel and a bias; a normalization and the input itself have one tap from each channel to itself."""
    none = weight.new_zeros(len(weight))
    if branch.kind == "conv":
        return state[f"{branch.name}.weight"].double(), state[f"{branch.name}.bias"].double() if branch.bias else none
    scale, shift = _scale_and_shift(state, branch.name, branch.affine, branch.eps) if branch.kind == "norm" else (none + 1, none)
    filters = torch.arange(len(weight))
    kernel = weight.new_zeros(*weight.shape[:2], *[1] * (weight.dim() - 2))
    kernel[filters, filters % (len(weight) // groups)] = scale.reshape(-1, *[1] * (weight.dim() - 2))
    return kernel, shift
