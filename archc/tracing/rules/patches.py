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
    live = [one for one in factors if trace.live(one)] if all(isinstance(one, Tensor) for one in factors) else []
    if not isinstance(equation, str) or len(factors) != 2 or not live:
        raise Unsaid("a product of other than two values")
    inputs, arrow, out = equation.replace(" ", "").partition("->")
    batch, terms = out[:1], inputs.split(",")
    if not arrow or not batch.isalpha() or any((term[:1] == batch) != trace.live(one) for one, term in zip(factors, terms, strict=True)):
        raise Unsaid("the first letter is not that of the batch")
    if any(batch in term[int(trace.live(one)) :] for one, term in zip(factors, terms, strict=True)):
        raise Unsaid("the batch stands twice in it")
    for one in live:
        trace.image(one)
    said = ",".join(term.removeprefix(batch) for term in terms)
    given = tuple(one if trace.live(one) else trace.computed(one, live[0], tuple(one.shape)) for one in factors)
    return Layer("einsum", given, {"equation": f"{said}->{out[1:]}"})
