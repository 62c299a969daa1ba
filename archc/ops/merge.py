"""Several values into one, or a value and a constant; and one into several."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import Any

from archc.ops.arithmetic import with_number
from archc.ops.bare import COUNTED, axis_alone, whole_numbers
from archc.ops.facts import INPLACE, OUTPUT, VIEW, Expression, Facts, Kept, Work, new, weightless
from archc.ops.layout import CONTIGUOUS, ELEMENTWISE, JOINED, SCALED, Part
from archc.ops.reach import MOVED, POINT, Joined
from archc.ops.registry import op
from archc.ops.shape import MOST_OUTPUTS, Shape, divisors
from archc.signature import Fault, Index, Indices, Real, Size, is_int, shown
from archc.text.quantity import counted

MANY_PARTS = 9  # a number that may well be the size of a part


@op(merges=True)
def add(*xs: Shape, value: Real | None = None, broadcast: bool = False, inplace: bool = False) -> Facts:
    """[*], [*], … -> [*]. The sum of values of one shape, or of a value and a constant: {add: 0.5}.

    value: a constant that is added to one value
    broadcast: whether axes of size 1 may be stretched; without it, unequal shapes are a mistake
    inplace: whether the sum is written over the first value
    """
    if value is not None:
        return _with_number(xs, "add", "+", value, inplace=inplace)
    out = _fitting(xs, "add", broadcast)
    work = Work(add=_total(_steps(xs, "add")))
    if not inplace:
        return weightless(out, work=work, keeps=(), reach=POINT, torch=_chain("+", len(xs)), classic="ADD", layout=ELEMENTWISE)
    _holds(xs[0], out)
    text = "{0}" + "".join(f".add_({{{i}}})" for i in range(1, len(xs)))
    return weightless(out, work=work, keeps=(), storage=INPLACE, reach=POINT, torch=Expression(text), classic="ADD")


@op(merges=True)
def sub(*xs: Shape, value: Real | None = None, reverse: bool = False, broadcast: bool = False) -> Facts:
    """[*], [*] -> [*]. The first value minus the second, or a value minus a constant: {sub: 1} is x - 1.

    value: a constant that is subtracted from one value
    reverse: whether the constant comes first: {sub: {value: 1, reverse: true}} is 1 - x
    broadcast: whether axes of size 1 may be stretched; without it, unequal shapes are a mistake
    """
    if value is not None:
        return _with_number(xs, "sub", "-", value, reverse)
    out = _pair(xs, "sub", broadcast, reverse)
    return weightless(out, work=Work(add=out.values), keeps=(), reach=POINT, torch=_chain("-", 2), classic="SUB", layout=ELEMENTWISE)


@op(merges=True)
def div(*xs: Shape, value: Real | None = None, reverse: bool = False, broadcast: bool = False) -> Facts:
    """[*], [*] -> [*]. The first value by the second, or a value by a constant: {div: 2} is x/2.

    value: a constant by which one value is divided
    reverse: whether the constant is divided by the value: {div: {value: 2, reverse: true}} is 2/x
    broadcast: whether axes of size 1 may be stretched; without it, unequal shapes are a mistake
    """
    if value is not None:
        if not value and not reverse:
            raise Fault("value", "a value cannot be divided by 0")
        return _with_number(xs, "div", "/", value, reverse)
    out = _pair(xs, "div", broadcast, reverse)
    keeps = (Kept("input", 0, wanted_by=(1,)), Kept("input", 1))
    return weightless(out, work=Work(special=out.values), keeps=keeps, reach=POINT, torch=_chain("/", 2), classic="DIV", layout=ELEMENTWISE)


@op(merges=True)
def pow(*xs: Shape, value: Real | None = None, reverse: bool = False, broadcast: bool = False) -> Facts:
    """[*], [*] -> [*]. The first value to the power of the second, or a value to a constant power: {pow: 3} is x^3.

    value: a constant power
    reverse: whether the constant is what is raised: {pow: {value: 2, reverse: true}} is 2^x
    broadcast: whether axes of size 1 may be stretched; without it, unequal shapes are a mistake
    """
    if value is not None:
        if reverse and (value <= 0 or value == 1):
            raise Fault("value", f"{value:g} cannot be raised to the power of every value", "use a positive number other than 1")
        if value == 0:
            raise Fault("value", "to the power of 0, all values are 1")
        return _with_number(xs, "pow", "**", value, reverse)
    out = _pair(xs, "pow", broadcast, reverse)
    keeps = (Kept("input", 0), Kept("input", 1), OUTPUT)
    return weightless(
        out, work=Work(special=out.values), keeps=keeps, reach=POINT, torch=_chain("**", 2), classic="POW", layout=ELEMENTWISE
    )


@op(merges=True)
def maximum(*xs: Shape, broadcast: bool = False) -> Facts:
    """[*], [*], … -> [*]. The larger of two values, or the largest of several, position by position: torch.maximum.

    broadcast: whether axes of size 1 may be stretched; without it, unequal shapes are a mistake
    """
    return _extreme(xs, "maximum", broadcast)


@op(merges=True)
def minimum(*xs: Shape, broadcast: bool = False) -> Facts:
    """[*], [*], … -> [*]. The smaller of two values, or the smallest of several, position by position: torch.minimum.

    broadcast: whether axes of size 1 may be stretched; without it, unequal shapes are a mistake
    """
    return _extreme(xs, "minimum", broadcast)


def _extreme(xs: tuple[Shape, ...], name: str, broadcast: bool) -> Facts:
    """One comparison after the other, each of which keeps both of its values."""
    out = _fitting(xs, name, broadcast)
    steps = _steps(xs, name)
    keeps = [Kept("input", 0, wanted_by=(0, 1))]
    for i in range(1, len(xs)):
        wanted = tuple(range(i + 1))
        keeps.append(Kept("input", i, wanted_by=wanted))
        if i > 1:
            keeps.append(new(steps[i - 2])._replace(wanted_by=wanted))
    text = "{0}"
    for i in range(1, len(xs)):
        text = f"torch.{name}({text}, {{{i}}})"
    return weightless(out, work=Work(compare=_total(steps)), keeps=tuple(keeps), reach=POINT, torch=Expression(text),
                 classic=name.upper(), layout=ELEMENTWISE)  # fmt: skip


@op(merges=True, bare="a value times a constant is {scale: 0.5}")
def mul(*xs: Shape) -> Facts:
    """[*], [*], … -> [*]. The product of values; axes of size 1 are stretched, as in a squeeze-excite gate."""
    _several(xs, "mul")
    out = _broadcast(xs, "mul")
    products = _steps(xs, "mul")
    work = Work(multiply=_total(products))
    keeps = _factors(products)
    return weightless(out, work=work, keeps=keeps, reach=POINT, torch=_chain("*", len(xs)), classic="MUL", layout=ELEMENTWISE)


@op(merges=True)
def average(*xs: Shape) -> Facts:
    """[*], [*], … -> [*]. The mean of values of one shape, as where FractalNet's columns join."""
    _several(xs, "average")
    for x in xs[1:]:
        if x != xs[0]:
            raise Fault(None, f"average of unequal shapes: {_list_text(xs)}", "make them equal")
    n = xs[0].values
    total = _chain("+", len(xs)).text
    return weightless(xs[0], work=Work(add=(len(xs) - 1) * n, special=n), keeps=(), reach=POINT,
                 torch=Expression(f"({total}) / {len(xs)}"), classic="AVERAGE", layout=SCALED)  # fmt: skip


@op(merges=True, bare=axis_alone("concat"))
def concat(*xs: Shape, axis: Index = 0) -> Facts:
    """[C1, *S], [C2, *S], … -> [C1 + C2 + …, *S]. Values side by side: torch.cat.

    axis: the axis that grows; 0 is the channels of a map or the tokens of a sequence
    """
    _several(xs, "concat")
    rank = len(xs[0])
    if not -rank <= axis < rank:
        raise Fault("axis", f"axis {axis} of a shape with {counted(rank, 'axis', 'axes')}", COUNTED)
    at = axis % rank
    for x in xs[1:]:
        if len(x) != rank or any(i != at and a != b for i, (a, b) in enumerate(zip(x, xs[0], strict=True))):
            hint = f"make their other axes equal; {COUNTED}" if at else "make their other axes equal"
            raise Fault(None, f"concat of shapes that differ beside axis {at}: {_list_text(xs)}", hint)
    size = xs[0][at]
    for x in xs[1:]:
        size = size + x[at]
    out = Shape((*xs[0][:at], size, *xs[0][at + 1 :]))
    inputs = ", ".join(f"{{{i}}}" for i in range(len(xs)))
    torch = Expression(f"torch.cat([{inputs}], {at + 1})")
    return weightless(out, work=Work(), keeps=(), reach=Joined(at), torch=torch, classic="CONCAT", layout=JOINED)


def _part_sizes(value: Any, x: Shape) -> str | None:
    """PyTorch's split(64) makes parts of 64, its chunk(2) and TensorFlow's split make two parts."""
    numbers = whole_numbers(value)
    if numbers:
        return f"the sizes of the parts have a name: {{split: {{sizes: {numbers}}}}}"
    if not is_int(value, MANY_PARTS) or x.channels % value or x.channels >= value * value:
        return None
    sizes = shown([value] * (x.channels // value))
    return f"{{split: {{parts: {value}}}}} makes {value} parts, {{split: {{sizes: {sizes}}}}} parts of {value}"


@op(bare=_part_sizes)
def split(x: Shape, *, parts: Size = 2, axis: Index = 0, sizes: Indices = ()) -> Facts:
    """[C, *S] -> [C/parts, *S], [C/parts, *S]. Parts of a value, named `split.0`, `split.1` and so on: torch.chunk, torch.split.

    parts: how many values of one size
    axis: the axis that is cut; 0 is the channels
    sizes: the size of each part, where they differ
    """
    if not -len(x) <= axis < len(x):
        raise Fault("axis", f"axis {axis} of a shape with {counted(len(x), 'axis', 'axes')}", COUNTED)
    at = axis % len(x)
    if sizes and (min(sizes) < 1 or sum(sizes) != x[at]):
        raise Fault("sizes", f"{' + '.join(map(str, sizes))} is not the {x[at]} of the axis")
    if not sizes and x[at] % parts:
        raise Fault("parts", f"{parts} parts do not divide an axis of {x[at]}", divisors(x[at], parts, "parts"))
    count = len(sizes) or int(parts)
    if count > MOST_OUTPUTS:
        raise Fault("sizes" if sizes else "parts", f"{count:,} values from one", f"at most {MOST_OUTPUTS:,}")
    outs = tuple(Shape((*x[:at], size, *x[at + 1 :])) for size in sizes or (x[at] // parts,) * int(parts))
    cut = f"split({tuple(map(int, sizes))}, {at + 1})" if sizes else f"chunk({parts}, {at + 1})"
    torch = Expression(f"{{0}}.{cut}" + ("[0]" if len(outs) == 1 else ""))
    starts = accumulate((out[at] for out in outs[:-1]), initial=0)
    moves = tuple((Part(at + 1, start, out[at]),) for start, out in zip(starts, outs, strict=True))
    return weightless(outs, work=Work(), keeps=(), storage=VIEW, reach=MOVED, torch=torch, classic="SPLIT",
                 moves=moves, multi_output_view=True)  # fmt: skip


def _holds(first: Shape, out: Shape) -> None:
    """A result in place is as large as the value that it is written over."""
    if first != out:
        raise Fault("inplace", f"{list(out)} cannot be written over {list(first)}", "let the largest value be the first")


def _with_number(xs: tuple[Shape, ...], what: str, sign: str, value: float, reverse: bool = False, inplace: bool = False) -> Facts:
    """One value and a constant."""
    if len(xs) != 1:
        raise Fault("value", f"{what} with a constant takes one value, not {len(xs)}", f"{{{what}: {value:g}}} on its own")
    facts = with_number(xs[0], sign, value, reverse)
    if not inplace:
        return facts
    return replace(facts, storage=INPLACE, torch=Expression(f"{{0}}.{what}_({float(value)!r})"), layout=CONTIGUOUS)


def _fitting(xs: tuple[Shape, ...], what: str, broadcast: bool) -> Shape:
    """The shape of the result; unequal shapes are a mistake, unless they may be stretched."""
    _several(xs, what)
    if not broadcast:
        for x in xs[1:]:
            if x != xs[0]:
                hint = "make them equal" + ", or say `broadcast: true`" * _stretch(xs)
                raise Fault(None, f"{what} of unequal shapes: {_list_text(xs)}", hint)
    return _broadcast(xs, what)


def _pair(xs: tuple[Shape, ...], what: str, broadcast: bool, reverse: bool) -> Shape:
    """The same of exactly two values."""
    if len(xs) != 2:
        given = f"{what} needs two values, as branches or in `from`, or one and a constant"
        raise Fault(None, given if len(xs) < 2 else f"{what} takes two values, not {len(xs)}", f"as in {{{what}: 2}}", code="A502")
    if reverse:
        raise Fault("reverse", "reverse is for a constant", "give the two values in the other order")
    return _fitting(xs, what, broadcast)


def _several(xs: tuple[Shape, ...], what: str) -> None:
    if len(xs) < 2:
        hint = "a value times a constant is {scale: 0.5}" if what == "mul" else None
        raise Fault(None, f"{what} needs two values or more, as branches or in `from`", hint, code="A502")


def _stretch(xs: tuple[Shape, ...]) -> bool:
    """Whether shapes differ in axes of size 1 alone."""
    alike = len({len(x) for x in xs}) == 1
    return alike and all(len({int(size) for size in axis} - {1}) < 2 for axis in zip(*xs, strict=True))


def _broadcast(xs: tuple[Shape, ...], what: str) -> Shape:
    rank = len(xs[0])
    if any(len(x) != rank for x in xs):
        raise Fault(None, f"{what} of shapes with different numbers of axes: {_list_text(xs)}", "`reshape` one of them")
    sizes = []
    for axis in zip(*xs, strict=True):
        wide = axis[0]
        if any(size != wide for size in axis):
            wide = next(size for size in axis if size != 1)
            if any(size not in (1, wide) for size in axis):
                raise Fault(None, f"{what} of shapes that do not fit: {_list_text(xs)}", "axes must be equal, or 1")
        sizes.append(wide)
    return Shape(sizes)


def _steps(xs: tuple[Shape, ...], what: str) -> list[int]:
    """The values of the first two together, of the first three, and so on."""
    return [_broadcast(xs[:count], what).values for count in range(2, len(xs) + 1)]


def _total(steps: list[int]) -> int:
    return len(steps) * steps[-1] if all(step == steps[0] for step in steps) else sum(steps)


def _factors(products: list[int]) -> tuple[Kept, ...]:
    """Each product keeps a factor if the other needs a gradient: the first with the second, their product with the third, …"""
    keeps = [Kept("input", 0, wanted_by=(1,))]
    for i in range(1, len(products) + 1):
        keeps.append(Kept("input", i, wanted_by=tuple(range(i))))
        if i > 1:
            keeps.append(new(products[i - 2])._replace(wanted_by=(i,)))
    return tuple(keeps)


def _chain(sign: str, count: int) -> Expression:
    return Expression(f" {sign} ".join(f"{{{i}}}" for i in range(count)))


def _list_text(xs: tuple[Shape, ...]) -> str:
    return ", ".join(str(list(x)) for x in xs[:8]) + (", …" if len(xs) > 8 else "")
