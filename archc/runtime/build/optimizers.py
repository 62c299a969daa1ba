"""The optimizers of torch.optim by name, fused into one kernel where PyTorch has one for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn, optim

from archc.text.suggest import did_you_mean

_BY_NAME: dict[str, tuple[Callable[..., optim.Optimizer], dict[str, Any]]] = {
    "sgd": (optim.SGD, {}),
    "momentum": (optim.SGD, {"momentum": 0.9}),
    "nesterov": (optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (optim.Adam, {}),
    "adamw": (optim.AdamW, {}),
    "adagrad": (optim.Adagrad, {}),
    "rmsprop": (optim.RMSprop, {}),
    "adafactor": (optim.Adafactor, {}),
}
_FUSED = {optim.SGD, optim.Adam, optim.AdamW, optim.Adagrad}


def optimizer(module: nn.Module | Iterable[nn.Parameter], name: str, **options: Any) -> optim.Optimizer:
    """An optimizer over a module's parameters: one kernel for all of them where there is one, and no copies in between.

    name: sgd, momentum, nesterov, adam, adamw, adagrad, rmsprop, adafactor
    options: as torch.optim's class has them; `fused=False` does without

    Raises ValueError for an unknown name.
    """
    if name not in _BY_NAME:
        hint = did_you_mean(name, _BY_NAME) or f"there are {', '.join(_BY_NAME)}"
        raise ValueError(f"no optimizer is called {name}; {hint}")
    kind, settings = _BY_NAME[name]
    values = list(module.parameters() if isinstance(module, nn.Module) else module)
    if "fused" not in options and kind in _FUSED and values and all(map(_can_fuse, values)):
        settings = settings | {"fused": True}
    return kind(values, **{**settings, **options})


def _can_fuse(value: torch.Tensor) -> bool:
    return value.is_floating_point() and value.device.type in ("cpu", "cuda", "mps") and not value.is_sparse
