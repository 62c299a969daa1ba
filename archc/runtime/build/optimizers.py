"""The optimizers of the catalogue as torch.optim's, fused into one kernel where PyTorch has one for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn, optim

from archc.catalog.optimizers import OPTIMIZERS
from archc.errors import ArgumentError
from archc.text.suggest import did_you_mean


def optimizer(module: nn.Module | Iterable[nn.Parameter], name: str, **options: Any) -> optim.Optimizer:
    """An optimizer over a module's parameters: one kernel for all of them where there is one, and no copies in between.

    name: one of `archc.catalog.optimizers`: sgd, momentum, nesterov, adam, adamw, rmsprop, lion, …
    options: as its class has them (torch.optim's, but for Lion); `fused=False` does without

    Raises ValueError for an unknown name.
    """
    if name not in OPTIMIZERS:
        hint = did_you_mean(name, OPTIMIZERS) or f"there are {', '.join(OPTIMIZERS)}"
        raise ArgumentError(f"no optimizer is called {name}; {hint}")
    values = list(module.parameters() if isinstance(module, nn.Module) else module)
    settings = dict(OPTIMIZERS[name].fixed)
    if "fused" not in options and OPTIMIZERS[name].fused and values and all(map(_can_fuse, values)):
        settings["fused"] = True
    return class_of(name)(values, **{**settings, **options})


def class_of(name: str) -> Callable[..., optim.Optimizer]:
    """The class of an optimizer of the catalogue."""
    found: Callable[..., optim.Optimizer] = getattr(optim, OPTIMIZERS[name].torch) if OPTIMIZERS[name].torch else Lion
    return found


def _can_fuse(value: torch.Tensor) -> bool:
    return value.is_floating_point() and value.device.type in ("cpu", "cuda", "mps") and not value.is_sparse


class Lion(optim.Optimizer):
    """A step by the sign of a mean of gradients, which torch.optim lacks.

    Chen et al., Symbolic Discovery of Optimization Algorithms, 2023, algorithm 2. Decay acts on the weights.

    foreach: all weights at once; on GPUs unless said otherwise, as torch.optim has it
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "weight_decay": weight_decay, "foreach": foreach})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; the loss, where `closure` works it out."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            values = [parameter for parameter in group["params"] if parameter.grad is not None]
            means = [self._mean(parameter) for parameter in values]
            foreach = (
                group["foreach"]
                if group["foreach"] is not None
                else all(type(parameter) is nn.Parameter and parameter.is_cuda for parameter in values)
            )
            if foreach and values:
                _step_at_once(values, [parameter.grad for parameter in values], means, group)
            else:
                for value, mean in zip(values, means, strict=True):
                    _step_alone(value, mean, group)
        return loss

    def _mean(self, value: Tensor) -> Tensor:
        kept = self.state[value]
        if "exp_avg" not in kept:
            kept["exp_avg"] = torch.zeros_like(value, memory_format=torch.preserve_format)
        found: Tensor = kept["exp_avg"]
        return found


def _step_alone(value: Tensor, mean: Tensor, group: dict[str, Any]) -> None:
    assert value.grad is not None
    if group["weight_decay"]:
        value.mul_(1 - group["lr"] * group["weight_decay"])
    value.add_(mean.lerp(value.grad, 1 - group["betas"][0]).sign_(), alpha=-group["lr"])
    mean.lerp_(value.grad, 1 - group["betas"][1])


def _step_at_once(values: list[Tensor], grads: list[Any], means: list[Tensor], group: dict[str, Any]) -> None:
    if group["weight_decay"]:
        torch._foreach_mul_(values, 1 - group["lr"] * group["weight_decay"])
    steps = torch._foreach_lerp(means, grads, 1 - group["betas"][0])
    torch._foreach_sign_(steps)
    torch._foreach_add_(values, steps, alpha=-group["lr"])
    torch._foreach_lerp_(means, grads, 1 - group["betas"][1])
