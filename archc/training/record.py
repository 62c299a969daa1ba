"""What the JSON files of a run hold, as dataclasses; their reading; and whether images are those that a run was trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, TypeVar

from archc.data import DataSet
from archc.data.tree import shown as shortened
from archc.text.files import read_regular
from archc.text.quantity import counted
from archc.training.options import TrainError
from archc.validation.description import LARGEST, Entries, Range
from archc.validation.documents import Damaged, read_json

MOST_BYTES = 1 << 28
T = TypeVar("T")

Count = Annotated[int, Range(0, LARGEST)]
_Positive = Annotated[float, Range(0)]


@dataclass(frozen=True, slots=True)
class PlateauState:
    """That of a schedule that waits for a figure to get no better."""

    factor: _Positive
    best: float
    bad: Count


@dataclass(frozen=True, slots=True)
class StoppingState:
    """That of early stopping, as ignite has it."""

    counter: Count
    best_score: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What a checkpoint has besides tensors.

    loss: the sum over the epoch's steps so far; seconds: of the epoch so far
    best: the row of the best epoch
    steps: of an epoch
    """

    step: Count
    loss: Annotated[float, Range()]
    seconds: _Positive
    best: Annotated[dict[str, float], Entries({"epoch": Count, "step": Count})]
    stopped: bool
    steps: Annotated[int, Range(1, LARGEST)]
    scaler: dict[str, Annotated[int | float, Range(0)]]
    plateau: PlateauState | None = None
    stopping: StoppingState | None = None


@dataclass(frozen=True, slots=True)
class NotedNormalization:
    """That of the training images, for each channel."""

    mean: tuple[Annotated[float, Range()], ...]
    std: tuple[Annotated[float, Range()], ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """What a run notes of its data, as far as it is read again. `images` and `digests` are of each split."""

    classes: tuple[str, ...]
    normalization: NotedNormalization
    images: dict[str, Count | None] = field(default_factory=dict)
    digests: dict[str, str | None] | None = None
    white: Annotated[int, Range(1, 65535)] | None = None


def read_record(path: Path, described: type[T]) -> T:
    """What a JSON file of a run holds; it is no link. Raises TrainError."""
    try:
        return read_json(described, read_regular(path, MOST_BYTES, follow=False))
    except OSError as error:
        raise TrainError(f"{path} cannot be read: {error.strerror}") from None
    except Damaged as error:
        raise TrainError(f"{path}:{error.line}:{error.column} is damaged: {error}") from None


def describe_data(data: DataSet) -> dict[str, Any]:
    """What a run notes of its data."""
    return data.to_dict() | {"digests": data.digests()}


def data_difference(before: Noted, data: DataSet) -> str:
    """What tells a set from the one that was noted, in words; nothing where they are the same."""
    if before.classes != data.classes:
        return _of_classes(before.classes, data.classes)
    splits = data.splits()
    for name in dict.fromkeys((*before.images, *splits)):
        if name not in splits or name not in before.images:
            return f"it has no {shown(name)} images" if name not in splits else f"it has {name} images, and had none"
        length, had = splits[name].length, before.images[name]
        if length is not None and had is not None and length != had:
            return f"it has {length:,} {name} images, and had {had:,}"
    digests = before.digests or {}
    for name, split in splits.items():
        if digests.get(name) and digests[name] != split.digest():
            return f"there are as many {name} images, but others, or with other labels"
    return ""


def _of_classes(before: tuple[str, ...], now: tuple[str, ...]) -> str:
    old, new = next((old, new) for old, new in zip_longest(before, now) if old != new)
    if len(before) != len(now):
        return (
            f"it has {counted(len(now), 'class', 'classes')}, and had {len(before):,}: {shown(new)} is new"
            if new
            else f"the class {shown(old)} is missing"
        )
    return f"the class {shown(new)} stands where {shown(old)} was"


def shown(name: str) -> str:
    """A name of a stranger, or of any length, for a message."""
    return shortened(name, 100)
