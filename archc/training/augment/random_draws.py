"""Random numbers of a batch: each a function of seed, step, its place in the batch over all processes, and how often was drawn.

So a resumed run draws the same, and two processes draw what one would for the same images. splitmix64 (Steele, Lea & Flood,
2014) on counters; the numbers are made on the CPU, and equal on every device.
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class Draws:
    """The draws of one batch, one number for each image a call. `images` of process `rank` of `world`."""

    def __init__(self, seed: int, step: int, images: int, rank: int = 0, world: int = 1) -> None:
        self._key = f"{seed} {step} "
        self._calls = 0
        self._places = (np.arange(images, dtype=np.uint64) * np.uint64(world) + np.uint64(rank + 1)) * _GOLDEN

    def __len__(self) -> int:
        return len(self._places)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> npt.NDArray[np.float64]:
        """[N] in low..high."""
        return low + (high - low) * self._unit()

    def below(self, bound: int | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """[N] whole numbers in 0 … bound-1."""
        return np.floor(self._unit() * bound).astype(np.int64)

    def chance(self, p: float) -> npt.NDArray[np.bool_]:
        """[N] true with the probability p."""
        return self._unit() < p

    def sign(self) -> npt.NDArray[np.float64]:
        """[N] of -1 and 1."""
        return np.where(self.chance(0.5), -1.0, 1.0)

    def order(self, count: int) -> npt.NDArray[np.int64]:
        """[count, N] a permutation of 0 … count-1 for each image."""
        return np.argsort(np.stack([self._unit() for _ in range(count)]), axis=0, kind="stable")

    def _unit(self) -> npt.NDArray[np.float64]:
        """[N] in 0 <= x < 1, of 53 bits."""
        key = np.uint64(int.from_bytes(sha256(f"{self._key}{self._calls}".encode()).digest()[:8], "big"))
        self._calls += 1
        z = self._places + key
        z = (z ^ (z >> np.uint64(30))) * _FIRST
        z = (z ^ (z >> np.uint64(27))) * _SECOND
        z ^= z >> np.uint64(31)
        return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def column(values: npt.NDArray[np.generic], like: Tensor) -> Tensor:
    """Numbers of images [N] as [N, 1, 1, 1], on the device and in the type of a batch; truth and whole numbers keep theirs."""
    found = torch.from_numpy(np.ascontiguousarray(values))
    found = found.to(like.device, like.dtype if found.is_floating_point() else found.dtype)
    return found[:, None, None, None]
