"""Held-out images, chosen by their names alone, and the mean and standard deviation of the training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice

import numpy as np
import numpy.typing as npt

from archc.data.dataset import DataError, Images, Labels, Normalization, Split

Rows = npt.NDArray[np.int64]


def place(name: str) -> int:
    """Where a name stands in an order that has nothing to do with its meaning: 64 bits of its SHA-256."""
    return int.from_bytes(sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def hold_out(labels: Labels, part: float, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which images are held out: of each class its part, those whose names come first in `place`.

    At least one image of each class stays, and one is held out where a class has two.
    """
    if not 0 <= part < 1:
        raise DataError(f"data.validation is {part:g}", "write the part of the training images to hold out, from 0 to less than 1")
    taken = np.zeros(len(labels), bool)
    if not part:
        return taken
    order = np.lexsort((np.array([place(name) for name in names], np.uint64), labels))
    for group in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        count = min(max(1, round(len(group) * part)), len(group) - 1)
        taken[group[:count]] = True
    return taken


SAMPLED = 2048  # images, where a set lies on disk
AT_ONCE = 256


def measure(split: Split, seed: int, sampled: int | None = SAMPLED) -> Normalization:
    """Of all images, or of `sampled` that the seed picks. Sums of integers: exact, whatever the order."""
    count, sums, squares = 0, np.zeros(1, np.int64), np.zeros(1, np.int64)
    for images in _batches(split, seed, sampled):
        values = images.astype(np.int64)
        sums = sums + values.sum((0, 2, 3))
        squares = squares + (values * values).sum((0, 2, 3))
        count += values[:, 0].size
    if not count:
        raise DataError("there is no training image to normalize by")
    pairs = [_moments(int(total), int(square), count) for total, square in zip(sums, squares, strict=True)]
    return Normalization(tuple(mean for mean, _ in pairs), tuple(std for _, std in pairs))


def _moments(total: int, square: int, count: int) -> tuple[float, float]:
    """In 0..1. A channel of one value has the deviation 1, for a network to divide by."""
    variance = square * count - total * total  # of integers, times count²
    return total / count / 255, variance**0.5 / count / 255 or 1.0


def _batches(split: Split, seed: int, sampled: int | None) -> Iterator[Images]:
    if split.length is None:
        stream = islice((image for image, _ in split.stream(seed, 0)), sampled or SAMPLED)
        while batch := list(islice(stream, AT_ONCE)):
            yield np.stack(batch)
        return
    order = np.arange(len(split))
    if sampled is not None and sampled < len(split):
        order = np.sort(np.random.default_rng(seed).permutation(len(split))[:sampled])
    for start in range(0, len(order), AT_ONCE):
        images, _ = split.read(order[start : start + AT_ONCE])
        if len(images):
            yield images
