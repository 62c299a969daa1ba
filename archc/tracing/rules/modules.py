"""Modules that are one step: those of torch.nn that do more than one function, those that the user names, and what packages map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from archc.errors import ArgumentError
from archc.text.suggest import did_you_mean
from archc.tracing.rules.importers import OPAQUE, importer_of, rule_by
from archc.tracing.rules.parametrized import rule_of_parametrized
from archc.tracing.rules.registry import short, with_bias
from archc.tracing.steps import Layer, Rule, Unsaid
from archc.tracing.trace import Trace

# Modules of torch.nn whose steps say less than they do: kept whole, without an operator.
CELLS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)


def attention(
    trace: Trace, module: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
) -> Layer:  # fmt: skip
    trace.image(query), trace.image(key)
    if not module.batch_first:
        raise Unsaid("the batch is the second axis")
    if key is not value or need_weights or key_padding_mask is not None or attn_mask is not None or is_causal:
        raise Unsaid("attention with a mask, with its weights as a result, or with keys and values of their own")
    if module.in_proj_weight is None or module.bias_k is not None or module.add_zero_attn:
        raise Unsaid("attention over several widths")
    args = {"heads": module.num_heads, "bias": module.in_proj_bias is not None, "dropout": module.dropout}
    weights: dict[str, Any] = {"in_proj_weight": module.in_proj_weight, "out_proj.weight": module.out_proj.weight}
    if module.in_proj_bias is not None:
        weights |= {"in_proj_bias": module.in_proj_bias, "out_proj.bias": module.out_proj.bias}
    return Layer("attention", (query,) if key is query else (query, key), args, weights)


def pad_convolution(trace: Trace, module: Any, input: Tensor) -> Layer:
    """A convolution whose border is not of zeros."""
    trace.image(input)
    args = {"channels": module.out_channels, "kernel": short(module.kernel_size), "stride": short(module.stride),
            "padding": module.padding if isinstance(module.padding, str) else short(module.padding),
            "dilation": short(module.dilation), "groups": module.groups, "bias": module.bias is not None,
            "padding_mode": module.padding_mode}  # fmt: skip
    return Layer("conv", (input,), args, with_bias(module.weight, module.bias))


def frozen_batchnorm(trace: Trace, module: Any, x: Tensor) -> Layer:
    """torchvision's batch normalization of which nothing is learned."""
    trace.image(x)
    weights = {name: getattr(module, name) for name in ("weight", "bias", "running_mean", "running_var")}
    return Layer("frozen_batchnorm", (x,), {"eps": module.eps}, weights)


def _is_frozen_batchnorm(kind: type[nn.Module]) -> bool:
    """Whether a class is torchvision's, which is not imported for that."""
    return any((cls.__module__, cls.__name__) == FROZEN and kind.forward is cls.__dict__.get("forward") for cls in kind.__mro__)


FROZEN = ("torchvision.ops.misc", "FrozenBatchNorm2d")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def rule_of(module: nn.Module) -> Rule | None:
    """The rule of a module that is one step by what a package maps it to, or by what torch.nn makes of it; None for all others."""
    kind, importer = type(module), importer_of(module)
    if callable(importer):
        return rule_by(importer, module)
    if isinstance(module, nn.MultiheadAttention) and kind.forward is nn.MultiheadAttention.forward:
        return attention
    if _is_frozen_batchnorm(kind):
        return frozen_batchnorm
    computed = rule_of_parametrized(module)
    if computed is not None:
        return computed
    base = next((one for one in CONVOLUTIONS if isinstance(module, one)), None)
    plain = base is not None and kind.forward is base.forward and not torch.nn.utils.parametrize.is_parametrized(module)
    return pad_convolution if plain and getattr(module, "padding_mode", "zeros") != "zeros" else None


def is_whole(module: nn.Module, leaves: frozenset[str]) -> bool:
    """Whether a module is one step without an operator: a recurrent cell, or of a class that the user names."""
    if isinstance(module, CELLS) or importer_of(module) == OPAQUE:
        return True
    return not leaves.isdisjoint(_names(module))


def check_leaves(model: nn.Module, leaves: frozenset[str]) -> None:
    """Raises ArgumentError for a class that no part of the model is of."""
    names = {name: None for module in model.modules() if module is not model for name in _names(module)}
    for leaf in sorted(leaves - names.keys()):
        hint = did_you_mean(leaf, names)
        raise ArgumentError(f"no module in {type(model).__name__} is of a class called {leaf}{f'; {hint}' if hint else ''}")


def _names(module: nn.Module) -> Iterator[str]:
    """What the classes of a module are called: Attention, mypkg.layers.Attention."""
    for cls in type(module).__mro__:
        yield from (cls.__name__, cls.__qualname__, f"{cls.__module__}.{cls.__qualname__}")
