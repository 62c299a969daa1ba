"""What the JSON files of a run hold, as dataclasses, and their reading: what is missing or impossible is told at its line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

from archc.text.regular import read_regular
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
