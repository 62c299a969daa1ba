"""Functions with weights: convolutions, products, embeddings, normalizations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from archc.tracing.rules.registry import Sizes, rule, short, with_bias
from archc.tracing.steps import Layer, Unsaid
from archc.tracing.trace import Trace


@rule("conv1d conv2d conv3d")
def conv(
    trace: Trace, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes | str = 0,
    dilation: Sizes = 1, groups: int = 1,
) -> Layer:  # fmt: skip
    image = trace.image(input)
    if len(image) != weight.dim() - 1:
        raise Unsaid("a map without a batch")
    pads: Any = {"valid": 0, "same": "same"}[padding] if isinstance(padding, str) else short(padding)
    args = {"channels": weight.shape[0], "kernel": short(tuple(weight.shape[2:])), "stride": short(stride), "padding": pads,
            "dilation": short(dilation), "groups": groups, "bias": bias is not None}  # fmt: skip
    return Layer("conv", (input,), args, with_bias(weight, bias))


@rule("conv_transpose1d conv_transpose2d conv_transpose3d")
def conv_transpose(
    trace: Trace, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes = 0,
    output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Layer:  # fmt: skip
    trace.image(input)
    args = {"channels": weight.shape[1] * groups, "kernel": short(tuple(weight.shape[2:])), "stride": short(stride),
            "padding": short(padding), "output_padding": short(output_padding), "dilation": short(dilation), "groups": groups,
            "bias": bias is not None}  # fmt: skip
    return Layer("conv_transpose", (input,), args, with_bias(weight, bias))


@rule("linear")
def linear(trace: Trace, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Layer:
    trace.image(input)
    return Layer("linear", (input,), {"features": weight.shape[0], "bias": bias is not None}, with_bias(weight, bias))


@rule("embedding")
def embedding(
    trace: Trace, input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Layer:  # fmt: skip
    if trace.live(weight) and not trace.live(input):  # torch.embedding, and what torch.export writes: the table comes first
        input, weight = weight, input
    trace.image(input)
    if max_norm is not None or sparse or scale_grad_by_freq:
        raise Unsaid("an embedding that changes its weights or has sparse gradients")
    return Layer("embedding", (input,), {"entries": weight.shape[0], "features": weight.shape[1]}, {"weight": weight})


@rule("batch_norm")
def batch_norm(
    trace: Trace, input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5, cudnn_enabled: bool | None = None,
) -> Layer:  # fmt: skip
    trace.image(input)
    if cudnn_enabled is not None:  # torch.batch_norm, and what torch.export writes: the weights come first
        running_mean, running_var, weight, bias = weight, bias, running_mean, running_var
    if trace.training and not training and running_mean is not None:
        raise Unsaid("batch normalization that does not train")
    weights = {name: one for name, one in (("weight", weight), ("bias", bias), ("running_mean", running_mean),
                                           ("running_var", running_var)) if one is not None}  # fmt: skip
    if (weight is None) != (bias is None) or (running_mean is None) != (running_var is None):
        raise Unsaid("batch normalization with a part of its weights")
    args = {"eps": eps, "momentum": momentum, "affine": weight is not None, "track": running_mean is not None}
    return Layer("batchnorm", (input,), args, weights)


@rule("layer_norm")
def layer_norm(
    trace: Trace,
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Layer:
    trace.image(input)
    if len(tuple(normalized_shape)) != 1:
        raise Unsaid("layer normalization over several axes")
    args = {"eps": eps, "affine": weight is not None, "bias": bias is not None or weight is None}
    return Layer("layernorm", (input,), args, with_bias(weight, bias) if weight is not None else {})


@rule("rms_norm")
def rms_norm(trace: Trace, input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Layer:
    trace.image(input)
    if len(tuple(normalized_shape)) != 1:
        raise Unsaid("normalization over several axes")
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    return Layer("rmsnorm", (input,), {"eps": eps, "affine": weight is not None}, {"weight": weight} if weight is not None else {})


@rule("group_norm")
def group_norm(
    trace: Trace, input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Layer:  # fmt: skip
    trace.image(input)
    args = {"groups": num_groups, "eps": eps, "affine": weight is not None}
    return Layer("groupnorm", (input,), args, with_bias(weight, bias) if weight is not None else {})


@rule("instance_norm")
def instance_norm(
    trace: Trace, input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Layer:  # fmt: skip
    trace.image(input)
    if running_mean is not None:
        raise Unsaid("instance normalization with running statistics")
    return Layer(
        "instancenorm", (input,), {"eps": eps, "affine": weight is not None}, with_bias(weight, bias) if weight is not None else {}
    )


@rule("normalize")
def normalize(trace: Trace, input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Layer:
    trace.image(input)
    if p != 2 or isinstance(dim, tuple):
        raise Unsaid("another length than the Euclidean one along an axis")
    return Layer("normalize", (input,), {"axis": trace.axis(input, dim), "eps": eps})


@rule("local_response_norm")
def local_response_norm(trace: Trace, input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Layer:
    trace.image(input)
    return Layer("lrn", (input,), {"size": size, "alpha": alpha, "beta": beta, "k": k})
