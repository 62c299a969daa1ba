"""Entries of axes: some of them, in another order, repeated, stretched, and values side by side along a new axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from archc.ops.bare import COUNTED, axis_alone
from archc.ops.facts import INPUT, NEW, VIEW, Expression, Facts, Kept, Work, new, weightless
from archc.ops.layout import CONTIGUOUS, JOINED, PRESERVED, Entry, Part, Stretch
from archc.ops.reach import MOVED, POINT, Along, Inserted, Picked, Reach, Rule
from archc.ops.registry import op
from archc.ops.shape import MOST_OUTPUTS, Shape
from archc.ops.tracked import plain
from archc.signature import LARGEST_SIZE, Fault, Index, Indices, Size, Sizes, either, integer, items
from archc.text.quantity import counted

MOST_INDICES = 65_536  # that are followed one by one; of longer axes, what is seen is unknown
_NUMBER = integer(-LARGEST_SIZE)
Axes = Annotated[int | tuple[int, ...], either(_NUMBER, items(_NUMBER))]


def _axis(x: Shape, axis: int) -> int:
    if not -len(x) <= axis < len(x):
        raise Fault("axis", f"axis {axis} of a shape with {counted(len(x), 'axis', 'axes')}", COUNTED)
    return axis % len(x)


def _axes(x: Shape, axis: int | tuple[int, ...]) -> tuple[int, ...]:
    axes = tuple(_axis(x, one) for one in (axis if isinstance(axis, tuple) else (axis,)))
    if not axes or len(set(axes)) < len(axes):
        raise Fault("axis", f"{list(axes)} names no axis, or one twice")
    return axes


_Entries = tuple[int, Callable[[int], int]]  # how many, and which each of them is


def _picked(x: Shape, sources: Mapping[int, _Entries]) -> tuple[Rule, ...] | None:
    """Along some axes each position reads one other; along the rest its own."""
    if any(count > MOST_INDICES for count, _ in sources.values()):
        return None
    taken = {axis: tuple(map(entry, range(count))) for axis, (count, entry) in sources.items()}
    return tuple(Picked(taken[i], plain(n)) if i in taken else Reach(1, 0, 0) for i, n in enumerate(x))


def _reversed(n: int) -> _Entries:
    return n, lambda i: n - 1 - i


def _repeated(n: int, times: int) -> _Entries:
    return n * times, lambda i: i % n


def _turned(n: int, by: int) -> _Entries:
    return n, lambda i: (i - by) % n


def _moved(out: Shape, text: str, reach: tuple[Rule, ...] | None, name: str, *keeps: Kept, layout: str = CONTIGUOUS) -> Facts:
    """A new value of those of another, with nothing computed."""
    return weightless(out, work=Work(), keeps=keeps, storage=NEW, reach=reach, torch=Expression(text), classic=name, layout=layout)


@op(bare="say which axis it is along: {roll: {shift: 1, axis: 0}}")
def roll(x: Shape, *, shift: Axes, axis: Axes) -> Facts:
    """[*] -> [*]. Values moved along axes; those that leave at the end come in at the start, as in shifted windows: torch.roll.

    shift: by how many positions, or a list with one for each axis
    axis: the axis, or a list of axes
    """
    axes, shifts = _axes(x, axis), shift if isinstance(shift, tuple) else (shift,)
    if len(shifts) != len(axes):
        raise Fault("shift", f"{counted(len(shifts), 'shift')} for {counted(len(axes), 'axis', 'axes')}", "give one for each axis")
    sources = {at: _turned(plain(x[at]), plain(by)) for at, by in zip(axes, shifts, strict=True)}
    text = f"torch.roll({{0}}, {_one_or_all(shifts)}, {_one_or_all(tuple(at + 1 for at in axes))})"
    # torch joins the parts anew, axis by axis, and where nothing moves in the order of the axes
    moves = all(0 < by < x[at] or by % x[at] for at, by in zip(axes, shifts, strict=True))
    return _moved(x, text, _picked(x, sources), "ROLL", layout=JOINED if moves else CONTIGUOUS)


@op(bare=axis_alone("flip"))
def flip(x: Shape, *, axis: Axes) -> Facts:
    """[*] -> [*]. Axes the other way round: torch.flip.

    axis: the axis, or a list of axes
    """
    axes = _axes(x, axis)
    sources = {at: _reversed(plain(x[at])) for at in axes}
    text = f"{{0}}.flip({_one_or_all(tuple(at + 1 for at in axes))})"
    return _moved(x, text, _picked(x, sources), "FLIP", layout=PRESERVED)


@op(bare="say which numbers they are: {slice: {start: 0, stop: 8, step: 2, axis: 1}}")
def slice(x: Shape, *, start: Index = 0, stop: Index | None = None, step: Size = 1, axis: Index = 0) -> Facts:
    """[*] -> [*]. Every step-th entry of an axis from start to before stop. A view: it keeps the whole input alive.

    start: the first entry, counted from 0; negative numbers count from the end
    stop: the entry before which it ends; the end of the axis unless given
    step: the distance between entries
    axis: the axis that is cut
    """
    at = _axis(x, axis)
    n = x[at]
    first, last, by = start, n if stop is None else stop, step
    first, last = (min(max(one + n if one < 0 else one, 0), n) for one in (first, last))
    size = -(-(last - first) // by)
    if size < 1:
        raise Fault("start", f"nothing lies between {first} and {last} of an axis of {n}")
    cut = f"{plain(first) or ''}:{last if last < n else ''}" + (f":{by}" if by > 1 else "")
    out = Shape((*x[:at], size, *x[at + 1 :]))
    text = f"{{0}}[{', '.join([':'] * (at + 1) + [cut])}]"
    return weightless(out, work=Work(), keeps=(), storage=VIEW, reach=MOVED, torch=Expression(text), classic="SLICE",
                 moves=((Part(at + 1, first, size, by),),), reads=1)  # fmt: skip


@op
def index(x: Shape, *, indices: Indices, axis: Index = 0) -> Facts:
    """[*] -> [*]. Some entries of an axis, in any order, each as often as it is named: torch.index_select.

    indices: the entries, counted from 0; -1 is the last
    axis: the axis that they are entries of
    """
    at = _axis(x, axis)
    n = x[at]
    if not indices or len(indices) > MOST_INDICES or any(not -n <= one < n for one in indices):
        raise Fault("indices", f"these are no entries of an axis of {n}", f"whole numbers from 0 to {n - 1}, at most {MOST_INDICES:,}")
    sources = tuple(int(one) % plain(n) for one in indices)
    out = Shape((*x[:at], len(sources), *x[at + 1 :]))
    text = f"{{0}}.index_select({at + 1}, torch.tensor({list(sources)}, device={{0}}.device))"
    return _moved(out, text, _picked(x, {at: (len(sources), sources.__getitem__)}), "INDEX", new(len(sources), "int64", per_image=False))


@op
def gather(x: Shape, indices: Shape, *, axis: Index = 0) -> Facts:
    """[*], [*] -> [*]. At each position the entry of an axis that the second input names there: torch.gather.

    The second input holds whole numbers, as `argmax`, `max.1` and `topk.1` do, and has the shape of the output.

    axis: the axis that the entries are of
    """
    at = _axis(x, axis)
    if len(indices) != len(x) or any(i != at and a > b for i, (a, b) in enumerate(zip(indices, x, strict=True))):
        raise Fault(None, f"{list(indices)} cannot name entries of {list(x)}", "as many axes, none longer but the one that is gathered")
    reach = Along((at,)) if all(i == at or a == b for i, (a, b) in enumerate(zip(indices, x, strict=True))) else None
    text = f"{{0}}.gather({at + 1}, {{1}})"
    return weightless(indices, work=Work(), keeps=(INPUT, Kept("input", 1)), reach=reach, torch=Expression(text), classic="GATHER",
                 takes=("same", "int64"), reads=2)  # fmt: skip


@op
def tile(x: Shape, *, times: Sizes) -> Facts:
    """[*] -> [*]. The whole value, repeated along its axes: torch.tile, Tensor.repeat.

    times: how often along each axis, [2, 1, 1] for twice the channels
    """
    counts = times if isinstance(times, tuple) else (times,)
    if len(counts) != len(x):
        raise Fault("times", f"{counted(len(counts), 'number')} for {list(x)}", "one for each axis, as in {tile: [2, 1, 1]}")
    sources = {i: _repeated(plain(n), plain(count)) for i, (n, count) in enumerate(zip(x, counts, strict=True))}
    out = Shape(n * count for n, count in zip(x, counts, strict=True))
    return _moved(out, f"{{0}}.repeat(1, {', '.join(str(plain(count)) for count in counts)})", _picked(x, sources), "TILE")


@op(bare="say along which axis: {repeat_interleave: {times: 2, axis: 0}}")
def repeat_interleave(x: Shape, *, times: Size, axis: Index = 0) -> Facts:
    """[*] -> [*]. Each entry of an axis several times, one after the other: torch.repeat_interleave.

    times: how often
    axis: the axis that grows
    """
    at = _axis(x, axis)
    sources: _Entries = plain(x[at] * times), lambda i: i // plain(times)
    out = Shape((*x[:at], x[at] * times, *x[at + 1 :]))
    return _moved(out, f"{{0}}.repeat_interleave({plain(times)}, {at + 1})", _picked(x, {at: sources}), "REPEAT")


@op
def expand(x: Shape, *, shape: Indices) -> Facts:
    """[*] -> shape. Axes of size 1 repeated without a copy: torch.expand.

    shape: the new sizes; -1 leaves an axis as it is
    """
    fits = len(shape) == len(x) and all(size in (-1, n) or (n == 1 and size > 0) for size, n in zip(shape, x, strict=True))
    if not fits:
        raise Fault(
            "shape", f"{list(x)} cannot be stretched to {list(shape)}", "axes of size 1 can be, others stay; -1 leaves an axis as it is"
        )
    out = Shape(n if size == -1 else size for size, n in zip(shape, x, strict=True))
    sizes = ", ".join(str(plain(size)) if plain(size) != plain(n) else "-1" for size, n in zip(out, x, strict=True))
    text = f"{{0}}.expand(-1, {sizes})"
    return weightless(out, work=Work(), keeps=(), storage=VIEW, reach=POINT, torch=Expression(text), classic="EXPAND",
                 moves=((Stretch(tuple(out)),),), reads=1)  # fmt: skip


@op(bare=axis_alone("unbind"))
def unbind(x: Shape, *, axis: Index = 0) -> Facts:
    """[N, *] -> [*], [*]. All entries along an axis, each a value, named `unbind.0`, `unbind.1` and so on: torch.unbind.

    axis: the axis that goes
    """
    at = _axis(x, axis)
    if len(x) < 2:
        raise Fault("axis", f"axis {axis} cannot be taken from {list(x)}", "a value for each image has an axis at least")
    out = Shape((*x[:at], *x[at + 1 :]))
    count = int(x[at])
    if count > MOST_OUTPUTS:
        raise Fault("axis", f"{count:,} values from one", f"at most {MOST_OUTPUTS:,}; `split` makes larger parts")
    text = f"{{0}}.unbind({at + 1})" + ("[0]" if count == 1 else "")
    return weightless((out,) * count, work=Work(), keeps=(), storage=VIEW, reach=MOVED, torch=Expression(text), classic="UNBIND",
                 moves=tuple((Entry(at + 1, i),) for i in range(count)), multi_output_view=True)  # fmt: skip


@op(merges=True, bare=axis_alone("stack"))
def stack(*xs: Shape, axis: Index = 0) -> Facts:
    """[*], [*], … -> [N, *]. Values of one shape side by side along a new axis: torch.stack.

    axis: where the new axis stands in the output
    """
    if len(xs) < 2:
        raise Fault(None, "stack needs two values or more, as branches or in `from`", code="A502")
    if any(x != xs[0] for x in xs):
        raise Fault(None, f"stack of unequal shapes: {', '.join(str(list(x)) for x in xs[:8])}", "make them equal, or `concat` them")
    rank = len(xs[0]) + 1
    if not -rank <= axis < rank:
        raise Fault("axis", f"axis {axis} of a shape with {counted(rank, 'axis', 'axes')}", COUNTED)
    at = axis % rank
    out = Shape((*xs[0][:at], len(xs), *xs[0][at:]))
    inputs = ", ".join(f"{{{i}}}" for i in range(len(xs)))
    return weightless(
        out, work=Work(), keeps=(), reach=Inserted(at), torch=Expression(f"torch.stack([{inputs}], {at + 1})"), classic="STACK"
    )


def _one_or_all(numbers: tuple[int, ...]) -> Any:
    return plain(numbers[0]) if len(numbers) == 1 else tuple(map(plain, numbers))
