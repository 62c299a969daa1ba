"""Steps out of a set that comes as a stream: the same images at the same step, also after a resume."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import torch

from archc.data import Split
from archc.training.distributed import World
from archc.training.order import Order
from archc.training.reading import Batch, sent
from archc.training.wishes import TrainError

_AGAIN = 2**20  # added to the epoch where its stream begins again


class Streamed:
    """Reads steps one after the other; another step than the next is sought from its epoch's beginning.

    Shards rarely give each process equally many images: one that comes to its stream's end begins it anew, in another order.
    """

    def __init__(self, split: Split, order: Order, world: World) -> None:
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
        return sent(images, self.world.device), sent(labels, self.world.device)

    def _images(self, epoch: int) -> Iterator[tuple[np.ndarray, int]]:
        """The images of an epoch for this process, without an end."""
        for turn in count():
            empty = True
            for one in self.split.stream(self.order.seed, epoch + turn * _AGAIN, self.world.rank, self.world.size):
                empty = False
                yield one
            if empty:
                raise TrainError(f"the shards have no image for process {self.world.rank}: write more shards, or take fewer processes")


def pass_sizes(order: Order) -> list[int]:
    """The images of each pass of a step, of this process."""
    own = len(range(order.rank, order.whole, order.size))
    each = -(-own // order.accumulate)
    return [min(each, own - start) for start in range(0, own, each)]
