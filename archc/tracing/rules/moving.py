"""Functions of torch that move values and compute nothing, or little: shapes, parts, borders, copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from archc.tracing.rules.registry import rule
from archc.tracing.steps import Layer, Unsaid
from archc.tracing.trace import Trace


def reshaped(trace: Trace, input: Tensor, result: Tensor) -> Layer | list[Layer]:
    """The same values, image by image, in the shape of the result, where another axis may join the batch or leave it."""
    before, count = trace.image(input), trace.joined(input)
    joined, rest = divmod(result.shape[0], trace.batch)
    if rest or not joined or result.dim() < 2:
        raise Unsaid(f"the first axis of {tuple(result.shape)} is not the batch")
    after, trace.result_joined = tuple(result.shape[1:]), joined
    if joined == count:
        return [] if before == after else _resized((input,), after)
    layers = [Layer("leave_batch", (input,))] if count > 1 else []
    before, after = ((count, *before) if count > 1 else before), ((joined, *after) if joined > 1 else after)
    if before != after:
        layers.append(_resized((input,) if not layers else (), after))
    return [*layers, Layer("join_batch", (input,) if not layers else ())] if joined > 1 else layers


def _resized(inputs: tuple[Tensor, ...], sizes: Sequence[int]) -> Layer:
    return Layer("flatten", inputs) if len(sizes) == 1 else Layer("reshape", inputs, {"shape": list(sizes)})


@rule("flatten ravel view reshape view_as reshape_as unflatten squeeze unsqueeze")
def reshape(trace: Trace, input: Tensor, *sizes: Any, **options: Any) -> Layer | list[Layer]:
    if trace.results[0].dtype != input.dtype:
        raise Unsaid("the same bytes as another dtype")
    return reshaped(trace, input, trace.results[0])


def permuted(trace: Trace, input: Tensor, order: Sequence[int]) -> Layer | list[Layer]:
    """The axes in another order. The batch may go where it will: each image stays an image."""
    trace.image(input, anywhere=True)
    trace.result_axis = list(order).index(trace.batch_axis(input))
    axes = [trace.axis(input, dim) for dim in order if dim != trace.batch_axis(input)]
    return [] if axes == sorted(axes) else Layer("permute", (input,), {"order": axes})


@rule("permute")
def permute(trace: Trace, input: Tensor, *dims: Any) -> Layer | list[Layer]:
    return permuted(trace, input, [dim % input.dim() for dim in (dims[0] if isinstance(dims[0], list | tuple) else dims)])


@rule("transpose swapaxes swapdims")
def transpose(trace: Trace, input: Tensor, dim0: int, dim1: int) -> Layer | list[Layer]:
    order = list(range(input.dim()))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    if trace.batch_axis(input) in (dim0 % input.dim(), dim1 % input.dim()) or dim0 == dim1:
        return permuted(trace, input, order)
    trace.image(input, anywhere=True)
    trace.result_axis = trace.batch_axis(input)
    return Layer("transpose", (input,), {"axes": [trace.axis(input, dim0), trace.axis(input, dim1)]})


@rule("movedim moveaxis")
def movedim(trace: Trace, input: Tensor, source: int, destination: int) -> Layer | list[Layer]:
    if not isinstance(source, int) or not isinstance(destination, int):
        raise Unsaid("several axes are moved")
    order = [axis for axis in range(input.dim()) if axis != source % input.dim()]
    order.insert(destination % input.dim(), source % input.dim())
    return permuted(trace, input, order)


@rule("contiguous clone to float half bfloat16 double type type_as requires_grad cpu cuda")
def copy(trace: Trace, input: Tensor, *args: Any, **options: Any) -> Layer | list[Layer]:
    """A tensor of its own where torch makes one; else the same tensor."""
    result = trace.results[0]
    if result.dtype != input.dtype:
        raise Unsaid("the dtype changes")
    return [] if result.untyped_storage()._cdata == input.untyped_storage()._cdata else copied(trace, input)


def copied(trace: Trace, input: Tensor) -> Layer:
    """The same values in storage of their own."""
    trace.image(input, anywhere=True)
    trace.result_axis = trace.batch_axis(input)
    result = trace.results[0]
    if result.stride() != input.stride() and not result.is_contiguous():
        raise Unsaid("its values come to lie in another order")
    return Layer("clone", (input,), {"contiguous": result.is_contiguous() and not input.is_contiguous()})


@rule("chunk split split_with_sizes tensor_split")
def split(trace: Trace, input: Tensor, parts: Any = None, dim: int = 0, **options: Any) -> Layer:
    trace.image(input)
    axis = trace.axis(input, options.get("dim", dim))
    sizes = [part.shape[axis + 1] for part in trace.results]
    if len(set(sizes)) == 1:
        return Layer("split", (input,), {"parts": len(sizes), "axis": axis})
    return Layer("split", (input,), {"sizes": sizes, "axis": axis})


@rule("unbind")
def unbind(trace: Trace, input: Tensor, dim: int = 0) -> Layer | list[Layer]:
    axis = _taken(trace, input, dim)
    if not trace.batch_axis(input):
        return Layer("unbind", (input,), {"axis": axis})
    return [Layer("select", (input,), {"index": index, "axis": axis}, result=index) for index in range(len(trace.results))]


@rule("select")
def select(trace: Trace, input: Tensor, dim: int, index: int) -> Layer:
    return Layer("select", (input,), {"index": index, "axis": _taken(trace, input, dim)})


def _taken(trace: Trace, input: Tensor, dim: int) -> int:
    """An axis that goes."""
    trace.image(input, anywhere=True)
    axis = trace.axis(input, dim)
    trace.result_axis = trace.batch_axis(input) - (dim % input.dim() < trace.batch_axis(input))
    return axis


@rule("narrow")
def narrow(trace: Trace, input: Tensor, dim: int, start: int, length: int) -> list[Layer]:
    trace.image(input)
    return _part(trace, input, trace.axis(input, dim), start, start + length)


@rule("getitem")
def getitem(trace: Trace, input: Tensor, index: Any) -> list[Layer]:
    """`x[:, 0]`, `x[:, 2:6]`, `x[..., None]`: parts along axes, one after the other."""
    image, batch = trace.image(input, anywhere=True), trace.batch_axis(input)
    parts = list(index) if isinstance(index, tuple) else [index]
    if not all(part is None or part is Ellipsis or type(part) in (int, slice) for part in parts):
        raise Unsaid("an index that is a tensor or a list")
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    where = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    parts = [*parts[:where], *[slice(None)] * (input.dim() - taken), *parts[where + 1 :]]
    layers: list[Layer] = []
    sizes, axis, dim, out = list(image), 0, 0, 0
    for part in parts:
        first = () if layers else (input,)
        if part is None:
            sizes.insert(axis, 1)
            layers.append(Layer("reshape", first, {"shape": list(sizes)}))
            axis, out = axis + 1, out + 1
            continue
        if dim == batch:
            if not isinstance(part, slice) or range(*part.indices(input.shape[batch])) != range(input.shape[batch]):
                raise Unsaid("it takes images out of the batch")
            trace.result_axis = out
        elif isinstance(part, int):
            layers.append(Layer("select", first, {"index": part, "axis": axis}))
            del sizes[axis]
        else:
            start, stop, step = part.indices(sizes[axis])
            if stop <= start:
                raise Unsaid("it takes nothing")
            if step != 1:
                layers.append(Layer("slice", first, {"start": start, "stop": stop, "step": step, "axis": axis}))
                sizes[axis] = len(range(start, stop, step))
            elif (start, stop) != (0, sizes[axis]):
                layers += _cut(sizes, axis, start, stop, first)
                sizes[axis] = stop - start
        axis, out, dim = axis + (dim != batch and not isinstance(part, int)), out + (not isinstance(part, int)), dim + 1
    if trace.result_axis and any(layer.kind == "reshape" for layer in layers):
        raise Unsaid("it moves the batch")
    return layers


def _part(trace: Trace, input: Tensor, axis: int, start: int, stop: int) -> list[Layer]:
    sizes = trace.image(input)
    return [] if (start, stop) == (0, sizes[axis]) else _cut(list(sizes), axis, start, stop, (input,))


def _cut(sizes: list[int], axis: int, start: int, stop: int, inputs: tuple[Tensor, ...]) -> list[Layer]:
    """A range of an axis: the cut of a map, or one part of several."""
    if axis > 0 and len(sizes) > 2:
        sides = [0] * (2 * (len(sizes) - 1))
        sides[2 * (axis - 1)], sides[2 * (axis - 1) + 1] = start, sizes[axis] - stop
        return [Layer("crop", inputs, {"sides": sides})]
    parts = [size for size in (start, stop - start, sizes[axis] - stop) if size]
    return [Layer("split", inputs, {"sizes": parts, "axis": axis}, output=int(start > 0))]


@rule("pad")
def pad(trace: Trace, input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Layer | list[Layer]:
    image = trace.image(input)
    if not any(pad):
        return copied(trace, input)
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    pairs = [(0, 0)] * (input.dim() - len(pairs)) + pairs
    if pairs[0] != (0, 0):
        raise Unsaid("a border of the batch")
    borders, still = pairs[1:], next((axis for axis, pair in enumerate(pairs[1:]) if pair == (0, 0)), None)
    order = [axis for axis in range(len(image)) if axis != still]
    args: dict[str, Any] = {"sides": [side for axis in order for side in borders[axis]], "mode": "zeros" if mode == "constant" else mode}
    args |= {"value": float(value)} if value else {}
    if still == 0 and len(image) > 1:
        return Layer("pad", (input,), args)
    if still is None:  # all axes have a border: one more stands before them
        sizes = [n + sum(pair) for n, pair in zip(image, borders, strict=True)]
        return [_resized((input,), (1, *image)), Layer("pad", (), args), _resized((), sizes)]
    if len(image) < 2:
        raise Unsaid("a border of no axis")
    there = [still, *order]
    back = [there.index(axis) for axis in range(len(image))]
    return [Layer("permute", (input,), {"order": there}), Layer("pad", (), args), Layer("permute", (), {"order": back})]


@rule("T mT t")
def turn(trace: Trace, input: Tensor) -> Layer:
    if len(trace.image(input)) != 2 or trace.results[0].shape[0] != trace.images(input):
        raise Unsaid("it moves the batch")
    return Layer("transpose", (input,), {"axes": [0, 1]})
