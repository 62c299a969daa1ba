"""Convolutions and dense layers whose weight is computed from others: by torch.nn.utils.parametrizations, or by hooks before them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, spectral_norm, weight_norm

from archc.tracing.rules.registry import short
from archc.tracing.steps import Layer, Rule
from archc.tracing.trace import Trace

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_FROM = "parametrizations.weight."
Found = tuple[str, dict[str, Tensor]]  # what computes the weight, and from which tensors, by the operator's names


def rule_of_parametrized(module: nn.Module) -> Rule | None:
    """The rule of a layer whose weight is computed in one of the ways that an operator knows, and nothing else of it."""
    base = next((one for one in (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear) if isinstance(module, one)), None)
    if base is None or type(module).forward is not base.forward:
        return None
    found = _by_parametrization(module) if parametrize.is_parametrized(module) else _by_hook(module)
    if found is None:
        return None
    how, weights = found

    def rule(trace: Trace, module: Any, input: Tensor) -> Layer:
        trace.image(input)
        bias = {"bias": module.bias} if module.bias is not None else {}
        return Layer(*_layer(module, input, {"parametrize": how, "bias": module.bias is not None}), weights | bias)

    return rule


def _layer(module: Any, input: Tensor, args: dict[str, Any]) -> tuple[str, tuple[Tensor, ...], dict[str, Any]]:
    if isinstance(module, nn.Linear):
        return "linear", (input,), args | {"features": module.out_features}
    args |= {"channels": module.out_channels, "kernel": short(module.kernel_size), "stride": short(module.stride),
             "padding": module.padding if isinstance(module.padding, str) else short(module.padding),
             "dilation": short(module.dilation), "groups": module.groups}  # fmt: skip
    if isinstance(module, _TRANSPOSED):
        return "conv_transpose", (input,), args | {"output_padding": short(module.output_padding)}
    return "conv", (input,), args | {"padding_mode": module.padding_mode}


def _by_parametrization(module: Any) -> Found | None:
    ways = module.parametrizations
    if list(ways) != ["weight"] or len(ways.weight) != 1:
        return None
    way, listed = ways.weight[0], ways.weight
    if isinstance(way, parametrizations._WeightNorm) and way.dim == 0:
        return "weight_norm", {f"{_FROM}original0": listed.original0, f"{_FROM}original1": listed.original1}
    if isinstance(way, parametrizations._SpectralNorm) and hasattr(way, "_u") and way.dim == _rows_of(module):
        return "spectral_norm", {f"{_FROM}original": listed.original, f"{_FROM}0._u": way._u, f"{_FROM}0._v": way._v}
    return None


def _by_hook(module: Any) -> Found | None:
    hooks = [*module._forward_pre_hooks.values()]
    if len(hooks) != 1:
        return None
    (hook,) = hooks
    if isinstance(hook, weight_norm.__globals__["WeightNorm"]) and hook.name == "weight" and hook.dim == 0:
        return "weight_norm", {f"{_FROM}original0": module.weight_g, f"{_FROM}original1": module.weight_v}
    if isinstance(hook, spectral_norm.__globals__["SpectralNorm"]) and hook.name == "weight" and hook.dim == _rows_of(module):
        return "spectral_norm", {f"{_FROM}original": module.weight_orig, f"{_FROM}0._u": module.weight_u, f"{_FROM}0._v": module.weight_v}
    return None


def _rows_of(module: nn.Module) -> int:
    return 1 if isinstance(module, _TRANSPOSED) else 0
