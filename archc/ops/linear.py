"""Layers that multiply by a matrix over the last axis, and look-up tables."""

from __future__ import annotations

from archc.ops.bare import positional
from archc.ops.computed import Recipes
from archc.ops.facts import Expression, Facts, Kept, Module, Weight, Work, given
from archc.ops.layout import Merge, Stretch
from archc.ops.meaning import LastAxis, positions_last
from archc.ops.parametrize import Parametrization, parametrized
from archc.ops.reach import POINT, Along, Each
from archc.ops.registry import op
from archc.ops.shape import CHANNELS, FEATURES, TOKENS, Shape, product
from archc.signature import Fault, Size


@op(bare=positional("linear", -1, "features"))
def linear(
    x: Shape,
    *,
    features: Size,
    bias: bool = True,
    axis: LastAxis = "features",
    parametrize: Parametrization = "none",
    computed: Recipes = (),
) -> Facts:
    """[*, F] -> [*, features]. A fully-connected layer over the last axis: torch.nn.Linear.

    features: size of the output's last axis
    bias: whether a bias is added
    axis: `last` where the last axis are positions of a map, and that is meant
    parametrize: weight_norm or spectral_norm, what the weight is computed from: torch.nn.utils.parametrizations
    computed: with `parametrize: computed`, the weights, buffers and steps of tensors that are computed in another way
    """
    doubts = positions_last(x, "linear", "`flatten` first, or `conv` with kernel 1") if axis == "features" else ()
    if doubts and len(x) > 2:
        raise Fault(None, doubts[0].message, doubts[0].hint)
    out = Shape((*x[:-1], features)).named((*x.names[:-1], CHANNELS if x.names[-1] == CHANNELS else FEATURES))
    macs = out.values * x.features
    facts = Facts(
        out,
        weights=(Weight("weight", (features, x.features)), *((Weight("bias", (features,), "bias"),) if bias else ())),
        macs=macs,
        work=Work(multiply=macs, add=macs if bias else macs - out.values),
        keeps=(Kept("input", moves=(Merge(0, len(x) - 1),)),),
        reach=Along((len(x) - 1,)),
        torch=Module("nn.Linear", (x.features, features), given(bias=(bias, True))),
        classic=f"FC-{features}",
        doubts=doubts,
    )
    return parametrized(facts, parametrize, recipes=computed)


@op
def embedding(x: Shape, *, entries: Size, features: Size) -> Facts:
    """[T] -> [T, features]. A row of a learned table for each index: torch.nn.Embedding. The input holds whole numbers.

    entries: how many rows the table has
    features: length of a row
    """
    if len(x) != 1:
        raise Fault(None, f"embedding takes indices [T]; this has shape {list(x)}")
    return Facts(
        Shape((*x, features)).named((TOKENS, FEATURES)),
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
    """[*, M, K], [*, K, N] -> [*, M, N]. The matrix product of two inputs: torch.matmul.

    Axes of size 1 before the last two are stretched.
    """
    stretch = len(x) == len(y) and all(a == b or 1 in (a, b) for a, b in zip(x[:-2], y[:-2], strict=True))
    if len(x) < 2 or not stretch or x[-1] != y[-2]:
        swapped = len(x) == len(y) >= 2 and stretch and x[-1] == y[-1]
        hint = (
            "`transpose` the second: [*, M, K] takes [*, K, N]" if swapped else "[*, M, K] takes [*, K, N], where axes of * are equal, or 1"
        )
        raise Fault(None, f"cannot multiply {list(x)} by {list(y)}", hint)
    wide = tuple(b if a == 1 else a for a, b in zip(x[:-2], y[:-2], strict=True))
    out = Shape((*wide, x[-2], y[-1])).named((*x.names[:-1], y.names[-1]))
    macs = out.values * x.features
    return Facts(
        out,
        weights=(),
        macs=macs,
        work=Work(multiply=macs, add=macs - out.values),
        keeps=(_matrices(x, 0, wide), _matrices(y, 1, wide)),
        reach=Each((Along((len(x) - 1,)), Along((len(x) - 2,)))),
        torch=Expression("torch.matmul({0}, {1})"),
        classic="MATMUL",
    )


def _matrices(x: Shape, which: int, wide: tuple[int, ...]) -> Kept:
    """What is kept of an input, with a matrix for each place of the axes before the last two, which torch.matmul makes one axis.

    Matrices that are stretched become copies there.
    """
    merged = Merge(0, len(x) - 2)
    if x[:-2] == wide:
        return Kept("input", which, wanted_by=(1 - which,), moves=(merged,))
    sizes = tuple(map(int, (*wide, *x[-2:])))
    return Kept("new", which, product(sizes), wanted_by=(1 - which,), moves=(Stretch(sizes), merged))
