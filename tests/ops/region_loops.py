"""Layers that look where their inputs say, in plain loops on numbers that count; where they look is worked out beside, and not counted."""

from __future__ import annotations

from itertools import product
from math import floor
from typing import Any

from .cases import Case
from .counting import Number, filled, number, total
from .loops import per_axis


def between(x: Any, y: float, z: float) -> Number:
    """A value of one channel between four positions, those beyond the map with the weight 0."""
    terms = []
    for row, column in product((floor(y), floor(y) + 1), (floor(z), floor(z) + 1)):
        inside = 0 <= row < x.shape[0] and 0 <= column < x.shape[1]
        share = (1 - abs(y - row)) * (1 - abs(z - column)) if inside else 0.0
        terms.append(x[min(max(row, 0), x.shape[0] - 1), min(max(column, 0), x.shape[1] - 1)] * share)
    return total(terms)


def roi_align(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    """Of boxes that are not moved by half a position, as large as the map."""
    x, boxes = inputs
    out, points = filled(one.facts().outputs[0], 0), one.args["sampling"]
    bins = out.shape[2:]
    for k, c, i, j in product(*map(range, out.shape)):
        x1, y1, x2, y2 = map(number, boxes[k])
        height, width = max(y2 - y1, 1.0), max(x2 - x1, 1.0)
        found = []
        for a, b in product(range(points), repeat=2):
            y, z = y1 + (i + (a + 0.5) / points) * height / bins[0], x1 + (j + (b + 0.5) / points) * width / bins[1]
            seen = -1 <= y <= x.shape[1] and -1 <= z <= x.shape[2]
            y, z = (min(max(y, 0), x.shape[1] - 1), min(max(z, 0), x.shape[2] - 1)) if seen else (-2.0, -2.0)
            found.append(between(x[c], y, z))
        out[k, c, i, j] = total(found) / (points * points)
    return out


def deform_conv(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    """With offsets for all channels alike."""
    x, offsets, *mask = inputs
    out, stride, padding = filled(one.facts().outputs[0], 0), per_axis(one, "stride", 1), per_axis(one, "padding", 0)
    taps = list(product(*map(range, own["weight"].shape[2:])))
    depth = own["weight"].shape[1]
    for r, c in product(*map(range, out.shape[1:])):
        values: dict[tuple[int, int], Number] = {}
        for channel, (at, tap) in product(range(len(x)), enumerate(taps)):
            y = r * stride[0] - padding[0] + tap[0] + number(offsets[2 * at, r, c])
            z = c * stride[1] - padding[1] + tap[1] + number(offsets[2 * at + 1, r, c])
            value = between(x[channel], y, z)
            values[channel, at] = value * mask[0][at, r, c] if mask else value
        for f in range(len(out)):
            first = f // (len(out) // (len(x) // depth)) * depth
            pairs = product(range(depth), enumerate(taps))
            value = total(own["weight"][(f, channel, *tap)] * values[first + channel, at] for channel, (at, tap) in pairs)
            out[f, r, c] = value + own["bias"][f] if "bias" in own else value
    return out
