"""The layers, one operation at a time: the arrays of an image and the layer's own tensors in, an array out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, product
from typing import Any

import numpy as np

from .activations import ACTIVATIONS
from .cases import Case
from .counting import Number, array, exp, filled, larger, largest, log, smaller, special, total

Loop = Callable[[Case, list[Any], dict[str, Any]], Any]


def each(function: Callable[..., Any], *arrays: Any) -> Any:
    """A function of every value, axes of size 1 stretched."""
    stretched = np.broadcast_arrays(*arrays)
    out = np.empty(stretched[0].shape, dtype=object)
    for at in np.ndindex(*out.shape):
        out[at] = function(*(one[at] for one in stretched))
    return out


def per_axis(one: Case, name: str, default: Any) -> tuple[int, ...]:
    value = one.args.get(name, default)
    return tuple(value) if isinstance(value, tuple) else (value,) * (len(one.shapes[0]) - 1)


def bordered(x: Any, low: Sequence[int], shape: Sequence[int], value: float) -> Any:
    """The map in a larger one that holds `value`."""
    out = filled((x.shape[0], *shape), value)
    out[(slice(None), *(slice(a, a + n) for a, n in zip(low, x.shape[1:], strict=True)))] = x
    return out


def windows(one: Case, x: Any, border: float = 0.0) -> tuple[Any, list[tuple[tuple[int, ...], list[tuple[int, ...]]]]]:
    """The map with room for all windows, and for each output position the places that its window reads."""
    kernel, padding, dilation = per_axis(one, "kernel", 1), per_axis(one, "padding", 0), per_axis(one, "dilation", 1)
    stride = per_axis(one, "stride", kernel if one.op.endswith("pool") else 1)
    space = one.facts().outputs[0][1:]
    rows = zip(space, stride, kernel, dilation, padding, x.shape[1:], strict=True)
    need = [max((n - 1) * s + (k - 1) * d + 1, size + 2 * p) for n, s, k, d, p, size in rows]
    places = []
    for out in product(*map(range, space)):
        axes = [[i * s + t * d for t in range(k)] for i, s, k, d in zip(out, stride, kernel, dilation, strict=True)]
        places.append((out, list(product(*axes))))
    return bordered(x, padding, need, border), places


def conv(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    x, places = windows(one, inputs[0])
    filters, depth = own["weight"].shape[:2]
    groups = x.shape[0] // depth
    taps = list(product(*map(range, own["weight"].shape[2:])))
    out = filled(one.facts().outputs[0], 0)
    for f, (position, reads) in product(range(filters), places):
        first = f // (filters // groups) * depth
        value = total(own["weight"][(f, c, *tap)] * x[(first + c, *at)] for c in range(depth) for tap, at in zip(taps, reads, strict=True))
        out[(f, *position)] = value + own["bias"][f] if "bias" in own else value
    return out


def conv_transpose(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    """Each value times the whole kernel, added where it falls, on a map that holds the bias; then the border is cut."""
    x, stride, padding = inputs[0], per_axis(one, "stride", 1), per_axis(one, "padding", 0)
    dilation, shape = per_axis(one, "dilation", 1), one.facts().outputs[0]
    depth = own["weight"].shape[1]
    groups = shape[0] // depth
    full = filled((shape[0], *(n + 2 * p for n, p in zip(shape[1:], padding, strict=True))), 0)
    if "bias" in own:
        full[:] = own["bias"].reshape(-1, *(1,) * len(stride))
    taps = list(product(*map(range, own["weight"].shape[2:])))
    for at in np.ndindex(*x.shape):
        first = at[0] // (x.shape[0] // groups) * depth
        for c, tap in product(range(depth), taps):
            to = (first + c, *(i * s + t * d for i, s, t, d in zip(at[1:], stride, tap, dilation, strict=True)))
            full[to] = full[to] + own["weight"][(at[0], c, *tap)] * x[at]
    return full[(slice(None), *(slice(p, p + n) for p, n in zip(padding, shape[1:], strict=True)))]


def pooled(function: Callable[[Case, list[Number], int], Number], border: float = 0.0) -> Loop:
    """A pool; the function also gets how many of the window's places lie in the map with its padding."""

    def loop(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
        x, places = windows(one, inputs[0], border)
        padding = per_axis(one, "padding", 0)
        ends = [n + 2 * p for n, p in zip(inputs[0].shape[1:], padding, strict=True)]
        out = filled(one.facts().outputs[0], 0)
        for c, (position, reads) in product(range(x.shape[0]), places):
            inside = sum(all(i < end for i, end in zip(at, ends, strict=True)) for at in reads)
            out[(c, *position)] = function(one, [x[(c, *at)] for at in reads], inside)
        return out

    return loop


def lp(one: Case, values: list[Number], inside: int) -> Number:
    norm = one.args["norm"]
    if norm == 1:
        return total(values)
    return total(value**norm for value in values) ** (1 / norm)


def binned(function: Callable[[list[Number]], Number]) -> Loop:
    def loop(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
        x, shape = inputs[0], one.facts().outputs[0]
        out = filled(shape, 0)
        for at in np.ndindex(*shape):
            pairs = list(zip(at[1:], x.shape[1:], shape[1:], strict=True))
            bins = [range(math.floor(i * n / m), math.ceil((i + 1) * n / m)) for i, n, m in pairs]
            out[at] = function([x[(at[0], *place)] for place in product(*bins)])
        return out

    return loop


def mean(values: Sequence[Number]) -> Number:
    return total(values) / len(values)


def batchnorm(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    """Scale and shift hold the statistics: they are worked out once, not for each image."""
    shape = (-1, *(1,) * (len(one.shapes[0]) - 1))
    scale = np.array([1 / math.sqrt(v.value + 1e-5) for v in own["running_var"]])
    shift = array(-scale * np.array([m.value for m in own["running_mean"]])).reshape(shape)
    return each(lambda x, a, b: x * a + b, inputs[0], array(scale).reshape(shape), shift)


def normalized(rows: Any, scale: Any = None, shift: Any = None) -> Any:
    """Each row to mean 0 and variance 1; scale and shift are of the rows' shape, or left out."""
    out = np.empty(rows.shape, dtype=object)
    for r, row in enumerate(rows):
        middle = mean(row)
        centered = [x - middle for x in row]
        spread = mean([x * x for x in centered])
        inverse = special(lambda v: v**-0.5, spread + 1e-5)
        for i, x in enumerate(centered):
            value = x * inverse
            value = value * scale[r, i] if scale is not None else value
            out[r, i] = value + shift[r, i] if shift is not None else value
    return out


def rownorm(rows_of: Callable[[Case], int]) -> Loop:
    """layernorm, groupnorm and instancenorm: they differ in what is a row, and in the axis of scale and shift."""

    def loop(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
        x = inputs[0]
        by_channel = (-1, *(1,) * (x.ndim - 1))
        tensors = [
            own[name].reshape((-1,) if one.op == "layernorm" else by_channel) if name in own else None for name in ("weight", "bias")
        ]
        full = [np.broadcast_to(t, x.shape).reshape(rows_of(one), -1) if t is not None else None for t in tensors]
        return normalized(x.reshape(rows_of(one), -1), *full).reshape(x.shape)

    return loop


def rmsnorm(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    out = np.empty(inputs[0].shape, dtype=object)
    for r, row in enumerate(inputs[0]):
        inverse = special(lambda v: v**-0.5, mean([x * x for x in row]) + 1e-6)
        for i, x in enumerate(row):
            out[r, i] = x * inverse * own["weight"][i] if "weight" in own else x * inverse
    return out


def normalized_lengths(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    axis, x = one.args["axis"], inputs[0]
    out = np.empty(x.shape, dtype=object)
    for at in np.ndindex(*np.delete(x.shape, axis)):
        line = (*at[: axis % x.ndim], slice(None), *at[axis % x.ndim :])
        length = larger(special(math.sqrt, total(v * v for v in x[line])), 1e-12)
        out[line] = [v / length for v in x[line]]
    return out if one.args["start"] is None else each(lambda v, factor: v * factor, out, own[""])


def experts(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    """The router's largest values are found one after another, each among those that are left."""
    top, hidden, activation = one.args.get("top", 2), one.args["hidden"], one.args.get("activation", "swiglu")
    act = {name: f for name, args, f in ACTIVATIONS if not args}
    out = []
    for token in inputs[0]:
        parts = list(matrix(token[None], own["router.weight"].T)[0])
        parts = parts if one.args.get("renormalize", True) else softmax(parts)
        left, chosen = list(range(len(parts))), []
        for _ in range(top):
            best = largest([parts[i] for i in left]).value
            chosen.append(next(i for i in left if parts[i].value == best))
            left.remove(chosen[-1])
        shares = [parts[i] for i in chosen]
        said = []
        for i, share in zip(chosen, softmax(shares) if one.args.get("renormalize", True) else shares, strict=True):
            wide = matrix(token[None], own["up"][i].T)[0]
            if activation == "swiglu":
                wide = [act["silu"](a) * b for a, b in zip(wide[:hidden], wide[hidden:], strict=True)]
            else:
                wide = [act[activation](a) for a in wide]
            said.append([y * share for y in matrix(np.array(wide)[None], own["down"][i].T)[0]])
        out.append([total([Number(0), *column]) for column in zip(*said, strict=True)])
    return np.array(out, dtype=object)


def lrn(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    x, size = inputs[0], one.args["size"]
    squares = bordered(each(lambda v: v * v, x).swapaxes(0, 1), (size // 2,), (x.shape[0] + size - 1,), 0).swapaxes(0, 1)
    out = np.empty(x.shape, dtype=object)
    for c, i in np.ndindex(*x.shape):
        out[c, i] = x[c, i] / (mean(squares[c : c + size, i]) * 1e-4 + 1.0) ** 0.75
    return out


def softmax(row: Sequence[Number], logarithm: bool = False) -> list[Number]:
    top = largest(row)
    moved = [x - top for x in row]
    powers = [exp(x) for x in moved]
    whole = total(powers)
    if logarithm:
        shift = log(whole)
        return [x - shift for x in moved]
    return [x / whole for x in powers]


def softmaxes(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    x, axis = inputs[0], one.args.get("axis", 0)
    out = np.empty(x.shape, dtype=object)
    for at in np.ndindex(*np.delete(x.shape, axis)):
        line = (*at[: axis % x.ndim], slice(None), *at[axis % x.ndim :])
        out[line] = softmax(x[line], one.op == "log_softmax")
    return out


def variance(values: Sequence[Number]) -> Number:
    middle = mean(values)
    return total(part * part for part in [x - middle for x in values]) / (len(values) - 1)


def place(values: Sequence[Number]) -> Number:
    largest(values)
    return Number(float(np.argmax([x.value for x in values])))


def reduced(function: Callable[[list[Number]], Number]) -> Loop:
    """All values along some axes to one."""

    def loop(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
        x, axis = inputs[0], one.args.get("axis", 0)
        axes = sorted(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))
        rows = np.moveaxis(x, axes, range(-len(axes), 0))
        out = np.empty(rows.shape[: x.ndim - len(axes)], dtype=object)
        for at in np.ndindex(*out.shape):
            out[at] = function(list(rows[at].flat))
        return out.reshape(one.facts().outputs[0])

    return loop


def running(function: Callable[[Number, Number], Number]) -> Loop:
    """Each value with those before it along an axis."""

    def loop(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
        x = np.moveaxis(inputs[0], one.args["axis"], -1)
        out = np.empty(x.shape, dtype=object)
        for at in np.ndindex(*x.shape[:-1]):
            out[at] = list(accumulate(x[at], function))
        return np.moveaxis(out, -1, one.args["axis"])

    return loop


def fold(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    """Each value of a column is put where its window lies, or added to what is there."""
    size, kernel = (value if isinstance(value, tuple) else (value,) * 2 for value in (one.args["size"], one.args["kernel"]))
    stride, padding = one.args.get("stride", 1), one.args.get("padding", 0)
    counts = [(n + 2 * padding - k) // stride + 1 for n, k in zip(size, kernel, strict=True)]
    found: dict[tuple[int, ...], Number] = {}
    for c, *tap in product(range(one.facts().outputs[0][0]), *map(range, kernel)):
        row = (c * kernel[0] + tap[0]) * kernel[1] + tap[1]
        for column, place in enumerate(product(*map(range, counts))):
            to = (c, *(i * stride - padding + t for i, t in zip(place, tap, strict=True)))
            if all(0 <= i < n for i, n in zip(to[1:], size, strict=True)):
                found[to] = found[to] + inputs[0][row, column] if to in found else inputs[0][row, column]
    out = np.full(one.facts().outputs[0], Number(0.0), dtype=object)
    for to, value in found.items():
        out[to] = value
    return out


def clamp(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    x = inputs[0]
    if "low" in one.args:
        x = each(lambda value: larger(value, one.args["low"]), x)
    return each(lambda value: smaller(value, one.args["high"]), x) if "high" in one.args else x


def matrix(x: Any, y: Any, bias: Any = None) -> Any:
    out = np.empty((x.shape[0], y.shape[1]), dtype=object)
    for i, j in np.ndindex(*out.shape):
        value = total(x[i, k] * y[k, j] for k in range(x.shape[1]))
        out[i, j] = value if bias is None else value + bias[j]
    return out


def linear(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    rows = inputs[0].reshape(-1, one.shapes[0][-1])
    return matrix(rows, own["weight"].T, own.get("bias")).reshape(one.facts().outputs[0])


def attention(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    x, asked, heads, features = inputs[0], inputs[-1], one.args["heads"], one.shapes[0][1]
    width = features // heads
    biases = own.get("in_proj_bias")
    q, k, v = (
        matrix(
            source,
            own["in_proj_weight"][i * features : (i + 1) * features].T,
            biases[i * features :][:features] if biases is not None else None,
        )
        for i, source in enumerate((x, asked, asked))
    )
    results = []
    for head in range(heads):
        parts = slice(head * width, (head + 1) * width)
        scores = matrix(each(lambda one: one * width**-0.5, q[:, parts]), k[:, parts].T)
        results.append(matrix(np.array([softmax(row) for row in scores], dtype=object), v[:, parts]))
    return matrix(np.concatenate(results, 1), own["out_proj.weight"].T, own.get("out_proj.bias"))


def asked(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    """The values by how well their keys fit the queries, head by head."""
    factor = one.args.get("scale", one.shapes[0][-1] ** -0.5)
    queries, keys, values, *masks = inputs
    heads = []
    for i, q in enumerate(queries):
        at = i * len(keys) // len(queries)
        k, v = keys[at], values[at]
        scores = matrix(each(lambda value: value * factor, q), k.T)
        for mask in masks:
            scores = each(lambda a, b: a + b, scores, mask)
        heads.append(matrix(np.array([softmax(row) for row in scores], dtype=object), v))
    return np.array(heads, dtype=object)


def rotary(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    """Each pair of features as a point, turned around the origin."""
    x = inputs[0]
    size = x.shape[-1]
    out = np.empty(x.shape, dtype=object)
    for at in np.ndindex(*x.shape[:-1], size // 2):
        *place, i = at
        first, second = (2 * i, 2 * i + 1) if one.args.get("pairs") == "interleaved" else (i, i + size // 2)
        angle = place[-1] / one.args.get("base", 10000.0) ** (2 * i / size)
        cos, sin = math.cos(angle), math.sin(angle)
        a, b = x[(*place, first)], x[(*place, second)]
        out[(*place, first)], out[(*place, second)] = a * cos - b * sin, a * sin + b * cos
    return out


def relative_position_bias(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    """A row of the table for each offset, counted with the last axis of the window fastest."""
    height, width = one.args["window"]
    table, out = own["relative_position_bias_table"], np.empty(inputs[0].shape, dtype=object)
    for head, q, k in np.ndindex(*out.shape):
        rows, columns = q // width - k // width + height - 1, q % width - k % width + width - 1
        out[head, q, k] = inputs[0][head, q, k] + table[rows * (2 * width - 1) + columns, head]
    return out


def shift_mask(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    """Two tokens see each other where rolling the map back leaves them as far apart as they are."""
    (height, width), (down, right), (up, left) = (one.args[name] for name in ("size", "window", "shift"))
    out = np.empty(inputs[0].shape, dtype=object)
    for at in np.ndindex(*out.shape):
        window, _, q, k = at
        places = []
        for token in (q, k):
            row = window // (width // right) * down + token // right
            column = window % (width // right) * right + token % right
            places.append(((row + up) % height - row, (column + left) % width - column))
        out[at] = inputs[0][at] + (0.0 if places[0] == places[1] else -100.0)
    return out


def bilinear(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    """Each value a sum over the 2^rank pixels around it, with weights that are known beforehand."""
    x, shape = inputs[0], one.facts().outputs[0]
    out = np.empty(shape, dtype=object)
    for at in np.ndindex(*shape):
        pairs = []
        for i, n, m in zip(at[1:], x.shape[1:], shape[1:], strict=True):
            source = max((i + 0.5) * n / m - 0.5, 0)
            low = math.floor(source)
            pairs.append([(low, 1 - source + low), (min(low + 1, n - 1), source - low)])
        corners = [(tuple(p for p, _ in corner), math.prod(w for _, w in corner)) for corner in product(*pairs)]
        out[at] = total(x[(at[0], *place)] * weight for place, weight in corners)
    return out
