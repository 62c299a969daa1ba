"""The handwritten digits that come with scikit-learn: 1,797 images 8x8, the test half of UCI's set, by 13 people."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archc.data.dataset import DataError, Images, Labels
from archc.text.extras import how_to_install

TEST = 5  # every fifth image of each digit is a test image


def load_digits() -> tuple[Images, Labels, tuple[str, ...]]:
    """[1797, 1, 8, 8] with 0 for no ink, 255 for the most (16 in the file); labels; names of the classes."""
    try:
        from sklearn.datasets import load_digits as load
    except ImportError:
        raise DataError("the digits come with scikit-learn, which is not installed", how_to_install("train", "scikit-learn")) from None
    found = load()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]
    return images, found.target.astype(np.int64), tuple("0123456789")


def test_rows(labels: Labels) -> npt.NDArray[np.bool_]:
    """Which images are for the test: of each digit the 5th, 10th, 15th … in the order of the file."""
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        chosen[np.flatnonzero(labels == label)[TEST - 1 :: TEST]] = True
    return chosen
