"""Sliding windows: output sizes, padding and reach, shared by convolutions and pools.

The size rule is Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016), as PyTorch applies it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from archc.ops.facts import INPUT, Kept, new
from archc.ops.meaning import channels_first
from archc.ops.reach import Reach
from archc.ops.shape import Shape, product
from archc.ops.tracked import label, plain
from archc.signature import Fault
from archc.text.quantity import counted

Number = TypeVar("Number", int, float, int | tuple[int, int])
AXIS_NAMES = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}


def spatial(x: Shape, what: str) -> tuple[int, ...]:
    """The spatial axes of a feature map; a Fault where there are none."""
    if not 2 <= len(x) <= 4:
        hint = "use `reshape` or `tokens` first" if len(x) > 1 else "a vector needs `linear`, or `reshape` to a map"
        raise Fault(None, f"{what} needs a feature map [C, L], [C, H, W] or [C, D, H, W]; this has shape {list(x)}", hint)
    channels_first(x, what)
    return x.space


def axes(value: Number | Sequence[Number], rank: int, name: str) -> tuple[Number, ...]:
    """One number, or one pair of sides, for each of `rank` spatial axes."""
    if isinstance(value, int | float):
        return (value,) * rank
    if len(value) != rank:
        hint = f"write {name}: {value[0]}" if len(set(value)) == 1 else f"one for each axis: {', '.join(AXIS_NAMES.get(rank, ()))}"
        raise Fault(name, _miscounted(name, len(value), rank), hint)
    return tuple(value)


def _miscounted(name: str, count: int, rank: int) -> str:
    return f"{name} has {counted(count, 'number')} for {counted(rank, 'spatial axis', 'spatial axes')}"


def short(sizes: tuple[Number, ...]) -> Number | tuple[Number, ...]:
    """`3` for `(3, 3)`, as it is written."""
    if type(sizes[0]) is not int:
        sizes = tuple(map(plain, sizes))
    return sizes[0] if len(set(sizes)) == 1 else sizes


class Window:
    """A window over one to three axes. From here on there are plain ints alone, a pair of paddings for each axis."""

    def __init__(
        self,
        space: tuple[int, ...],
        kernel: int | Sequence[int],
        stride: int | Sequence[int],
        padding: int | str | Sequence[int | tuple[int, int]],
        dilation: int | Sequence[int] = 1,
        ceil: bool = False,
    ) -> None:
        rank = len(space)
        self.space = space
        self.kernel = axes(kernel, rank, "kernel")
        self.stride = axes(stride, rank, "stride")
        self.dilation = axes(dilation, rank, "dilation")
        self.extent = tuple(k if d == 1 else d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        self.pads = self._pads(padding)
        self.ceil = ceil
        self.out = tuple(label(self._size(i), AXIS_NAMES[rank][i] + "'") for i in range(rank))

    @property
    def taps(self) -> int:
        return product(self.kernel)

    @property
    def symmetric(self) -> bool:
        return all(low == high for low, high in self.pads)

    @property
    def padding(self) -> tuple[int, ...]:
        """The padding of each axis, where both ends have the same."""
        return tuple(low for low, _ in self.pads)

    def reach(self, border: str = "") -> tuple[Reach, ...]:
        rows = zip(self.stride, self.extent, self.dilation, self.pads, strict=True)
        return tuple([Reach(step, -low, extent - 1 - low, hole, border) for step, extent, hole, (low, _) in rows])

    @property
    def padded(self) -> int:
        """The positions of the map with its padding."""
        return product(size + low + high for size, (low, high) in zip(self.space, self.pads, strict=True))

    def keeps(self, channels: int) -> tuple[Kept, ...]:
        """What backward needs of the input: itself, or the copy that one-sided padding makes."""
        return (INPUT,) if self.symmetric else (new(channels * self.padded),)

    def torch_pads(self) -> tuple[int, ...]:
        """The paddings in the order of torch.nn.functional.pad: the last axis first."""
        return tuple(side for pair in reversed(self.pads) for side in pair)

    def _pads(self, padding: int | str | Sequence[int | tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        if padding == "same":
            return tuple(_halves(extent - 1) for extent in self.extent)
        if padding == "same_upper":
            triples = zip(self.space, self.extent, self.stride, strict=True)
            return tuple(_halves(max((-(-size // s) - 1) * s + extent - size, 0)) for size, extent, s in triples)
        if padding == "causal":
            if len(self.space) != 1:
                hint = "write both sides of each axis: padding: [[2, 0], [1, 1]]"
                raise Fault("padding", "causal is for maps over one axis, [C, L], whose positions are in time", hint)
            return ((self.extent[0] - 1, 0),)
        assert not isinstance(padding, str)
        if not isinstance(padding, int) and len(padding) == 2 * len(self.space) and all(isinstance(side, int) for side in padding):
            pairs = [list(padding[at : at + 2]) for at in range(0, len(padding), 2)]
            raise Fault("padding", _miscounted("padding", len(padding), len(self.space)), f"write {pairs} for both sides of each axis")
        return tuple(side if isinstance(side, tuple) else (side, side) for side in axes(padding, len(self.space), "padding"))

    def _size(self, i: int) -> int:
        size, extent, stride, (low, high) = self.space[i], self.extent[i], self.stride[i], self.pads[i]
        room = size - extent + (2 * low if low is high or low == high else low + high)
        if room < (1 - stride if self.ceil else 0):  # a partial window may lack less than a stride
            raise Fault("kernel", self._too_large(), self._fitting())
        if not self.ceil:
            return room // stride + 1
        count = (room + stride - 1) // stride + 1
        return count - 1 if (count - 1) * stride >= size + low else count  # the last window may not start in the padding

    def _fitting(self) -> str:
        """The largest kernel that fits, and the least padding with which this one does."""
        kernels, pads = [], []
        rows = zip(self.space, self.kernel, self.extent, self.stride, self.pads, self.dilation, strict=True)
        for size, kernel, extent, stride, (low, high), dilation in rows:
            room = int(size) + (int(stride) - 1 if self.ceil else 0)
            kernels.append(min((room + int(low + high) - 1) // int(dilation) + 1, int(kernel)))
            pads.append(max(-(-(int(extent) - room) // 2), int(low)))
        largest, least = _size_text(kernels), _size_text(pads)
        return f"kernel: {largest} is the largest that fits, padding: {least} the least for this one; or fewer strides before"

    def _too_large(self) -> str:
        window = "x".join(str(int(e)) for e in self.extent)
        room = "x".join(str(int(size)) for size in self.space)
        padded = any(low or high for low, high in self.pads)
        return f"a window of {window} does not fit a map of {room}" + (" with its padding" if padded else "")


def _size_text(numbers: list[int]) -> str:
    return str(numbers[0] if len(set(numbers)) == 1 else numbers)


def _halves(total: int) -> tuple[int, int]:
    """A padding in two halves, the larger one after."""
    low = total // 2
    return (low, low) if total - low == low else (low, total - low)
