"""Keras' layers with weights as operators: convolutions, dense layers, normalizations, embeddings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from archc.importing.document import Part
from archc.importing.draft import Wire
from archc.importing.keras.activations import activated
from archc.importing.keras.values import Held, Layer, Tensor, as_it_is, depthwise, flattened, kernel, reordered, turned
from archc.ops.shape import SPACE

if TYPE_CHECKING:
    from archc.importing.keras.values import Convert


def sizes(layer: Layer, name: str, rank: int, default: int, least: int = 1) -> list[int]:
    """A size for each axis."""
    part = layer.config.get(name)
    if part is None:
        return [default] * rank
    found = part.wholes(least) if part.is_list else [part.whole(least)] * rank
    if len(found) != rank:
        raise layer.refused(f"{name} has {len(found)} numbers for {rank} axes", None, name)
    return found


def short(found: list[int]) -> int | list[int]:
    return found[0] if len(set(found)) == 1 else found


def padding(layer: Layer, strides: list[int], window: list[int]) -> str | int:
    """Keras' padding in archc's words."""
    word = layer.config.get_text("padding", "valid")
    if word not in ("valid", "same", "causal") or (word == "causal" and len(strides) != 1):
        raise layer.refused(f"padding {word[:40]} is not read", "valid or same are", "padding")
    if word == "same" and set(window) == {1}:
        return 0
    if word == "same":
        return "same" if set(strides) == {1} else "same_upper"
    return 0 if word == "valid" else word


def _rank(layer: Layer, held: Held) -> int:
    rank = int(layer.kind.removesuffix("Transpose")[-2])
    if len(held.wire.shape) != rank + 1:
        raise layer.refused(f"its input has {rank + 1} axes beside the batch; this has shape {list(held.keras_shape)}")
    return rank


def conv(layer: Layer, held: Held) -> Held:
    held = layer.map(held)
    rank, wide = _rank(layer, held), held.wire.shape.channels
    window, strides = sizes(layer, "kernel_size", rank, 1), sizes(layer, "strides", rank, 1)
    channels, groups = layer.config.need("filters").whole(1), layer.config.get_whole("groups", 1, 1)
    if wide % groups or channels % groups:
        raise layer.refused(f"groups {groups} do not divide {wide} and {channels} channels", None, "groups")
    options: dict[str, Any] = {"kernel": short(window), "stride": short(strides), "padding": padding(layer, strides, window)}
    options |= {
        "dilation": short(sizes(layer, "dilation_rate", rank, 1)),
        "groups": groups,
        "bias": layer.config.get_flag("use_bias", True),
    }
    part = activation_part(layer, "conv")
    wire = layer.add("conv", [held.wire], part, "filters", channels=channels, **options)
    _keep(layer, (*window, wide // groups, channels), kernel, channels)
    return activated(layer, layer.like(held, wire))


def activation_part(layer: Layer, part: str) -> str:
    """The name of an operator that may have an activation behind it; it has none where it is alone."""
    found = layer.config.get("activation")
    return part if found is not None and found.value != "linear" else ""


def _keep(layer: Layer, shape: tuple[int, ...], convert: Convert, channels: int) -> None:
    layer.keep("weight", shape, convert)
    if layer.config.get_flag("use_bias", True):
        layer.keep("bias", (channels,), as_it_is)


def conv_transpose(layer: Layer, held: Held) -> Held:
    """Its output is `stride` times as large, and with `valid` as much larger as the window is than the stride."""
    held = layer.map(held)
    rank, wide = _rank(layer, held), held.wire.shape.channels
    window, strides = sizes(layer, "kernel_size", rank, 1), sizes(layer, "strides", rank, 1)
    same = layer.config.get_text("padding", "valid") == "same"
    if layer.config.get_text("padding", "valid") not in ("valid", "same"):
        raise layer.refused("this padding is not read", "valid or same are", "padding")
    for name, default in (("dilation_rate", 1), ("groups", 1)):
        if set(sizes(layer, name, 1 if name == "groups" else rank, default)) != {default}:
            raise layer.refused(f"a {name} of its own is not read", None, name)
    if layer.config.get("output_padding") is not None:
        raise layer.refused("an output_padding of its own is not read", "null is", "output_padding")
    before = [max(k - s, 0) // 2 if same else 0 for k, s in zip(window, strides, strict=True)]
    more = [max(s - k, 0) for k, s in zip(window, strides, strict=True)]
    odd = [max(k - s, 0) % 2 if same else 0 for k, s in zip(window, strides, strict=True)]
    channels, bias = layer.config.need("filters").whole(1), layer.config.get_flag("use_bias", True)
    options: dict[str, Any] = {"kernel": short(window), "stride": short(strides), "padding": short(before), "output_padding": short(more)}
    part = "conv" if any(odd) else activation_part(layer, "conv")
    wire = layer.add("conv_transpose", [held.wire], part, "filters", channels=channels, bias=bias, **options)
    _keep(layer, (*window, channels, wide), kernel, channels)
    if any(odd):
        wire = layer.add("crop", [wire], "crop", sides=[side for last in odd for side in (0, last)])
    return activated(layer, layer.like(held, wire))


def depthwise_conv(layer: Layer, held: Held) -> Held:
    held = layer.map(held)
    wire = _depthwise(layer, held, activation_part(layer, "conv"), layer.config.get_flag("use_bias", True))
    if layer.config.get_flag("use_bias", True):
        layer.keep("bias", (wire.shape.channels,), as_it_is)
    return activated(layer, layer.like(held, wire))


def _depthwise(layer: Layer, held: Held, part: str, bias: bool) -> Wire:
    rank, wide = _rank(layer, held), held.wire.shape.channels
    window, strides = sizes(layer, "kernel_size", rank, 1), sizes(layer, "strides", rank, 1)
    multiplier = layer.config.get_whole("depth_multiplier", 1, 1)
    options: dict[str, Any] = {"kernel": short(window), "stride": short(strides), "padding": padding(layer, strides, window)}
    options |= {"dilation": short(sizes(layer, "dilation_rate", rank, 1)), "groups": "depthwise", "bias": bias}
    wire = layer.add("conv", [held.wire], part, "kernel_size", channels=wide * multiplier, **options)
    layer.keep("weight", (*window, wide, multiplier), depthwise)
    return wire


def separable_conv(layer: Layer, held: Held) -> Held:
    held = layer.map(held)
    rank, channels = _rank(layer, held), layer.config.need("filters").whole(1)
    wire = _depthwise(layer, held, "depthwise", False)
    wide = wire.shape.channels
    wire = layer.add("conv", [wire], "pointwise", "filters", channels=channels, bias=layer.config.get_flag("use_bias", True))
    _keep(layer, (*[1] * rank, wide, channels), kernel, channels)
    return activated(layer, layer.like(held, wire))


def dense(layer: Layer, held: Held) -> Held:
    held = held if held.order else layer.plain(held)
    features, bias = layer.config.need("units").whole(1), layer.config.get_flag("use_bias", True)
    inputs = held.wire.shape.features
    wire = layer.add(
        "linear",
        [held.wire],
        activation_part(layer, "fc"),
        "units",
        features=features,
        bias=bias,
        axis="last" if _spatial(held) else "features",
    )
    _keep(layer, (inputs, features), reordered(held.order) if held.order else turned, features)
    return activated(layer, Held(wire))


def _spatial(held: Held) -> bool:
    """Whether archc takes the last axis for positions of a map."""
    return len(held.wire.shape) > 1 and held.wire.shape.names[-1] == SPACE


def embedding(layer: Layer, held: Held) -> Held:
    if layer.config.get_flag("mask_zero", False):
        layer.reading.notes.append(f"{layer.kind} on line {layer.span.line}: mask_zero is not read, so no token is left out")
    entries, features = layer.config.need("input_dim").whole(1), layer.config.need("output_dim").whole(1)
    wire = layer.add("embedding", [layer.plain(held).wire], "", "output_dim", entries=entries, features=features)
    layer.keep("weight", (entries, features), as_it_is)
    return Held(wire)


def batchnorm(layer: Layer, held: Held) -> Held:
    """Where only one of scale and shift is learned, the other is no part of it here either."""
    part = layer.config.get("axis")
    given = -1 if part is None else _axis_of(part)
    rank = len(held.wire.shape)
    last = (given + rank + 1 if given < 0 else given) == rank
    held = (held if held.order else layer.first(held)) if last else layer.plain(held)
    if layer.axis(held, given, "axis") != 0:
        raise layer.refused("a normalization along another axis than the channels is not read", "axis: -1 is", "axis")
    eps, momentum = layer.config.get_number("epsilon", 1e-3), round(1 - layer.config.get_number("momentum", 0.99), 12)
    center, scale, wide = layer.config.get_flag("center", True), layer.config.get_flag("scale", True), held.wire.shape.channels
    convert = flattened(held.order) if held.order else as_it_is
    whole = center and scale
    alone = center == scale
    wire = layer.add("batchnorm", [held.wire], "" if alone else "norm", "axis", eps=eps, momentum=momentum, affine=whole)
    norm = layer.reading.draft.last
    keep = partial(layer.keep, shape=(wide,), convert=convert)
    if whole:
        keep("weight")
        keep("bias")
    elif scale or center:
        ones = [1] * (len(held.wire.shape) - 1)
        start = 1.0 if scale else 0.0
        by = layer.add("parameter", [wire], "gamma" if scale else "beta", shape=[wide, *ones], start=start)
        layer.keep("", (wide,), lambda array: convert(array).reshape(-1, *ones))
        more: dict[str, Any] = {} if scale else {"broadcast": True}
        wire = layer.add("mul" if scale else "add", [wire, by], "scaled" if scale else "shifted", **more)
    layer.tensors += [Tensor(f"{norm}.{name}", (wide,), convert) for name in ("running_mean", "running_var")]
    return layer.like(held, wire)


def _axis_of(part: Part) -> int:
    found = part.items() if part.is_list else [part]
    if len(found) != 1:
        raise part.wrong("one axis")
    return found[0].whole(-10)


def layernorm(layer: Layer, held: Held) -> Held:
    part = layer.config.get("axis")
    if layer.axis(Held(held.wire), -1 if part is None else _axis_of(part), "axis") != len(held.wire.shape) - 1:
        raise layer.refused("a normalization along another axis than the last is not read", "axis: -1 is", "axis")
    center, scale = layer.config.get_flag("center", True), layer.config.get_flag("scale", True)
    if center and not scale:
        raise layer.refused("a shift without a scale is not read", None, "scale")
    channels = held.first and len(held.wire.shape) == 3
    held = held if channels else layer.plain(held)
    wide = held.wire.shape.channels if channels else held.wire.shape.features
    axis = "channels" if channels else "last" if _spatial(held) else "features"
    eps = layer.config.get_number("epsilon", 1e-3)
    wire = layer.add("layernorm", [held.wire], "", "axis", axis=axis, eps=eps, affine=scale, bias=center or not scale)
    if scale:
        layer.keep("weight", (wide,), as_it_is)
        if center:
            layer.keep("bias", (wide,), as_it_is)
    return layer.like(held, wire)


def groupnorm(layer: Layer, held: Held) -> Held:
    part = layer.config.get("axis")
    if layer.axis(Held(held.wire), -1 if part is None else _axis_of(part), "axis") != len(held.wire.shape) - 1:
        raise layer.refused("a normalization along another axis than the last is not read", "axis: -1 is", "axis")
    held = layer.first(held)
    center, scale, wide = layer.config.get_flag("center", True), layer.config.get_flag("scale", True), held.wire.shape.channels
    if center != scale:
        raise layer.refused("a scale or a shift alone is not read", None, "scale", "center")
    groups = layer.config.need("groups").whole(-1)
    groups = wide if groups == -1 else groups
    wire = layer.add("groupnorm", [held.wire], "", "groups", groups=groups, eps=layer.config.get_number("epsilon", 1e-3), affine=scale)
    if scale:
        layer.keep("weight", (wide,), as_it_is)
        layer.keep("bias", (wide,), as_it_is)
    return layer.like(held, wire)


def prelu(layer: Layer, held: Held) -> Held:
    """With one slope for each channel, or for each feature of a vector."""
    rank = len(held.wire.shape)
    found = layer.config.get("shared_axes")
    shared = set(found.wholes()) if found is not None else set()
    if shared != set(range(1, rank)):
        raise layer.refused("a slope for each position is not read", f"shared_axes: {list(range(1, rank))} is", "shared_axes")
    held = layer.first(held)
    wide = held.wire.shape.channels
    wire = layer.add("prelu", [held.wire], shared=False, start=0.0)
    layer.keep("weight", (*[1] * (rank - 1), wide), lambda array: array.reshape(-1))
    return layer.like(held, wire)
