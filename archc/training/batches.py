"""The images of each step: which they are, by seed, epoch, step and process alone, and their batches on the device, read ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
import torch
from torch import Tensor

from archc.data import Split
from archc.training.distributed import World
from archc.training.options import TrainError


@dataclass(frozen=True, slots=True)
class DataOrder:
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
    def images_of_step(self) -> int:
        """Images of a step over all processes."""
        return min(self.batch, self.images)

    def passes(self, step: int) -> list[list[int]]:
        """The images of this process in a step, counted from 0 through all epochs, as lists for each pass."""
        epoch, within = divmod(step, self.steps)
        all_of_step = permutation(self.images, self.seed, epoch)[within * self.batch :][: self.images_of_step]
        own = all_of_step[self.rank :: self.size]
        each = -(-len(own) // self.accumulate)
        return [own[start : start + each] for start in range(0, len(own), each)]


_LAST: tuple[tuple[int, int, int], list[int]] | None = None


def permutation(images: int, seed: int, epoch: int) -> list[int]:
    """0 … images-1 in the order of an epoch. The latest is kept."""
    global _LAST
    key = (images, seed, epoch)
    if _LAST is None or _LAST[0] != key:
        generator = torch.Generator().manual_seed(mix_seed(seed, epoch))
        _LAST = key, torch.randperm(images, generator=generator).tolist()
    return _LAST[1]


def mix_seed(*parts: int) -> int:
    """One number of 63 bits out of several, near ones far apart (splitmix64, Steele et al. 2014)."""
    state = 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) & _WORD
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _WORD
        state ^= state >> 31
    return state >> 1


_WORD = 2**64 - 1


AHEAD = 2  # steps
Pass = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Batch:
    """A step's images of this process: for each pass uint8 [N, C, H, W] and int64 [N], on the device. Steps count from 0."""

    step: int
    passes: list[Pass]


def batches(split: Split, order: DataOrder, steps: range, world: World, workers: int) -> Iterator[Batch]:
    """The batches of steps. Files are decoded by `workers`; what lies in memory is taken directly where there is no device to wait for."""

    def read(step: int) -> Batch:
        return Batch(step, [_pass(split, indices, world.device) for indices in order.passes(step)])

    if split.length is None:
        return _read_ahead(StreamReader(split, order, world).read, steps)
    if world.device.type == "cpu" and not workers:
        return map(read, steps)
    return _read_ahead(read, steps)


def _read_ahead(read: Callable[[int], Batch], steps: range) -> Iterator[Batch]:
    with ThreadPoolExecutor(1, "archc-reads") as pool:
        waiting: deque[Future[Batch]] = deque()
        left = iter(steps)
        try:
            while True:
                while len(waiting) < AHEAD and (step := next(left, None)) is not None:
                    waiting.append(pool.submit(read, step))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _pass(split: Split, indices: Sequence[int], device: torch.device) -> Pass:
    images, labels = split.read(indices)
    return to_device(torch.from_numpy(images), device), to_device(torch.from_numpy(labels), device)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device; to a GPU without waiting."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


_AGAIN = 2**20  # added to the epoch where its stream begins again


class StreamReader:
    """Reads steps one after the other; another step than the next is sought from its epoch's beginning.

    Shards rarely give each process equally many images: one that comes to its stream's end begins it anew, in another order.
    """

    def __init__(self, split: Split, order: DataOrder, world: World) -> None:
        self.split = split
        self.order = order
        self.world = world
        self.sizes = pass_sizes(order)
        self._next = -1
        self._flow: Iterator[tuple[np.ndarray, int]] = iter(())

    def read(self, step: int) -> Batch:
        epoch, within = divmod(step, self.order.steps)
        if step != self._next or not within:
            self._flow = islice(self._images(epoch), within * sum(self.sizes), None)
        self._next = step + 1
        return Batch(step, [self._pass(size) for size in self.sizes])

    def _pass(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        items = list(islice(self._flow, size))
        images = torch.from_numpy(np.stack([image for image, _ in items]))
        labels = torch.tensor([label for _, label in items], dtype=torch.int64)
        return to_device(images, self.world.device), to_device(labels, self.world.device)

    def _images(self, epoch: int) -> Iterator[tuple[np.ndarray, int]]:
        """The images of an epoch for this process, without an end."""
        for turn in count():
            empty = True
            for sample in self.split.stream(self.order.seed, epoch + turn * _AGAIN, self.world.rank, self.world.size):
                empty = False
                yield sample
            if empty:
                raise TrainError(f"the shards have no image for process {self.world.rank}: write more shards, or use fewer processes")


def pass_sizes(order: DataOrder) -> list[int]:
    """The images of each pass of a step, of this process."""
    own = len(range(order.rank, order.images_of_step, order.size))
    each = -(-own // order.accumulate)
    return [min(each, own - start) for start in range(0, own, each)]
