"""Caffe's layers without weights: activations, and those that move values."""

from __future__ import annotations

from typing import Any

from archc.importing.caffe.layers import (
    Layer,
    Reading,
    axpy,
    batch_norm,
    bias,
    convolution,
    eltwise,
    inner_product,
    lrn,
    one,
    pooling,
    scale,
)
from archc.importing.caffe.prototxt import Message
from archc.importing.draft import Refused, Wire
from archc.text.source import Span

LOSSES = {"SoftmaxWithLoss", "EuclideanLoss", "SigmoidCrossEntropyLoss", "HingeLoss", "InfogainLoss", "ContrastiveLoss",
          "MultinomialLogisticLoss", "Accuracy", "Silence"}  # fmt: skip
_WORDS = {"Sigmoid": "sigmoid", "TanH": "tanh", "AbsVal": "abs", "ReLU6": "relu6", "BNLL": "softplus"}


def word(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    return reading.add(_WORDS[layer.text("type")], [one(layer, wires)], layer.place("type"))


def relu(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params = layer.message("relu_param")
    slope, span = params.number("negative_slope", 0), params.place("negative_slope")
    if slope:
        return reading.add("leaky_relu", [one(layer, wires)], span, slope=slope)
    return reading.add("relu", [one(layer, wires)], layer.place("type"))


def prelu(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    wire, shared = one(layer, wires), layer.message("prelu_param").flag("channel_shared", False)
    out = reading.add("prelu", [wire], layer.place("type"), shared=shared)
    reading.keep((f"{reading.draft.last}.weight",), ((1 if shared else wire.shape.channels,),), layer.place("type"))
    return out


def elu(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    return reading.add("elu", [one(layer, wires)], layer.place("type"), alpha=layer.message("elu_param").number("alpha", 1.0))


def swish(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params = layer.message("swish_param")
    if params.number("beta", 1.0) != 1:
        raise Refused(params.place("beta"), "a Swish with another beta has no operator here", "beta: 1 is read", "A303")
    return reading.add("silu", [one(layer, wires)], layer.place("type"))


def clip(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params = layer.message("clip_param")
    return reading.add("clamp", [one(layer, wires)], layer.place("type"), low=params.number("min", 0), high=params.number("max", 0))


def power(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    """(shift + scale * x) ^ power."""
    params, wire, span = layer.message("power_param"), one(layer, wires), layer.place("type")
    shift, factor, exponent = params.number("shift", 0), params.number("scale", 1), params.number("power", 1)
    steps = [("scale", {"factor": factor})] * (factor != 1) + [("add", {"value": shift})] * (shift != 0)
    steps += [("pow", {"value": exponent})] * (exponent != 1)
    for at, (kind, given) in enumerate(steps):
        wire = reading.add(kind, [wire], span, "" if at == len(steps) - 1 else kind, **given)
    return wire


def exp(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params = layer.message("exp_param")
    return reading.add(_plain(params, layer), [one(layer, wires)], layer.place("type"))


def _plain(params: Message, layer: Message) -> str:
    for name, value in (("base", -1.0), ("scale", 1.0), ("shift", 0.0)):
        if params.number(name, value) != value:
            raise Refused(params.place(name), f"a {layer.text('type')} with a {name} of its own is not read", None, "A303")
    return layer.text("type").lower()


def dropout(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params = layer.message("dropout_param")
    return reading.add("dropout", [one(layer, wires)], params.place("dropout_ratio"), p=params.number("dropout_ratio", 0.5))


def _axis(params: Message, name: str, wire: Wire) -> int:
    """An axis without the batch, of one that is counted with it."""
    found = params.wholes(name, least=-8)
    axis = found[-1] if found else 1
    axis = axis + len(wire.shape) + 1 if axis < 0 else axis
    if not 1 <= axis <= len(wire.shape):
        raise Refused(params.place(name), f"axis {axis} of a value with {len(wire.shape) + 1}", "the batch, axis 0, stays", "A404")
    return axis - 1


def softmax(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    wire, params = one(layer, wires), layer.message("softmax_param")
    return reading.add("softmax", [wire], layer.place("type"), axis=_axis(params, "axis", wire))


def concat(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params = layer.message("concat_param")
    if not wires:
        raise Refused(layer.span, "Concat without an input", "write bottom: for each", "A502")
    name = "concat_dim" if params.literals("concat_dim") else "axis"
    return wires[0] if len(wires) == 1 else reading.add("concat", wires, layer.place("type"), axis=_axis(params, name, wires[0]))


def slice_(reading: Reading, layer: Message, wires: list[Wire]) -> tuple[Wire, ...]:
    params, wire = layer.message("slice_param"), one(layer, wires)
    axis = _axis(params, "slice_dim" if params.literals("slice_dim") else "axis", wire)
    parts, points = len(layer.literals("top")), params.wholes("slice_point", least=1)
    size, span = wire.shape[axis], params.place("slice_point", "axis")
    if parts == 1:
        return (wire,)
    if points and len(points) != parts - 1:
        raise Refused(span, f"{len(points)} points for {parts} parts", "write one less than there are tops", "A402")
    if not points and size % parts:
        raise Refused(span, f"{size} entries are not {parts} equal parts", "write slice_point: for each", "A501")
    ends = [*points, size] if points else [size // parts * (at + 1) for at in range(parts)]
    sizes = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    if min(sizes) < 1:
        raise Refused(span, f"parts of {sizes} entries", "slice_point: rises, and ends before the last entry", "A404")
    options: dict[str, Any] = {} if len(set(sizes)) == 1 else {"sizes": sizes}
    return reading.draft.add_several(reading.label, "split", [wire], span, parts=parts, axis=axis, **options)


def flatten(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    wire, params = one(layer, wires), layer.message("flatten_param")
    last = params.wholes("end_axis", least=-8)
    if params.whole("axis", 1) != 1 or (last and last[-1] not in (-1, len(wire.shape))):
        raise Refused(params.place("axis", "end_axis"), "a flatten of some axes is not read", "use Reshape", "A303")
    return wire if len(wire.shape) == 1 else reading.add("flatten", [wire], layer.place("type"))


def reshape(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params, wire = layer.message("reshape_param"), one(layer, wires)
    sizes, span = params.message("shape").wholes("dim", least=-1), params.message("shape").span
    if params.whole("axis", 0) != 0 or params.wholes("num_axes", least=-1) not in ([], [-1]):
        raise Refused(params.place("axis", "num_axes"), "a reshape of some axes is not read", "write the whole shape", "A303")
    if not sizes or sizes[0] != 0:
        raise Refused(span, "a reshape that may change the batch", "its first dim is 0, which keeps the batch", "A404")
    if any(size == 0 and at > len(wire.shape) for at, size in enumerate(sizes)):
        raise Refused(span, "dim: 0 copies an axis that is not there", None, "A404")
    shape = [wire.shape[at - 1] if size == 0 else size for at, size in enumerate(sizes) if at]
    return reading.add("reshape", [wire], span, shape=shape or [-1])


def permute(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params, wire = layer.message("permute_param"), one(layer, wires)
    order = params.wholes("order")
    order += [axis for axis in range(len(wire.shape) + 1) if axis not in order]
    if order[0] != 0:
        raise Refused(params.place("order"), "an order that moves the batch", "order: 0 stands first", "A404")
    return reading.add("permute", [wire], params.place("order"), order=[axis - 1 for axis in order[1:]])


def crop(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params, span = layer.message("crop_param"), layer.place("type")
    if len(wires) != 2 or len(wires[0].shape) != len(wires[1].shape):
        raise Refused(span, "Crop takes two inputs of as many axes", None, "A502")
    wire, axis = wires[0], _axis(params, "axis", wires[0]) if params.literals("axis") else 1
    offsets, rank = params.wholes("offset") or [0], len(wires[0].shape)
    offsets = offsets * (rank - axis) if len(offsets) == 1 else offsets
    if len(offsets) != rank - axis or axis < 1:
        raise Refused(params.place("offset", "axis"), "an offset for each axis from the second on is read", "axis: 2 is", "A402")
    sides = []
    for at, offset in zip(range(axis, rank), offsets, strict=True):
        after = wire.shape[at] - wires[1].shape[at] - offset
        if after < 0:
            raise Refused(params.place("offset"), f"a crop from {offset} on leaves too little of {wire.shape[at]}", None, "A501")
        sides += [offset, after]
    return reading.add("crop", [wire], span, sides=[0, 0] * (axis - 1) + sides)


def shuffle(reading: Reading, layer: Message, wires: list[Wire]) -> Wire:
    params = layer.message("shuffle_channel_param")
    return reading.add("channel_shuffle", [one(layer, wires)], layer.place("type"), groups=params.whole("group", 1, 1))


def same(reading: Reading, layer: Message, wires: list[Wire]) -> tuple[Wire, ...]:
    return (one(layer, wires),) * len(layer.literals("top"))


def refuse(kind: str, span: Span) -> Refused:
    """What is said of a type that is not read."""
    from archc.text.suggest import did_you_mean

    if kind == "Python":
        return Refused(span, "a layer in Python, whose code is not run", "write its operator into the spec by hand", "A301")
    return Refused(span, f"{kind[:60]} is not read", did_you_mean(kind, LAYERS) or "archc has no operator for it", "A301")


LAYERS: dict[str, Layer] = {
    **dict.fromkeys(("Convolution", "Deconvolution", "ConvolutionDepthwise", "DepthwiseConvolution"), convolution),
    **dict.fromkeys(_WORDS, word),
    **dict.fromkeys(("Exp", "Log"), exp),
    "InnerProduct": inner_product, "Pooling": pooling, "LRN": lrn, "BatchNorm": batch_norm, "Scale": scale, "Bias": bias, "Axpy": axpy,
    "Eltwise": eltwise, "ReLU": relu, "PReLU": prelu, "ELU": elu, "Swish": swish, "Clip": clip, "Power": power, "Dropout": dropout,
    "Softmax": softmax, "Concat": concat, "Slice": slice_, "Flatten": flatten, "Reshape": reshape, "Permute": permute, "Crop": crop,
    "ShuffleChannel": shuffle, "Split": same,
}  # fmt: skip
