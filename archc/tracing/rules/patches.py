"""Functions that take windows apart and put them together, and products over named axes."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from archc.tracing.rules.registry import Sizes, rule, short
from archc.tracing.steps import Layer, Unsaid
from archc.tracing.trace import Trace


def _window(kernel: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes) -> dict[str, Any]:
    return {"kernel": short(kernel), "dilation": short(dilation), "padding": short(padding), "stride": short(stride)}


@rule("unfold im2col")
def unfold(trace: Trace, input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1, **options: Any) -> Layer:
    """torch.nn.functional.unfold; Tensor.unfold, of the same name, makes windows along one axis."""
    if len(trace.image(input)) != 3 or trace.results[0].dim() != 3:
        raise Unsaid("windows along one axis")
    return Layer("unfold", (input,), _window(kernel_size, dilation, padding, stride))


@rule("fold col2im")
def fold(
    trace: Trace, input: Tensor, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Layer:
    trace.image(input)
    return Layer("fold", (input,), {"size": short(output_size)} | _window(kernel_size, dilation, padding, stride))


@rule("einsum")
def einsum(trace: Trace, equation: Any, *operands: Any) -> Layer:
    factors = operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    if not isinstance(equation, str) or len(factors) != 2 or not all(trace.live(one) for one in factors):
        raise Unsaid("a product of other than two outputs of layers")
    inputs, arrow, out = equation.replace(" ", "").partition("->")
    first, _, second = inputs.partition(",")
    batch = first[:1]
    if not arrow or not (batch.isalpha() and second[:1] == out[:1] == batch):
        raise Unsaid("the first letter is not that of the batch")
    for one in factors:
        trace.image(one)
    return Layer("einsum", tuple(factors), {"equation": f"{first[1:]},{second[1:]}->{out[1:]}"})
