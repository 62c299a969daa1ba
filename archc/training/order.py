"""Which images a step takes: a function of seed, epoch, step and process alone, so that a resumed run takes the same."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Order:
    """Steps of `batch` images over `size` processes; what is left after an epoch's last full step is left out of that epoch."""

    images: int
    batch: int
    seed: int
    rank: int = 0
    size: int = 1
    accumulate: int = 1

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return max(1, self.images // self.batch)

    @property
    def whole(self) -> int:
        """Images of a step over all processes."""
        return min(self.batch, self.images)

    def passes(self, step: int) -> list[list[int]]:
        """The images of this process in a step, counted from 0 through all epochs, as lists for each pass."""
        epoch, within = divmod(step, self.steps)
        all_of_step = permutation(self.images, self.seed, epoch)[within * self.batch :][: self.whole]
        own = all_of_step[self.rank :: self.size]
        each = -(-len(own) // self.accumulate)
        return [own[start : start + each] for start in range(0, len(own), each)]


_LAST: tuple[tuple[int, int, int], list[int]] | None = None


def permutation(images: int, seed: int, epoch: int) -> list[int]:
    """0 … images-1 in the order of an epoch. The latest is kept."""
    global _LAST
    key = (images, seed, epoch)
    if _LAST is None or _LAST[0] != key:
        generator = torch.Generator().manual_seed(mixed(seed, epoch))
        _LAST = key, torch.randperm(images, generator=generator).tolist()
    return _LAST[1]


def mixed(*parts: int) -> int:
    """One number of 63 bits out of several, near ones far apart (splitmix64, Steele et al. 2014)."""
    state = 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) & _WORD
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _WORD
        state ^= state >> 31
    return state >> 1


_WORD = 2**64 - 1
