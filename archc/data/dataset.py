"""A set of labelled images: its classes, its splits, and the statistics by which its images are normalized."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from archc.errors import Argument, ArgumentError

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Shape = tuple[int, int, int]


class DataError(ArgumentError):
    """What is wrong with images, and what to do about it."""

    def __init__(self, message: str, *hint: str | Argument) -> None:
        super().__init__(f"{message}; " if hint else message, *hint)


@dataclass(frozen=True, slots=True)
class Normalization:
    """Mean and standard deviation of training images per channel, on values in 0..1. (x - mean) / std is what a network sees."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_dict(self) -> dict[str, list[float]]:
        return {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Normalization:
        return cls(tuple(map(float, written["mean"])), tuple(map(float, written["std"])))


@dataclass(frozen=True, slots=True)
class Corrupt:
    """A file that is not a readable image, and why."""

    name: str
    reason: str


class Reader(Protocol):
    """Gives images by their numbers. Raises DataError for a file that is no image, unless such files are skipped."""

    def read(self, rows: npt.NDArray[np.int64]) -> tuple[Images, npt.NDArray[np.int64]]:
        """Images [N, C, H, W], and the positions in `rows` of those that could be read."""
        ...

    def name(self, row: int) -> str:
        """For a person."""
        ...

    def key(self, row: int) -> str:
        """The same wherever the set lies: what is held out is chosen by it."""
        ...

    def digest(self, rows: npt.NDArray[np.int64]) -> str:
        """What tells these images from others, wherever the set lies."""
        ...


class Flow(Protocol):
    """Gives images in the order in which they come, without knowing how many."""

    def stream(self, seed: int, epoch: int, rank: int, world: int) -> Iterator[tuple[Images, int]]: ...

    def count(self) -> Mapping[int, int]:
        """Images of each label: reads all of it."""
        ...

    def digest(self) -> str: ...


class Split:
    """Images for one purpose, by index: `read`. Of shards, in a stream: `stream`; then `length` is None and `labels` is empty."""

    def __init__(self, reader: Reader | None, rows: npt.NDArray[np.int64], labels: Labels, flow: Flow | None = None) -> None:
        self.labels = labels
        self.length: int | None = None if reader is None else len(labels)
        self._reader = reader
        self._rows = rows
        self._flow = flow

    def __bool__(self) -> bool:
        """That there is a split, also where nobody knows how long it is."""
        return True

    def __len__(self) -> int:
        if self.length is None:
            raise TypeError("shards are a stream: the number of images is not known")
        return self.length

    def read(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> tuple[Images, Labels]:
        """uint8 [N, C, H, W] and int64 [N], in the order of the indices; fewer where files are corrupt and skipped."""
        if self._reader is None:
            raise TypeError("shards are a stream: images have no index")
        at = np.asarray(indices, dtype=np.int64)
        images, kept = self._reader.read(self._rows[at])
        return images, self.labels[at[kept]]

    def digest(self) -> str:
        """What tells these images with their labels from others, wherever the set lies: of files, their names and sizes."""
        if self._reader is None:
            return self._flow.digest() if self._flow is not None else ""
        return sha256(f"{self._reader.digest(self._rows)} {sha256(self.labels.tobytes()).hexdigest()}".encode()).hexdigest()

    def name(self, index: int) -> str:
        """The file of an image, or digits[12]."""
        return "" if self._reader is None else self._reader.name(int(self._rows[index]))

    def stream(self, seed: int, epoch: int, rank: int = 0, world: int = 1) -> Iterator[tuple[Images, int]]:
        """Images [C, H, W] with their labels: the part of process `rank` of `world`. Shards are shuffled by (seed, epoch)."""
        if self._flow is not None:
            yield from self._flow.stream(seed, epoch, rank, world)
            return
        order = np.random.default_rng((seed, epoch)).permutation(len(self))[rank::world]
        for index in order:
            images, labels = self.read([int(index)])
            if len(images):
                yield images[0], int(labels[0])

    def counts(self, classes: int) -> list[int]:
        """Images of each class. A stream is read once."""
        if self._flow is None:
            return [int(count) for count in np.bincount(self.labels, minlength=classes)]
        found = self._flow.count()
        return [found.get(label, 0) for label in range(classes)]


@dataclass(eq=False, kw_only=True)
class DataSet:
    """A set of labelled images.

    format: digits, idx, cifar, folder or shards
    shape: [C, H, W] of every image that it gives
    stored: height and width as they lie on disk, where all are equal
    notes: what was decided about its files, and what was passed over; doubtful: whether its classes may be meant otherwise
    white: the value of 16-bit images that is read as 255, where there are any
    """

    name: str
    format: str
    classes: tuple[str, ...]
    shape: Shape
    train: Split
    validation: Split | None
    test: Split | None
    stored: tuple[int, int] | None = None
    corrupt: list[Corrupt] = field(default_factory=list)
    measure: Callable[[Split], Normalization] | None = field(default=None, repr=False)
    _normalization: Normalization | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    doubtful: bool = False
    white: int | None = None

    @property
    def normalization(self) -> Normalization:
        """Of the training images. Computed at its first use."""
        if self._normalization is None:
            assert self.measure is not None
            self._normalization = self.measure(self.train)
        return self._normalization

    def splits(self) -> dict[str, Split]:
        """Those that there are, by name."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in found.items() if split is not None}

    def digests(self) -> dict[str, str]:
        """That of each split."""
        return {name: split.digest() for name, split in self.splits().items()}

    def to_dict(self) -> dict[str, Any]:
        """What a run notes of its data."""
        return {
            "name": self.name,
            "format": self.format,
            "classes": list(self.classes),
            "shape": list(self.shape),
            "images": {name: split.length for name, split in self.splits().items()},
            "normalization": self.normalization.to_dict(),
            "corrupt": [{"name": image.name, "reason": image.reason} for image in self.corrupt],
            "notes": list(self.notes),
            "white": self.white,
        }
