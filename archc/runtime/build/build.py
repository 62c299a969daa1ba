"""A graph as a module of PyTorch: made, given its weights, optimized, put where it shall be."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import cast

import torch
from torch import nn

from archc.codegen.emit.source import Source
from archc.codegen.lowering import Checkpoint, Lowered, lower
from archc.graph import Graph
from archc.runtime.build.folding import folded
from archc.runtime.build.module import class_of
from archc.runtime.build.place import device_of, dtype_of, place
from archc.runtime.build.verifying import verify
from archc.runtime.weights.load import Loaded, load_weights
from archc.runtime.weights.renaming import WeightsError


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a module is wanted; what is empty stays as PyTorch has it.

    weights: a file; `rename`, `partial`, `fresh` and `finite` as in load_weights
    deployed: without what is there in training alone
    optimize: inference or train
    autocast: a dtype, in which each forward computes what is safe in it
    compiled: whether torch.compile takes the module
    checkpoint: what backward runs again: a plan, a file with one, blocks or norms
    seed: of weights that no file gives; None leaves PyTorch's random numbers as they are
    """

    device: str | None = None
    dtype: str | None = None
    memory_format: str | None = None
    weights: str | PathLike[str] | None = None
    rename: Sequence[str] = field(default_factory=tuple)
    partial: bool = False
    deployed: bool = False
    optimize: str = ""
    autocast: str = ""
    compiled: bool = False
    checkpoint: Checkpoint = None
    fresh: Collection[str] = ()
    finite: bool = True
    seed: int | None = None


def build(graph: Graph, wishes: Wishes | str = "") -> nn.Module:
    """The network as a module, with the initialization of its spec, or PyTorch's own. A word is the device."""
    return finished(graph, Wishes(device=wishes or None) if isinstance(wishes, str) else wishes)[0]


def finished(graph: Graph, wishes: Wishes) -> tuple[nn.Module, Loaded | None]:
    """The module as it is wanted, and what was loaded into it."""
    if wishes.device is not None:
        device_of(wishes.device)  # before any work is done for one that is not there
    verify(graph)
    autocast = str(dtype_of(wishes.autocast)).removeprefix("torch.") if wishes.autocast else ""
    wanted = graph.deployed() if wishes.deployed else graph
    lowered = lower(wanted, wishes.optimize, wishes.checkpoint)
    plain = lowered if lowered.graph is graph else lower(graph)
    if wishes.seed is not None:
        torch.manual_seed(wishes.seed)
    start = "meta" if wishes.device == "meta" else "cpu"
    module, loaded = _with_weights(plain, wanted, wishes, start, autocast)
    if lowered.graph is not graph:
        module = after_passes(module, lowered, autocast)
    place(module, wishes.device, wishes.dtype, wishes.memory_format or ("auto" if wishes.optimize else None))
    return cast(nn.Module, torch.compile(module)) if wishes.compiled else module, loaded


def _with_weights(plain: Lowered, wanted: Graph, wishes: Wishes, device: str, autocast: str) -> tuple[nn.Module, Loaded | None]:
    """The plain network with its weights. A file may have those of the heads or not, where the network is to do without."""
    module = made(plain.source, device, autocast)
    if not wishes.weights:
        return module, None
    try:
        return module, _loaded(module, wishes)
    except WeightsError:
        if wanted is plain.graph:
            raise
        smaller = made(lower(wanted).source, device, autocast)
        with contextlib.suppress(WeightsError):
            return smaller, _loaded(smaller, wishes)
        raise


def _loaded(module: nn.Module, wishes: Wishes) -> Loaded:
    assert wishes.weights
    return load_weights(module, wishes.weights, rename=wishes.rename, partial=wishes.partial, fresh=wishes.fresh, finite=wishes.finite)


def made(source: Source, device: str = "cpu", autocast: str = "") -> nn.Module:
    """The module of a source."""
    with torch.device(device):
        return class_of(source.text, source.name, autocast)()


def after_passes(module: nn.Module, lowered: Lowered, autocast: str = "") -> nn.Module:
    """The module after the passes, with the weights of the plain one; in eval mode where it is good for inference alone."""
    fast = made(lowered.source, "meta", autocast)
    names = list(fast.state_dict())
    fast.load_state_dict(folded(module.state_dict(), lowered.result.folds, names), strict=True, assign=True)
    return fast.train(module.training and not lowered.result.inference)
