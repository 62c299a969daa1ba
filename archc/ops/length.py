"""Vectors brought to length 1."""

from __future__ import annotations

from archc.ops.bare import COUNTED, axis_alone
from archc.ops.facts import Expression, Facts, Kept, Weight, Work, new
from archc.ops.layout import ELEMENTWISE
from archc.ops.reach import Along
from archc.ops.registry import op
from archc.ops.shape import Shape
from archc.signature import Fault, Index, Positive, Real
from archc.text.quantity import counted


@op(bare=axis_alone("normalize"))
def normalize(x: Shape, *, axis: Index = 0, eps: Positive = 1e-12, start: Real | None = None) -> Facts:
    """[C, *S] -> [C, *S]. x / max(|x|, eps), with the Euclidean length along an axis: torch.nn.functional.normalize.

    With `start`, each entry of the axis has a learned factor, 20 at first in SSD (Liu et al., 2016; ParseNet, Liu et al., 2015).

    axis: the axis of the vectors; 0 is the channels of a map, -1 the features of a token
    eps: the least length that is divided by
    start: the learned factors at the start; there are none unless it is given
    """
    if not -len(x) <= axis < len(x):
        raise Fault("axis", f"axis {axis} of a shape with {counted(len(x), 'axis', 'axes')}", COUNTED)
    at = axis % len(x)
    rows = x.values // x[at]
    text = f"F.normalize({{0}}, dim={at + 1}{f', eps={float(eps)!r}' if eps != 1e-12 else ''})"
    kept = (Kept("input", wanted_by=(0,)), *[new(rows)._replace(wanted_by=(0,))] * 2)
    factors = (x[at], *(1,) * (len(x) - at - 1))
    sizes = tuple(map(int, factors))
    return Facts(
        x,
        weights=(Weight("", factors),) if start is not None else (),
        macs=0,
        work=Work(multiply=x.values * (1 if start is None else 2), add=x.values - rows, compare=rows, special=rows + x.values),
        keeps=kept if start is None else (*kept, new(x.values)),
        reach=Along((at,)),
        torch=Expression(text) if start is None else Expression(text + " * {self}", f"torch.full({sizes}, {float(start)!r})"),
        layout=ELEMENTWISE,
        classic="L2NORM",
    )
