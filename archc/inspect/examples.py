"""The images of a set that excite a unit most, and the part of each that the unit saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archc.analysis.field.field import list_positions
from archc.data import Split
from archc.graph import Graph
from archc.inspect.layers import LayerPlace, LookError, outputs
from archc.inspect.sheet import Box

_CHUNK = 256  # images at once


@dataclass(frozen=True, slots=True)
class Example:
    """An image of a set, how strongly a unit responded to it, and the position [row, column] where; empty for a vector."""

    index: int
    response: float
    position: tuple[int, ...]


@torch.no_grad()
def strongest(
    module: nn.Module, at: LayerPlace, units: Sequence[int], split: Split, prepare: Callable[[Tensor], Tensor], most: int
) -> list[list[Example]]:
    """For each unit the images of its largest responses, the largest first. Raises LookError for shards, whose images have no index."""
    if split.length is None:
        raise LookError("shards are a stream: their images cannot be named and shown again")
    device = next(module.parameters()).device
    found: list[list[Example]] = [[] for _ in units]
    for start in range(0, split.length, _CHUNK):
        indices = list(range(start, min(start + _CHUNK, split.length)))
        images, read = _readable(split, indices)
        if not read:
            continue
        with outputs(at.module) as caught:
            module(prepare(torch.from_numpy(images).to(device)))
        values, places = _most(caught[-1][:, list(units)])
        for kept, value, position in zip(found, values.T.tolist(), places.T.tolist(), strict=True):
            width = caught[-1].shape[-1] if caught[-1].ndim > 2 else 0
            kept += [Example(i, v, divmod(p, width) if width else ()) for i, v, p in zip(read, value, position, strict=True)]
            kept.sort(key=lambda example: (-example.response, example.index))
            del kept[most:]
    return found


def _readable(split: Split, indices: list[int]) -> tuple[object, list[int]]:
    """Images, and the indices of those that could be read."""
    images, _ = split.read(indices)
    return (images, indices) if len(images) == len(indices) else (images, [index for index in indices if len(split.read([index])[0])])


def _most(given: Tensor) -> tuple[Tensor, Tensor]:
    """[N, units]: the largest response over positions, and which position that is."""
    if given.ndim < 3:
        return given, torch.zeros_like(given, dtype=torch.int64)
    best = given.flatten(2).max(2)
    return best.values, best.indices


def seen(graph: Graph, at: LayerPlace, position: Sequence[int], size: Sequence[int]) -> Box | None:
    """The pixels that a unit sees at a position, within the image; None where it sees all of it."""
    axes = list_positions(graph, at.node).axes
    if len(axes) != 2 or len(position) != 2 or not all(axis.exact and axis.axis in (-1, i) for i, axis in enumerate(axes, 1)):
        return None
    (top, bottom), (left, right) = (axis.span(i) for axis, i in zip(axes, position, strict=True))
    if (top, left, bottom, right) == (0, 0, *(limit - 1 for limit in size)) or top > bottom or left > right:
        return None
    return left, top, right + 1, bottom + 1
