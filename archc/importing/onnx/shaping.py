"""Nodes that move values: reshapes, permutations, parts, borders, resampling, tables of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archc.importing.imported import numbers
from archc.importing.onnx.file import Step
from archc.importing.onnx.reading import Const, Flow, Reading, handles

END = 2**31 - 1


@handles("Identity Dropout")
def same(reading: Reading, step: Step) -> Flow:
    return reading.flow(step)


@handles("Cast")
def cast(reading: Reading, step: Step) -> Flow:
    if step.args.get("to") not in (1, 7, 6):
        raise reading.refuse(step, "it casts to another kind of numbers")
    return reading.flow(step)


@handles("Reshape")
def reshape(reading: Reading, step: Step) -> Flow:
    x, target = reading.flow(step), reading.numbers(step, "shape", 1)
    if target is None:
        raise reading.refuse(step, "it has no shape")
    batch, values = reading.model.batch, math.prod(x.shape)
    whole = (batch, *x.shape)
    sizes = [whole[at] if size == 0 and at < len(whole) and not step.args.get("allowzero") else size for at, size in enumerate(target)]
    if sizes.count(-1) == 1:
        rest = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = batch * values // rest if rest > 0 else 0
    if not sizes or sizes[0] != batch or math.prod(sizes[1:]) != values or min(sizes) < 1:
        raise reading.refuse(step, f"it mixes the batch with other axes ({target} of {['batch', *x.shape]})")
    return Flow(x.wire, tuple(sizes[1:]) or (1,))


@handles("Flatten")
def flatten(reading: Reading, step: Step) -> Flow:
    x = reading.flow(step)
    if step.args.get("axis", 1) not in (1, -len(x.shape)):
        raise reading.refuse(step, "it mixes the batch with other axes")
    return Flow(x.wire, (math.prod(x.shape),))


@handles("Squeeze")
def squeeze(reading: Reading, step: Step) -> Flow:
    x, axes = reading.flow(step), reading.numbers(step, "axes", 1)
    if axes is None and reading.model.batch == 1:
        raise reading.refuse(step, "it would drop the batch, too")
    gone = (
        {reading.axis(step, axis, len(x.shape)) for axis in axes}
        if axes is not None
        else {at for at, size in enumerate(x.shape) if size == 1}
    )
    if any(x.shape[at] != 1 for at in gone):
        raise reading.refuse(step, f"it drops axes of {list(x.shape)} that are not 1")
    return Flow(x.wire, tuple(size for at, size in enumerate(x.shape) if at not in gone) or (1,))


@handles("Unsqueeze")
def unsqueeze(reading: Reading, step: Step) -> Flow:
    x, axes = reading.flow(step), reading.numbers(step, "axes", 1) or []
    rank = len(x.shape) + len(axes)
    added = {reading.axis(step, axis, rank) for axis in axes}
    rest = iter(x.shape)
    return Flow(x.wire, tuple(1 if at in added else next(rest) for at in range(rank)))


@handles("Transpose")
def transpose(reading: Reading, step: Step) -> Flow:
    x = reading.flow(step)
    order = step.args.get("perm") or list(range(len(x.shape) + 1))[::-1]
    if order[0] != 0:
        raise reading.refuse(step, "it moves the axis of the batch")
    order = [axis - 1 for axis in order[1:]]
    if order == sorted(order):
        return x
    moved = tuple(x.shape[axis] for axis in order)
    if [axis for axis in order if x.shape[axis] != 1] == sorted(axis for axis in order if x.shape[axis] != 1):
        return Flow(x.wire, moved)  # nothing but axes of 1 moves
    return reading.add(step, "permute", [x], order=order)


@handles("Concat")
def concat(reading: Reading, step: Step) -> Flow:
    given = [reading.value(name) for name in step.inputs]
    flows = [one for one in given if isinstance(one, Flow)]
    axis = reading.axis(step, step.args.get("axis", 1), len(flows[0].shape))
    every = [one if isinstance(one, Flow) else parameter(reading, step, one, flows[0]) for one in given]
    return reading.add(step, "concat", every, axis=axis)


def parameter(reading: Reading, step: Step, const: Const, beside: Flow) -> Flow:
    """A constant tensor as a layer of its own: learned where it is one of the file's tensors, else a buffer."""
    array = numbers().asarray(const.array)
    if array.dtype.kind != "f":
        raise reading.refuse(step, "it reads whole numbers that are constant")
    leading = array.ndim == len(beside.shape) + 1
    if leading and array.shape[0] != 1 and (array != array[:1]).any():
        raise reading.refuse(step, "a constant is another for each image")
    array = array[:1] if leading else array
    own = const.name and const.name in reading.model.tensors and leading == (array.shape == const.array.shape)
    name = reading.draft.free(const.name if own else f"{reading.name_of(step)}_constant")
    shape = list(array.shape[1:] if leading else array.shape) or [1]
    weights = {"": array if leading or array.ndim else array.reshape(1)}
    return reading.add(step, "parameter" if own else "buffer", [beside], name=name, weights=weights, shape=shape, batch_axis=leading)


@handles("Split")
def split(reading: Reading, step: Step) -> Sequence[Flow]:
    x, sizes = reading.flow(step), reading.numbers(step, "split", 1)
    axis = reading.axis(step, step.args.get("axis", 0), len(x.shape))
    if sizes is None or len(set(sizes)) == 1:
        return reading.add_several(step, "split", [x], parts=len(step.outputs), axis=axis)
    return reading.add_several(step, "split", [x], sizes=sizes, axis=axis)


@handles("Slice")
def cut(reading: Reading, step: Step) -> Flow:
    x = reading.flow(step)
    starts, ends = reading.numbers(step, "starts", 1) or [], reading.numbers(step, "ends", 2) or []
    axes = reading.numbers(step, "axes", 3) or list(range(len(starts)))
    steps = reading.numbers(step, "steps", 4) or [1] * len(starts)
    for start, end, axis, by in zip(starts, ends, axes, steps, strict=True):
        whole = len(x.shape) + 1
        if axis in (0, -whole) and start == 0 and end >= reading.model.batch and by == 1:
            continue
        at = reading.axis(step, axis, len(x.shape))
        if by < 1:
            raise reading.refuse(step, "it runs backwards")
        size = x.shape[at]
        stop = None if end >= size else end
        if start != 0 or stop is not None or by != 1:
            x = reading.add(step, "slice", [x], start=max(start, -size), stop=stop, step=by, axis=at)
    return x


@handles("Gather")
def gather(reading: Reading, step: Step) -> Flow:
    first, second = reading.given(step, 0), reading.given(step, 1)
    if isinstance(first, Const) and isinstance(second, Flow):
        if first.array.ndim != 2 or step.args.get("axis", 0) != 0:
            raise reading.refuse(step, "it looks rows up in a constant that is no table")
        rows, width = map(int, first.array.shape)
        return reading.add(step, "embedding", [second], name=reading.name_of(step, first), entries=rows, features=width,
                           weights={"weight": first.array})  # fmt: skip
    if not isinstance(first, Flow) or not isinstance(second, Const):
        raise reading.refuse(step, "it picks entries by values")
    axis, picked = reading.axis(step, step.args.get("axis", 0), len(first.shape)), second.array
    if picked.ndim == 0:
        return reading.add(step, "select", [first], index=int(picked), axis=axis)
    if picked.ndim != 1:
        raise reading.refuse(step, "it picks entries into several axes")
    return reading.add(step, "index", [first], indices=[int(one) for one in picked], axis=axis)


@handles("Pad")
def pad(reading: Reading, step: Step) -> Flow:
    x, sides = reading.flow(step), reading.numbers(step, "pads", 1) or []
    mode, value = step.args.get("mode", "constant"), step.args.get("value", 0.0)
    if (const := reading.const(step, 2)) is not None:
        value = float(numbers().asarray(const.array).reshape(-1)[0])
    whole = len(x.shape) + 1
    if reading.const(step, 3) is not None or len(sides) != 2 * whole or sides[0] or sides[whole] or sides[1] or sides[whole + 1]:
        raise reading.refuse(step, "it pads other axes than those of a map")
    if not any(sides):
        return x
    pairs = [one for at in range(2, whole) for one in (sides[at], sides[whole + at])]
    modes = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    return reading.add(step, "pad", [x], sides=pairs, mode=modes.get(mode, mode), value=float(value) if mode == "constant" else 0.0)


@handles("Resize Upsample")
def resize(reading: Reading, step: Step) -> Flow:
    x, old = reading.flow(step), step.op == "Upsample" or reading.model.opset < 11
    scales = step.args.get("scales")
    if scales is None and (const := reading.const(step, 1 if old else 2)) is not None and const.array.size:
        scales = const.array.tolist()
    sizes = None if old else reading.numbers(step, "sizes", 3)
    rank = len(x.shape)
    to = list(sizes[2:]) if sizes else [math.floor(size * scale) for size, scale in zip(x.shape[1:], (scales or [1] * 9)[2:], strict=False)]
    if len(to) != rank - 1 or (scales or [1, 1])[:2] != [1, 1]:
        raise reading.refuse(step, "it resamples other axes than those of a map")
    mode, place = step.args.get("mode", "nearest"), step.args.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    whole = all(new % size == 0 for new, size in zip(to, x.shape[1:], strict=True))
    if mode == "nearest":
        floor = step.args.get("nearest_mode", "floor" if old else "round_prefer_floor") == "floor"
        if not ((place == "asymmetric" and (floor or whole)) or (whole and place in ("half_pixel", "pytorch_half_pixel"))):
            raise reading.refuse(step, f"nearest values by {place} are not what archc computes")
    elif (
        mode != "linear"
        or place not in ("half_pixel", "pytorch_half_pixel", "align_corners")
        or (place == "pytorch_half_pixel" and 1 in to)
    ):
        raise reading.refuse(step, f"{mode} values by {place} are not what archc computes")
    factors = {new // size for new, size in zip(to, x.shape[1:], strict=True)} if whole else set()
    args = {"scale": factors.pop()} if len(factors) == 1 else {"size": to}
    return reading.add(step, "upsample", [x], mode=mode, align_corners=place == "align_corners", **args)


@handles("DepthToSpace SpaceToDepth")
def depth(reading: Reading, step: Step) -> Flow:
    if step.op == "DepthToSpace" and step.args.get("mode", "DCR") != "CRD":
        raise reading.refuse(step, "it takes channels in an order that is not PyTorch's")
    if step.op == "SpaceToDepth":
        raise reading.refuse(step, "it takes channels in an order that is not PyTorch's")
    return reading.add(step, "pixel_shuffle", [reading.flow(step)], factor=step.args["blocksize"])


@handles("Expand")
def expand(reading: Reading, step: Step) -> Flow:
    x, target = reading.flow(step), reading.numbers(step, "shape", 1) or []
    whole = (reading.model.batch, *x.shape)
    padded = [1] * (len(whole) - len(target)) + target
    if len(padded) != len(whole) or padded[0] not in (1, whole[0]):
        raise reading.refuse(step, "it adds axes, or changes the batch")
    to = [max(size, new) for size, new in zip(x.shape, padded[1:], strict=True)]
    return x if tuple(to) == x.shape else reading.add(step, "expand", [x], shape=to)
