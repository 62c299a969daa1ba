"""Results of common functions on `meta`, where torch takes long to say what shape they have.

Torch works out the shape of a convolution in Python, with a second of imports behind it, and makes a hundred steps of a batch
normalization. The formulas are those of torch's documentation; where anything is unusual, torch is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def known_result(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor | None:
    """What a function returns; None where torch is to be called."""
    function = RESULTS.get(name)
    if function is None or not args or not isinstance(args[0], Tensor) or not args[0].is_meta:
        return None
    try:
        return function(*args, **kwargs)
    except (TypeError, ValueError, IndexError, AttributeError):  # unusual arguments: torch reads them, or refuses them
        return None


def _convolution(
    input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor | None:
    rank = weight.dim() - 2
    strides, pads, dilations = (value if len(value) == rank else value * rank for value in map(_tuple, (stride, padding, dilation)))
    fits = input.dim() == rank + 2 and input.shape[1] == weight.shape[1] * groups and weight.shape[0] % groups == 0
    if not fits or input.dtype != weight.dtype or (bias is not None and bias.shape != weight.shape[:1]):
        return None
    return _over_windows(input, weight.shape[0], weight.shape[2:], strides, pads, dilations)


def _over_windows(input: Tensor, channels: int, *of_windows: Sequence[int]) -> Tensor | None:
    """A map of what windows of these kernels, strides, paddings and dilations give; None where none fits."""
    rows = zip(input.shape[2:], *of_windows, strict=True)
    sizes = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in rows]
    return torch.empty(input.shape[0], channels, *sizes, dtype=input.dtype, device="meta") if min(sizes) > 0 else None


def _tuple(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (int(value),)


def _batch_norm(
    input: Tensor, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor | None:  # fmt: skip
    tensors = [one for one in (running_mean, running_var, weight, bias) if one is not None]
    fits = input.dim() > 1 and input.numel() > input.shape[1] and all(one.shape == input.shape[1:2] for one in tensors)
    same = fits and all(one.dtype == input.dtype for one in tensors)
    return torch.empty_strided(input.shape, input.stride(), dtype=input.dtype, device="meta") if same and _dense(input) else None


def _add_in_place(input: Tensor, other: Any) -> Tensor | None:
    same = isinstance(other, Tensor) and other.shape == input.shape and other.dtype == input.dtype
    return input.zero_() if same else None  # any write will do where there are no values


def _add(input: Tensor, other: Any) -> Tensor | None:
    same = isinstance(other, Tensor) and other.shape == input.shape and other.dtype == input.dtype and other.stride() == input.stride()
    return _pointwise(input) if same else None


def _pointwise(input: Tensor, inplace: bool = False) -> Tensor | None:
    if inplace:
        return input.zero_()
    return torch.empty_strided(input.shape, input.stride(), dtype=input.dtype, device="meta") if _dense(input) else None


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor | None:
    return _pointwise(input, inplace) if training and 0 < p <= 1 else input if 0 <= p <= 1 else None


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    fits = input.dim() > 1 and weight.dim() == 2 and input.shape[-1] == weight.shape[1] and input.dtype == weight.dtype
    return torch.empty(*input.shape[:-1], weight.shape[0], dtype=input.dtype, device="meta") if fits else None


def _global_pool(input: Tensor, output_size: Any) -> Tensor | None:
    one = input.dim() == 4 and output_size in (1, (1, 1), [1, 1]) and input.is_contiguous()
    return torch.empty(*input.shape[:2], 1, 1, dtype=input.dtype, device="meta") if one else None


def _max_pool(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:  # fmt: skip
    kernels, strides, pads, dilations = (_pair(one) for one in (kernel_size, stride or kernel_size, padding, dilation))
    plain = input.dim() == 4 and input.is_contiguous() and not ceil_mode and not return_indices
    if not plain or any(2 * p > k for p, k in zip(pads, kernels, strict=True)):
        return None
    return _over_windows(input, input.shape[1], kernels, strides, pads, dilations)


def _attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False, scale: Any = None,
    enable_gqa: bool = False,
) -> Tensor | None:  # fmt: skip
    """As the fused kernels lay it, in the order of the queries, and not as the steps that stand for them on `meta`."""
    same = query.dtype == key.dtype == value.dtype and query.shape[-1] == key.shape[-1] == value.shape[-1] and key.shape == value.shape
    fused = same and query.dim() == 4 and all(one.stride(-1) == 1 for one in (query, key, value))
    grouped = enable_gqa and fused and query.shape[0] == key.shape[0] and query.shape[1] % key.shape[1] == 0
    heads = query.shape[:2] == key.shape[:2] or grouped
    return torch.empty_like(query) if fused and heads and attn_mask is None and not dropout_p else None


def _pair(value: Any) -> tuple[int, ...]:
    return _tuple(value) if isinstance(value, list | tuple) and len(value) == 2 else _tuple(value) * 2


def _dense(tensor: Tensor) -> bool:
    return tensor.is_contiguous() or (tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last))


RESULTS: dict[str, Callable[..., Tensor | None]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **dict.fromkeys(("relu", "relu6", "silu", "sigmoid", "hardswish", "hardsigmoid"), _pointwise),
    **dict.fromkeys(("__iadd__", "add_"), _add_in_place),
    "add": _add,
    "batch_norm": _batch_norm,
    "linear": _linear,
    "scaled_dot_product_attention": _attention,
    "dropout": _dropout,
    "max_pool2d": _max_pool,
    "adaptive_avg_pool2d": _global_pool,
}
