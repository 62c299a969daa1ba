"""Functions that drop values, and that join several tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from archc.tracing.rules.moving import copied
from archc.tracing.rules.positions import relative_bias
from archc.tracing.rules.registry import in_place, rule
from archc.tracing.steps import Layer, Unsaid
from archc.tracing.trace import Trace


@rule("dropout")
def dropout(
    trace: Trace, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, train: bool = True
) -> Layer | list[Layer]:
    trace.image(input)
    if trace.training and not (training and train):
        return []
    return [] if p == 0 else Layer("dropout", (input,), {"p": p} | in_place(trace))


@rule("dropout1d dropout2d dropout3d feature_dropout")
def spatial_dropout(trace: Trace, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Layer | list[Layer]:
    trace.image(input)
    if trace.training and not training:
        return []
    return [] if p == 0 else Layer("spatial_dropout", (input,), {"p": p})


@rule("add iadd radd")
def add(trace: Trace, input: Any, other: Any, alpha: float = 1) -> Layer | list[Layer]:
    if alpha != 1:
        raise Unsaid("a weighted sum")
    tensors = [one for one in (input, other) if trace.live(one)]
    if len(tensors) == 2:
        a, b = trace.image(input), trace.image(other)
        return Layer("add", (input, other), ({"broadcast": True} if a != b else {}) | in_place(trace))
    constant = other if trace.live(input) else input
    image = trace.image(tensors[0])
    if isinstance(constant, Tensor):
        owned = trace.owned(constant)
        if (
            owned is not None
            and tuple(owned.shape) in (image, (1, *image))
            and len(image) == 2
            and not trace.in_place
            and trace.of_one_step(constant)
        ):
            return Layer("position_embedding", (tensors[0],), {}, {"": owned})
        relative = None if trace.in_place else relative_bias(trace, tensors[0], constant)
        if relative is not None:
            return relative
        return Layer("add", (tensors[0], trace.given(constant, tensors[0])), {"broadcast": True} | in_place(trace))
    if constant == 0 and not trace.in_place:
        return []
    return Layer("add", (tensors[0],), {"value": float(constant)} | in_place(trace))


@rule("mul imul rmul multiply")
def mul(trace: Trace, input: Any, other: Any) -> Layer | list[Layer]:
    tensors = [one for one in (input, other) if trace.live(one)]
    if len(tensors) == 2:
        trace.image(input), trace.image(other)
        return Layer("mul", (input, other))
    factor = other if trace.live(input) else input
    image = trace.image(tensors[0])
    if not isinstance(factor, Tensor):
        return [] if factor == 1 and not trace.in_place else Layer("scale", (tensors[0],), {"factor": float(factor)})
    keep = trace.constant(factor).keep
    if keep is not None and tuple(factor.shape) == (trace.images(tensors[0]), *(1,) * len(image)):
        return Layer("drop_path", (tensors[0],), {"p": round(1 - keep, 12)})
    owned = trace.owned(factor)
    if trace.in_place:
        raise Unsaid("it is multiplied in place by a tensor that is no layer's output")
    scale = (image[0], *[1] * (len(image) - 1)) if len(image) > 2 else image[-1:]
    if isinstance(owned, nn.Parameter) and tuple(owned.shape) == scale and tuple(factor.shape) in (scale, (1, *scale), (1, 1, *scale)):
        return Layer("layer_scale", (tensors[0],), {}, {"": owned})
    return Layer("mul", (tensors[0], trace.given(factor, tensors[0])))


@rule("matmul bmm")
def matmul(trace: Trace, input: Any, other: Any) -> Layer:
    beside = input if trace.live(input) else other
    return Layer("matmul", (trace.given(input, beside), trace.given(other, beside)))


@rule("scaled_dot_product_attention")
def scaled_dot_product_attention(
    trace: Trace, query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Layer:  # fmt: skip
    beside = next(one for one in (query, key, value, attn_mask) if trace.live(one))
    if enable_gqa and query.dim() != 4:
        raise Unsaid("keys for several heads of other than three axes")
    inputs = tuple(trace.given(one, beside) for one in (query, key, value))
    masks = () if attn_mask is None else (_mask(trace, query, attn_mask, beside),)
    own = {} if scale is None or math.isclose(scale, query.shape[-1] ** -0.5) else {"scale": float(scale)}
    dropped = {"dropout": float(dropout_p)} if dropout_p else {}
    return Layer("scaled_dot_product_attention", (*inputs, *masks), {"causal": is_causal} | dropped | own)


def _mask(trace: Trace, query: Tensor, mask: Tensor, beside: Tensor) -> Tensor | Layer:
    if mask.dtype != query.dtype:
        raise Unsaid("attention with a mask of truth values")
    return trace.given(mask, beside)


@rule("cat concat concatenate")
def cat(trace: Trace, tensors: Sequence[Tensor], dim: int = 0, axis: int | None = None) -> Layer | list[Layer]:
    tensors = [one for one in tensors if one.numel()]  # as a cache is before anything is in it
    live = [one for one in tensors if trace.live(one)]
    at = dim if axis is None else axis
    if len(tensors) == 1:
        return copied(trace, tensors[0])
    if len(live) == len(tensors):
        return Layer("concat", tuple(tensors), {"axis": trace.axis(live[0], at)})
    token = trace.owned(tensors[0])
    if (
        len(tensors) == 2
        and trace.live(tensors[1])
        and token is not None
        and trace.axis(live[0], at) == 0
        and tuple(token.shape) == (1, 1, live[0].shape[-1])
        and trace.of_one_step(tensors[0])
    ):
        return Layer("class_token", (tensors[1],), {}, {"": token})
    return Layer("concat", tuple(trace.given(one, live[0]) for one in tensors), {"axis": trace.axis(live[0], at)})
