"""Pools, and maps made larger or smaller."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from archc.tracing.rules.registry import RULES, Sizes, rule, short
from archc.tracing.steps import Layer, Rule, Unsaid
from archc.tracing.trace import Trace


def _window(kernel: Sizes, stride: Sizes | None, padding: Sizes, ceil: bool) -> dict[str, Any]:
    steps = {} if stride in (None, [], ()) or stride == kernel else {"stride": short(stride)}
    return {"kernel": short(kernel), "padding": short(padding), "ceil": bool(ceil)} | steps


_POOLS = ("max_pool1d", "max_pool2d", "max_pool3d")


@rule(" ".join([*_POOLS, *(f"{name}_with_indices" for name in _POOLS)]))
def max_pool(
    trace: Trace, input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Layer:  # fmt: skip
    trace.image(input)
    more = {"dilation": short(dilation)} | ({"indices": True} if len(trace.results) > 1 else {})
    return Layer("maxpool", (input,), _window(kernel_size, stride, padding, ceil_mode) | more)


@rule("max_unpool1d max_unpool2d max_unpool3d")
def max_unpool(
    trace: Trace, input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    output_size: Any = None,
) -> Layer:  # fmt: skip
    trace.image(input), trace.image(indices)
    args = _window(kernel_size, stride, padding, False) | {"size": short(tuple(trace.results[0].shape[2:]))}
    del args["ceil"]
    return Layer("max_unpool", (input, indices), args)


@rule("avg_pool1d avg_pool2d avg_pool3d")
def avg_pool(
    trace: Trace, input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Layer:  # fmt: skip
    trace.image(input)
    if divisor_override is not None:
        raise Unsaid("a pool with a divisor of its own")
    return Layer("avgpool", (input,), _window(kernel_size, stride, padding, ceil_mode) | {"count_padding": count_include_pad})


@rule("lp_pool1d lp_pool2d lp_pool3d")
def lp_pool(
    trace: Trace, input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Layer:
    trace.image(input)
    args = _window(kernel_size, stride, 0, ceil_mode)
    del args["padding"]
    return Layer("lppool", (input,), {"norm": norm_type} | args)


def _adaptive(kind: str) -> Rule:
    def pool(trace: Trace, input: Tensor, output_size: Any, return_indices: bool = False) -> Layer:
        space = trace.image(input)[1:]
        sizes = output_size if isinstance(output_size, list | tuple) else (output_size,) * len(space)
        sizes = tuple(size if size is not None else own for size, own in zip(sizes, space, strict=True))
        if set(sizes) == {1}:
            return Layer(f"global_{kind}", (input,))
        return Layer(f"adaptive_{kind}", (input,), {"size": short(sizes)})

    return pool


for _rank in "123":
    RULES[f"adaptive_avg_pool{_rank}d"] = _adaptive("avgpool")
    RULES[f"adaptive_max_pool{_rank}d"] = _adaptive("maxpool")


@rule("interpolate")
def interpolate(
    trace: Trace, input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Layer:  # fmt: skip
    space = trace.image(input)[1:]
    kinds = {"linear": "linear", "bilinear": "linear", "trilinear": "linear"}
    if antialias or mode not in ("nearest", *kinds, "bicubic"):
        raise Unsaid(f"interpolation of the mode {mode}")
    args: dict[str, Any] = {"mode": kinds.get(mode, mode), "align_corners": bool(align_corners)}
    if size is None:
        factors = tuple(scale_factor) if isinstance(scale_factor, list | tuple) else (scale_factor,) * len(space)
        again = {"recompute": True} if recompute_scale_factor else {}
        return Layer("upsample", (input,), args | {"scale": factors[0] if len(set(factors)) == 1 else factors} | again)
    return Layer("upsample", (input,), args | {"size": short(size)})


@rule("pixel_shuffle")
def pixel_shuffle(trace: Trace, input: Tensor, upscale_factor: int) -> Layer:
    trace.image(input)
    return Layer("pixel_shuffle", (input,), {"factor": upscale_factor})


@rule("channel_shuffle native_channel_shuffle")
def channel_shuffle(trace: Trace, input: Tensor, groups: int) -> Layer:
    trace.image(input)
    return Layer("channel_shuffle", (input,), {"groups": groups})
