"""Functions of torch that move values and compute nothing, or little: shapes, parts, borders, means, copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from archc.tracing.rules.registry import rule
from archc.tracing.steps import Layer, Unsaid
from archc.tracing.trace import Trace


def reshaped(trace: Trace, input: Tensor, result: Tensor) -> Layer | list[Layer]:
    """The same values, image by image, in the shape of the result."""
    before, after = trace.image(input), trace.image(result)
    if before == after:
        return []
    return Layer("flatten", (input,)) if len(after) == 1 else Layer("reshape", (input,), {"shape": list(after)})


@rule("flatten ravel view reshape view_as reshape_as unflatten squeeze unsqueeze")
def reshape(trace: Trace, input: Tensor, *sizes: Any, **options: Any) -> Layer | list[Layer]:
    if trace.results[0].dtype != input.dtype:
        raise Unsaid("the same bytes as another dtype")
    return reshaped(trace, input, trace.results[0])


@rule("permute")
def permute(trace: Trace, input: Tensor, *dims: Any) -> Layer | list[Layer]:
    trace.image(input)
    order = [dim % input.dim() for dim in (dims[0] if len(dims) == 1 and isinstance(dims[0], list | tuple) else dims)]
    if order[0] != 0:
        raise Unsaid("it moves the batch")
    return [] if order == sorted(order) else Layer("permute", (input,), {"order": [dim - 1 for dim in order[1:]]})


@rule("transpose swapaxes swapdims")
def transpose(trace: Trace, input: Tensor, dim0: int, dim1: int) -> Layer | list[Layer]:
    trace.image(input)
    axes = [trace.axis(input, dim0), trace.axis(input, dim1)]
    return [] if axes[0] == axes[1] else Layer("transpose", (input,), {"axes": axes})


@rule("movedim moveaxis")
def movedim(trace: Trace, input: Tensor, source: int, destination: int) -> Layer | list[Layer]:
    trace.image(input)
    if not isinstance(source, int) or not isinstance(destination, int):
        raise Unsaid("several axes are moved")
    order = [axis for axis in range(input.dim() - 1) if axis != trace.axis(input, source)]
    order.insert(trace.axis(input, destination), trace.axis(input, source))
    return [] if order == sorted(order) else Layer("permute", (input,), {"order": order})


@rule("contiguous clone to float half bfloat16 double type type_as detach requires_grad cpu cuda data")
def copy(trace: Trace, input: Tensor, *args: Any, **options: Any) -> Layer | list[Layer]:
    """A tensor of its own where torch makes one; else the same tensor."""
    result = trace.results[0]
    if result.dtype != input.dtype:
        raise Unsaid("the dtype changes")
    if result.untyped_storage()._cdata == input.untyped_storage()._cdata:
        return []
    trace.image(input)
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
def unbind(trace: Trace, input: Tensor, dim: int = 0) -> list[Layer]:
    trace.image(input)
    axis = trace.axis(input, dim)
    return [Layer("select", (input,), {"index": index, "axis": axis}, result=index) for index in range(len(trace.results))]


@rule("select")
def select(trace: Trace, input: Tensor, dim: int, index: int) -> Layer:
    trace.image(input)
    return Layer("select", (input,), {"index": index, "axis": trace.axis(input, dim)})


@rule("narrow")
def narrow(trace: Trace, input: Tensor, dim: int, start: int, length: int) -> list[Layer]:
    trace.image(input)
    return _part(trace, input, trace.axis(input, dim), start, start + length)


@rule("getitem")
def getitem(trace: Trace, input: Tensor, index: Any) -> list[Layer]:
    """`x[:, 0]`, `x[:, 2:6]`, `x[..., None]`: parts along axes, one after the other."""
    image = trace.image(input)
    parts = list(index) if isinstance(index, tuple) else [index]
    if not all(part is None or part is Ellipsis or isinstance(part, int | slice) for part in parts):
        raise Unsaid("an index that is a tensor or a list")
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    where = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    parts = [*parts[:where], *[slice(None)] * (input.dim() - taken), *parts[where + 1 :]]
    if parts[0] is None or not isinstance(parts[0], slice) or range(*parts[0].indices(trace.batch)) != range(trace.batch):
        raise Unsaid("it takes images out of the batch")
    layers: list[Layer] = []
    sizes, axis = list(image), 0
    for part in parts[1:]:
        first = () if layers else (input,)
        if part is None:
            sizes.insert(axis, 1)
            layers.append(Layer("reshape", first, {"shape": list(sizes)}))
            axis += 1
        elif isinstance(part, int):
            layers.append(Layer("select", first, {"index": part, "axis": axis}))
            del sizes[axis]
        else:
            start, stop, step = part.indices(sizes[axis])
            if step != 1 or stop <= start:
                raise Unsaid("it takes every other entry")
            if (start, stop) != (0, sizes[axis]):
                layers += _cut(sizes, axis, start, stop, first)
                sizes[axis] = stop - start
            axis += 1
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
def pad(trace: Trace, input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Layer:
    image = trace.image(input)
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    pairs = [(0, 0)] * (input.dim() - len(pairs)) + pairs
    if len(image) < 2 or pairs[0] != (0, 0) or pairs[1] != (0, 0):
        raise Unsaid("a border of other axes than a map's")
    args: dict[str, Any] = {"sides": [side for pair in pairs[2:] for side in pair], "mode": "zeros" if mode == "constant" else mode}
    return Layer("pad", (input,), args | ({"value": float(value)} if value else {}))


@rule("mean")
def mean(trace: Trace, input: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None, axis: Any = None) -> list[Layer]:
    image = trace.image(input)
    dims = dim if dim is not None else axis
    if dims is None:
        raise Unsaid("the mean of the whole batch")
    axes = sorted(trace.axis(input, one) for one in (dims if isinstance(dims, list | tuple) else (dims,)))
    if len(image) > 1 and axes == list(range(1, len(image))):
        pooled = Layer("global_avgpool", (input,))
        return [pooled] if keepdim else [pooled, Layer("flatten")]
    if len(axes) != 1 or len(image) < 2:
        raise Unsaid("the mean over several axes")
    found = [Layer("mean", (input,), {"axis": axes[0]})]
    return [*found, Layer("reshape", (), {"shape": [1 if at == axes[0] else size for at, size in enumerate(image)]})] if keepdim else found


@rule("T mT")
def turned(trace: Trace, input: Tensor) -> Layer:
    if len(trace.image(input)) != 2 or trace.results[0].shape[0] != trace.batch:
        raise Unsaid("it moves the batch")
    return Layer("transpose", (input,), {"axes": [0, 1]})
