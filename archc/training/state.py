"""The state of a training as whole tensors by name: the same for one process and for many, sharded or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import ASGD, Optimizer

Tensors = dict[str, Tensor]
_COUNTERS = ("step", "mu_product")  # the latter is NAdam's


class Mismatch(ValueError):
    """A checkpoint that is of another network or recipe, and what tells it."""


def gather_tensors(tensors: Mapping[str, Tensor], keep: bool) -> Tensors:
    """Copies on the CPU. All processes call this together; those that do not `keep` help to gather, and have nothing of it.

    In the order of names: what was loaded from a file lies in an order that differs between processes.
    """
    found: Tensors = {}
    for name, parameter in sorted(tensors.items()):
        full = (parameter.full_tensor() if isinstance(parameter, DTensor) else parameter).detach()
        if keep:
            copied = full.to("cpu", copy=True)
            found[name] = copied.contiguous()
    return found


@torch.no_grad()
def copy_into(into: Tensor, value: Tensor) -> None:
    """A whole tensor into a tensor, or into this process's piece of it."""
    if isinstance(into, DTensor):
        into.copy_(distribute_tensor(value.to(into.device), into.device_mesh, into.placements, src_data_rank=None))
    else:
        into.copy_(value)


def load_module(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Weights and buffers by name. Raises Mismatch where the tensors are of another network."""
    slots = module.state_dict()
    if slots.keys() != tensors.keys():
        raise Mismatch(f"tensors of another network: {next(iter(slots.keys() ^ tensors.keys()))}")
    for name, slot in slots.items():
        if slot.shape != tensors[name].shape:
            raise Mismatch(f"{name} is {list(tensors[name].shape)}, and {list(slot.shape)} in the network")
        copy_into(slot, tensors[name])


def optimizer_tensors(optimizer: Optimizer, module: nn.Module) -> Tensors:
    """`NAME/KEY`: what the optimizer keeps for each parameter."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    found: Tensors = {}
    for parameter, kept in optimizer.state.items():
        for key, value in kept.items():
            if isinstance(value, Tensor):
                found[f"{names[id(parameter)]}/{key}"] = value
            elif value is not None:
                found[f"{names[id(parameter)]}/{key}"] = torch.tensor(value, dtype=torch.float64)
    return found


def load_optimizer(optimizer: Optimizer, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """The state of each parameter by name, made as `load_state_dict` makes it: on its device, in its dtype, in its pieces.

    Raises Mismatch where it is that of another network.
    """
    parameters = dict(module.named_parameters())
    learns = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for full, value in tensors.items():
        name, _, key = full.rpartition("/")
        if name not in parameters:
            raise Mismatch(f"a state of {name}, which is no parameter of the network")
        parameter = parameters[name]
        if id(parameter) in learns:
            optimizer.state[parameter][key] = _like(parameter, key, value, optimizer)


def _like(parameter: Tensor, key: str, value: Tensor, optimizer: Optimizer) -> Any:
    """As the optimizer had it: counters lie on the CPU, but beside their parameter for fused optimizers and for ASGD."""
    if key in _COUNTERS:
        beside = isinstance(optimizer, ASGD) or any(group.get("fused") or group.get("capturable") for group in optimizer.param_groups)
        return value.to(parameter.device if beside else "cpu", copy=True)
    if value.shape != parameter.shape:
        return value.to(parameter.device, copy=True)
    made = torch.empty_like(parameter, dtype=value.dtype).detach()
    copy_into(made, value)
    return made
