"""How values lie in memory: sizes and strides, by the rules of PyTorch's own kernels. Sizes here begin with the batch axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

Sizes = tuple[int, ...]


class Strided(NamedTuple):
    """A block of a storage: `strides` and `offset` count values."""

    sizes: Sizes
    strides: Sizes
    offset: int = 0

    @property
    def contiguous(self) -> bool:
        return _is_packed(self, range(len(self.sizes) - 1, -1, -1))

    @property
    def channels_last(self) -> bool:
        return len(self.sizes) in (4, 5) and _is_packed(self, [1, *range(len(self.sizes) - 1, 1, -1), 0])

    @property
    def dense(self) -> bool:
        """Whether it is without holes and overlaps, in whatever order of axes."""
        order = sorted(range(len(self.sizes)), key=lambda axis: (self.strides[axis], self.sizes[axis]))
        return _is_packed(self, [axis for axis in order if self.sizes[axis] != 1])

    @property
    def suggests_channels_last(self) -> bool:
        """Whether PyTorch takes the strides for those of channels last: holes are allowed, size 1 decides at times."""
        if len(self.sizes) not in (4, 5) or self.strides[1] == 0:
            return False
        least = 0
        for axis in (1, *range(len(self.sizes) - 1, 1, -1), 0):
            stride = self.strides[axis]
            if self.sizes[axis] == 0 or stride < least or (axis == 0 and least == self.strides[1]):
                return False
            least = stride * max(self.sizes[axis], 1)
        return True


def _is_packed(block: Strided, order: Iterable[int]) -> bool:
    """Whether the axes, the innermost first, lie in each other without holes."""
    expected = 1
    for axis in order:
        if block.sizes[axis] != 1:
            if block.strides[axis] != expected:
                return False
            expected *= block.sizes[axis]
    return True


def contiguous(sizes: Sequence[int]) -> Strided:
    return _contiguous(tuple(sizes))


@lru_cache(4096)
def _contiguous(sizes: Sizes) -> Strided:
    return _order(sizes, range(len(sizes) - 1, -1, -1))


def channels_last(sizes: Sequence[int]) -> Strided:
    return _order(sizes, [1, *range(len(sizes) - 1, 1, -1), 0])


def _order(sizes: Sequence[int], order: Iterable[int]) -> Strided:
    """Packed, with the axes in an order, the innermost first."""
    strides, step = [0] * len(sizes), 1
    for axis in order:
        strides[axis] = step
        step *= max(sizes[axis], 1)
    return Strided(tuple(sizes), tuple(strides))


def suggest_layout(x: Strided, sizes: Sequence[int]) -> Strided:
    """Channels last if the input's strides look so."""
    return channels_last(sizes) if x.suggests_channels_last else contiguous(sizes)


def elementwise(xs: Sequence[Strided], scalars: bool = False) -> Strided:
    """The result of an elementwise operation on tensors, and on numbers if `scalars`: TensorIterator's rule."""
    sizes = broadcast([x.sizes for x in xs])
    # TensorIterator's fast set-up: operands that lie alike need no order to be found
    if not scalars and all(x.sizes == sizes for x in xs):
        if all(x.contiguous for x in xs):
            return contiguous(sizes)
        if len(sizes) == 4 and all(x.channels_last for x in xs):
            return channels_last(sizes)
        if all(x.dense and x.strides == xs[0].strides for x in xs):
            return Strided(sizes, xs[0].strides)
    steps = [_stretch(x, sizes) for x in xs]
    order = list(range(len(sizes) - 1, -1, -1))
    # an insertion sort as in reorder_dimensions(): the comparison may be undecided, so that another sort may end elsewhere
    for i in range(1, len(order)):
        at = i
        for before in range(i - 1, -1, -1):
            turn = _turn(steps, sizes, order[before], order[at])
            if turn > 0:
                order[before], order[at] = order[at], order[before]
                at = before
            elif turn < 0:
                break
    return _order(sizes, order)


def broadcast(shapes: Sequence[Sequence[int]]) -> Sizes:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(next((size for size in axis if size != 1), 1) for axis in zip(*padded, strict=True))


def _stretch(x: Strided, sizes: Sizes) -> Sizes:
    """The strides over the common sizes: 0 along a stretched axis."""
    missing = len(sizes) - len(x.sizes)
    own = (0 if size == 1 != wide else stride for size, stride, wide in zip(x.sizes, x.strides, sizes[missing:], strict=True))
    return (0,) * missing + tuple(own)


def _turn(steps: list[Sizes], sizes: Sizes, first: int, second: int) -> int:
    """Positive where `first` should be further out than `second`, negative where not, 0 where nothing says."""
    for strides in steps:
        a, b = strides[first], strides[second]
        # a stretched operand says nothing of the order
        if a == 0 or b == 0:
            continue
        if a != b:
            return -1 if a < b else 1
        if sizes[first] > sizes[second]:
            return 1
    return 0


def preserve_order(x: Strided) -> Strided:
    """A copy in the same order: PyTorch's `empty_like` and `clone`."""
    return Strided(x.sizes, x.strides) if x.dense else elementwise([x])


def view_as(x: Strided, sizes: Sequence[int]) -> Strided | None:
    """The same values under other sizes, or None where that takes a copy: PyTorch's `view`."""
    strides, at = [0] * len(sizes), len(sizes) - 1
    base, held, taken = x.strides[-1], 1, 1  # the stride of a run of axes that lie in each other, its values, those placed
    for axis in range(len(x.sizes) - 1, -1, -1):
        held *= x.sizes[axis]
        if axis and (x.sizes[axis - 1] == 1 or x.strides[axis - 1] == held * base):
            continue
        while at >= 0 and (taken < held or sizes[at] == 1):
            strides[at] = taken * base
            taken *= sizes[at]
            at -= 1
        if taken != held:
            return None
        if axis:
            base, held, taken = x.strides[axis - 1], 1, 1
    return Strided(tuple(sizes), tuple(strides), x.offset)
