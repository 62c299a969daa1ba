"""FLOPs against a count: each layer worked out in plain loops on numbers that count, and its values against PyTorch's.

The loops are the definitions of the layers. That their values are PyTorch's shows that it is the layer that was counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import pytest

from archc.ops import Work

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

from tests.helpers.torch_form import Layer

from . import loops, region_loops
from .activations import ACTIVATIONS, sigmoid
from .cases import CASES, Case, case
from .counting import COUNT, Number, array, larger, largest, number, smaller, special, total
from .recurrences import recurrence


def chained(function: Callable[[Number, Number], Number]) -> loops.Loop:
    return lambda one, inputs, own: reduce(lambda a, b: loops.each(function, a, b), inputs)


ACTIVATED = [(case(op, (2, 3, 2), **args), lambda one, inputs, own, f=f: loops.each(f, inputs[0])) for op, args, f in ACTIVATIONS]
CONVOLUTIONS = [
    case(op, (4, *space), channels=6, bias=bias, **args)
    for op, space, bias, args in [
        ("conv", (7,), True, {"kernel": 3, "stride": 2, "padding": 1}),
        ("conv", (5, 4), False, {"kernel": (3, 2), "padding": (1, 0), "dilation": (1, 2)}),
        ("conv", (5, 4), True, {"kernel": 3, "groups": 2}),
        ("conv", (3, 4, 3), True, {"kernel": 2, "stride": 2}),
        ("conv_transpose", (4,), True, {"kernel": 3, "stride": 2, "padding": 1}),
        ("conv_transpose", (3, 2), False, {"kernel": 2, "stride": (2, 1), "dilation": 2}),
        ("conv_transpose", (3, 2), True, {"kernel": 3, "groups": 2, "padding": 1}),
        ("conv_transpose", (2, 2, 2), True, {"kernel": 2}),
    ]
]
POSITIVE = ("lppool", "pow", "sqrt", "rsqrt", "log")  # layers of positive values
maxima = loops.pooled(lambda one, values, inside: largest(values), -math.inf)
means = loops.pooled(lambda one, values, inside: total(values) / inside)
powers = loops.pooled(loops.lp)

CONSTANTS = [("add", lambda a: a + 1.5), ("sub", lambda a: a - 1.5), ("div", lambda a: a / 1.5), ("pow", lambda a: a**1.5)]
REVERSED = [("sub", lambda a: 1.5 - a), ("div", lambda a: 1.5 / a), ("pow", lambda a: special(lambda v: 1.5**v, a))]
PAIRS = [
    *(("sub", lambda a, b: a - b), ("div", lambda a, b: a / b), ("pow", lambda a, b: a**b)),
    *(("maximum", larger), ("minimum", smaller)),
]

REDUCTIONS: list[tuple[str, dict[str, Any], Callable[[list[Number]], Number]]] = [
    *(("mean", {}, loops.mean), ("sum", {}, total), ("max", {}, largest), ("min", {}, lambda row: reduce(smaller, row))),
    ("norm", {}, lambda row: special(math.sqrt, total(x * x for x in row))),
    ("norm", {"p": 1}, lambda row: total(larger(x, -x) for x in row)),
    ("var", {}, loops.variance),
    ("std", {}, lambda row: special(math.sqrt, loops.variance(row))),
]
RUNNING = [("cumsum", lambda a, b: a + b), ("cummax", larger), ("cummin", smaller)]

LOOPS: list[tuple[Case, loops.Loop]] = [
    *ACTIVATED,
    *[(one, loops.conv if one.op == "conv" else loops.conv_transpose) for one in CONVOLUTIONS],
    (case("glu", (4, 3)), lambda one, inputs, own: loops.each(lambda a, b: a * sigmoid(b), inputs[0][:2], inputs[0][2:])),
    *[(case("maxpool", (2, 7), kernel=3, stride=2, padding=1, ceil=c), maxima) for c in (True, False)],
    (case("maxpool", (2, 7, 6), kernel=2, dilation=2), maxima),
    (case("maxpool", (2, 3, 4, 3), kernel=2), maxima),
    *[(case("avgpool", (2, 7), kernel=3, stride=2, padding=1, ceil=c), means) for c in (True, False)],
    (case("avgpool", (2, 6, 6), kernel=3, stride=2, ceil=True), means),
    (case("avgpool", (2, 3, 4, 3), kernel=2), means),
    *[(case("lppool", (2, 5, 4), kernel=2, norm=norm), powers) for norm in (1, 2, 3)],
    *[(case("adaptive_avgpool", (2, 7, 5), size=size), loops.binned(loops.mean)) for size in (1, 3, (4, 2))],
    *[(case("adaptive_maxpool", (2, 7, 5), size=size), loops.binned(largest)) for size in (1, 3, (4, 2))],
    *[(case("global_avgpool", shape), loops.binned(loops.mean)) for shape in ((2, 5), (2, 3, 4))],
    *[(case("global_maxpool", shape), loops.binned(largest)) for shape in ((2, 5), (2, 3, 4))],
    *[(case("batchnorm", shape), loops.batchnorm) for shape in ((5,), (3, 4), (2, 3, 2))],
    *[(case("frozen_batchnorm", shape), loops.batchnorm) for shape in ((3, 4), (2, 3, 2))],
    *[(case("layernorm", (3, 4), affine=a, bias=b), loops.rownorm(lambda one: 3)) for a, b in ((True, True), (True, False), (False, True))],
    *[(case("groupnorm", (4, 3, 2), groups=2, affine=a), loops.rownorm(lambda one: 2)) for a in (True, False)],
    *[(case("instancenorm", (2, 3, 2), affine=a), loops.rownorm(lambda one: 2)) for a in (True, False)],
    *[(case("rmsnorm", (3, 4), affine=a), loops.rmsnorm) for a in (True, False)],
    *[
        (case("experts", (3, 4), count=4, hidden=3, top=top, activation=activation, renormalize=renormalize), loops.experts)
        for top, activation, renormalize in ((2, "swiglu", True), (1, "gelu", False), (3, "relu", True))
    ],
    *[(case("normalize", (3, 4), axis=axis, start=start), loops.normalized_lengths) for axis in (0, -1) for start in (None, 20.0)],
    *[(case("lrn", (6, 2), size=size), loops.lrn) for size in (3, 4)],
    *[
        (case(op, shape, axis=axis), loops.softmaxes)
        for op in ("softmax", "log_softmax")
        for shape, axis in (((5,), 0), ((3, 4), -1), ((3, 2, 2), 0))
    ],
    *[(case("linear", shape, features=3, bias=b), loops.linear) for shape in ((5,), (2, 4)) for b in (True, False)],
    (
        case("einsum", (2, 3, 4), (2, 5, 4), equation="hqd,hkd->hqk"),
        lambda one, inputs, own: np.array([loops.matrix(q, k.T) for q, k in zip(*inputs, strict=True)]),
    ),
    (case("fold", (8, 12), size=(4, 5), kernel=2), loops.fold),
    (case("fold", (18, 9), size=6, kernel=3, stride=2, padding=1), loops.fold),
    (case("matmul", (3, 4), (4, 2)), lambda one, inputs, own: loops.matrix(*inputs)),
    *[(case("attention", (3, 4), heads=2, bias=b), loops.attention) for b in (True, False)],
    *[(case("attention", (3, 4), (2, 4), heads=h), loops.attention) for h in (1, 4)],
    *[
        (case("scaled_dot_product_attention", (2, 3, 4), (2, asked, 4), (2, asked, width)), loops.asked)
        for asked, width in ((3, 4), (5, 4), (2, 3))
    ],
    (case("relative_position_bias", (2, 6, 6), window=(2, 3)), loops.relative_position_bias),
    (case("shift_mask", (6, 1, 6, 6), size=(4, 9), window=(2, 3), shift=(1, 2)), loops.shift_mask),
    *[(case("rotary", shape, pairs=p), loops.rotary) for shape in ((3, 4), (2, 3, 6)) for p in ("half", "interleaved")],
    (case("scaled_dot_product_attention", (4, 3, 4), (2, 5, 4), (2, 5, 4), (3, 5), scale=0.3), loops.asked),
    *[
        (case(op, (3, 4), hidden=2, **more), recurrence)
        for op in ("rnn", "gru", "lstm")
        for more in ({}, {"bias": False}, {"layers": 2, "bidirectional": True})
    ],
    (case("lstm", (3, 4), hidden=3, layers=2, projection=2), recurrence),
    *[(case("upsample", shape, scale=2, mode="linear"), loops.bilinear) for shape in ((2, 3), (2, 3, 2), (1, 2, 2, 2))],
    (case("add", (2, 3), (2, 3), (2, 3)), chained(lambda a, b: a + b)),
    (case("add", (2, 1, 1), (2, 3, 1), (1, 3, 4), broadcast=True), chained(lambda a, b: a + b)),
    (case("mul", (2, 3), (2, 3)), chained(lambda a, b: a * b)),
    (case("mul", (2, 3, 4), (2, 1, 1)), chained(lambda a, b: a * b)),
    (case("mul", (2, 1, 1), (1, 3, 1), (2, 3, 4)), chained(lambda a, b: a * b)),
    *[(case(op, (2, 3), value=1.5), lambda one, inputs, own, f=f: loops.each(f, inputs[0])) for op, f in CONSTANTS],
    *[(case(op, (2, 3), value=1.5, reverse=True), lambda one, inputs, own, f=f: loops.each(f, inputs[0])) for op, f in REVERSED],
    *[(case(op, (2, 3), (2, 3)), chained(f)) for op, f in PAIRS],
    *[(case(op, (2, 3), (2, 1), broadcast=True), chained(f)) for op, f in PAIRS],
    *[(case(op, (2, 1, 1), (2, 3, 1), (1, 3, 4), broadcast=True), chained(f)) for op, f in PAIRS[-2:]],
    *[(case("clamp", (2, 3), **args), loops.clamp) for args in ({"low": 0.0}, {"high": 0.5}, {"low": -0.5, "high": 0.5})],
    (case("average", (2, 3), (2, 3), (2, 3)), lambda one, inputs, own: loops.each(lambda a, b, c: (a + b + c) / 3, *inputs)),
    *[
        (case(op, shape, axis=axis, keepdim=keepdim, **more), loops.reduced(f))
        for op, more, f in REDUCTIONS
        for shape, axis, keepdim in (((3, 4), 0, False), ((2, 3, 4), (0, 2), True), ((2, 3, 4), (-1, 1), False))
    ],
    *[(case("argmax", (3, 4), axis=axis), loops.reduced(loops.place)) for axis in (0, -1)],
    *[(case(op, (3, 4), axis=axis), loops.running(f)) for op, f in RUNNING for axis in (0, 1)],
    *[(case("roi_align", (2, 4, 3), (2, 4), size=(2, 1), sampling=n), region_loops.roi_align) for n in (1, 2)],
    (case("deform_conv", (2, 4, 3), (18, 2, 2), channels=4, kernel=3, padding=1, stride=2), region_loops.deform_conv),
    (case("deform_conv", (4, 3, 3), (8, 2, 2), (4, 2, 2), channels=4, kernel=2, groups=2, bias=False), region_loops.deform_conv),
    (case("scale", (3, 4), factor=0.5), lambda one, inputs, own: loops.each(lambda a: a * 0.5, inputs[0])),
    (case("layer_scale", (3, 4), start=0.5), lambda one, inputs, own: loops.each(lambda a, b: a * b, inputs[0], own[""])),
    (case("position_embedding", (3, 4)), lambda one, inputs, own: loops.each(lambda a, b: a + b, inputs[0], own[""][0])),
]


@pytest.mark.parametrize("one, loop", LOOPS, ids=lambda value: value.id if isinstance(value, Case) else "")
def test_work_is_what_loops_count(one: Case, loop: loops.Loop) -> None:
    torch.manual_seed(0)
    layer = Layer(one.facts()).eval()
    inputs = [torch.rand(1, *shape) * 4 - (0 if one.op in POSITIVE else 2) for shape in one.shapes]
    for name, tensor in layer.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.uniform_(0.5, 2)
    own = {name.removeprefix("own").removeprefix("."): array(tensor) for name, tensor in layer.state_dict().items()}
    COUNT.clear()
    values = loop(one, [array(x[0]) for x in inputs], own)
    assert Work(**COUNT) == one.facts().work
    expected = layer(*inputs)[0].detach().numpy()
    assert np.allclose(np.vectorize(number, otypes=[float])(values), expected, rtol=1e-4, atol=1e-4)


def test_every_operator_that_computes_is_counted() -> None:
    counted = {one.op for one, _ in LOOPS}
    assert sorted({one.op for one in CASES if isinstance(one.facts().work, Work) and one.facts().work != Work()} - counted) == []
