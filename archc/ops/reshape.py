"""The same values in another order or shape, borders, cuts and means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import inf, isinf
from typing import Annotated, Any

from archc.ops.bare import COUNTED, whole_numbers
from archc.ops.facts import INPUT, NEW, VIEW, Doubt, Expression, Facts, Module, Work, weightless
from archc.ops.layout import CONTIGUOUS, PRESERVED, SUGGESTED, Axes, Entry, Merge, Move, Part, Sized
from archc.ops.reach import MOVED, POINT, Along, Bins, Reach
from archc.ops.registry import op
from archc.ops.shape import Shape, divisors, product
from archc.ops.tracked import plain
from archc.ops.window import axes, spatial
from archc.signature import Fault, Index, Indices, Size, Sizes, integer, is_int, items, one_of, or_words, real
from archc.text.quantity import counted

Sides = Annotated[tuple[int, ...], items(integer(-(2**31)))]
PadMode = Annotated[str, one_of("zeros", "reflect", "replicate", "circular")]
Filling = Annotated[float, or_words(real(), {"inf": inf, "-inf": -inf})]


def _move_values(out: Shape, text: str, *moves: Move, name: str = "") -> Facts:
    """A layer that moves values and computes nothing."""
    return weightless(out, work=Work(), keeps=(), storage=VIEW, reach=MOVED, torch=Expression(text), classic=name, moves=(moves,), reads=1)


@op(transparent=True)
def identity(x: Shape) -> Facts:
    """[*] -> [*]. The value itself: it makes no layer and takes no number."""
    return _move_values(x, "{0}")


@op
def clone(x: Shape, *, contiguous: bool = False) -> Facts:
    """[*] -> [*]. The same values in storage of their own: torch.clone.

    contiguous: whether they lie there in the order of their axes, as after `Tensor.contiguous` where they did not
    """
    text = "{0}.clone(memory_format=torch.contiguous_format)" if contiguous else "{0}.clone()"
    layout = CONTIGUOUS if contiguous else PRESERVED
    return weightless(x, work=Work(), keeps=(), reach=POINT, torch=Expression(text), classic="CLONE", layout=layout)


@op(bare="it makes one axis of all, as PyTorch's start_dim=1: write `flatten`")
def flatten(x: Shape) -> Facts:
    """[*] -> [F]. All axes as one."""
    out = Shape((x.values,))
    return weightless(out, work=Work(), keeps=(), storage=VIEW, reach=MOVED, torch=Module("nn.Flatten"), classic="FLATTEN",
                 moves=((Merge(1),),))  # fmt: skip


@op
def reshape(x: Shape, like: Shape | None = None, *, shape: Indices) -> Facts:
    """[*], or [*] and a map to match -> shape. The same values in their order, in another shape.

    shape: the new sizes; 0 is the size that the second input has along this axis, or else the input; one may be -1, for what is left
    """
    model = x if like is None else like
    if any(size == 0 and axis >= len(model) for axis, size in enumerate(shape)):
        raise Fault(
            "shape", f"{list(shape)} has a 0 for an axis that {list(model)} does not have", "0 is the size along the same axis there"
        )
    sizes = tuple(model[axis] if size == 0 else size for axis, size in enumerate(shape))
    known = product(size for size in sizes if size != -1)
    free = sum(size == -1 for size in sizes)
    if free > 1 or any(size < 1 and size != -1 for size in sizes):
        raise Fault("shape", f"{list(shape)} is not a shape", "sizes are 1 or more; one of them may be -1")
    if (free and x.values % known) or (not free and known != x.values):
        raise Fault("shape", f"{counted(x.values, 'value')} of shape {list(x)} cannot be reshaped to {list(sizes)}")
    out = Shape(x.values // known if size == -1 else size for size in sizes)
    source = "{0}" if like is None else "{1}"
    texts = [f"{source}.shape[{axis}]" if size == 0 else str(plain(size)) for axis, size in enumerate(shape, 1)]
    facts = _move_values(out, f"{{0}}.reshape({{0}}.shape[0], {', '.join(texts)})", Sized(tuple(out)), name="RESHAPE")
    doubts = _batch_doubted(shape, out)
    return replace(facts, doubts=doubts) if doubts else facts


def _batch_doubted(shape: Sequence[int], out: Shape) -> tuple[Doubt, ...]:
    """A doubt where -1 comes first and nothing is left for it."""
    if shape[0] != -1 or out[0] != 1 or len(out) == 1:
        return ()
    hint = f"there is no batch axis: {list(out[1:])}; if the axis is meant, write 1"
    return (Doubt("shape", "-1 comes out as 1, as if it stood for the batch", hint),)


@op
def permute(x: Shape, *, order: Indices) -> Facts:
    """[*] -> [*]. The axes in another order: torch.permute.

    order: the old axes, in their new order, counted from 0
    """
    if sorted(order) != list(range(len(x))):
        raise Fault(
            "order", f"{list(order)} is not an order of the {counted(len(x), 'axis', 'axes')} of {list(x)}", _recount_order(order, len(x))
        )
    moved = ", ".join(str(axis + 1) for axis in order)
    return _move_values(Shape(x[axis] for axis in order), f"{{0}}.permute(0, {moved})", _axes(order), name="PERMUTE")


def _recount_order(order: tuple[int, ...], rank: int) -> str:
    """The order without the batch, where it was counted, or from 0."""
    batch = order[:1] == (0,) and sorted(order) == list(range(rank + 1))
    if batch or sorted(order) == list(range(1, rank + 1)):
        return f"without the batch, from 0: {[axis - 1 for axis in order[batch:]]}"
    return COUNTED


def _two_axes(value: Any, x: Shape) -> str | None:
    """PyTorch's transpose(1, 2) counts the batch."""
    numbers = whole_numbers(value)
    if len(numbers) != 2 or min(numbers) < 1 or max(numbers) >= len(x):
        return None
    counted = [axis - 1 for axis in numbers]
    return f"{{transpose: {{axes: {counted}}}}} if the batch is counted as axis 0, {{transpose: {{axes: {numbers}}}}} if not"


@op(bare=_two_axes)
def transpose(x: Shape, *, axes: Indices = (0, 1)) -> Facts:
    """[A, B] -> [B, A]. Two axes exchanged: torch.transpose.

    axes: the two axes, counted from 0
    """
    if len(axes) != 2 or any(not -len(x) <= axis < len(x) for axis in axes):
        raise Fault("axes", f"{list(axes)} are not two axes of {list(x)}", COUNTED)
    first, second = (axis % len(x) for axis in axes)
    order = list(range(len(x)))
    order[first], order[second] = second, first
    out = Shape(x[axis] for axis in order)
    return _move_values(out, f"{{0}}.transpose({first + 1}, {second + 1})", _axes(order), name="TRANSPOSE")


@op
def select(x: Shape, *, index: Index, axis: Index = 0) -> Facts:
    """[T, D] -> [D]. One entry along an axis, as the class token. A view: it keeps the whole input alive.

    index: which entry, counted from 0; -1 is the last
    axis: the axis that goes
    """
    if len(x) < 2 or not -len(x) <= axis < len(x):
        raise Fault("axis", f"axis {axis} cannot be taken from {list(x)}", COUNTED)
    at = axis % len(x)
    if not -x[at] <= index < x[at]:
        raise Fault("index", f"index {index} of an axis of {x[at]}")
    out = Shape((*x[:at], *x[at + 1 :]))
    return _move_values(out, f"{{0}}.select({at + 1}, {int(index)})", Entry(at + 1, int(index)), name="SELECT")


def _borders(value: Any, x: Shape) -> str | None:
    """PyTorch's ZeroPad2d(1) and ZeroPad2d((left, right, top, bottom)), Keras's ZeroPadding2D((1, 2))."""
    rank, numbers = len(x.space), whole_numbers(value)
    if is_int(value):
        return f"before and after, for each axis: {{pad: {[value] * 2 * rank}}}"
    if len(numbers) == rank > 1:
        return f"before and after, for each axis: {{pad: {[side for number in numbers for side in (number, number)]}}}"
    pairs = [numbers[i : i + 2] for i in range(0, len(numbers), 2)]
    if len(numbers) != 2 * rank or all(pair == pairs[0] for pair in pairs):
        return None
    turned = [side for pair in reversed(pairs) for side in pair]
    return f"{{pad: {{sides: {numbers}}}}} begins with the first axis, PyTorch's pads with the last: {{pad: {{sides: {turned}}}}}"


@op(bare=_borders)
def pad(x: Shape, *, sides: Sides, mode: PadMode = "zeros", value: Filling = 0.0) -> Facts:
    """[C, *S] -> [C, *S']. A border around the map: torch.nn.functional.pad. Negative sides cut.

    sides: a list with before and after for each axis: [top, bottom, left, right] for a map [C, H, W]
    mode: what the border holds
    value: what `zeros` holds instead of 0: a number, or inf or -inf
    """
    space = spatial(x, "pad")
    pairs = _pairs(x, sides)
    sizes = tuple(n + low + high for n, (low, high) in zip(space, pairs, strict=True))
    if any(size < 1 for size in sizes):
        raise Fault("sides", f"nothing is left of {list(x)}")
    if mode == "reflect" and any(max(pair) >= n for n, pair in zip(space, pairs, strict=True)):
        raise Fault("sides", f"a reflected border must be narrower than the map, {list(space)}")
    if mode == "circular" and any(max(pair) > n + sum(side for side in pair if side < 0) for n, pair in zip(space, pairs, strict=True)):
        raise Fault("sides", f"a circular border must not be wider than what is left of the map, {list(space)}")
    flat = tuple(int(side) for pair in reversed(pairs) for side in pair)
    held = f'float("{value}")' if isinf(value) else float(value)
    how = {"zeros": f", value={held}" if value else ""}.get(mode, f', mode="{mode}"')
    return weightless(
        Shape((x.channels, *sizes)),
        work=Work(),
        keeps=(INPUT,) if mode in ("reflect", "replicate") else (),
        reach=(POINT, *(Reach(1, -low, -low, border=mode if mode in ("reflect", "replicate") else "") for low, _ in pairs)),
        torch=Expression(f"F.pad({{0}}, {flat}{how})"),
        layout=CONTIGUOUS if mode == "circular" else PRESERVED if mode == "zeros" and max(flat) <= 0 else SUGGESTED,
        classic="PAD",
    )


@op
def crop(x: Shape, *, sides: Sides) -> Facts:
    """[C, *S] -> [C, *S']. The map without a border.

    sides: a list with before and after for each axis: [top, bottom, left, right] for a map [C, H, W]
    """
    space = spatial(x, "crop")
    pairs = _pairs(x, sides)
    sizes = tuple(n - low - high for n, (low, high) in zip(space, pairs, strict=True))
    if min(sides) < 0 or any(size < 1 for size in sizes):
        raise Fault("sides", f"{list(sides)} cannot be cut from {list(x)}")
    ends = ", ".join(f"{int(low)}:{-int(high) if high else ''}" for low, high in pairs)
    return replace(_cut(x, tuple(low for low, _ in pairs), sizes), torch=Expression(f"{{0}}[:, :, {ends}]"))


@op
def center_crop(x: Shape, like: Shape | None = None, *, size: Sizes | None = None) -> Facts:
    """[C, *S], or [C, *S] and a map to match -> [C, *size]. The middle of a map, as U-Net crops its skips.

    size: the output's size, unless a second input gives it
    """
    space = spatial(x, "center_crop")
    if (like is None) == (size is None):
        raise Fault("size", "center_crop takes a size, or a second input to match", "as in {center_crop: 24}", code="A403")
    sizes = axes(size, len(space), "size") if size is not None else like.space if like is not None else ()
    if len(sizes) != len(space) or any(m > n for n, m in zip(space, sizes, strict=True)):
        raise Fault("size", f"{list(sizes)} cannot be cut from the middle of {list(x)}", "it must not be larger")
    cut = _cut(x, tuple((n - m) // 2 for n, m in zip(space, sizes, strict=True)), sizes)
    if like is None:
        return cut
    whole = all(plain(n) == plain(m) for n, m in zip(space, sizes, strict=True))
    if whole:  # it hands itself on, and no view of itself
        cut = _move_values(x, "{0}", name="CROP")
    return replace(cut, torch=Expression("center_crop({0}, {1})"))  # at any size, which a built module may see


def _axes(order: Iterable[int]) -> Axes:
    """Axes of an image in a new order, after the batch."""
    return Axes((0, *(int(axis) + 1 for axis in order)))


def _pairs(x: Shape, sides: tuple[int, ...]) -> list[tuple[int, int]]:
    """What comes before and after, for each spatial axis."""
    rank = len(x.space)
    if len(sides) != 2 * rank:
        raise Fault("sides", f"sides needs {2 * rank} numbers for a map of shape {list(x)}", "before and after, for each axis")
    return [(sides[2 * i], sides[2 * i + 1]) for i in range(rank)]


def _cut(x: Shape, lows: tuple[int, ...], sizes: tuple[int, ...]) -> Facts:
    slices = ", ".join(f"{plain(low)}:{plain(low + size)}" for low, size in zip(lows, sizes, strict=True))
    parts = [Part(axis, low, size) for axis, (low, size) in enumerate(zip(lows, sizes, strict=True), 2)]
    return _move_values(Shape((x.channels, *sizes)), f"{{0}}[:, :, {slices}]", *parts, name="CROP")


@op
def channel_shuffle(x: Shape, *, groups: Size) -> Facts:
    """[C, *S] -> [C, *S]. Channels of `groups` groups dealt out in turn (Zhang et al., ShuffleNet, 2018): torch.nn.ChannelShuffle.

    groups: how many groups
    """
    spatial(x, "channel_shuffle")
    if x.channels % groups:
        raise Fault("groups", f"{groups} groups do not divide {x.channels} channels", divisors(x.channels, groups, "groups"))
    torch = Module("nn.ChannelShuffle", (groups,))
    return weightless(x, work=Work(), keeps=(), storage=NEW, reach=Along((0,)), torch=torch, classic="SHUFFLE", layout=SUGGESTED)


@op
def pixel_shuffle(x: Shape, *, factor: Size) -> Facts:
    """[C*factor^2, H, W] -> [C, H*factor, W*factor]. Channels to pixels (Shi et al., 2016): torch.nn.PixelShuffle.

    factor: how much larger the map becomes
    """
    if len(x) != 3 or x.channels % factor**2:
        raise Fault("factor", f"pixel_shuffle by {factor} needs a map with a multiple of {factor**2} channels; this has shape {list(x)}")
    channels, height, width = x
    out = Shape((channels // (factor * factor), height * factor, width * factor))
    reach = (Bins(1, int(factor), nearest=True),) * 2
    return weightless(out, work=Work(), keeps=(), storage=NEW, reach=reach, torch=Module("nn.PixelShuffle", (factor,)), classic="SHUFFLE",
                 layout=SUGGESTED)  # fmt: skip


@op
def pixel_unshuffle(x: Shape, *, factor: Size) -> Facts:
    """[C, H*factor, W*factor] -> [C*factor^2, H, W]. Pixels to channels, as in space_to_depth: torch.nn.PixelUnshuffle.

    factor: how much smaller the map becomes
    """
    if len(x) != 3 or x[1] % factor or x[2] % factor:
        raise Fault("factor", f"pixel_unshuffle by {factor} needs a map whose sides it divides; this has shape {list(x)}")
    channels, height, width = x
    out = Shape((channels * (factor * factor), height // factor, width // factor))
    reach = (Reach(int(factor), 0, int(factor) - 1),) * 2
    return weightless(out, work=Work(), keeps=(), storage=NEW, reach=reach, torch=Module("nn.PixelUnshuffle", (factor,)), classic="SHUFFLE",
                 layout=SUGGESTED)  # fmt: skip
