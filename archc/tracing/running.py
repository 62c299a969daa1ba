"""A copy of a module without values, and runs of it that are written down. The module itself is left as it is."""

from __future__ import annotations

import copy
import gc
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archc.graph.captured import CaptureError
from archc.tracing.rules import RULES, is_whole, rule_of
from archc.tracing.steps import Rule, tensors_in
from archc.tracing.trace import Trace


class _Empty(TorchFunctionMode):
    """Copies tensors without their values: those that are no parameters, too."""

    def __init__(self, memo: dict[int, Any]) -> None:
        super().__init__()
        self.memo = memo

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__:
            tensor, memo = args[0], args[1]
            if id(tensor) not in memo:
                memo[id(tensor)] = tensor.detach().to("meta", copy=True)
            return memo[id(tensor)]
        if func is Tensor.clone:  # by which parameters are copied that no module owns
            return args[0].detach().to("meta", copy=True)
        return func(*args, **(kwargs or {}))


def unwrap(module: nn.Module) -> nn.Module:
    """The module inside of torch.compile, DataParallel and their like."""
    while (inner := getattr(module, "_orig_mod", None) or _parallel(module)) is not None:
        module = inner
    return module


def is_exported(module: nn.Module) -> bool:
    """Whether it is the module of an exported program, which does in training what it did when it was exported."""
    return any(one.__module__ == "torch.export._unlift" for one in type(module).__mro__)


def _parallel(module: nn.Module) -> nn.Module | None:
    named = type(module).__name__ in ("DataParallel", "DistributedDataParallel", "FullyShardedDataParallel")
    inner = getattr(module, "module", None)
    return inner if named and isinstance(inner, nn.Module) else None


def empty_copy(module: nn.Module) -> nn.Module:
    """A copy whose tensors are on `meta`; what is one tensor under two names stays one."""
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise CaptureError(f"{type(module).__name__} has lazy parameters; run it once on an input, then its sizes are known")
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
    for buffer in module.buffers():
        memo[id(buffer)] = buffer.detach().to("meta", copy=True)
    return _copy(module, memo, _Empty(memo))


def full_copy(module: nn.Module) -> nn.Module:
    """A copy on the CPU, with its values."""
    return _copy(module, {}, None).cpu()


def matched(copied: nn.Module, module: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """The parameters and buffers of a copy without values, each with that of the module, where that has values."""
    ours = dict([*copied.named_parameters(), *copied.named_buffers()])
    theirs = dict([*module.named_parameters(), *module.named_buffers()])
    return [(one, theirs[name]) for name, one in ours.items() if name in theirs and not theirs[name].is_meta]


def _copy(module: nn.Module, memo: dict[int, Any], mode: _Empty | None) -> nn.Module:
    if isinstance(module, torch.jit.ScriptModule):
        raise CaptureError(f"{type(module).__name__} is a TorchScript module, whose steps cannot be seen; give the Python module")
    try:
        if mode is None:
            return copy.deepcopy(module, memo)
        with mode:
            return copy.deepcopy(module, memo)
    except (TypeError, RuntimeError) as error:
        raise CaptureError(f"{type(module).__name__} cannot be copied, and archc runs no module of yours itself: {error}") from error


@dataclass(frozen=True, slots=True)
class Part:
    """A module of a copy, by its name in it.

    rule: what it is as one step; whole: whether it is one step, by a rule or opaque
    """

    path: str
    module: nn.Module
    rule: Rule | None
    whole: bool


def parts_of(model: nn.Module, leaves: frozenset[str]) -> list[Part]:
    """The modules of a copy that are watched as it runs."""
    found: list[Part] = []
    for path, module in model.named_modules():
        if module is not model and not isinstance(module, torch.jit.ScriptModule):
            rule = rule_of(module)
            found.append(Part(path, module, rule, rule is not None or is_whole(module, leaves)))
    return found


def run(
    model: nn.Module, inputs: dict[str, Tensor], given: Given, *, batch: int, training: bool, parts: Sequence[Part],
    origin: Sequence[tuple[Tensor, Tensor]], shared: frozenset[str] = frozenset(),
) -> Trace:  # fmt: skip
    """One run of a copy. Its modules tell the trace when they are called, by a `forward` of their own.

    origin: the tensors of a copy without values, each with that of the module itself
    shared: names of parameters that several steps read
    """
    model.train(training)
    trace = Trace(model, inputs, batch, RULES, training, origin=origin, shared=shared)
    device = next(iter(inputs.values())).device
    with _watched(parts, trace), torch.device(device):
        result = trace.run(lambda: model(*given.positional(inputs), **given.keywords(inputs)))
    for name, value in named_outputs(result):
        trace.returned(name, value)
    if not trace.outputs:
        raise CaptureError(f"{type(model).__name__} returns no tensor that depends on its input")
    return trace


@contextmanager
def _watched(parts: Sequence[Part], trace: Trace) -> Iterator[None]:
    for part in parts:
        part.module.__dict__["forward"] = _watching(trace, part)
    original = torch.autograd.Function.__dict__.get("apply", None)
    inherited = getattr(torch.autograd.Function.apply, "__func__")  # noqa: B009

    def apply(cls: Any, *args: Any, **options: Any) -> Any:
        call = partial(inherited, cls)
        if cls.__name__ == "CheckpointFunction" and cls.__module__ == "torch.utils.checkpoint" and not trace.quiet:
            trace.recomputes = True
            return args[0](*args[2:])  # what is recomputed, seen as it is
        return call(*args, **options) if trace.quiet else trace.function(cls.__name__, call, args, options)

    enter = torch.autograd.graph.saved_tensors_hooks.__enter__

    def watched_enter(hooks: Any) -> None:
        trace.recomputes = True
        enter(hooks)

    torch.autograd.graph.saved_tensors_hooks.__enter__ = watched_enter  # type: ignore[method-assign]
    torch.autograd.Function.apply = classmethod(apply)  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.autograd.graph.saved_tensors_hooks.__enter__ = enter  # type: ignore[method-assign]
        if original is None:
            del torch.autograd.Function.apply
        else:
            torch.autograd.Function.apply = original  # type: ignore[method-assign]
        for part in parts:
            part.module.__dict__.pop("forward", None)


def _watching(trace: Trace, part: Part) -> Callable[..., Any]:
    module, forward = part.module, part.module.forward

    def watched(*args: Any, **options: Any) -> Any:
        if trace.quiet:
            trace.uses(module)
            return forward(*args, **options)
        trace.enter(part.path, module)
        try:
            if part.whole and any(trace.live(tensor) for tensor in tensors_in((args, options))):
                return trace.whole(part.rule, module, forward, args, options)
            return forward(*args, **options)
        finally:
            trace.leave()

    return watched


def named_outputs(result: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a result, by the names that a dict, a named tuple or a dataclass gives them; else by number."""
    if isinstance(result, Tensor):
        yield name or "output", result
        return
    fields = getattr(result, "_fields", None)
    if isinstance(result, Mapping):
        pairs: Sequence[tuple[Any, Any]] = list(result.items())
    elif fields is not None:
        pairs = list(zip(fields, result, strict=True))
    elif isinstance(result, list | tuple):
        pairs = list(enumerate(result))
    elif hasattr(result, "__dataclass_fields__"):
        pairs = [(one, getattr(result, one)) for one in result.__dataclass_fields__]
    else:
        return
    for key, value in pairs:
        inner = str(key) if not str(key).isdigit() or name else f"output{key}"
        yield from named_outputs(value, f"{name}_{inner}" if name else inner)


class Given:
    """The inputs of a module: tensors, or shapes without the batch, by position or by name.

    order: the names of those by position; dtypes: of whole numbers, where they are known
    """

    def __init__(
        self, shapes: dict[str, tuple[int, ...]], order: Sequence[str], dtypes: dict[str, torch.dtype], real: dict[str, Tensor]
    ) -> None:
        self.shapes, self.order, self.dtypes, self.real = shapes, order, dtypes, real

    def tensors(self, batch: int, dtype: torch.dtype) -> dict[str, Tensor]:
        """On `meta`."""
        return {name: torch.empty(batch, *shape, dtype=self.dtypes.get(name, dtype), device="meta") for name, shape in self.shapes.items()}

    def values(self, batch: int) -> dict[str, Tensor]:
        """The tensors that were given, with as many images."""
        return {name: tensor.detach().cpu()[torch.arange(batch) % len(tensor)] for name, tensor in self.real.items()}

    def positional(self, tensors: dict[str, Tensor]) -> list[Tensor]:
        return [tensors[name] for name in self.order]

    def keywords(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in tensors.items() if name not in self.order}


@contextmanager
def uncollected() -> Iterator[None]:
    """Without searches for garbage: until a run ends, all that it makes is kept, and is searched in vain, with all of torch."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def unchanged_random_state() -> Iterator[None]:
    """Random numbers go on afterwards as if nothing had been drawn."""
    ours = random.getstate()
    numpy = sys.modules.get("numpy")
    theirs = numpy.random.get_state() if numpy is not None else None
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(ours)
            if numpy is not None:
                numpy.random.set_state(theirs)
