"""Nodes with weights: convolutions, dense layers, normalizations, tables."""

from __future__ import annotations

from typing import Any

from archc.importing.imported import numbers
from archc.importing.onnx.file import Step
from archc.importing.onnx.reading import Const, Flow, Reading, handles


def _weight(reading: Reading, step: Step, at: int = 1) -> Const:
    found = reading.const(step, at)
    if found is None:
        raise reading.refuse(step, f"it has no weights (input {at})")
    return found


def _plain(sizes: list[int]) -> int | list[int]:
    return sizes[0] if len(set(sizes)) == 1 else sizes


def window(reading: Reading, step: Step, kernel: list[int], shape: tuple[int, ...]) -> dict[str, Any]:
    """Stride, padding and dilation of a window over a map. A padding of unequal sides is a pair."""
    axes = len(kernel)
    stride, dilation = step.args.get("strides") or [1] * axes, step.args.get("dilations") or [1] * axes
    pads = step.args.get("pads") or [0] * (2 * axes)
    auto = step.args.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        whole = [max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
                 for size, s, k, d in zip(shape[1:], stride, kernel, dilation, strict=True)]  # fmt: skip
        sides = [(one // 2, one - one // 2) if auto == "SAME_UPPER" else (one - one // 2, one // 2) for one in whole]
        pads = [before for before, _ in sides] + [after for _, after in sides]
    elif auto == "VALID":
        pads = [0] * (2 * axes)
    if min(pads, default=0) < 0:
        raise reading.refuse(step, "its padding is negative")
    padding = [before if before == after else [before, after] for before, after in zip(pads[:axes], pads[axes:], strict=True)]
    equal = all(one == padding[0] for one in padding)
    uneven = any(isinstance(one, list) for one in padding)
    return {
        "kernel": _plain(kernel),
        "stride": _plain(stride),
        "padding": padding[0] if equal and not uneven else padding,
        "dilation": _plain(dilation),
    }


@handles("Conv")
def conv(reading: Reading, step: Step) -> Flow:
    x, weight, bias = reading.flow(step), _weight(reading, step), reading.const(step, 2)
    args = window(reading, step, list(weight.array.shape[2:]), x.shape)
    weights = {"weight": weight.array} | ({"bias": bias.array} if bias is not None else {})
    return reading.add(step, "conv", [x], name=reading.name_of(step, weight, bias), weights=weights, channels=int(weight.array.shape[0]),
                       groups=step.args.get("group", 1), bias=bias is not None, **args)  # fmt: skip


@handles("ConvTranspose")
def conv_transpose(reading: Reading, step: Step) -> Flow:
    x, weight, bias = reading.flow(step), _weight(reading, step), reading.const(step, 2)
    if step.args.get("output_shape") or step.args.get("auto_pad", "NOTSET") != "NOTSET":
        raise reading.refuse(step, "it states its output's size, not its padding")
    args, groups = window(reading, step, list(weight.array.shape[2:]), x.shape), step.args.get("group", 1)
    extra = _plain(step.args.get("output_padding") or [0])
    weights = {"weight": weight.array} | ({"bias": bias.array} if bias is not None else {})
    args |= {"channels": int(weight.array.shape[1]) * groups, "groups": groups, "bias": bias is not None, "output_padding": extra}
    return reading.add(step, "conv_transpose", [x], name=reading.name_of(step, weight, bias), weights=weights, **args)


@handles("Gemm")
def gemm(reading: Reading, step: Step) -> Flow:
    x, weight, bias = reading.flow(step), _weight(reading, step), reading.const(step, 2)
    args = step.args
    if len(x.shape) != 1 or args.get("transA", 0):
        raise reading.refuse(step, "its first input is no vector of each image")
    array = weight.array if args.get("transB", 0) else weight.array.T
    array = array if args.get("alpha", 1.0) == 1 else array * args["alpha"]
    return _linear(reading, step, x, (weight, array), None if bias is None or args.get("beta", 1.0) == 0 else bias, args.get("beta", 1.0))


@handles("MatMul")
def matmul(reading: Reading, step: Step) -> Flow:
    first, second = reading.given(step, 0), reading.given(step, 1)
    if isinstance(first, Flow) and isinstance(second, Flow):
        return reading.add(step, "matmul", [first, second])
    if not isinstance(first, Flow) or not isinstance(second, Const) or second.array.ndim != 2:
        raise reading.refuse(step, "a product with a constant that is no matrix on its right")
    bias, after = None, reading.follower(step.outputs[0], "Add")
    if after is not None:
        other = next((one for name in after[1].inputs if name != step.outputs[0] and isinstance(one := reading.value(name), Const)), None)
        bias = other if other is not None and other.array.shape == (second.array.shape[1],) else None
    made = _linear(reading, step, first, (second, second.array.T), bias)
    if bias is not None and after is not None:
        reading.take(after[0], made)
    return made


def _linear(reading: Reading, step: Step, x: Flow, weight: tuple[Const, Any], bias: Const | None, factor: float = 1.0) -> Flow:
    array = weight[1]
    weights = {"weight": numbers().ascontiguousarray(array)}
    if bias is not None:
        weights["bias"] = numbers().broadcast_to(bias.array * factor if factor != 1 else bias.array, (array.shape[0],))
        weights["bias"] = numbers().ascontiguousarray(weights["bias"].reshape(-1))
    return reading.add(step, "linear", [x], name=reading.name_of(step, weight[0], bias), weights=weights, features=int(array.shape[0]),
                       bias=bias is not None)  # fmt: skip


@handles("BatchNormalization")
def batchnorm(reading: Reading, step: Step) -> Flow:
    if step.args.get("training_mode", 0) or step.args.get("spatial", 1) != 1:
        raise reading.refuse(step, "it normalizes by the batch, or each value on its own")
    names = ("weight", "bias", "running_mean", "running_var")
    found = [_weight(reading, step, at) for at in range(1, 5)]
    weights = dict(zip(names, (one.array for one in found), strict=True))
    momentum = round(1 - step.args.get("momentum", 0.9), 6)
    return reading.add(step, "batchnorm", [reading.flow(step)], name=reading.name_of(step, *found), weights=weights,
                       eps=_short(step.args.get("epsilon", 1e-5)), momentum=momentum if 0 < momentum < 1 else 0.1)  # fmt: skip


@handles("LayerNormalization")
def layernorm(reading: Reading, step: Step) -> Flow:
    x, weight, bias = reading.flow(step), _weight(reading, step), reading.const(step, 2)
    if reading.axis(step, step.args.get("axis", -1), len(x.shape)) != len(x.shape) - 1:
        raise reading.refuse(step, "it normalizes over several axes")
    weights = {"weight": weight.array} | ({"bias": bias.array} if bias is not None else {})
    return reading.add(step, "layernorm", [x], name=reading.name_of(step, weight, bias), weights=weights,
                       eps=_short(step.args.get("epsilon", 1e-5)), bias=bias is not None)  # fmt: skip


@handles("InstanceNormalization")
def instancenorm(reading: Reading, step: Step) -> Flow:
    weight, bias = _weight(reading, step), _weight(reading, step, 2)
    return reading.add(step, "instancenorm", [reading.flow(step)], name=reading.name_of(step, weight, bias), affine=True,
                       weights={"weight": weight.array, "bias": bias.array}, eps=_short(step.args.get("epsilon", 1e-5)))  # fmt: skip


@handles("GroupNormalization")
def groupnorm(reading: Reading, step: Step) -> Flow:
    weight, bias = _weight(reading, step), _weight(reading, step, 2)
    if reading.model.opset < 21:
        raise reading.refuse(step, "before opset 21 it has weights for groups, not for channels")
    return reading.add(step, "groupnorm", [reading.flow(step)], name=reading.name_of(step, weight, bias), groups=step.args["num_groups"],
                       weights={"weight": weight.array, "bias": bias.array}, eps=_short(step.args.get("epsilon", 1e-5)))  # fmt: skip


@handles("PRelu")
def prelu(reading: Reading, step: Step) -> Flow:
    slope = _weight(reading, step)
    return reading.add(step, "prelu", [reading.flow(step)], name=reading.name_of(step, slope), weights={"weight": slope.array.reshape(-1)},
                       shared=slope.array.size == 1)  # fmt: skip


def _short(value: float) -> float:
    """A float32 as it was meant: 1e-05, not 9.999999747378752e-06."""
    return float(f"{value:.6g}")
