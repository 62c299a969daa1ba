"""How the output of a layer lies in memory, as data: moves that make views, and kinds of new outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from archc.ops.shape import product
from archc.ops.strides import Sizes, Strided, channels_last, contiguous, elementwise, preserve_order, suggest_layout, view_as


class Axes(NamedTuple):
    """The axes in another order; the batch is axis 0."""

    order: tuple[int, ...]

    def view(self, x: Strided) -> Strided:
        return Strided(tuple(x.sizes[axis] for axis in self.order), tuple(x.strides[axis] for axis in self.order), x.offset)

    def before(self, sizes: Sequence[int]) -> Sizes:
        """The sizes that become these."""
        return tuple(sizes[self.order.index(axis)] for axis in range(len(sizes)))


class Merge(NamedTuple):
    """The axes from `first` to `last` as one; the input itself where that is one axis already."""

    first: int
    last: int = -1

    def view(self, x: Strided) -> Strided | None:
        return x if self.first == self.last % len(x.sizes) else view_as(x, self.sizes(x))

    def sizes(self, x: Strided) -> Sizes:
        last = self.last % len(x.sizes)
        return (*x.sizes[: self.first], product(x.sizes[self.first : last + 1]), *x.sizes[last + 1 :])


class Sized(NamedTuple):
    """The values of each image in another shape."""

    shape: tuple[int, ...]

    def view(self, x: Strided) -> Strided | None:
        return view_as(x, self.sizes(x))

    def sizes(self, x: Strided) -> Sizes:
        return (x.sizes[0], *self.shape)


class Unmerge(NamedTuple):
    """Axes of these sizes out of the batch axis, behind what is left of it."""

    leaving: tuple[int, ...]

    def view(self, x: Strided) -> Strided:
        seen = view_as(x, (x.sizes[0] // product(self.leaving), *self.leaving, *x.sizes[1:]))
        assert seen is not None, "an axis that is divided is a view"
        return seen


class Part(NamedTuple):
    """A range of an axis, or every step-th entry of one."""

    axis: int
    start: int
    size: int
    step: int = 1

    def view(self, x: Strided) -> Strided:
        sizes = (*x.sizes[: self.axis], self.size, *x.sizes[self.axis + 1 :])
        strides = (*x.strides[: self.axis], x.strides[self.axis] * self.step, *x.strides[self.axis + 1 :])
        return Strided(sizes, strides, x.offset + self.start * x.strides[self.axis])


class Entry(NamedTuple):
    """One entry of an axis, which goes."""

    axis: int
    at: int

    def view(self, x: Strided) -> Strided:
        axis = self.axis
        offset = x.offset + (self.at % x.sizes[axis]) * x.strides[axis]
        return Strided(x.sizes[:axis] + x.sizes[axis + 1 :], x.strides[:axis] + x.strides[axis + 1 :], offset)


class Stretch(NamedTuple):
    """Axes of size 1 repeated up to these sizes, without a copy: PyTorch's `expand`. The sizes are without the batch."""

    sizes: tuple[int, ...]

    def view(self, x: Strided) -> Strided:
        strides = (0 if size == 1 != wide else stride for size, wide, stride in zip(x.sizes[1:], self.sizes, x.strides[1:], strict=True))
        return Strided((x.sizes[0], *self.sizes), (x.strides[0], *strides), x.offset)


class Unseen(NamedTuple):
    """Some view of which the sizes alone are known, without the batch: taken as if its values lay one after the other."""

    sizes: tuple[int, ...]

    def view(self, x: Strided) -> Strided:
        return contiguous((x.sizes[0], *self.sizes))


class Packed(NamedTuple):
    """The input if it is contiguous, else a copy; with `suggested`, channels last will do where its strides look so."""

    suggested: bool = False

    def view(self, x: Strided) -> Strided | None:
        packed = x.channels_last if self.suggested and x.suggests_channels_last else x.contiguous
        return x if packed else None

    def sizes(self, x: Strided) -> Sizes:
        return x.sizes


Move = Axes | Merge | Unmerge | Sized | Part | Entry | Stretch | Unseen | Packed


def move_strides(x: Strided, move: Move) -> tuple[Strided, bool]:
    """The input after a move, and whether that took a copy."""
    seen = move.view(x)
    if seen is not None:
        return seen, False
    assert not isinstance(move, Axes | Unmerge | Part | Entry | Stretch | Unseen), "these are always views"
    return contiguous(move.sizes(x)), True


# How a new output lies in its storage. Channels last is what the strides of an input look like, if they do.
CONTIGUOUS = "contiguous"
SUGGESTED = "suggested"  # channels last like the input
WINDOWED = "windowed"  # the same, with a map over one axis taken for one of height 1
NORMALIZED = "normalized"  # the same, unless the input is contiguous
CONVOLVED = "convolved"  # the same, of the input as a convolution first packs it
PRESERVED = "preserved"  # in the order of the input
ELEMENTWISE = "elementwise"  # by all inputs and weights, one after the other
SCALED = "scaled"  # elementwise, then times a number
INVERTED = "inverted"  # elementwise, and the result again with a number
PACKED = "packed"  # contiguous, of a layer that is elementwise otherwise
TURNED = "turned"  # halves of the last axis, elementwise with a table, then joined
ROWS = "rows"  # elementwise with a number for each row and with the weights, then packed
POWERS = "powers"  # windowed, with elementwise layers before and after
JOINED = "joined"  # channels last if all inputs are
STACKED = "stacked"  # the same of inputs with one more axis of size 1, the number of which follows the word


def fresh(how: str, xs: Sequence[Strided], beside: Sequence[Strided], sizes: Sizes) -> Strided:
    """How a new output of these sizes lies, for these inputs, and weights and noise that they are combined with."""
    if how in (ELEMENTWISE, SCALED):
        return _chain([*xs, *beside], sizes, how == SCALED)
    if how == CONVOLVED:
        return _convolve(xs[0], beside[0], sizes)
    if how == ROWS:
        return _rows(xs[0], beside, sizes)
    if how == JOINED:
        return channels_last(sizes) if all(x.suggests_channels_last for x in xs) else contiguous(sizes)
    if how.startswith(STACKED):
        axis = int(how.removeprefix(STACKED))
        return channels_last(sizes) if all(_with_axis(x, axis).suggests_channels_last for x in xs) else contiguous(sizes)
    return _KINDS[how](xs[0], sizes)


def _with_axis(x: Strided, axis: int) -> Strided:
    """The same with an axis of size 1: PyTorch's `unsqueeze`."""
    step = x.sizes[axis] * x.strides[axis] if axis < len(x.sizes) else 1
    return Strided((*x.sizes[:axis], 1, *x.sizes[axis:]), (*x.strides[:axis], step, *x.strides[axis:]), x.offset)


def _window(x: Strided, sizes: Sizes) -> Strided:
    return _flat(suggest_layout(_lift(x), _tall(sizes)), sizes)


def _normalize(x: Strided, sizes: Sizes) -> Strided:
    return contiguous(sizes) if x.contiguous else channels_last(sizes) if x.channels_last else suggest_layout(x, sizes)


def _convolve(x: Strided, weight: Strided, sizes: Sizes) -> Strided:
    """Over one axis, the input is first made contiguous. An input that looks like channels last has itself and the filters packed so;
    of a map of one channel and one pixel, the filters alone may look so then."""
    if len(x.sizes) == 3 and not x.contiguous:
        x = contiguous(x.sizes)
    x, weight = _lift(x), _lift(weight)
    if x.suggests_channels_last:
        packed = [lay if lay.channels_last else channels_last(lay.sizes) for lay in (x, weight)]
        if any(lay.suggests_channels_last for lay in packed):
            return _flat(channels_last(_tall(sizes)), sizes)
    return contiguous(sizes)


def _powers(x: Strided, sizes: Sizes) -> Strided:
    pooled = contiguous(sizes) if len(sizes) == 5 else _window(elementwise([x]), sizes)
    return elementwise([pooled])


def _turned(x: Strided, sizes: Sizes) -> Strided:
    last = len(sizes) - 1
    half = Part(last, 0, sizes[last] // 2).view(x)
    times = elementwise([half, contiguous(half.sizes[-2:])])
    return suggest_layout(elementwise([times, times]), sizes)


_KINDS: dict[str, Callable[[Strided, Sizes], Strided]] = {
    CONTIGUOUS: lambda x, sizes: contiguous(sizes),
    PACKED: lambda x, sizes: contiguous(sizes),
    TURNED: lambda x, sizes: _turned(x, sizes),
    SUGGESTED: suggest_layout,
    WINDOWED: _window,
    NORMALIZED: _normalize,
    PRESERVED: lambda x, sizes: preserve_order(x._replace(sizes=sizes)),
    POWERS: _powers,
    INVERTED: lambda x, sizes: elementwise([elementwise([x])], scalars=True),
}


def _tall(sizes: Sizes) -> Sizes:
    """A map over one axis as one of height 1."""
    return (*sizes[:2], 1, sizes[2]) if len(sizes) == 3 else sizes


def _lift(x: Strided) -> Strided:
    if len(x.sizes) != 3:
        return x
    across, between, step = x.strides
    return Strided(_tall(x.sizes), (across, between, x.sizes[2] * step, step))


def _flat(tall: Strided, sizes: Sizes) -> Strided:
    return Strided(sizes, (*tall.strides[:2], tall.strides[3])) if len(sizes) == 3 else tall


def _chain(xs: list[Strided], sizes: Sizes, scaled: bool) -> Strided:
    """Two at a time, as `a + b + c` is computed; one alone may be cut to the sizes, as `glu` does."""
    result = elementwise(xs[:2]) if len(xs) > 1 else elementwise([xs[0]._replace(sizes=sizes)], scalars=scaled)
    for x in xs[2:]:
        result = elementwise([result, x])
    return elementwise([result], scalars=True) if scaled and len(xs) > 1 else result


def _rows(x: Strided, beside: Sequence[Strided], sizes: Sizes) -> Strided:
    result = _chain([x, contiguous((*sizes[:-1], 1)), *beside], sizes, scaled=False)
    packed = result.channels_last if x.suggests_channels_last else result.contiguous
    return result if packed else suggest_layout(x, sizes)
