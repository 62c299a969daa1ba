"""Cases of every operator: shapes without the batch axis, and arguments. An operator without a case fails the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pytest

from archc.ops import OPERATORS, Facts, Shape

Sizes = tuple[int, ...]

V = (12,)  # a vector
T = (6, 8)  # tokens
L, M, D = (4, 9), (4, 7, 6), (4, 5, 4, 6)  # maps over one, two and three axes


class Case(NamedTuple):
    """An operator on inputs of some shapes, of which the first `joined` axes are in the batch."""

    op: str
    shapes: tuple[Sizes, ...]
    args: dict[str, Any]
    joined: int = 0

    @property
    def id(self) -> str:
        told = [f"{name}={value}" for name, value in self.args.items()]
        return f"{self.op}({', '.join(['x'.join(map(str, shape)) for shape in self.shapes] + told)})" + f" joined {self.joined}" * (
            self.joined > 0
        )

    def inputs(self) -> list[Shape]:
        return [Shape(shape).named(("windows",) * self.joined + ("",) * (len(shape) - self.joined)) for shape in self.shapes]

    def facts(self) -> Facts:
        return OPERATORS[self.op](*self.inputs(), **self.args)


def case(op: str, *shapes: Sizes, **args: Any) -> Case:
    return Case(op, shapes, args)


def each_of(cases: Iterable[Case]) -> Callable[[Callable[[Case], None]], Callable[[str], None]]:
    """A test of one case becomes one for each operator, of all its cases: of thousands of tests, most of the time is their start."""
    found: dict[str, list[Case]] = {}
    for one in cases:
        found.setdefault(one.op, []).append(one)

    def made(test: Callable[[Case], None]) -> Callable[[str], None]:
        @pytest.mark.parametrize("op", found)
        def of_operator(op: str) -> None:
            for one in found[op]:
                try:
                    test(one)
                except Exception as error:
                    error.add_note(f"the case: {one.id}")
                    raise

        of_operator.__name__, of_operator.__doc__ = test.__name__, test.__doc__
        return of_operator

    return made


def _activations() -> Iterator[Case]:
    for op in ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh"):
        yield case(op, M)
        yield case(op, M, inplace=True)
    for op in ("sigmoid", "tanh", "gelu", "softplus", "softsign", "logsigmoid", "tanhshrink", "hardshrink", "softshrink"):
        yield from (case(op, shape) for shape in (V, T, M))
    yield case("leaky_relu", T, slope=0.2)
    yield case("elu", V, alpha=0.5)
    yield case("celu", V, alpha=0.5, inplace=True)
    yield case("gelu", T, approximate="tanh")
    yield case("hardtanh", V, low=-2.0, high=0.5)
    yield case("softplus", V, beta=2.0, threshold=5.0)
    yield case("hardshrink", V, threshold=0.25)
    yield case("softshrink", V, threshold=0.25)
    for inplace in (False, True):
        yield case("threshold", M, threshold=0.1, value=2.0, inplace=inplace)
    for shared in (True, False):
        yield from (case("prelu", shape, shared=shared) for shape in (V, L, M, D))
    yield case("prelu", M, start=0.1)
    yield from (case("glu", shape) for shape in (V, T, L, M, D))
    for op in ("softmax", "log_softmax"):
        yield from (case(op, V), case(op, M), case(op, T, axis=-1), case(op, M, axis=2), case(op, (1, 5)))


def _convolutions() -> Iterator[Case]:
    for op in ("conv", "conv_transpose"):
        for shape in (L, M, D):
            yield case(op, shape, channels=6)
            yield case(op, shape, channels=6, kernel=3, padding=1)
            yield case(op, shape, channels=5, kernel=3, stride=2, bias=False)
            yield case(op, shape, channels=8, kernel=2, stride=2, groups=2)
            yield case(op, shape, channels=4, kernel=3, padding=1, groups="depthwise")
            yield case(op, shape, channels=8, kernel=3, padding=1, groups="depthwise", bias=False)
        yield case(op, M, channels=6, kernel=(3, 2), stride=(2, 1), padding=(1, 0))
        yield case(op, M, channels=6, kernel=3, dilation=2, padding=2)
        yield case(op, (3, 11, 11), channels=2, kernel=5, stride=3, padding=2)
        yield case(op, (3, 1, 1), channels=2)
    for shape in (L, M, D):
        for padding in ("same", "same_upper"):
            yield case("conv", shape, channels=3, kernel=3, padding=padding)
            yield case("conv", shape, channels=3, kernel=2, padding=padding)
            yield case("conv", shape, channels=3, kernel=4, stride=2, padding=padding)
        for mode in ("reflect", "replicate", "circular"):
            yield case("conv", shape, channels=3, kernel=3, padding=1, padding_mode=mode)
            yield case("conv", shape, channels=3, kernel=4, padding="same", padding_mode=mode)
            yield case("conv", shape, channels=3, kernel=3, padding_mode=mode)
        yield case("conv", shape, channels=6, kernel=3, padding=1, standardize=1e-6)
        yield case("conv", shape, channels=6, kernel=2, groups=2, padding="same", bias=False, standardize=1e-8)
    for args in ({}, {"dilation": 2, "stride": 2}, {"padding_mode": "replicate"}, {"standardize": 1e-6}, {"groups": "depthwise"}):
        yield case("conv", L, channels=4, kernel=3, padding="causal", **args)
    yield case("conv", M, channels=3, kernel=3, stride=2, padding=((0, 1), (0, 1)))
    yield case("conv", M, channels=3, kernel=3, padding=(1, (2, 0)), padding_mode="reflect")
    yield case("conv", D, channels=3, kernel=2, padding=((1, 0), 0, (3, 1)))
    yield case("conv", M, channels=3, kernel=(3, 5), padding=(0, 2), padding_mode="reflect")
    yield case("conv", (3, 8, 8), channels=3, kernel=3, stride=2, padding="same_upper")
    yield case("conv", (3, 7, 8), channels=3, kernel=3, stride=2, padding="same_upper")
    yield case("conv", (3, 9, 9), channels=3, kernel=1, stride=2, padding="same_upper")
    yield case("conv", M, channels=3, kernel=3, dilation=2, padding="same")
    yield case("conv", M, channels=3, kernel=2, dilation=(1, 2), padding="same")
    yield case("conv", (6, 9, 9), channels=9, kernel=3, stride=2, groups=3, dilation=2)
    yield case("conv_transpose", M, channels=3, kernel=3, stride=2, padding=1, output_padding=1)
    yield case("conv_transpose", M, channels=3, kernel=4, stride=(2, 3), padding=(1, 0), output_padding=(1, 2))
    yield case("conv_transpose", M, channels=3, kernel=1, stride=3)
    yield case("conv_transpose", M, channels=3, kernel=3, stride=2, dilation=2)
    yield case("conv_transpose", L, channels=3, kernel=2, stride=3, dilation=4, output_padding=3)


def _parametrizations() -> Iterator[Case]:
    for how in ("weight_norm", "spectral_norm"):
        for shape in (L, M, D):
            yield case("conv", shape, channels=6, kernel=3, padding=1, groups=2, parametrize=how)
            yield case("conv_transpose", shape, channels=6, kernel=2, stride=2, bias=False, parametrize=how)
        yield case("conv", M, channels=3, kernel=2, padding="same", padding_mode="reflect", parametrize=how)
        yield case("conv_transpose", M, channels=6, kernel=3, groups=2, parametrize=how)
        yield from (case("linear", shape, features=5, parametrize=how) for shape in (V, T))
        yield case("linear", V, features=1, bias=False, parametrize=how)


def _pools() -> Iterator[Case]:
    for op, extra in (("maxpool", {}), ("avgpool", {}), ("lppool", {"norm": 2}), ("lppool", {"norm": 1}), ("lppool", {"norm": 3.0})):
        for shape in (L, M, D):
            yield case(op, shape, kernel=2, **extra)
            yield case(op, shape, kernel=3, stride=2, **extra)
            yield case(op, shape, kernel=3, stride=2, ceil=True, **extra)
            yield case(op, shape, kernel=2, ceil=True, **extra)
        yield case(op, M, kernel=(3, 2), stride=(1, 2), **extra)
        yield case(op, M, kernel=1, **extra)
    for op in ("maxpool", "avgpool"):
        for shape in (L, M, D):
            yield case(op, shape, kernel=3, stride=2, padding=1)
            yield case(op, shape, kernel=3, stride=1, padding="same")
            yield case(op, shape, kernel=2, stride=1, padding="same")
            yield case(op, shape, kernel=3, stride=2, padding="same_upper")
            yield case(op, shape, kernel=2, stride=2, padding=1, ceil=True)
        yield case(op, (2, 5, 5), kernel=2, stride=2, padding=1, ceil=True)  # the last window would start in the padding
        yield case(op, (2, 8, 8), kernel=3, stride=2, ceil=True)
        yield case(op, (2, 7, 7), kernel=3, stride=3, padding=1, ceil=True)
        yield case(op, (2, 6, 6), kernel=1, stride=2, ceil=True)
        yield case(op, (2, 3, 3), kernel=4, stride=2, ceil=True)  # one partial window alone
        yield case(op, M, kernel=(3, 2), padding=(1, 0))
        yield case(op, (2, 8, 9), kernel=3, stride=2, padding="same_upper")
        yield case(op, (2, 8, 9), kernel=3, stride=2, padding=((0, 1), (2, 1)))
        yield case(op, L, kernel=3, stride=1, padding="causal")
    yield case("maxpool", M, kernel=2, dilation=2, stride=1)
    yield case("maxpool", M, kernel=3, dilation=2, stride=2, padding=1, ceil=True)
    yield case("maxpool", M, kernel=2, dilation=5, stride=2, padding="same")
    for shape in (L, M, D):
        yield case("maxpool", shape, kernel=2, indices=True)
        yield case("maxpool", shape, kernel=3, stride=2, padding=1, dilation=2, ceil=True, indices=True)
        yield case("max_unpool", shape, shape, kernel=2)
        yield case("max_unpool", shape, shape, kernel=3, stride=2, padding=1)
    yield case("max_unpool", M, M, kernel=2, size=(15, 12))
    yield case("max_unpool", M, M, kernel=(3, 2), stride=(2, 1))
    yield case("max_unpool", L, L, (9, 19), kernel=2)
    for shape in (L, M, D):
        yield case("avgpool", shape, kernel=3, stride=2, padding=1, count_padding=False)
        yield case("avgpool", shape, kernel=2, stride=1, padding="same", count_padding=False)
        yield case("avgpool", shape, kernel=3, stride=2, padding="same_upper", count_padding=False)
        yield case("global_avgpool", shape)
        yield case("global_maxpool", shape)
        for op in ("adaptive_avgpool", "adaptive_maxpool"):
            yield from (case(op, shape, size=size) for size in (1, 2, 3, 4, 7))
    yield case("adaptive_avgpool", (3, 1, 1), size=1)
    yield case("adaptive_avgpool", M, size=(7, 6))
    yield case("adaptive_avgpool", M, size=(1, 3))
    yield case("adaptive_maxpool", M, size=(7, 1))
    yield case("global_avgpool", (3, 1, 1))


def _norms() -> Iterator[Case]:
    for affine in (True, False):
        yield from (case("batchnorm", shape, affine=affine) for shape in (V, L, M, D))
        yield from (case("batchnorm", shape, affine=affine, track=False) for shape in (V, M))
        yield from (case("instancenorm", shape, affine=affine) for shape in (L, M, D))
        for groups in (1, 2, 4):
            yield from (case("groupnorm", shape, groups=groups, affine=affine) for shape in (V, L, M, D))
        yield from (case("layernorm", shape, affine=affine) for shape in (V, T, M))
        yield from (case("layernorm", shape, affine=affine, axis="channels") for shape in (L, M, D))
        yield from (case("rmsnorm", shape, affine=affine) for shape in (V, T, M))
    yield case("batchnorm", M, eps=1e-3, momentum=0.01)
    yield from (case("frozen_batchnorm", shape, eps=eps) for shape in (V, L, M, D) for eps in (1e-5, 1e-3))
    yield case("layernorm", T, bias=False)
    yield case("layernorm", M, axis="channels", bias=False, eps=1e-6)
    yield case("groupnorm", M, groups=2, eps=1e-3)
    yield case("instancenorm", M, eps=1e-3)
    yield case("rmsnorm", T, eps=1e-5)
    for start in (None, 20.0):
        yield from (case("normalize", shape, start=start) for shape in (V, M, D))
        yield case("normalize", T, axis=-1, start=start)
    yield case("normalize", M, axis=1, eps=1e-6)
    yield case("normalize", T)
    yield from (case("lrn", shape, size=size) for shape in (L, M, D) for size in (1, 2, 3, 5))
    yield case("lrn", M, size=5, alpha=1e-3, beta=0.5, k=2.0)


def _merges() -> Iterator[Case]:
    for op in ("add", "mul", "average", "concat"):
        yield from (case(op, *[shape] * count) for shape in (V, T, M) for count in (2, 3))
    yield case("add", M, M, M, M)
    yield case("add", M, (4, 1, 1), broadcast=True)
    yield case("add", (4, 1, 6), (4, 7, 1), (1, 1, 1), broadcast=True)
    yield from (case("add", *[shape] * count, inplace=True) for shape in (V, M) for count in (2, 3))
    yield case("add", M, (4, 1, 1), broadcast=True, inplace=True)
    yield case("mul", M, (4, 1, 1))
    yield case("mul", (4, 1, 1), M)
    yield case("mul", (4, 7, 1), (4, 1, 6))
    yield case("mul", (4, 1, 1), (1, 7, 1), M, (1, 1, 6))
    yield case("concat", M, (2, 7, 6), (5, 7, 6))
    yield case("concat", T, (6, 3), axis=1)
    yield case("concat", M, (4, 7, 2), axis=-1)
    yield case("split", M, parts=2)
    yield case("split", T, parts=4, axis=-1)
    yield case("split", D, parts=2, axis=2)
    yield case("split", M, sizes=(1, 3))
    yield from (case("scale", shape, factor=0.17) for shape in (V, T, M))
    yield case("split", T, sizes=(2, 1, 5), axis=-1)
    yield case("split", V, parts=1)


def _arithmetic() -> Iterator[Case]:
    for op in ("abs", "neg", "square", "sqrt", "rsqrt", "exp", "log", "sin", "cos"):
        yield from (case(op, shape) for shape in (V, M))
    yield case("clamp", M, low=0.0)
    yield case("clamp", T, high=2.0)
    yield case("clamp", M, low=-0.25, high=2.5)
    for op in ("add", "sub", "div", "pow"):
        yield case(op, M, value=1.5)
        yield case(op, T, value=-2.0)
    yield case("add", M, value=0.5, inplace=True)
    yield from (case(op, shape, value=1.5, reverse=True) for op in ("sub", "div", "pow") for shape in (V, M))
    for op in ("sub", "div", "pow", "maximum", "minimum"):
        yield from (case(op, shape, shape) for shape in (V, M))
        yield case(op, M, (4, 1, 1), broadcast=True)
        yield case(op, (4, 7, 1), (4, 1, 6), broadcast=True)
    for op in ("maximum", "minimum"):
        yield case(op, M, M, M)
        yield case(op, (4, 1, 1), (1, 7, 1), M, broadcast=True)


def _reductions() -> Iterator[Case]:
    yield from (case("mean", T, axis=axis) for axis in (0, 1, -1))
    for op in ("mean", "sum", "max", "min", "norm", "var", "std"):
        yield case(op, M, axis=1)
        yield case(op, M, axis=(0, 2), keepdim=True)
        yield case(op, D, axis=(-1, 1))
        yield case(op, T, axis=-1, keepdim=True)
        yield case(op, V, keepdim=True)
    for op in ("max", "min"):
        yield case(op, M, axis=0, indices=True)
        yield case(op, M, axis=-1, keepdim=True, indices=True)
    yield case("norm", M, p=1)
    yield case("norm", M, p=1, axis=(1, 2), keepdim=True)
    yield case("var", M, axis=(1, 2), correction=0)
    yield case("std", T, correction=2, keepdim=True)
    yield from (case("argmax", M, axis=axis) for axis in (0, -1))
    yield case("argmax", T, keepdim=True)
    for op in ("cumsum", "cummax", "cummin"):
        yield from (case(op, shape) for shape in (V, M))
        yield case(op, M, axis=-1)
    yield from (case(op, M, axis=1, indices=True) for op in ("cummax", "cummin"))
    yield case("topk", V, k=3)
    yield case("topk", M, k=2, axis=0)
    yield case("topk", T, k=1, largest=False)


def _indexings() -> Iterator[Case]:
    yield case("roll", M, shift=2, axis=1)
    yield case("roll", M, shift=(-1, 2), axis=(1, -1))
    yield case("roll", V, shift=5, axis=0)
    yield from (case("flip", M, axis=axis) for axis in (0, -1, (1, 2)))
    yield case("slice", M, step=2, axis=1)
    yield case("slice", T, start=1, stop=-1, axis=-1)
    yield case("slice", M, start=-5, step=3, axis=2)
    yield case("slice", V, stop=5)
    yield case("index", M, indices=(3, 0, 0, -1))
    yield case("index", T, indices=(5, 1), axis=1)
    yield case("gather", M, (2, 7, 6))
    yield case("gather", T, (6, 3), axis=-1)
    yield case("tile", M, times=(2, 1, 3))
    yield from (case("repeat_interleave", shape, times=2) for shape in (V, M))
    yield case("repeat_interleave", M, times=3, axis=-1)
    yield case("expand", (4, 1, 6), shape=(4, 7, 6))
    yield case("expand", (1, 7, 1), shape=(3, -1, 5))
    yield case("expand", M, shape=(-1, -1, -1))
    yield from (case("unbind", T, axis=axis) for axis in (0, -1))
    yield case("unbind", M, axis=1)
    yield case("unbind", (1, 5))
    yield from (case("stack", *[shape] * count, axis=axis) for shape in (V, M) for count, axis in ((2, 0), (3, -1)))
    yield case("stack", M, M, axis=1)
    yield case("pixel_unshuffle", (2, 6, 4), factor=2)
    yield case("pixel_unshuffle", (1, 3, 3), factor=3)


def _contractions() -> Iterator[Case]:
    yield case("einsum", (3, 4, 5), (3, 6, 5), equation="hqd,hkd->hqk")
    yield case("einsum", (3, 4, 6), (3, 6, 5), equation="hqk,hkd->hqd")
    yield case("einsum", (4, 3, 5), (6, 3, 5), equation="qhd,khd->hqk")
    yield case("einsum", (3, 4, 5), (3, 6), equation="chw,cd->hwd")
    yield case("einsum", (3, 4), (3, 4), equation="ij,ij->i")
    yield case("einsum", (3, 4, 5), (2, 3, 4), equation="ijk,lij->lk")
    yield case("unfold", M, kernel=2)
    yield case("unfold", M, kernel=3, stride=2, padding=1)
    yield case("unfold", M, kernel=(3, 2), stride=(1, 2), padding=(0, 1), dilation=(2, 1))
    yield case("fold", (8, 12), size=(4, 5), kernel=2)
    yield case("fold", (18, 9), size=6, kernel=3, stride=2, padding=1)
    yield case("fold", (12, 9), size=(7, 5), kernel=(3, 2), stride=(1, 2), padding=(0, 1), dilation=(2, 1))


def _matrices() -> Iterator[Case]:
    for bias in (True, False):
        yield from (case("linear", shape, features=5, bias=bias) for shape in (V, T, (1,)))
        yield from (case("attention", T, heads=heads, bias=bias) for heads in (1, 2, 4))
        yield from (case("attention", T, (5, 8), heads=heads, bias=bias) for heads in (1, 2))
    yield case("attention", (1, 8), heads=2)
    yield case("attention", (1, 8), T, heads=2)
    yield case("attention", T, (1, 8), heads=2)
    yield case("attention", T, heads=2, dropout=0.1)
    yield case("attention", T, (3, 8), heads=2, dropout=0.5)
    yield case("attention", T, T, heads=2)
    for causal in (False, True):
        yield case("scaled_dot_product_attention", (2, 6, 4), (2, 6, 4), (2, 6, 4), causal=causal)
    yield case("scaled_dot_product_attention", (2, 6, 4), (2, 5, 4), (2, 5, 4))
    yield case("scaled_dot_product_attention", (2, 6, 4), (2, 5, 4), (2, 5, 3))
    yield case("scaled_dot_product_attention", (6, 4), (5, 4), (5, 4))
    yield case("scaled_dot_product_attention", (2, 3, 4), (2, 5, 4), (2, 5, 4), causal=True)
    yield case("scaled_dot_product_attention", (2, 5, 4), (2, 3, 4), (2, 3, 4), causal=True)
    yield case("scaled_dot_product_attention", (2, 6, 4), (2, 6, 4), (2, 6, 4), dropout=0.25)
    for mask in ((6, 5), (2, 6, 5), (1, 6, 5), (2, 1, 5)):
        yield case("scaled_dot_product_attention", (2, 6, 4), (2, 5, 4), (2, 5, 4), mask)
    yield case("scaled_dot_product_attention", (2, 6, 4), (2, 5, 4), (2, 5, 3), (6, 5), dropout=0.25)
    yield case("scaled_dot_product_attention", (6, 4), (5, 4), (5, 4), (6, 5), scale=0.3)
    for groups in (1, 2):
        yield case("scaled_dot_product_attention", (4, 6, 4), (groups, 6, 4), (groups, 6, 4), causal=groups == 1)
        yield case("scaled_dot_product_attention", (4, 6, 4), (groups, 5, 4), (groups, 5, 4), (6, 5), scale=0.3)
    yield case("scaled_dot_product_attention", (4, 6, 4), (2, 5, 4), (2, 5, 4), dropout=0.25)
    yield case("scaled_dot_product_attention", (2, 3, 6, 4), (2, 3, 5, 4), (2, 3, 5, 4), (6, 5))
    for pairs in ("half", "interleaved"):
        yield from (case("rotary", shape, pairs=pairs) for shape in (T, (2, 6, 4), (2, 2, 2), (2, 3, 5, 6)))
    yield case("rotary", T, base=100.0)
    yield case("rotary", (2, 3, 8), scaling="linear", factor=4.0)
    yield case("rotary", (2, 3, 8), scaling="llama3", factor=8.0, original=32, base=10.0)
    yield case("rotary", (2, 3, 8), scaling="yarn", factor=4.0, original=64, high=8.0, magnitude=1.2, pairs="interleaved")
    yield case("shift_mask", (4, 2, 4, 4), size=4, window=2, shift=1)
    yield case("shift_mask", (6, 1, 6, 6), size=(4, 9), window=(2, 3), shift=(1, 2))
    for shape, window in (((2, 6, 6), (2, 3)), ((3, 4, 4), 2), ((2, 5, 5), (5,)), ((1, 8, 8), (2, 2, 2))):
        yield case("relative_position_bias", shape, window=window)
    yield case("embedding", (6,), entries=10, features=4)
    yield case("embedding", (1,), entries=3, features=1)
    yield case("matmul", (3, 4), (4, 5))
    yield case("matmul", (2, 3, 4), (2, 4, 5))
    yield case("matmul", (2, 2, 3, 4), (2, 2, 4, 3))
    yield case("matmul", (2, 4, 5, 3), (2, 1, 3, 5))
    yield case("matmul", (2, 1, 5, 3), (2, 4, 3, 5))
    yield case("matmul", (1, 4, 2, 3), (2, 1, 3, 5))
    yield case("matmul", (1, 2, 3), (4, 3, 2))


def _experts() -> Iterator[Case]:
    for activation in ("swiglu", "gelu", "relu"):
        yield case("experts", T, count=4, hidden=5, activation=activation)
        yield case("experts", T, count=3, hidden=5, top=1, activation=activation, renormalize=False)
    yield case("experts", (1, 8), count=4, hidden=3, top=4)
    yield case("experts", T, count=1, hidden=3, top=1)


def _recurrences() -> Iterator[Case]:
    for op, more in (("rnn", {}), ("gru", {}), ("lstm", {"projection": 3}), ("lstm", {})):
        for shape in (T, (1, 8)):
            yield case(op, shape, hidden=5, **more)
            yield case(op, shape, hidden=5, layers=2, bidirectional=True, **more)
        yield case(op, T, hidden=5, bidirectional=True, bias=False, **more)
        yield case(op, T, hidden=5, states=True, **more)
        yield case(op, T, hidden=5, layers=3, states=True, **more)
        for dropout in (0.25, 1.0):
            yield case(op, T, hidden=5, layers=3, dropout=dropout, **more)
        for layers, bidirectional in ((1, False), (2, True)):
            rows = layers * (1 + bidirectional)
            starts = [(rows, 3 if more else 5), *([(rows, 5)] if op == "lstm" else [])]
            for states in (False, True):
                yield case(op, T, *starts, hidden=5, layers=layers, bidirectional=bidirectional, states=states, **more)
    yield case("rnn", T, hidden=4, nonlinearity="relu")


def _moves() -> Iterator[Case]:
    for op in ("identity", "flatten"):
        yield from (case(op, shape) for shape in (V, T, M, D))
    yield case("reshape", M, shape=(6, -1))
    yield case("reshape", M, shape=(2, 2, 42))
    yield case("reshape", V, shape=(12, 1, 1))
    yield case("reshape", M, shape=(0, -1))
    yield case("reshape", (4, 6), (3, 4, 2), shape=(3, 0, 0))
    yield case("permute", M, order=(1, 2, 0))
    yield case("permute", T, order=(1, 0))
    yield from (case("transpose", shape) for shape in (T, M))
    yield case("transpose", D, axes=(-1, 1))
    yield from (case("select", T, index=index) for index in (0, -1, 3))
    yield case("select", M, index=2, axis=-1)
    for mode in ("zeros", "reflect", "replicate", "circular"):
        yield case("pad", L, sides=(1, 2), mode=mode)
        yield case("pad", M, sides=(1, 0, 2, 1), mode=mode)
        yield case("pad", D, sides=(1, 1, 0, 2, 1, 0), mode=mode)
        yield case("pad", M, sides=(-1, 0, 2, -2), mode=mode)
        yield case("pad", M, sides=(-1, -1, 0, -2), mode=mode)
    yield case("pad", M, sides=(0, 0, 0, 0))
    yield case("pad", M, sides=(1, 1, 1, 1), value=1.5)
    yield case("pad", M, sides=(0, 1, 0, 1), value=float("-inf"))
    yield from (case("crop", L, sides=(1, 2)), case("crop", M, sides=(0, 1, 2, 0)), case("crop", D, sides=(1, 1, 0, 0, 2, 1)))
    yield from (case("center_crop", M, size=size) for size in (3, 4, (7, 2)))
    yield case("center_crop", D, (9, 3, 2, 5))
    yield case("center_crop", L, size=5)
    yield from (case("channel_shuffle", shape, groups=2) for shape in (L, M, D))
    yield from (case("channel_shuffle", M, groups=groups) for groups in (1, 4))
    yield case("pixel_shuffle", (8, 3, 4), factor=2)
    yield case("pixel_shuffle", (9, 2, 2), factor=3)
    yield case("pixel_shuffle", M, factor=1)
    yield case("clone", M)
    yield case("clone", (6,), contiguous=True)
    yield from (case("tokens", shape) for shape in (L, M, D))
    yield case("class_token", T)
    yield case("position_embedding", T)
    for batch_axis in (False, True):
        yield case("parameter", T, shape=(3, 8), batch_axis=batch_axis)
        yield case("parameter", M, shape=(5,), start="normal", std=0.02, batch_axis=batch_axis)
        yield case("buffer", V, shape=(2, 3, 4), start="grid", batch_axis=batch_axis) if batch_axis else case("buffer", V, shape=(4,))
    yield case("parameter", V, shape=(2, 3), start=((1, 2, 3), (4, 5, 6.5)))
    yield case("parameter", V, shape=(5, 6), start="sinusoidal")
    yield case("buffer", T, shape=(7,), start="range", dtype="int64")
    yield case("buffer", T, shape=(2, 2, 2), start=2, dtype="int64", batch_axis=True)
    yield case("constant", T, values=((1, 0), (0, 1)), dtype="bool")
    yield case("constant", D, values="causal", shape=(6, 6), dtype="bool")
    yield case("constant", D, values="sinusoidal", shape=(6, 7))
    yield case("constant", V, values="grid", shape=(2, 3, 4), dtype="int64")
    yield case("constant", V, V, values=0.5, shape=(3,))
    yield from _computed()


def _computed() -> Iterator[Case]:
    """Tensors that are computed from weights alone: rows of a table, angles, a scaled kernel, a bias of parts."""
    rows = (("__getitem__", ("^table", "^index")), ("exp", ("^0",)), ("__mul__", ("^1", 2.0)), ("permute", ("^2", 2, 0, 1)))
    yield case("computed", V, shape=(2, 3, 3), steps=rows, weights=(("table", (5, 2)),), buffers=(("index", (3, 3), "int64"),))
    ages = (("torch.arange", (6,), (("dtype", "torch.float32"),)), ("__getitem__", ("^0", (":", None))), ("__mul__", ("^1", "^rates")))
    turns = (*ages, ("cos", ("^2",)), ("sin", ("^2",)), ("torch.cat", (("^3", "^4"), -1)))
    yield case("computed", T, shape=(6, 8), steps=turns, weights=(("rates", (1, 4)),))
    parts = (("chunk", ("^both", 2, 0)), ("mul", ("^0.0", "^0.1")), ("F.dropout", ("^1", 0.5, "^training")))
    yield case("computed", M, shape=(2, 3), steps=parts, weights=(("both", (4, 3)),))
    unit = (("norm", ("^raw",), (("dim", 1), ("keepdim", True))), ("__truediv__", ("^raw", "^0")))
    recipe = ("weight", (("raw", (5, 12)),), (), unit)
    yield case("linear", V, features=5, parametrize="computed", computed=(recipe,))
    parts = (("torch.cat", (("^q", "^k", "^v"),)), ("exp", ("^0",)))
    recipe = ("bias", (("q", (2,)), ("v", (2,))), (("k", (2,)),), parts)
    yield case("linear", T, features=6, parametrize="computed", computed=(recipe,))
    whole = (("view", ("^raw", 1, 6, -1)), ("F.batch_norm", ("^0", None, None), (("training", True), ("momentum", 0.0), ("eps", 1e-5))),
             ("reshape", ("^1", (6, 4, 3, 3))))  # fmt: skip
    recipe = ("weight", (("raw", (6, 4, 3, 3)),), (), whole)
    yield case("conv", M, channels=6, kernel=3, padding=1, parametrize="computed", computed=(recipe,))


def _resamplings() -> Iterator[Case]:
    for shape in (L, M, D):
        for args in ({}, {"mode": "linear"}, {"mode": "linear", "align_corners": True}):
            yield from (case("upsample", shape, scale=scale, **args) for scale in (1, 2, 3))
            yield from (case("upsample", shape, size=size, **args) for size in (4, 10, 13))
    yield case("upsample", M, scale=2, mode="bilinear")
    yield case("upsample", M, scale=(2, 3))
    for scale in (1.5, 0.5, 1.3, 2.25, (2, 1.7), (0.7, 3)):
        yield from (case("upsample", (2, 7, 15), scale=scale, mode=mode) for mode in ("nearest", "bilinear"))
        yield from (case("upsample", (2, 7, 15), scale=scale, mode=mode, recompute=True) for mode in ("nearest", "bilinear"))
    yield case("upsample", (2, 7, 15), scale=1.5, mode="bilinear", align_corners=True)
    yield from (case("upsample", shape, scale=1.5, mode=mode) for shape in (L, D) for mode in ("nearest", "linear"))
    yield case("upsample", M, (9, 14, 11), mode="linear")
    yield case("upsample", M, (9, 14, 12))
    yield case("upsample", M, size=1, mode="linear", align_corners=True)


def _drops() -> Iterator[Case]:
    for p in (0.0, 0.5, 1.0):
        yield from (case("dropout", shape, p=p) for shape in (V, M))
        yield case("dropout", M, p=p, inplace=True)
        yield from (case("spatial_dropout", shape, p=p) for shape in (L, M, D))
        yield from (case("drop_path", shape, p=p) for shape in (V, T, M))
    yield from (case("layer_scale", shape) for shape in (V, T, M, D))
    yield case("layer_scale", T, start=0.1)


def _batches() -> Iterator[Case]:
    yield case("join_batch", (3, 6, 8))
    yield case("join_batch", (2, 3, 4, 5), axes=2)
    yield case("leave_batch", (3, 6, 8))._replace(joined=1)


def _regions() -> Iterator[Case]:
    yield case("roi_pool", M, (3, 4), size=2)
    yield case("roi_pool", M, (3, 4), size=(2, 3), scale=0.5)
    yield case("roi_align", M, (3, 4), size=2)
    yield case("roi_align", M, (3, 4), size=(2, 3), scale=0.5, sampling=1, aligned=True)
    yield case("nms", (6, 4), (6,))
    yield case("nms", (6, 4), (6,), most=2, threshold=0.3)
    yield case("deform_conv", M, (18, 7, 6), channels=6, kernel=3, padding=1)
    yield case("deform_conv", M, (36, 4, 3), (18, 4, 3), channels=6, kernel=3, padding=1, stride=2, groups=2, bias=False)


CASES: list[Case] = [
    *_activations(),
    *_convolutions(),
    *_parametrizations(),
    *_pools(),
    *_norms(),
    *_merges(),
    *_arithmetic(),
    *_reductions(),
    *_indexings(),
    *_contractions(),
    *_matrices(),
    *_moves(),
    *_resamplings(),
    *_drops(),
    *_regions(),
    *_recurrences(),
    *_experts(),
    *_batches(),
]

# with axes in the batch, which no operator sees
JOINED: list[Case] = [
    one._replace(joined=joined)
    for joined, one in (
        (1, case("leave_batch", (3, 6, 8))),
        (2, case("leave_batch", (2, 3, 4, 5))),
        (1, case("join_batch", (3, 2, 6, 8))),
        (1, case("conv", (3, 4, 7, 6), channels=6, kernel=3)),
        (1, case("linear", (3, 6, 8), features=5)),
        (2, case("linear", (2, 3, 6, 8), features=5, bias=False)),
        (1, case("attention", (3, 6, 8), heads=2)),
        (1, case("layernorm", (3, 6, 8))),
        (1, case("batchnorm", (3, 4, 7, 6))),
        (1, case("groupnorm", (3, 4, 7, 6), groups=2)),
        (1, case("maxpool", (3, 4, 7, 6), kernel=3)),
        (1, case("gelu", (3, 6, 8))),
        (1, case("relu", (3, 6, 8), inplace=True)),
        (1, case("dropout", (3, 6, 8), p=0.3)),
        (1, case("flatten", (3, 4, 7, 6))),
        (1, case("reshape", (3, 4, 6), shape=(2, 12))),
        (1, case("permute", (3, 4, 7, 6), order=(1, 2, 0))),
        (1, case("split", (3, 4, 6), parts=2)),
        (1, case("add", (3, 4, 6), (3, 4, 6))),
        (1, case("mul", (3, 4, 7, 6), (3, 4, 1, 1))),
        (1, case("matmul", (3, 2, 4, 6), (3, 2, 6, 5))),
    )
]
