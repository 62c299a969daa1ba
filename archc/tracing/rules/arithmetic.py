"""Functions value by value: of one value, of a value and a number, of two values."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from archc.tracing.rules.activations import hardtanh
from archc.tracing.rules.registry import RULES, rule
from archc.tracing.steps import Layer, Rule, Unsaid
from archc.tracing.trace import Trace


def _each(name: str) -> Rule:
    def each(trace: Trace, input: Tensor) -> Layer:
        trace.image(input)
        return Layer(name, (input,))

    return each


for _name in ("abs", "neg", "square", "sqrt", "rsqrt", "exp", "log", "sin", "cos"):
    RULES[_name] = _each(_name)
RULES["absolute"], RULES["negative"] = RULES["abs"], RULES["neg"]


_NOUNS = {"sub": "a difference", "div": "a quotient", "pow": "a power", "maximum": "a comparison", "minimum": "a comparison"}


def combined(trace: Trace, kind: str, input: Any, other: Any, reverse: bool = False) -> Layer:
    """Two values, or a value and a number, which comes first where it is reversed."""
    if reverse or not trace.live(input):
        input, other, reverse = (input, other, True) if trace.live(input) else (other, input, True)
    if isinstance(other, Tensor) and not trace.live(other):
        read = trace.given(other, input)
        args = {} if tuple(other.shape[-input.dim() + 1 :]) == trace.image(input) else {"broadcast": True}
        return Layer(kind, (read, input) if reverse else (input, read), args)
    if not trace.live(other):
        if type(other) not in (int, float):
            raise Unsaid(f"{_NOUNS[kind]} with what is no number")
        trace.image(input)
        return Layer(kind, (input,), {"value": float(other)} | ({"reverse": True} if reverse else {}))
    first, second = (other, input) if reverse else (input, other)
    same = trace.image(first) == trace.image(second)
    return Layer(kind, (first, second), {} if same else {"broadcast": True})


@rule("sub isub subtract")
def sub(trace: Trace, input: Any, other: Any, alpha: float = 1) -> Layer | list[Layer]:
    if alpha != 1:
        raise Unsaid("a weighted difference")
    return [] if type(other) in (int, float) and other == 0 else combined(trace, "sub", input, other)


@rule("rsub")
def rsub(trace: Trace, input: Any, other: Any, alpha: float = 1) -> Layer:
    if alpha != 1:
        raise Unsaid("a weighted difference")
    return combined(trace, "sub", input, other, reverse=True)


@rule("div truediv true_divide divide itruediv idiv")
def div(trace: Trace, input: Any, other: Any, rounding_mode: str | None = None) -> Layer | list[Layer]:
    if rounding_mode is not None:
        raise Unsaid("a rounded quotient")
    return [] if type(other) in (int, float) and other == 1 else combined(trace, "div", input, other)


@rule("rdiv rtruediv")
def rdiv(trace: Trace, input: Any, other: Any) -> Layer:
    return combined(trace, "div", input, other, reverse=True)


@rule("pow")
def power(trace: Trace, input: Any, exponent: Any) -> Layer:
    return combined(trace, "pow", input, exponent)


@rule("rpow")
def rpow(trace: Trace, input: Any, other: Any) -> Layer:
    return combined(trace, "pow", input, other, reverse=True)


def compared(trace: Trace, kind: str, input: Any, other: Any) -> Layer:
    """The larger or the smaller of two values."""
    if not (isinstance(input, Tensor) and isinstance(other, Tensor)):
        raise Unsaid("a comparison with what is no tensor")
    return combined(trace, kind, input, other)


@rule("maximum fmax")
def maximum(trace: Trace, input: Any, other: Any) -> Layer:
    return compared(trace, "maximum", input, other)


@rule("minimum fmin")
def minimum(trace: Trace, input: Any, other: Any) -> Layer:
    return compared(trace, "minimum", input, other)


@rule("clamp clip")
def clamp(trace: Trace, input: Tensor, min: Any = None, max: Any = None) -> Layer | list[Layer]:
    trace.image(input)
    if any(bound is not None and type(bound) not in (int, float) for bound in (min, max)):
        raise Unsaid("bounds that are tensors")
    if trace.in_place and min is not None and max is not None:
        return hardtanh(trace, input, min, max)
    return Layer("clamp", (input,), {name: float(bound) for name, bound in (("low", min), ("high", max)) if bound is not None})


@rule("clamp_min")
def clamp_min(trace: Trace, input: Tensor, min: Any) -> Layer | list[Layer]:
    return clamp(trace, input, min=min)


@rule("clamp_max")
def clamp_max(trace: Trace, input: Tensor, max: Any) -> Layer | list[Layer]:
    return clamp(trace, input, max=max)
