"""The images of each step, on the device, read ahead while the step before is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from archc.data import Split
from archc.training.distributed import World
from archc.training.order import Order

AHEAD = 2  # steps
Pass = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Batch:
    """A step's images of this process: for each pass uint8 [N, C, H, W] and int64 [N], on the device. Steps count from 0."""

    step: int
    passes: list[Pass]


def batches(split: Split, order: Order, steps: range, world: World, workers: int) -> Iterator[Batch]:
    """The batches of steps. Files are decoded by `workers`; what lies in memory is taken directly where there is no device to wait for."""

    from archc.training.streaming import Streamed

    def read(step: int) -> Batch:
        return Batch(step, [_pass(split, indices, world.device) for indices in order.passes(step)])

    if split.length is None:
        return _ahead(Streamed(split, order, world).read, steps)
    if world.device.type == "cpu" and not workers:
        return map(read, steps)
    return _ahead(read, steps)


def _ahead(read: Callable[[int], Batch], steps: range) -> Iterator[Batch]:
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
            for one in waiting:
                one.cancel()


def _pass(split: Split, indices: Sequence[int], device: torch.device) -> Pass:
    images, labels = split.read(indices)
    return sent(torch.from_numpy(images), device), sent(torch.from_numpy(labels), device)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device; to a GPU without waiting."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
