"""Caffe's layers as operators: what a layer leaves out is what caffe.proto says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from archc.importing.caffe.prototxt import Message
from archc.importing.draft import Draft, Refused, Wire
from archc.text.source import Span


@dataclass(frozen=True, slots=True)
class Stored:
    """Tensors that lie in a caffemodel under a layer's name. `how` is what has to be done to them."""

    layer: str
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    span: Span
    how: str = ""


@dataclass(slots=True)
class Reading:
    """A network as far as it is read. `label` is the present layer's name in the spec."""

    draft: Draft
    stored: list[Stored] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    name: str = ""
    label: str = ""
    norms: dict[str, str] = field(default_factory=dict)  # normalizations by the reference of their output
    once: set[str] = field(default_factory=set)  # blobs that one layer takes
    several: bool = False  # whether there is more than one input

    def add(self, kind: str, wires: list[Wire], span: Span, part: str = "", **given: Any) -> Wire:
        return self.draft.add(f"{self.label}_{part}" if part else self.label, kind, wires, span, **given)

    def keep(self, names: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], span: Span, how: str = "") -> None:
        self.stored.append(Stored(self.name, names, shapes, span, how))


Layer = Callable[[Reading, Message, list[Wire]], Wire | tuple[Wire, ...]]


def one(layer: Message, wires: list[Wire]) -> Wire:
    if len(wires) != 1:
        raise Refused(layer.place("bottom", "type"), f"{layer.text('type')} takes 1 input, but is given {len(wires)}", None, "A502")
    return wires[0]


def spatial(params: Message, name: str, prefix: str, rank: int, default: int, least: int) -> list[int]:
    """A size for each axis: `kernel_size: 3`, several of them, or `kernel_h` and `kernel_w`."""
    both = [*params.wholes(f"{prefix}_h", least=least), *params.wholes(f"{prefix}_w", least=least)]
    if both and (len(both) != 2 or rank != 2):
        raise Refused(params.place(f"{prefix}_h", f"{prefix}_w"), f"{prefix}_h and {prefix}_w stand together, for two axes", None, "A202")
    found = both or params.wholes(name, least=least) or [default]
    if len(found) not in (1, rank):
        raise Refused(params.place(name), f"{len(found)} numbers for {rank} axes", "write one, or one for each axis", "A402")
    return found * rank if len(found) == 1 else found


def short(sizes: list[int]) -> int | list[int]:
    return sizes[0] if len(set(sizes)) == 1 else sizes


def convolution(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params, wire = layer.message("convolution_param"), one(layer, wires)
    rank, span, turned = _rank(layer, wire), params.place("num_output"), layer.text("type") == "Deconvolution"
    if params.whole("axis", 1) != 1:
        raise Refused(params.place("axis"), "a convolution along another axis is not read", "axis: 1 is", "A303")
    if not params.literals("kernel_size", "kernel_h", "kernel_w"):
        raise Refused(params.place("num_output"), "a convolution without a kernel_size", "write kernel_size: 3", "A204")
    kernel, stride = spatial(params, "kernel_size", "kernel", rank, 1, 1), spatial(params, "stride", "stride", rank, 1, 1)
    padding, dilation = spatial(params, "pad", "pad", rank, 0, 0), params.wholes("dilation", least=1) or [1]
    wide, channels, bias = wire.shape.channels, params.whole("num_output", 0), params.flag("bias_term", True)
    groups = params.whole("group", 1, 1) if "Depthwise" not in layer.text("type") else wide
    options: dict[str, Any] = {"channels": channels, "kernel": short(kernel), "stride": short(stride), "padding": short(padding)}
    if channels % groups or wide % groups:
        raise Refused(params.place("group"), f"group {groups} does not divide {wide} and {channels} channels", None, "A501")
    out = reading.add("conv_transpose" if turned else "conv", [wire], span, **options, dilation=short(dilation), groups=groups, bias=bias)
    _keep(reading, ((wide, channels // groups) if turned else (channels, wide // groups)) + tuple(kernel), bias, channels, span)
    return out


def _keep(reading: Reading, shape: tuple[int, ...], bias: bool, channels: int, span: Span, how: str = "") -> None:
    name = reading.draft.last
    names, shapes = (f"{name}.weight",), (shape,)
    reading.keep((*names, f"{name}.bias") if bias else names, (*shapes, (channels,)) if bias else shapes, span, how)


def _rank(layer: Message, wire: Wire) -> int:
    if not 2 <= len(wire.shape) <= 4:
        raise Refused(layer.place("type"), f"{layer.text('type')} needs a map; this has shape {list(wire.shape)}", None, "A501")
    return len(wire.shape) - 1


def inner_product(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params, wire = layer.message("inner_product_param"), one(layer, wires)
    if params.whole("axis", 1) != 1:
        raise Refused(params.place("axis"), "a product along another axis is not read", "axis: 1 is", "A303")
    span, features, bias = params.place("num_output"), params.whole("num_output", 0), params.flag("bias_term", True)
    if len(wire.shape) > 1:
        wire = reading.add("flatten", [wire], span, "flatten")
    inputs = wire.shape.features
    out = reading.add("linear", [wire], span, features=features, bias=bias)
    turned = params.flag("transpose", False)
    _keep(reading, (inputs, features) if turned else (features, inputs), bias, features, span, "transpose" if turned else "")
    return out


def pooling(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params, wire = layer.message("pooling_param"), one(layer, wires)
    if len(wire.shape) != 3:
        raise Refused(layer.place("type"), f"Pooling needs a map [C, H, W]; this has shape {list(wire.shape)}", None, "A501")
    kinds = {"MAX": "max", "0": "max", "AVE": "avg", "1": "avg"}
    if (kind := kinds.get(params.text("pool", "MAX"))) is None:
        raise Refused(params.place("pool"), f"{params.text('pool')[:40]} pooling has no operator here", "MAX and AVE are read", "A303")
    span = params.place("kernel_size", "kernel_h", "pool")
    if params.flag("global_pooling", False):
        return reading.add(f"global_{kind}pool", [wire], span)
    if not params.literals("kernel_size", "kernel_h", "kernel_w"):
        raise Refused(span, "a pooling without a kernel_size", "write kernel_size: 3, or global_pooling: true", "A204")
    kernel, stride = spatial(params, "kernel_size", "kernel", 2, 1, 1), spatial(params, "stride", "stride", 2, 1, 1)
    padding = spatial(params, "pad", "pad", 2, 0, 0)
    ceil = params.text("round_mode", "CEIL") in ("CEIL", "0")
    for size, window, step, border in zip(wire.shape.space, kernel, stride, padding, strict=True):
        room = size + 2 * border - window
        if ceil and not border and room >= 0 and -(-room // step) * step >= size:
            raise Refused(span, "the last window would lie beside the map", "kernel_size is less than stride here", "A501")
    partial = any((size + 2 * b - k) % s for size, k, s, b in zip(wire.shape.space, kernel, stride, padding, strict=True))
    options: dict[str, Any] = {"kernel": short(kernel), "stride": short(stride), "padding": short(padding), "ceil": ceil and partial}
    return reading.add(f"{kind}pool", [wire], span, **options)


def lrn(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params, wire = layer.message("lrn_param"), one(layer, wires)
    size, alpha, beta = params.whole("local_size", 5, 1), params.number("alpha", 1.0), params.number("beta", 0.75)
    span = params.place("local_size")
    if size % 2 == 0:
        raise Refused(span, f"local_size {size} is even", "Caffe takes odd sizes alone", "A404")
    if params.text("norm_region", "ACROSS_CHANNELS") in ("ACROSS_CHANNELS", "0"):
        return reading.add("lrn", [wire], span, size=size, alpha=alpha, beta=beta, k=params.number("k", 1.0))
    squares = reading.add("square", [wire], span, "square")
    means = reading.add("avgpool", [squares], span, "mean", kernel=size, stride=1, padding=size // 2)
    scaled = reading.add("scale", [means], span, "scale", factor=alpha)
    sums = reading.add("add", [scaled], span, "sum", value=1)
    return reading.add("mul", [wire, reading.add("pow", [sums], span, "pow", value=-beta)], span)


def batch_norm(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    """Without a learned scale, which a layer Scale behind it adds."""
    params, wire = layer.message("batch_norm_param"), one(layer, wires)
    eps, momentum = params.number("eps", 1e-5), round(1 - params.number("moving_average_fraction", 0.999), 12)
    out = reading.add("batchnorm", [wire], layer.place("type"), eps=eps, momentum=momentum, affine=False)
    name, wide = reading.draft.last, (wire.shape.channels,)
    names = (f"{name}.running_mean", f"{name}.running_var", "")
    reading.keep(names, (wide, wide, (1,)), layer.place("type"), "norm")
    reading.norms[out.reference] = name
    return out


def scale(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params, span = layer.message("scale_param"), layer.place("type")
    if len(wires) == 2:
        return _scaled(reading, wires[0], wires[1], params.whole("axis", 1), span)
    wire, bias = one(layer, wires), params.flag("bias_term", False)
    if params.whole("axis", 1) != 1 or params.whole("num_axes", 1) != 1:
        raise Refused(params.place("axis", "num_axes"), "a scale of other axes is not read", "axis: 1, num_axes: 1 are", "A303")
    wide = (wire.shape.channels,)
    norm = reading.norms.get(wire.reference)
    if bias and norm == reading.draft.last and _alone(reading, layer):  # the two are one normalization
        reading.draft.change_last(affine=True)
        reading.keep((f"{norm}.weight", f"{norm}.bias"), (wide, wide), span)
        return wire
    out = reading.add("layer_scale", [wire], span, start=1.0)
    names: tuple[str, ...] = (reading.draft.last,)
    if bias:
        out, name = _biased(reading, out, span)
        names = (*names, name)
    reading.keep(names, ((*wide, *[1] * (len(wire.shape) - 1)),) * len(names), span)
    return out


def _alone(reading: Reading, layer: Message) -> bool:
    """Whether no other layer takes what this one does."""
    return layer.text("bottom") == layer.text("top") or layer.text("bottom") in reading.once


def bias(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    wire, params = one(layer, wires), layer.message("bias_param")
    if params.whole("axis", 1) != 1 or params.whole("num_axes", 1) != 1:
        raise Refused(params.place("axis", "num_axes"), "a bias of other axes is not read", "axis: 1, num_axes: 1 are", "A303")
    out, name = _biased(reading, wire, layer.place("type"))
    reading.keep((name,), ((wire.shape.channels, *[1] * (len(wire.shape) - 1)),), layer.place("type"))
    return out


def _biased(reading: Reading, wire: Wire, span: Span) -> tuple[Wire, str]:
    shape = [wire.shape.channels] + [1] * (len(wire.shape) - 1)
    shift = reading.add("parameter", [wire], span, "bias", shape=shape)
    name = reading.draft.last
    return reading.add("add", [wire, shift], span, "sum", broadcast=True), name


def _scaled(reading: Reading, wire: Wire, by: Wire, axis: int, span: Span) -> Wire:
    """A value times one whose axes begin at `axis` of it, the batch being 0."""
    if axis not in (0, 1) or len(by.shape) > len(wire.shape):
        raise Refused(span, "a scale along other axes is not read", "axis: 0 is, with a factor for each channel", "A303")
    if len(by.shape) < len(wire.shape):
        by = reading.add("reshape", [by], span, "reshape", shape=[*by.shape, *[1] * (len(wire.shape) - len(by.shape))])
    return reading.add("mul", [wire, by], span)


def axpy(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    span = layer.place("type")
    if len(wires) != 3:
        raise Refused(span, f"Axpy takes 3 inputs, but is given {len(wires)}", None, "A502")
    by = wires[0]
    if len(by.shape) == 1 and len(wires[1].shape) > 1:
        by = reading.add("reshape", [by], span, "reshape", shape=[by.shape.values, *[1] * (len(wires[1].shape) - 1)])
    return reading.add("add", [reading.add("mul", [wires[1], by], span, "mul"), wires[2]], span)


def eltwise(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params, span = layer.message("eltwise_param"), layer.place("type")
    kind = params.text("operation", "SUM")
    if kind in ("PROD", "0"):
        return reading.add("mul", wires, span)
    if kind in ("MAX", "2"):
        return reading.add("maximum", wires, span)
    factors = params.numbers("coeff")
    if factors and len(factors) != len(wires):
        raise Refused(params.place("coeff"), f"{len(factors)} factors for {len(wires)} inputs", "write one for each", "A402")
    if factors == [1, -1]:
        return reading.add("sub", wires, span)
    parts = [
        wire if factor == 1 else reading.add("scale", [wire], params.place("coeff"), f"scale{at}", factor=factor)
        for at, (wire, factor) in enumerate(zip(wires, factors or [1.0] * len(wires), strict=True))
    ]
    return reading.add("add", parts, span)
