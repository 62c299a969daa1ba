"""Layers that multiply by a matrix over the last axis, and look-up tables."""

from __future__ import annotations

from archc.ops.bare import positional
from archc.ops.facts import Expression, Facts, Kept, Module, Weight, Work, given
from archc.ops.layout import Merge
from archc.ops.reach import POINT, Along, Each
from archc.ops.registry import op
from archc.shape import Shape
from archc.signature import Fault, Size


@op(bare=positional("linear", -1, "features"))
def linear(x: Shape, *, features: Size, bias: bool = True) -> Facts:
    """[*, F] -> [*, features]. A fully-connected layer over the last axis: torch.nn.Linear.

    features: size of the output's last axis
    bias: whether a bias is added
    """
    if len(x) > 2:
        raise Fault(
            None, f"linear works on the last axis, here the width of a map of shape {list(x)}", "`flatten` first, or `conv` with kernel 1"
        )
    out = Shape((*x[:-1], features))
    macs = out.values * x.features
    return Facts(
        out,
        weights=(Weight("weight", (features, x.features)), *((Weight("bias", (features,), "bias"),) if bias else ())),
        macs=macs,
        work=Work(multiply=macs, add=macs if bias else macs - out.values),
        keeps=(Kept("input", moves=(Merge(0, len(x) - 1),)),),
        reach=Along((len(x) - 1,)),
        torch=Module("nn.Linear", (x.features, features), given(bias=(bias, True))),
        classic=f"FC-{features}",
    )


@op
def embedding(x: Shape, *, entries: Size, features: Size) -> Facts:
    """[T] -> [T, features]. A row of a learned table for each index: torch.nn.Embedding. The input holds whole numbers.

    entries: how many rows the table has
    features: length of a row
    """
    if len(x) != 1:
        raise Fault(None, f"embedding takes indices [T]; this has shape {list(x)}")
    return Facts(
        Shape((*x, features)),
        weights=(Weight("weight", (entries, features)),),
        macs=0,
        work=Work(),
        keeps=(Kept("input"),),
        takes="int64",
        reach=POINT,
        torch=Module("nn.Embedding", (entries, features)),
        classic="EMBEDDING",
    )


@op
def matmul(x: Shape, y: Shape) -> Facts:
    """[*, M, K], [*, K, N] -> [*, M, N]. The matrix product of two inputs: torch.matmul."""
    if len(x) < 2 or len(x) != len(y) or x[:-2] != y[:-2] or x[-1] != y[-2]:
        raise Fault(None, f"cannot multiply {list(x)} by {list(y)}", "[*, M, K] takes [*, K, N]; see `transpose`")
    out = Shape((*x[:-1], y[-1]))
    macs = out.values * x.features
    batches = (Merge(0, len(x) - 2),)
    return Facts(
        out,
        weights=(),
        macs=macs,
        work=Work(multiply=macs, add=macs - out.values),
        keeps=(Kept("input", 0, wanted_by=(1,), moves=batches), Kept("input", 1, wanted_by=(0,), moves=batches)),
        reach=Each((Along((len(x) - 1,)), Along((len(x) - 2,)))),
        torch=Expression("torch.matmul({0}, {1})"),
        classic="MATMUL",
    )
