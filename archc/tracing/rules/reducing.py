"""Functions that make one value of many along some axes, and running sums."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from archc.tracing.rules.arithmetic import compared
from archc.tracing.rules.registry import RULES, rule
from archc.tracing.steps import Layer, Rule, Unsaid
from archc.tracing.trace import Trace


def _axes(trace: Trace, input: Tensor, dim: Any, keepdim: bool) -> dict[str, Any]:
    """The arguments of a reduction along these axes."""
    image = trace.image(input)
    if dim is None or (isinstance(dim, list | tuple) and not dim):
        raise Unsaid("it goes over the whole batch")
    axes = sorted(trace.axis(input, one) for one in (dim if isinstance(dim, list | tuple) else (dim,)))
    if len(axes) == len(image) and not keepdim:
        raise Unsaid("one number for each image")
    return {"axis": axes[0] if len(axes) == 1 else axes} | ({"keepdim": True} if keepdim else {})


@rule("mean")
def mean(trace: Trace, input: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None, axis: Any = None) -> Layer | list[Layer]:
    image = trace.image(input)
    args = _axes(trace, input, dim if dim is not None else axis, keepdim)
    if len(image) > 1 and args["axis"] == (1 if len(image) == 2 else list(range(1, len(image)))):
        pooled = Layer("global_avgpool", (input,))
        return [pooled] if keepdim else [pooled, Layer("flatten")]
    return Layer("mean", (input,), args)


@rule("sum nansum")
def total(trace: Trace, input: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None, axis: Any = None) -> Layer:
    if dim == 0 and trace.batch_axis(input) == 1 and len(trace.image(input, anywhere=True)) > 1 and not keepdim:
        return Layer("sum", (input,), {"axis": 0})  # what was stacked before the images
    return Layer("sum", (input,), _axes(trace, input, dim if dim is not None else axis, keepdim))


def _over(kind: str) -> Rule:
    def over(trace: Trace, input: Tensor, dim: Any = None, keepdim: bool = False) -> Layer:
        return Layer(kind, (input,), _axes(trace, input, dim, keepdim))

    return over


RULES["amax"], RULES["amin"] = _over("max"), _over("min")


def _extreme(kind: str, pair: str) -> Rule:
    """The largest along an axis, and where it is; or the larger of two values."""

    def extreme(trace: Trace, input: Tensor, dim: Any = None, keepdim: bool = False, other: Any = None) -> Layer | list[Layer]:
        if isinstance(dim, Tensor) or other is not None:
            return compared(trace, pair, input, dim if isinstance(dim, Tensor) else other)
        return Layer(kind, (input,), _axes(trace, input, dim, keepdim) | {"indices": True})

    return extreme


RULES["max"], RULES["min"] = _extreme("max", "maximum"), _extreme("min", "minimum")


@rule("norm")
def norm(trace: Trace, input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Layer | list[Layer]:
    order = 2 if p in ("fro", None) else p
    return vector_norm(trace, input, order, dim, keepdim)


@rule("linalg_norm linalg_vector_norm")
def vector_norm(trace: Trace, input: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Layer:
    order = 2 if ord is None else ord
    if order not in (1, 2):
        raise Unsaid(f"a norm of the order {order}")
    return Layer("norm", (input,), _axes(trace, input, dim, keepdim) | ({"p": 1} if order == 1 else {}))


def _spread(kind: str) -> Rule:
    def spread(trace: Trace, input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, correction: Any = None) -> Layer:
        taken = int(correction) if correction is not None else int(unbiased)
        return Layer(kind, (input,), _axes(trace, input, dim, keepdim) | ({"correction": taken} if taken != 1 else {}))

    return spread


RULES["var"], RULES["std"] = _spread("var"), _spread("std")


@rule("argmax")
def argmax(trace: Trace, input: Tensor, dim: Any = None, keepdim: bool = False) -> Layer:
    return Layer("argmax", (input,), _axes(trace, input, dim, keepdim))


@rule("cumsum")
def cumsum(trace: Trace, input: Tensor, dim: int, dtype: Any = None) -> Layer:
    trace.image(input)
    return Layer("cumsum", (input,), {"axis": trace.axis(input, dim)})


def _running(kind: str) -> Rule:
    def running(trace: Trace, input: Tensor, dim: int) -> Layer:
        trace.image(input)
        return Layer(kind, (input,), {"axis": trace.axis(input, dim), "indices": True})

    return running


RULES["cummax"], RULES["cummin"] = _running("cummax"), _running("cummin")


@rule("topk")
def topk(trace: Trace, input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Layer:
    trace.image(input)
    return Layer("topk", (input,), {"k": int(k), "axis": trace.axis(input, dim), "largest": bool(largest)})
