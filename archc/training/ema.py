"""Averaged weights: an exponential moving average over the steps, which is what is evaluated and kept as best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from archc.training.state import Mismatch, copy_into


class Average:
    """average = decay * average + (1 - decay) * weight after each step (Polyak and Juditsky 1992); buffers are the latest.

    In the first steps the decay is at most (1 + step) / (10 + step), so that the random start is soon forgotten (as in TensorFlow).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """After the step of this number, from 1 up."""
        now = [parameter.detach() for _, parameter in module.named_parameters()]
        torch._foreach_lerp_(list(self.weights.values()), now, 1 - self.at(step))

    def at(self, step: int) -> float:
        """The decay of a step."""
        return min(self.decay, (1 + step) / (10 + step))

    @contextmanager
    def put_in(self, module: nn.Module) -> Iterator[None]:
        """Inside, the module has the averaged weights."""
        self._swap(module)
        try:
            yield
        finally:
            self._swap(module)

    @torch.no_grad()
    def _swap(self, module: nn.Module) -> None:
        for name, parameter in module.named_parameters():
            mine = self.weights[name]
            kept = parameter.detach().clone()
            parameter.copy_(mine)
            mine.copy_(kept)

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Takes averaged weights by the names of parameters. Raises Mismatch where they are of another network."""
        for name, mine in self.weights.items():
            if name not in weights or weights[name].shape != mine.shape:
                raise Mismatch(f"it has no average of {name} in its shape")
            copy_into(mine, weights[name])
