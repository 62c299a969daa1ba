"""Evaluation of a network on images: loss, accuracy, top-5 accuracy and the confusion of classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from archc.data import Split
from archc.training.batches import to_device
from archc.training.distributed import World, reshard
from archc.training.losses import Outputs

MOST_CLASSES = 1000  # of which all pairs are counted
TOP = 5
Arrays = tuple["np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"]


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Figures of a split: means over its images. `pairs[true, guessed]` counts images; None where there are very many classes."""

    images: int
    loss: float
    accuracy: float
    top5: float | None
    pairs: Tensor | None

    def figures(self) -> dict[str, float]:
        return {"loss": self.loss, "accuracy": self.accuracy} | ({} if self.top5 is None else {"top5": self.top5})


@dataclass(frozen=True, slots=True)
class Evaluator:
    """
    prepare: images as they were read, to what the network takes
    loss: of the main output and labels, the mean; main: its name, where there are several
    batch: images at once, of one process
    """

    prepare: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    autocast: Callable[[], torch.autocast]
    world: World
    classes: int
    main: str = "output"
    batch: int = 256

    @torch.no_grad()
    def __call__(self, forward: nn.Module, split: Split) -> EvaluationReport:
        """All processes call this together, each for its part of the images."""
        counts = _Counts(self.classes, self.world)
        was = forward.training
        forward.eval()
        try:
            for (images, labels), counted in self._batches(split):
                self._take(forward, torch.from_numpy(images), torch.from_numpy(labels), counted, counts)
        finally:
            forward.train(was)
            reshard(forward)
        return counts.report()

    def _take(self, forward: nn.Module, images: Tensor, labels: Tensor, counted: bool, counts: _Counts) -> None:
        with self.autocast():
            outputs: Outputs = forward(self.prepare(to_device(images, self.world.device)))
        logits = outputs if isinstance(outputs, Tensor) else outputs[self.main]
        target = to_device(labels, self.world.device)
        if counted:
            counts.add(logits, target, self.loss(logits, target))

    def _batches(self, split: Split) -> Iterator[tuple[Arrays, bool]]:
        """This process's images, and whether they count: all processes run the network equally often, as sharded ones must."""
        if split.length is None:
            yield from self._streamed(split)
            return
        for start in range(0, split.length, self.batch * self.world.size):
            own = range(start + self.world.rank, min(start + self.batch * self.world.size, split.length), self.world.size)
            arrays = split.read(own or range(1))
            if len(arrays[0]):
                yield arrays, bool(own)
            elif self.world.size > 1:
                yield _blank(split, own), False

    def _streamed(self, split: Split) -> Iterator[tuple[Arrays, bool]]:
        flow = split.stream(0, 0, self.world.rank, self.world.size)
        last: Arrays | None = None
        while True:
            items = list(islice(flow, self.batch))
            if not self.world.any(bool(items)):
                return
            if items:
                last = np.stack([image for image, _ in items]), np.array([label for _, label in items], np.int64)
            if last is not None:
                yield last, bool(items)


def _blank(split: Split, own: range) -> Arrays:
    """An image in place of those that could not be read."""
    for index in range(split.length or 0):
        if len((arrays := split.read([index]))[0]):
            return arrays
    raise ValueError("no image can be read")


class _Counts:
    """Sums over images, on the device until all is done."""

    def __init__(self, classes: int, world: World) -> None:
        self.world = world
        self.classes = classes
        wide = torch.float32 if world.device.type == "mps" else torch.float64
        self.sums = torch.zeros(4, dtype=wide, device=world.device)  # images, loss, right, among the best five
        self.pairs = torch.zeros(classes * classes, dtype=torch.int64, device=world.device) if classes <= MOST_CLASSES else None

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        guessed = logits.argmax(1)
        best = logits.topk(min(TOP, self.classes), 1).indices
        right, among = (guessed == labels).sum(), (best == labels[:, None]).any(1).sum()
        count = torch.tensor(len(labels), device=labels.device)
        self.sums += torch.stack([count.to(self.sums), (loss * len(labels)).to(self.sums), right.to(self.sums), among.to(self.sums)])
        if self.pairs is not None:
            self.pairs += torch.bincount(labels * self.classes + guessed, minlength=self.classes**2)

    def report(self) -> EvaluationReport:
        images, loss, right, among = self.world.sum(self.sums).tolist()
        pairs = None if self.pairs is None else self.world.sum(self.pairs).reshape(self.classes, self.classes).cpu()
        each = max(images, 1)
        return EvaluationReport(int(images), loss / each, right / each, among / each if self.classes > TOP else None, pairs)
