"""The graph of a module: runs of a copy in training and in evaluation, at two batch sizes, put side by side."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from archc.errors import ArchcError, ArgumentError
from archc.graph import Graph
from archc.graph.captured import CHANNELS_LAST, CaptureError, ValuesNeeded
from archc.ops.shape import read_sizes
from archc.tracing.assemble import assemble
from archc.tracing.compare import drop_unused, mark_batch, merge_modes, shared_tokens
from archc.tracing.rules import check_leaves
from archc.tracing.running import (
    Given,
    empty_copy,
    full_copy,
    is_exported,
    matched,
    parts_of,
    run,
    unchanged_random_state,
    uncollected,
    unwrap,
)
from archc.tracing.steps import WholeNumbers
from archc.tracing.tensors import own_dtype
from archc.tracing.trace import Trace
from archc.tracing.values import needs_values

FEW, MORE = 2, 3  # images: batch normalization trains on no single value


@uncollected()
def capture(module: nn.Module, input: Any, *, name: str = "", leaves: Iterable[str] = ()) -> Graph:
    """The network of a PyTorch module: the graph that every function of archc takes.

    module: it is copied, and stays as it is; `.to` any device and mode
    input: a shape without the batch, (3, 224, 224) or "3x224x224"; a list of shapes for several inputs; a dict by the names of
        forward's parameters; or tensors with a batch in the places of shapes, whose values are read where the module decides by them
    leaves: names of classes whose modules are one opaque step each

    What no operator says becomes an `opaque` layer, with its shapes and weights; `graph.captured` has what else is known.
    Raises CaptureError, and whatever the module itself raises.
    """
    if not isinstance(module, nn.Module):
        raise ArgumentError(f"a module is expected, not {type(module).__name__}; a spec is read by load(…)")
    module = unwrap(module)
    given = read_inputs(module, input)
    chosen = frozenset([leaves] if isinstance(leaves, str) else leaves)
    check_leaves(module, chosen)
    with unchanged_random_state(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = _Runs(module, given, chosen)
        trace, other, notes = source.both()
        source.shared = shared_tokens(trace)
        if source.shared:
            trace, other, notes = source.both()
    shapes = mark_batch(trace, other)
    if isinstance(shapes, str):
        raise CaptureError(f"{type(module).__name__} does other things with {MORE} images than with {FEW}, {shapes}")
    drop_unused(trace)
    once = sum(count() or 0 for count in trace.constant_steps)
    if once:
        notes.append(f"{once:,} MACs of a forward pass are spent on weights alone, however many images there are; they are not counted")
    if trace.recomputes:
        notes.append("it recomputes in backward, or moves elsewhere, what autograd keeps: memory in training is told as if it did not")
    if any(one.dim() > 3 and not one.is_contiguous() for one in source.model.parameters()):
        notes.append(CHANNELS_LAST)
    graph = assemble(trace, shapes, source.model, name or type(module).__name__, notes)
    assert graph.captured is not None
    graph.captured = replace(graph.captured, weight_macs=once)
    return graph


class _Runs:
    """Runs of a copy: without values, or with those that were given where the module needs them."""

    def __init__(self, module: nn.Module, given: Given, leaves: frozenset[str]) -> None:
        self.module, self.given, self.leaves = module, given, leaves
        self.model, self.values = empty_copy(module), False
        self.parts = parts_of(self.model, leaves)
        self.dtype = own_dtype(self.model)
        self.origin = matched(self.model, module)
        self.shared: frozenset[str] = frozenset()

    def both(self) -> tuple[Trace, Trace, list[str]]:
        """The trace of training and evaluation as one, the same at another batch size, and notes."""
        try:
            return self._both()
        except WholeNumbers as error:
            self.given.dtypes[error.name] = torch.int64
            return self.both()
        except ArchcError:
            raise
        except Exception as error:
            if self.given.real:
                self.model, self.values, self.origin = full_copy(self.module), True, []
                self.parts = parts_of(self.model, self.leaves)
                trace, other, notes = self._both()
                return trace, other, [*notes, "it ran on the tensors that were given, since it decides by values"]
            if needs_values(error):
                name, told = type(self.module).__name__, str(error).partition(". ")[0].partition("\n")[0]
                raise ValuesNeeded(
                    f"{name} decides by the values of a tensor ({told}); give a tensor with a batch as the input, and it runs on that"
                ) from error
            raise

    def _both(self) -> tuple[Trace, Trace, list[str]]:
        evaluation = self.run(FEW, training=False)
        if is_exported(self.module):
            return evaluation, self.run(MORE, training=False), ["an exported program is told as it was exported, in training too"]
        try:
            training = self.run(FEW, training=True)
        except Exception as error:
            by_values = needs_values(error) and not self.values
            if isinstance(error, WholeNumbers) or (by_values and self.given.real):
                raise
            note = f"it cannot be trained on this input ({type(error).__name__}: {error}): the network is that of evaluation"
            if by_values:
                note = f"training decides by the values of a tensor ({error}); unless tensors are given, the network is that of evaluation"
            return evaluation, self.run(MORE, training=False), [note]
        trace, notes = merge_modes(training, evaluation)
        return trace, self.run(MORE, training=trace is training), notes

    def run(self, batch: int, training: bool) -> Trace:
        inputs = self.given.values(batch) if self.values else self.given.tensors(batch, self.dtype)
        model, parts, origin = self.model, self.parts, self.origin
        return run(model, inputs, self.given, batch=batch, training=training, parts=parts, origin=origin, shared=self.shared)


def read_inputs(module: nn.Module, input: Any) -> Given:
    """What was given as the inputs of a module. Raises ArgumentError."""
    parameters = [
        one.name
        for one in inspect.signature(module.forward).parameters.values()
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    if isinstance(input, dict):
        items = {str(name): value for name, value in input.items()}
        order: list[str] = []
    elif isinstance(input, list | tuple) and input and all(isinstance(one, Tensor | list | tuple | str) for one in input):
        names = [*parameters, *(f"input{at}" for at in range(len(parameters), len(input)))]
        order = names[: len(input)]
        items = dict(zip(order, input, strict=True))
    else:
        order = ["input"]
        items = {"input": input}
    if not items:
        raise ArgumentError("a dict of inputs has at least one: {'image': (3, 224, 224)}, without the batch")
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, torch.dtype] = {}
    real: dict[str, Tensor] = {}
    for name, value in items.items():
        if isinstance(value, Tensor):
            if not value.dim() or not len(value):
                raise ArgumentError(f"the tensor {name} has no images: its first axis is the batch")
            shapes[name], real[name] = tuple(value.shape[1:]), value
            if not value.is_floating_point():
                dtypes[name] = value.dtype
        else:
            shapes[name] = _shape(name, value, dtypes)
    return Given(shapes, order, dtypes, real)


def _shape(name: str, value: Any, dtypes: dict[str, torch.dtype]) -> tuple[int, ...]:
    if isinstance(value, str):
        text, _, dtype = value.partition(":")
        if dtype:
            found = getattr(torch, dtype, None)
            if not isinstance(found, torch.dtype):
                raise ArgumentError(f"{dtype!r} is no dtype; write {text}:int64")
            dtypes[name] = found
        sizes: Sequence[Any] = read_sizes(text)
    else:
        sizes = value if isinstance(value, list | tuple) else (value,)
    if not sizes or not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes):
        raise ArgumentError(f"{value!r} is no shape; write (3, 224, 224), without the batch")
    return tuple(sizes)
