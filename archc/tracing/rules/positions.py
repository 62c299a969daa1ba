"""Positions of tokens that are added to the scores of attention, worked out from a table of a model's own."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from archc.tracing.steps import Layer
from archc.tracing.trace import Trace


def relative_bias(trace: Trace, scores: Tensor, bias: Tensor) -> Layer | None:
    """The layer that adds a learned number for each head and each offset within a window; None where `bias` is something else.

    The values tell: those of the bias must be the rows of the table that the offsets name.
    """
    image = trace.image(scores)
    owned = [trace.owner(name) for name in trace.constant(bias).names]
    tables = [one for one in owned if isinstance(one, nn.Parameter) and one.dim() == 2]
    indices = [one for one in owned if one.dtype == torch.int64]
    known = len(owned) == 2 and len(tables) == len(indices) == 1 and trace.knows((bias, tables[0], indices[0]))
    if not known or len(image) != 3 or image[1] != image[2] or tuple(bias.shape) not in (image, (1, *image)):
        return None
    table, index, values = (trace.values(one) for one in (tables[0], indices[0], bias))
    if tuple(index.shape) != image[1:]:
        return None
    for window in _windows(image[1], len(table)):
        offsets = _offsets(window)
        if torch.equal(index, offsets) and torch.equal(values.reshape(image), table[offsets].movedim(-1, 0).reshape(image)):
            weights = {"relative_position_bias_table": tables[0], "relative_position_index": indices[0]}
            return Layer("relative_position_bias", (scores,), {"window": list(window)}, weights)
    return None


def _windows(tokens: int, offsets: int) -> Iterator[tuple[int, int]]:
    """Windows of so many tokens, in which there are so many offsets between two of them."""
    for height in range(1, tokens + 1):
        width = tokens // height
        if height * width == tokens and (2 * height - 1) * (2 * width - 1) == offsets:
            yield height, width


def _offsets(window: tuple[int, int]) -> Tensor:
    """The row of the table for each pair of tokens."""
    places = torch.cartesian_prod(*(torch.arange(size) for size in window))
    apart = places[:, None] - places + torch.tensor(window) - 1
    return apart[..., 0] * (2 * window[1] - 1) + apart[..., 1]
