"""Keras' values in archc's order of axes: maps with the channels first, whatever the file says, and moved back where that shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from archc.importing.document import Part
from archc.importing.draft import Draft, Refused, Wire, product
from archc.text.source import Span

if TYPE_CHECKING:
    import numpy

    Convert = Callable[["numpy.ndarray"], "numpy.ndarray"]


@dataclass(frozen=True, slots=True)
class Held:
    """A value. `first`: its channels, Keras' last axis, stand first here. `order`: it is a flattened map, with the axes [C, H, W]."""

    wire: Wire
    first: bool = False
    order: tuple[int, ...] = ()

    @property
    def keras_shape(self) -> tuple[int, ...]:
        """Its shape as Keras has it, without the batch."""
        shape = tuple(self.wire.shape)
        return (*shape[1:], shape[0]) if self.first else shape


@dataclass(frozen=True, slots=True)
class Tensor:
    """A weight of a layer: its name here, its shape in Keras, and what makes it PyTorch's."""

    name: str
    shape: tuple[int, ...]
    convert: Convert


@dataclass(frozen=True, slots=True)
class Stored:
    """The weights of a layer. `path` are the names that lead to it through models, `classes` their classes."""

    path: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    span: Span


@dataclass(slots=True)
class Reading:
    """A network as far as it is read."""

    draft: Draft
    stored: list[Stored] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    older: bool = False  # of Keras 2
    channels_first: bool = False  # whether any layer reads maps with the channels first


@dataclass(slots=True)
class Layer:
    """A layer that is applied: its class, its configuration, and where its parts stand in the spec."""

    reading: Reading
    kind: str
    config: Part
    path: tuple[str, ...]
    label: str
    span: Span
    tensors: list[Tensor] = field(default_factory=list)

    def add(self, kind: str, wires: Sequence[Wire], part: str = "", place: str = "", **given: Any) -> Wire:
        """An operator, at `label.part`, or at `label` itself."""
        span = self.config.place(place) if place and self.config.get(place) is not None else self.span
        return self.reading.draft.add(f"{self.label}.{part}" if part else self.label, kind, list(wires), span, **given)

    def keep(self, suffix: str, shape: Sequence[int], convert: Convert) -> None:
        """A weight of the newest operator; of one that is a tensor itself, its name is empty."""
        name = self.reading.draft.last
        self.tensors.append(Tensor(f"{name}.{suffix}" if suffix else name, tuple(shape), convert))

    def refused(self, message: str, hint: str | None = None, *places: str) -> Refused:
        return Refused(self.config.place(*places) if places else self.span, f"{self.kind}: {message}", hint, "A303")

    # Orders of axes

    def first(self, held: Held) -> Held:
        """A value with its channels first."""
        held = self.plain(held) if held.order else held
        if held.first or len(held.wire.shape) < 2:
            return held
        rank = len(held.wire.shape)
        return Held(self.add("permute", [held.wire], "channels_first", order=[rank - 1, *range(rank - 1)]), True)

    def plain(self, held: Held) -> Held:
        """A value whose axes stand as in Keras."""
        if held.order:
            maps = self.add("reshape", [held.wire], "map", shape=list(held.order))
            last = self.add("permute", [maps], "channels_last", order=[*range(1, len(held.order)), 0])
            return Held(self.add("flatten", [last], "flat"))
        if not held.first:
            return held
        rank = len(held.wire.shape)
        return Held(self.add("permute", [held.wire], "channels_last", order=[*range(1, rank), 0]))

    def map(self, held: Held) -> Held:
        """A value as a layer with a `data_format` reads it: channels first here, which is also how `channels_first` has it."""
        form = self.config.get_text("data_format", "channels_last")
        if form not in ("channels_last", "channels_first"):
            raise self.refused(f"{form[:40]} is no order of axes", "channels_last, or channels_first", "data_format")
        return self.first(held) if form == "channels_last" else self.plain(held)

    def like(self, held: Held, wire: Wire) -> Held:
        """A value with the axes of another."""
        return replace(held, wire=wire)

    def axis(self, held: Held, axis: int, *places: str) -> int:
        """An axis here, of one that counts the batch as 0."""
        rank = len(held.wire.shape)
        found = axis + rank + 1 if axis < 0 else axis
        if not 1 <= found <= rank:
            raise self.refused(f"axis {axis} of a value with {rank + 1} axes", "the batch, axis 0, stays", *places)
        if not held.first:
            return found - 1
        return 0 if found == rank else found


def alike(layer: Layer, helds: Sequence[Held]) -> list[Held]:
    """Values whose axes stand alike: as they are where all do, else as in Keras."""
    ways = {(held.first, held.order) for held in helds if len(held.wire.shape) > 1 or held.order}
    if len(ways) <= 1 and (not next(iter(ways), (False, ()))[1] or all(held.order for held in helds)):
        return list(helds)
    return [layer.plain(held) for held in helds]


# From Keras' weights to PyTorch's


def as_it_is(array: numpy.ndarray) -> numpy.ndarray:
    return array


def kernel(array: numpy.ndarray) -> numpy.ndarray:
    """[*S, in, out] -> [out, in, *S]; of a transposed convolution, [*S, out, in] -> [in, out, *S]."""
    rank = array.ndim - 2
    return array.transpose(rank + 1, rank, *range(rank))


def depthwise(array: numpy.ndarray) -> numpy.ndarray:
    """[*S, in, multiplier] -> [in * multiplier, 1, *S]."""
    rank = array.ndim - 2
    turned = array.transpose(rank, rank + 1, *range(rank))
    return turned.reshape(-1, 1, *turned.shape[2:])


def turned(array: numpy.ndarray) -> numpy.ndarray:
    return array.T


def reordered(order: tuple[int, ...]) -> Convert:
    """[H*W*C, out] -> [out, C*H*W]: the rows of a dense layer behind a flattened map of the axes [C, H, W]."""

    def convert(array: numpy.ndarray) -> numpy.ndarray:
        rank = len(order)
        rows = array.reshape(*order[1:], order[0], -1).transpose(rank, rank - 1, *range(rank - 1))
        return rows.reshape(array.shape[1], product(order))

    return convert


def flattened(order: tuple[int, ...]) -> Convert:
    """[H*W*C] -> [C*H*W], as `reordered`."""
    return lambda array: array.reshape(*order[1:], order[0]).transpose(len(order) - 1, *range(len(order) - 1)).reshape(-1)
