"""Finds why a loss is not finite: the step is run once more, and the output of every layer is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def explain_nonfinite(module: nn.Module, rerun: Callable[[], Any], first: bool = False) -> str:
    """What first is not finite when `again` runs the step forward and backward: weights, an output, the loss or a gradient.

    first: whether it is the step with which the training begins
    """
    if (bad := bad_weights(module)) and first:
        return f"the weights of {bad} were not finite before that step: look at `init`, or at the file"
    if bad:
        message = f"the weights of {bad} are not finite, since the gradient of the "
        return f"{message}step before was not; of the layers with such weights it is the last"
    found: list[str] = []
    with _watch_outputs(module, found):
        rerun()
    if found:
        return found[0]
    gradients = [name for name, tensor in module.named_parameters() if tensor.grad is not None and not _finite(tensor.grad)]
    return f"every output is finite, and the loss of them is not{f'; so is the gradient of {gradients[-1]}' if gradients else ''}"


def bad_weights(module: nn.Module) -> str:
    """The last layer, in the order of the network, with a weight that is not finite."""
    names = [name for name, tensor in module.named_parameters() if not _finite(tensor)]
    return names[-1].rpartition(".")[0] or names[-1] if names else ""


@contextmanager
def _watch_outputs(module: nn.Module, found: list[str]) -> Iterator[None]:
    def watch(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: Any, output: Any) -> None:
            if not found and any(not _finite(tensor) for tensor in _tensors(output)):
                if not all(map(_finite, _tensors(inputs))):
                    found.append(f"already the input of {name}, the first layer, is not finite: look at the images")
                    return
                given = [tensor for tensor in _tensors(inputs) if tensor.is_floating_point() and tensor.numel()]
                most = max((float(tensor.detach().abs().max()) for tensor in given), default=0.0)
                found.append(f"first at the output of {name} ({type(layer).__name__}), whose input goes up to {most:.3g}")

        return hook

    layers = [(name, layer) for name, layer in module.named_modules() if name and next(layer.children(), None) is None]
    handles = [layer.register_forward_hook(watch(name)) for name, layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor.detach()).all())
