"""A graph as a module of PyTorch: made, given its weights, optimized, put where it shall be."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import cast

import torch
from torch import nn

from archc.codegen.emit.source import ModuleSource
from archc.codegen.lowering import Checkpoint, Lowered, lower
from archc.graph import Graph
from archc.runtime.build.following import fold_tensors
from archc.runtime.build.module import class_of
from archc.runtime.build.place import device_of, dtype_of, place
from archc.runtime.build.verifying import verify
from archc.runtime.weights.load import Loaded, load_weights
from archc.runtime.weights.renaming import WeightsError


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How a module is wanted; what is empty stays as PyTorch has it.

    weights: a file; `rename`, `partial`, `fresh` and `finite` as in load_weights
    deployed: without what exists only in training
    optimize: inference or train
    convolutional: dense layers over maps as convolutions, with the same weights
    autocast: a dtype, in which each forward computes what is safe in it
    compiled: whether torch.compile takes the module
    checkpoint: what backward recomputes: a plan, a file with one, blocks or norms
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
    convolutional: bool = False
    autocast: str = ""
    compiled: bool = False
    checkpoint: Checkpoint = None
    fresh: Collection[str] = ()
    finite: bool = True
    seed: int | None = None


def build(graph: Graph, options: BuildOptions | str = "") -> nn.Module:
    """The network as a module, with the initialization of its spec, or PyTorch's own. A word is the device."""
    return build_with_report(graph, BuildOptions(device=options or None) if isinstance(options, str) else options)[0]


def build_with_report(graph: Graph, options: BuildOptions) -> tuple[nn.Module, Loaded | None]:
    """The module as it is wanted, and what was loaded into it."""
    if options.device is not None:
        device_of(options.device)  # before any work is done for one that is not there
    verify(graph)
    autocast = str(dtype_of(options.autocast)).removeprefix("torch.") if options.autocast else ""
    wanted = graph.deployed() if options.deployed else graph
    lowered = lower(wanted, options.optimize, options.checkpoint, options.convolutional)
    plain = lowered if lowered.graph is graph else lower(graph)
    if options.seed is not None:
        torch.manual_seed(options.seed)
    start = "meta" if options.device == "meta" else "cpu"
    module, loaded = _with_weights(plain, wanted, options, start, autocast)
    if lowered.graph is not graph:
        module = after_passes(module, lowered, autocast)
    place(module, options.device, options.dtype, options.memory_format or ("auto" if options.optimize else None))
    return cast(nn.Module, torch.compile(module)) if options.compiled else module, loaded


def _with_weights(plain: Lowered, wanted: Graph, options: BuildOptions, device: str, autocast: str) -> tuple[nn.Module, Loaded | None]:
    """The plain network with its weights. A file may have those of the heads or not, where the network is to do without."""
    module = make_module(plain.source, device, autocast)
    if not options.weights:
        return module, None
    try:
        return module, _load_into(module, options, wanted.rename)
    except WeightsError:
        if wanted is plain.graph:
            raise
        smaller = make_module(lower(wanted).source, device, autocast)
        with contextlib.suppress(WeightsError):
            return smaller, _load_into(smaller, options, wanted.rename)
        raise


def _load_into(module: nn.Module, options: BuildOptions, own: Sequence[str]) -> Loaded:
    assert options.weights
    return load_weights(
        module,
        options.weights,
        rename=options.rename,
        partial=options.partial,
        fresh=options.fresh,
        finite=options.finite,
        own=own,
    )


def make_module(source: ModuleSource, device: str = "cpu", autocast: str = "") -> nn.Module:
    """The module of a source."""
    with torch.device(device):
        return class_of(source.text, source.name, autocast)()


def after_passes(module: nn.Module, lowered: Lowered, autocast: str = "") -> nn.Module:
    """The module after the passes, with the weights of the plain one; in eval mode where it is good for inference alone."""
    fast = make_module(lowered.source, "meta", autocast)
    names = list(fast.state_dict())
    fast.load_state_dict(fold_tensors(module.state_dict(), lowered.result.folds, names), strict=True, assign=True)
    return fast.train(module.training and not lowered.result.inference)
