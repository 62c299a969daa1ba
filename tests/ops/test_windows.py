"""Window arithmetic: sizes against enumeration, refusals against PyTorch's."""

from __future__ import annotations

import random
from itertools import product
from math import ceil
from typing import Any

import pytest

from archc.ops import OPERATORS, Fault, Shape

torch = pytest.importorskip("torch")

from .cases import Case, case


def starts(size: int, extent: int, stride: int, low: int, high: int, partial: bool) -> list[int]:
    """Where windows start, by trying each place: whole windows, or all that begin before the far padding and cover a new value."""
    found = []
    for start in range(-low, size + high, stride):
        whole = start + extent <= size + high
        if whole or (partial and start < size and (not found or found[-1] + extent < size + high)):
            found.append(start)
    return found


@pytest.mark.parametrize("partial", [False, True])
def test_output_sizes_are_those_of_enumeration(partial: bool) -> None:
    for size, kernel, stride, dilation in product(range(1, 12), range(1, 6), range(1, 5), (1, 2, 3)):
        extent = 1 + (kernel - 1) * dilation
        for padding in range(kernel // 2 + 1):
            if extent > size + 2 * padding + (stride - 1 if partial else 0):
                continue
            wanted = starts(size, extent, stride, padding, padding, partial)
            taps = [[start + tap * dilation for tap in range(kernel)] for start in wanted]
            sizes = dict(kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=partial)
            if not all(any(0 <= tap < size for tap in window) for window in taps):  # PyTorch's backward writes outside of its memory
                with pytest.raises(Fault, match="lies in the padding alone"):
                    OPERATORS["maxpool"](Shape((1, size)), **sizes)
                continue
            facts = OPERATORS["maxpool"](Shape((1, size)), **sizes)
            assert facts.outputs[0][1] == len(wanted), (size, kernel, stride, dilation, padding)


def test_same_paddings_give_the_sizes_that_they_promise() -> None:
    for size, kernel, stride, dilation in product(range(1, 14), range(1, 6), range(1, 5), (1, 2)):
        args = {"channels": 1, "kernel": kernel, "stride": stride, "dilation": dilation}
        for padding in ("same", "same_upper"):
            facts = OPERATORS["conv"](Shape((1, size)), padding=padding, **args)
            assert facts.outputs[0][1] == ceil(size / stride)


def test_transposed_convolution_inverts_the_size_of_convolution() -> None:
    for size, kernel, stride, padding, dilation in product(range(1, 12), range(1, 5), range(1, 4), range(3), (1, 2)):
        room = size + 2 * padding - (kernel - 1) * dilation - 1
        if room < 0:
            continue
        args = {"channels": 1, "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        small = OPERATORS["conv"](Shape((1, size)), **args).outputs[0]
        large = OPERATORS["conv_transpose"](small, output_padding=room % stride, **args).outputs[0]
        assert large == (1, size)


def test_what_archc_refuses_pytorch_refuses() -> None:
    """Random windows: both give the same shape, or neither gives one."""
    draw = random.Random(0)
    counts = {True: 0, False: 0}
    for _ in range(1500):
        one = _random_window(draw)
        try:
            facts = one.facts()
        except Fault:
            facts = None
        assert _torch_shape(one) == (facts.outputs[0] if facts else None), one.id
        counts[facts is None] += 1
    assert min(counts.values()) > 200


def _random_window(draw: random.Random) -> Case:
    op = draw.choice(["conv", "conv_transpose", "maxpool", "avgpool", "lppool"])
    rank = draw.choice([1, 2, 3])
    shape = (2, *(draw.randint(1, 7) for _ in range(rank)))
    args: dict[str, Any] = {"kernel": draw.randint(1, 4), "stride": draw.randint(1, 3)}
    if op != "lppool":
        args["padding"] = draw.randint(0, 3)
    if op in ("conv", "conv_transpose", "maxpool"):
        args["dilation"] = draw.randint(1, 2)
    if op in ("maxpool", "avgpool", "lppool"):
        args["ceil"] = draw.random() < 0.5
    if op == "conv":
        args["padding_mode"] = draw.choice(["zeros", "reflect", "replicate", "circular"])
    if op == "conv_transpose":
        args["output_padding"] = draw.randint(0, 2)
    if op.startswith("conv"):
        args["channels"] = 2
    return case(op, shape, **args | ({"norm": 2} if op == "lppool" else {}))


def _torch_shape(one: Case) -> tuple[int, ...] | None:
    """The shape that PyTorch gives with the same arguments, written in its own words."""
    words = {"kernel": "kernel_size", "ceil": "ceil_mode", "norm": "norm_type"}
    names = {"conv": "Conv", "conv_transpose": "ConvTranspose", "maxpool": "MaxPool", "avgpool": "AvgPool", "lppool": "LPPool"}
    options = {words.get(name, name): value for name, value in one.args.items() if name != "channels"}
    if one.op.startswith("conv"):
        options |= {"in_channels": 2, "out_channels": 2}
    layer = getattr(torch.nn, f"{names[one.op]}{len(one.shapes[0]) - 1}d")(**options)
    try:
        shape = tuple(layer(torch.zeros(1, *one.shapes[0])).shape[1:])
    except RuntimeError:
        return None
    return shape if min(shape) else None  # PyTorch lets some empty maps pass
