"""Reductions: many values along some axes to one."""

from __future__ import annotations

from typing import Annotated, Any

from archc.ops.bare import COUNTED, axis_alone
from archc.ops.facts import INPUT, OUTPUT, Between, Expression, Facts, Kept, Work, new, weightless
from archc.ops.reach import Along, Reach
from archc.ops.registry import op
from archc.ops.shape import Shape
from archc.ops.tracked import plain
from archc.signature import LARGEST_SIZE, MISSING, Count, Fault, Index, Size, Type, either, integer, is_int, items
from archc.text.quantity import counted

_AXIS = integer(-LARGEST_SIZE)
Axes = Annotated[int | tuple[int, ...], either(_AXIS, items(_AXIS))]
Order = Annotated[int, Type("int", "1 or 2", lambda v: v if is_int(v, 1) and v < 3 else MISSING, {"enum": [1, 2]})]


def _reduced(x: Shape, axis: int | tuple[int, ...], keepdim: bool, verb: str) -> tuple[tuple[int, ...], Shape]:
    """The axes, from 0 up, and the shape that is left."""
    given = tuple(axis) if isinstance(axis, tuple) else (axis,)
    if not given or any(not -len(x) <= one < len(x) for one in given):
        raise Fault("axis", f"{_text(axis)} cannot be {verb} away in {list(x)}", COUNTED)
    axes = tuple(sorted({one % len(x) for one in given}))
    if len(axes) < len(given):
        raise Fault("axis", f"{_text(axis)} names an axis twice")
    if len(axes) == len(x) and not keepdim:
        raise Fault("axis", f"nothing is left of {list(x)} without {_text(axis)}", "`keepdim: true` leaves axes of size 1")
    return axes, Shape(1 if i in axes else size for i, size in enumerate(x) if keepdim or i not in axes)


def _text(axis: int | tuple[int, ...]) -> str:
    return f"axes {list(axis)}" if isinstance(axis, tuple) else f"axis {axis}"


def _dims(axes: tuple[int, ...], keepdim: bool, *more: str) -> str:
    """The axes as PyTorch takes them, after the batch, with what stands after them."""
    dims = str(axes[0] + 1) if len(axes) == 1 else str(tuple(int(axis) + 1 for axis in axes))
    return ", ".join([dims, *more, *(["keepdim=True"] if keepdim else [])])


def _facts(x: Shape, axes: tuple[int, ...], out: Shape, keepdim: bool, text: str, work: Work, *keeps: Kept, **rest: Any) -> Facts:
    return weightless(rest.pop("outs", out), work=work, keeps=keeps, reach=Along(axes, gone=not keepdim), torch=Expression(text), **rest)


@op(bare=axis_alone("mean"))
def mean(x: Shape, *, axis: Axes = 0, keepdim: bool = False) -> Facts:
    """[T, D] -> [D]. The mean along an axis, or several: torch.mean.

    axis: the axis that goes, or a list of axes; 0 is the tokens of a sequence
    keepdim: whether an axis of size 1 stays in its place
    """
    axes, out = _reduced(x, axis, keepdim, "averaged")
    work = Work(add=x.values - out.values, special=out.values)
    return _facts(x, axes, out, keepdim, f"{{0}}.mean({_dims(axes, keepdim)})", work, classic="MEAN")


@op(bare=axis_alone("sum"))
def sum(x: Shape, *, axis: Axes = 0, keepdim: bool = False) -> Facts:
    """[T, D] -> [D]. The sum along an axis, or several: torch.sum. Several values are summed by `add`.

    axis: the axis that goes, or a list of axes; 0 is the tokens of a sequence
    keepdim: whether an axis of size 1 stays in its place
    """
    axes, out = _reduced(x, axis, keepdim, "summed")
    return _facts(x, axes, out, keepdim, f"{{0}}.sum({_dims(axes, keepdim)})", Work(add=x.values - out.values), classic="SUM")


@op(bare=axis_alone("max"))
def max(x: Shape, *, axis: Axes = 0, keepdim: bool = False, indices: bool = False) -> Facts:
    """[T, D] -> [D]. The largest value along an axis, or several: torch.amax. The larger of two values is `maximum`.

    With `indices`, it is torch.max, and `max.1` is where along the axis each value lies.

    axis: the axis that goes, or a list of axes; 0 is the tokens of a sequence
    keepdim: whether an axis of size 1 stays in its place
    indices: whether the index of each value is a second output
    """
    return _extreme(x, "max", axis, keepdim, indices)


@op(bare=axis_alone("min"))
def min(x: Shape, *, axis: Axes = 0, keepdim: bool = False, indices: bool = False) -> Facts:
    """[T, D] -> [D]. The smallest value along an axis, or several: torch.amin. The smaller of two values is `minimum`.

    With `indices`, it is torch.min, and `min.1` is where along the axis each value lies.

    axis: the axis that goes, or a list of axes; 0 is the tokens of a sequence
    keepdim: whether an axis of size 1 stays in its place
    indices: whether the index of each value is a second output
    """
    return _extreme(x, "min", axis, keepdim, indices)


def _extreme(x: Shape, name: str, axis: int | tuple[int, ...], keepdim: bool, indices: bool) -> Facts:
    axes, out = _reduced(x, axis, keepdim, "taken")
    work = Work(compare=x.values - out.values)
    if not indices:
        return _facts(x, axes, out, keepdim, f"{{0}}.a{name}({_dims(axes, keepdim)})", work, INPUT, OUTPUT, classic=name.upper())
    if len(axes) > 1:
        raise Fault("indices", "indices are along one axis", "`flatten` or `reshape` makes one axis of several")
    text = f"{{0}}.{name}({_dims(axes, keepdim)})"
    return _facts(x, axes, out, keepdim, text, work, Kept("output", 1), outs=(out, out), dtypes=("same", "int64"), classic=name.upper())


@op(bare=axis_alone("norm"))
def norm(x: Shape, *, axis: Axes = 0, p: Order = 2, keepdim: bool = False) -> Facts:
    """[T, D] -> [D]. The length of the vector along an axis, or several: torch.linalg.vector_norm.

    axis: the axis that goes, or a list of axes; 0 is the channels of a map
    p: 2 for the root of the sum of squares, 1 for the sum of magnitudes
    keepdim: whether an axis of size 1 stays in its place
    """
    if p not in (1, 2):
        raise Fault("p", f"p is {p}", "it is 1 or 2")
    axes, out = _reduced(x, axis, keepdim, "measured")
    n, rows = x.values, out.values
    work = Work(multiply=n, add=n - rows, special=rows) if p == 2 else Work(compare=n, add=n - rows)
    order = f"{float(p)}"
    text = f"torch.linalg.vector_norm({{0}}, {order}, {_dims(axes, keepdim)})"
    return _facts(x, axes, out, keepdim, text, work, INPUT, OUTPUT, classic="NORM")


@op(bare=axis_alone("var"))
def var(x: Shape, *, axis: Axes = 0, keepdim: bool = False, correction: Count = 1) -> Facts:
    """[T, D] -> [D]. The variance along an axis, or several: torch.var.

    axis: the axis that goes, or a list of axes; 0 is the tokens of a sequence
    keepdim: whether an axis of size 1 stays in its place
    correction: what is taken off the number of values that the sum of squares is divided by
    """
    return _spread(x, "var", axis, keepdim, correction, (INPUT,))


@op(bare=axis_alone("std"))
def std(x: Shape, *, axis: Axes = 0, keepdim: bool = False, correction: Count = 1) -> Facts:
    """[T, D] -> [D]. The standard deviation along an axis, or several: torch.std.

    axis: the axis that goes, or a list of axes; 0 is the tokens of a sequence
    keepdim: whether an axis of size 1 stays in its place
    correction: what is taken off the number of values that the sum of squares is divided by
    """
    return _spread(x, "std", axis, keepdim, correction, (INPUT, OUTPUT))


def _spread(x: Shape, name: str, axis: int | tuple[int, ...], keepdim: bool, correction: int, keeps: tuple[Kept, ...]) -> Facts:
    """The mean, what is left without it, the mean of its squares."""
    axes, out = _reduced(x, axis, keepdim, "averaged")
    n, rows = x.values, out.values
    if n // rows <= correction:
        raise Fault("correction", f"the spread of {n // rows} with a correction of {correction} is not a number", "use `correction: 0`")
    work = Work(multiply=n, add=3 * n - 2 * rows, special=(2 if name == "var" else 3) * rows)
    more = [f"correction={int(correction)}"] if correction != 1 else []
    text = f"{{0}}.{name}({_dims(axes, keepdim, *more)})"
    return _facts(x, axes, out, keepdim, text, work, *keeps, classic=name.upper())


@op(bare=axis_alone("argmax"))
def argmax(x: Shape, *, axis: Index = 0, keepdim: bool = False) -> Facts:
    """[K] -> [1]. Where along an axis the largest value lies: torch.argmax. No gradient passes.

    axis: the axis that goes; 0 is the classes of a map
    keepdim: whether an axis of size 1 stays in its place
    """
    axes, out = _reduced(x, axis, keepdim, "taken")
    work = Work(compare=x.values - out.values)
    return _facts(x, axes, out, keepdim, f"{{0}}.argmax({_dims(axes, keepdim)})", work, dtypes=("int64",), classic="ARGMAX")


@op(bare=axis_alone("cumsum"))
def cumsum(x: Shape, *, axis: Index = 0) -> Facts:
    """[*] -> [*]. The sum of each value and those before it along an axis: torch.cumsum.

    axis: the axis along which they add up
    """
    at = _along(x, axis)
    work = Work(add=x.values - x.values // x[at])
    return weightless(x, work=work, keeps=(), reach=_before(x, at), torch=Expression(f"{{0}}.cumsum({at + 1})"), classic="CUMSUM")


@op(bare=axis_alone("cummax"))
def cummax(x: Shape, *, axis: Index = 0, indices: bool = False) -> Facts:
    """[*] -> [*]. The largest of each value and those before it along an axis: torch.cummax.

    axis: the axis along which they are compared
    indices: whether the index of each value is a second output
    """
    return _running(x, "cummax", axis, indices)


@op(bare=axis_alone("cummin"))
def cummin(x: Shape, *, axis: Index = 0, indices: bool = False) -> Facts:
    """[*] -> [*]. The smallest of each value and those before it along an axis: torch.cummin.

    axis: the axis along which they are compared
    indices: whether the index of each value is a second output
    """
    return _running(x, "cummin", axis, indices)


def _running(x: Shape, name: str, axis: int, indices: bool) -> Facts:
    at = _along(x, axis)
    return weightless(
        (x, x) if indices else x,
        work=Work(compare=x.values - x.values // x[at]),
        keeps=(INPUT, Kept("output", 1) if indices else new(x.values, "int64")),
        reach=_before(x, at),
        torch=Expression(f"{{0}}.{name}({at + 1})" + ("" if indices else "[0]")),
        dtypes=("same", "int64") if indices else (),
        classic=name.upper(),
    )


def _before(x: Shape, at: int) -> tuple[Reach, ...]:
    """Along one axis all up to the same position, along the others that alone."""
    return tuple(Reach(1, 1 - plain(size) if axis == at else 0, 0) for axis, size in enumerate(x))


def _along(x: Shape, axis: int) -> int:
    if not -len(x) <= axis < len(x):
        raise Fault("axis", f"axis {axis} of a shape with {counted(len(x), 'axis', 'axes')}", COUNTED)
    return axis % len(x)


@op
def topk(x: Shape, *, k: Size, axis: Index = -1, largest: bool = True) -> Facts:
    """[*] -> [*]. The k largest values along an axis, in their order, and as `topk.1` where they lie: torch.topk.

    k: how many
    axis: the axis along which they are compared
    largest: whether the largest are taken, rather than the smallest
    """
    at = _along(x, axis)
    if k > x[at]:
        raise Fault("k", f"{k} of an axis of {x[at]}")
    out = Shape((*x[:at], k, *x[at + 1 :]))
    more = "" if largest else ", largest=False"
    return weightless((out, out), work=Between(x.values - x.values // x[at]), keeps=(Kept("output", 1),), reach=Along((at,)),
                 torch=Expression(f"{{0}}.topk({int(k)}, {at + 1}{more})"), dtypes=("same", "int64"), classic="TOPK")  # fmt: skip
