"""Keras' layers without weights that pool, move, merge or drop values."""

from __future__ import annotations

from typing import Any

from archc.importing.draft import product
from archc.importing.keras.values import Held, Layer, alike
from archc.importing.keras.weighted import padding, short, sizes


def pooling(layer: Layer, held: Held) -> Held:
    held = layer.map(held)
    rank, most = int(layer.kind[-2]), layer.kind.startswith("Max")
    if len(held.wire.shape) != rank + 1:
        raise layer.refused(f"its input has {rank + 1} axes beside the batch; this has shape {list(held.keras_shape)}")
    window = sizes(layer, "pool_size", rank, 2)
    strides = sizes(layer, "strides", rank, 0) if layer.config.get("strides") is not None else window
    border = padding(layer, strides, window)
    options: dict[str, Any] = {"kernel": short(window), "stride": short(strides), "padding": border}
    if not most and border:
        options["count_padding"] = False
    return layer.like(held, layer.add("maxpool" if most else "avgpool", [held.wire], place="pool_size", **options))


def global_pooling(layer: Layer, held: Held) -> Held:
    held = layer.map(held)
    kind = "global_maxpool" if "Max" in layer.kind else "global_avgpool"
    if len(held.wire.shape) != int(layer.kind[-2]) + 1:
        raise layer.refused(f"its input has another number of axes; this has shape {list(held.keras_shape)}")
    if layer.config.get_flag("keepdims", False):
        return layer.like(held, layer.add(kind, [held.wire]))
    wire = layer.add(kind, [held.wire], "pool")
    return Held(layer.add("flatten", [wire], "flatten"))


def flatten(layer: Layer, held: Held) -> Held:
    """A map is flattened as it lies here; what follows knows the order."""
    held = layer.plain(held) if layer.config.get_text("data_format", "channels_last") == "channels_first" else held
    shape = tuple(held.wire.shape)
    if len(shape) == 1:
        return held
    wire = layer.add("flatten", [held.wire])
    matters = held.first and shape[0] > 1 and product(shape[1:]) > 1
    return Held(wire, order=shape if matters else ())


def reshape(layer: Layer, held: Held) -> Held:
    """A vector, and what only gains or loses axes of size 1 behind the channels, need not be moved first."""
    wanted = layer.config.need("target_shape").wholes(-1)
    if any(size == 0 for size in wanted) or wanted.count(-1) > 1:
        raise layer.refused(f"{wanted} is no shape", "sizes from 1 up, or -1 for one", "target_shape")
    found = held.wire.shape.values
    known = product([size for size in wanted if size > 0])
    wanted = [size if size > 0 else max(found // known, 1) for size in wanted]
    if held.first and len(wanted) > 1 and wanted[-1] == held.wire.shape[0] and product(wanted) == found:
        return Held(layer.add("reshape", [held.wire], place="target_shape", shape=[wanted[-1], *wanted[:-1]]), True)
    if not held.order and len(held.wire.shape) == 1 and len(wanted) > 1 and product(wanted[:-1]) == 1:
        return Held(layer.add("reshape", [held.wire], place="target_shape", shape=[wanted[-1], *wanted[:-1]]), True)
    held = layer.plain(held)
    return Held(layer.add("reshape", [held.wire], place="target_shape", shape=wanted))


def permute(layer: Layer, held: Held) -> Held:
    held = layer.plain(held)
    order = [axis - 1 for axis in layer.config.need("dims").wholes(1)]
    return Held(layer.add("permute", [held.wire], place="dims", order=order))


def padded(layer: Layer, held: Held) -> Held:
    held = layer.map(held)
    return layer.like(held, layer.add("pad", [held.wire], place="padding", sides=_sides(layer, "padding")))


def cropped(layer: Layer, held: Held) -> Held:
    held = layer.map(held)
    return layer.like(held, layer.add("crop", [held.wire], place="cropping", sides=_sides(layer, "cropping")))


def _sides(layer: Layer, name: str) -> list[int]:
    """What stands before and after, for each axis: of a number, of one for each, of a pair for each."""
    rank, part = int(layer.kind[-2]), layer.config.need(name)
    found = part.items() if part.is_list else [part] * rank
    if rank == 1 and len(found) == 2:
        return [one.whole() for one in found]
    if len(found) != rank:
        raise layer.refused(f"{name} has {len(found)} entries for {rank} axes", None, name)
    pairs = [one.wholes() if one.is_list else [one.whole()] * 2 for one in found]
    if any(len(pair) != 2 for pair in pairs):
        raise layer.refused(f"{name} has no pair for each axis", None, name)
    return [side for pair in pairs for side in pair]


def upsampling(layer: Layer, held: Held) -> Held:
    held = layer.map(held)
    word = layer.config.get_text("interpolation", "nearest")
    if word not in ("nearest", "bilinear"):
        raise layer.refused(f"interpolation {word[:40]} is not read", "nearest and bilinear are", "interpolation")
    factor = short(sizes(layer, "size", int(layer.kind[-2]), 2))
    return layer.like(held, layer.add("upsample", [held.wire], place="size", scale=factor, mode=word))


def dropout(layer: Layer, held: Held) -> Held:
    if layer.config.get("noise_shape") is not None:
        raise layer.refused("a noise_shape is not read", "null is", "noise_shape")
    return layer.like(held, layer.add("dropout", [held.wire], place="rate", p=layer.config.get_number("rate", 0.5)))


def spatial_dropout(layer: Layer, held: Held) -> Held:
    held = layer.map(held)
    return layer.like(held, layer.add("spatial_dropout", [held.wire], place="rate", p=layer.config.get_number("rate", 0.5)))


def rescaling(layer: Layer, held: Held) -> Held:
    factor, offset = layer.config.get_number("scale", 1.0), layer.config.get_number("offset", 0.0)
    wire = layer.add("scale", [held.wire], "scale" if offset else "", "scale", factor=factor)
    return layer.like(held, layer.add("add", [wire], "offset", "offset", value=offset) if offset else wire)


def passed(layer: Layer, held: Held) -> Held:
    """A layer that works in training alone, or on what the network is given."""
    if layer.kind not in ("InputLayer", "Identity", "Activity", "ActivityRegularization"):
        layer.reading.notes.append(f"{layer.kind} on line {layer.span.line} works in training alone, and is no layer here")
    return held


_MERGES = {"Add": "add", "Subtract": "sub", "Multiply": "mul", "Average": "average", "Maximum": "maximum", "Minimum": "minimum"}


def merged(layer: Layer, helds: list[Held]) -> Held:
    """Values that are merged one by one; axes of size 1 are stretched."""
    helds = alike(layer, helds)
    ranks = {len(held.wire.shape) for held in helds}
    if len(ranks) > 1:
        raise layer.refused("values of different ranks are not read", "reshape one of them")
    kind = _MERGES[layer.kind]
    shapes = {tuple(held.wire.shape) for held in helds}
    given: dict[str, Any] = {"broadcast": True} if len(shapes) > 1 and kind != "mul" else {}
    if kind == "average" and given:
        raise layer.refused("a mean of values of different shapes is not read")
    return layer.like(helds[0], layer.add(kind, [held.wire for held in helds], **given))


def concatenate(layer: Layer, helds: list[Held]) -> Held:
    helds = alike(layer, [layer.plain(held) if held.order else held for held in helds])
    part = layer.config.get("axis")
    axis = layer.axis(helds[0], -1 if part is None else part.whole(-10), "axis")
    return layer.like(helds[0], layer.add("concat", [held.wire for held in helds], axis=axis))
