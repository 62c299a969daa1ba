"""Functions that pick, repeat, stretch and stack entries of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from archc.tracing.rules.registry import rule
from archc.tracing.steps import Layer, Unsaid
from archc.tracing.trace import Trace


def _axes(trace: Trace, input: Tensor, dims: Any) -> list[int]:
    trace.image(input)
    return [trace.axis(input, dim) for dim in (dims if isinstance(dims, list | tuple) else (dims,))]


@rule("roll")
def roll(trace: Trace, input: Tensor, shifts: Any, dims: Any = None) -> Layer:
    if dims is None:
        raise Unsaid("it goes over the whole batch")
    moved = list(shifts) if isinstance(shifts, list | tuple) else [shifts]
    axes = _axes(trace, input, dims)
    return Layer("roll", (input,), {"shift": moved if len(axes) > 1 else moved[0], "axis": axes if len(axes) > 1 else axes[0]})


@rule("flip")
def flip(trace: Trace, input: Tensor, *dims: Any) -> Layer:
    axes = _axes(trace, input, dims[0] if isinstance(dims[0], list | tuple) else dims)
    return Layer("flip", (input,), {"axis": axes if len(axes) > 1 else axes[0]})


@rule("expand broadcast_to")
def expand(trace: Trace, input: Tensor, *sizes: Any) -> Layer | list[Layer]:
    result = trace.results[0]
    image, stretched = trace.image(input), trace.image(result)
    if len(image) != len(stretched):
        raise Unsaid("it adds axes")
    return [] if image == stretched else Layer("expand", (input,), {"shape": list(stretched)})


@rule("expand_as")
def expand_as(trace: Trace, input: Tensor, other: Tensor) -> Layer | list[Layer]:
    return expand(trace, input)


@rule("repeat tile")
def tile(trace: Trace, input: Tensor, *times: Any) -> Layer | list[Layer]:
    counts = list(times[0]) if isinstance(times[0], list | tuple) else list(times)
    if len(counts) != input.dim() or counts[0] != 1:
        raise Unsaid("it repeats the images")
    trace.image(input)
    return Layer("tile", (input,), {"times": counts[1:]})


@rule("repeat_interleave")
def repeat_interleave(trace: Trace, input: Tensor, repeats: Any, dim: Any = None, output_size: Any = None) -> Layer:
    if type(repeats) is not int or dim is None:
        raise Unsaid("it repeats entries each so often, or over the whole batch")
    (axis,) = _axes(trace, input, dim)
    return Layer("repeat_interleave", (input,), {"times": repeats, "axis": axis})


@rule("stack")
def stack(trace: Trace, tensors: Sequence[Tensor], dim: int = 0) -> Layer:
    if not all(trace.live(one) for one in tensors):
        raise Unsaid("a tensor is stacked that is no layer's output")
    if len(tensors) < 2:
        raise Unsaid("one tensor alone is stacked")
    rank = len(trace.image(tensors[0])) + 2
    if dim % rank == 0:
        trace.result_axis = 1
        return Layer("stack", tuple(tensors), {"axis": 0})
    return Layer("stack", tuple(tensors), {"axis": dim % rank - 1})


@rule("gather")
def gather(trace: Trace, input: Tensor, dim: int, index: Tensor, sparse_grad: bool = False) -> Layer:
    if not trace.live(index):
        raise Unsaid("its indices are no layer's output")
    trace.image(index)
    (axis,) = _axes(trace, input, dim)
    return Layer("gather", (input, index), {"axis": axis})


@rule("pixel_unshuffle")
def pixel_unshuffle(trace: Trace, input: Tensor, downscale_factor: int) -> Layer:
    trace.image(input)
    return Layer("pixel_unshuffle", (input,), {"factor": downscale_factor})
