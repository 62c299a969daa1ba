"""One step of the optimizer: passes forward and backward, gradients clipped, weights changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from archc.training.batches import Batch, Pass, mix_seed
from archc.training.distributed import World, no_sync
from archc.training.ema import Average
from archc.training.losses import Outputs
from archc.training.nonfinite import explain_nonfinite
from archc.training.options import TrainError

HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}
Prepare = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]


class NotFinite(TrainError):
    """A loss that is NaN or infinite; `where` is a line on the layer, `step` counts from 1."""

    def __init__(self, step: int, loss: float, where: str) -> None:
        super().__init__(f"the loss is {loss} at step {step}")
        self.step = step
        self.loss = loss
        self.where = where


@dataclass(slots=True)
class Stepper:
    """All that a step needs.

    bare: the module itself; forward: the same, as processes call it together
    prepare: images and labels as they were read, and the number of the pass, to what the network and the loss are given
    images: of a step over all processes
    """

    bare: nn.Module
    forward: nn.Module
    optimizer: Optimizer
    scaler: torch.amp.GradScaler
    loss: Callable[[Outputs, Tensor], Tensor]
    prepare: Prepare
    world: World
    images: int
    seed: int
    precision: str = "float32"
    clip: float | None = None
    accumulate: int = 1
    average: Average | None = None

    def __call__(self, batch: Batch) -> float:
        """Runs a step; its mean loss over all processes. Raises NotFinite before a weight was changed."""
        self.optimizer.zero_grad(set_to_none=True)
        total = self._passes(batch)
        loss = total.value()
        # true of NaN and of both infinities
        if loss - loss != 0:
            raise NotFinite(batch.step + 1, loss, self._where(batch))
        self._change()
        if self.average is not None:
            self.average.update(self.bare, batch.step + 1)
        return loss

    def _passes(self, batch: Batch) -> PendingLoss:
        """Gradients of all passes added up. What is random in a step hangs on its number alone."""
        seed(mix_seed(self.seed, batch.step, self.world.rank), self.world.device)
        total: Tensor | None = None
        for number, pass_ in enumerate(batch.passes):
            last = number == len(batch.passes) - 1
            with no_sync(self.forward, last):
                loss = self._loss(pass_, batch.step * self.accumulate + number)
                total = loss.detach() if total is None else total + loss.detach()
                pending = PendingLoss(self.world.mean(total)) if last else None
                self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        assert pending is not None
        return pending

    def _loss(self, passing: Pass, number: int) -> Tensor:
        """The part of this pass in the mean over the step's images, times the processes, over which gradients are averaged."""
        images, labels = self.prepare(*passing, number)
        with self.autocast():
            outputs = self.forward(images)
        # DDP averages gradients over processes, which may have unequal numbers of images
        return self.loss(outputs, labels) * (len(passing[1]) * self.world.size / self.images)

    def autocast(self) -> torch.autocast:
        half = HALF.get(self.precision)
        return torch.autocast(self.world.device.type, dtype=half or torch.bfloat16, enabled=half is not None)

    def _change(self) -> None:
        if self.clip is not None:
            # the norm is of gradients as they are, not as float16 has them scaled
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.bare.parameters(), self.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _where(self, batch: Batch) -> str:
        """The first process's line on what is not finite that knows one."""
        self.optimizer.zero_grad(set_to_none=True)
        return next(
            (answer for answer in self.world.gather(explain_nonfinite(self.bare, lambda: self._passes(batch), batch.step == 0)) if answer),
            "",
        )

    def rate(self, factors: Iterable[float]) -> None:
        """The learning rate of each group of parameters."""
        for group, rate in zip(self.optimizer.param_groups, factors, strict=True):
            group["lr"] = rate


def seed(number: int, device: torch.device) -> None:
    """Seeds what layers draw from. torch.manual_seed also keeps a traceback for each kind of device that is not in use, at every call."""
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)


class PendingLoss:
    """A number on its way from the device, so that reading it waits for no more than was asked before."""

    def __init__(self, value: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        self._value = value.detach()
        if value.device.type == "cuda":
            self._value = torch.empty((), dtype=value.dtype, pin_memory=True).copy_(value.detach(), non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    def value(self) -> float:
        if self._event is not None:
            self._event.synchronize()
        return float(self._value)
