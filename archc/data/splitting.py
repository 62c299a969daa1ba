"""Which images are held out: by their names alone, so that every run and every seed holds out the same."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from archc.data.dataset import DataError, Labels

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
