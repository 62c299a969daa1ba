"""A network in training on a device, and its memory: predicted, and measured."""

from __future__ import annotations

import gc
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import optim

import archc
from archc.analysis.memory.timeline import Options, training
from archc.analysis.recompute import CheckpointPlan, plan_of
from archc.graph import Graph
from tests.helpers import allocations

STEPS = 3


@dataclass(frozen=True, slots=True)
class Case:
    """A network in training. `amp` is the dtype of autocast, `plan` the name of a ready plan; either may be empty."""

    net: str
    batch: int
    side: int
    amp: str = ""
    plan: str = ""
    optimizer: str = "adamw"
    device: str = "cuda"

    def graph(self) -> Graph:
        return archc.load(self.net, input=[1 if self.net == "unet" else 3, self.side, self.side])

    def options(self) -> Options:
        return Options(self.batch, optimizer=self.optimizer, device=self.device, amp=self.amp)

    def regions(self, graph: Graph) -> CheckpointPlan | None:
        return plan_of(graph, self.plan) if self.plan else None


@dataclass(frozen=True, slots=True)
class Bytes:
    """The peak: `tensors` without what one operator takes and gives back, the allocator's blocks and segments; 0 where it has none.

    workspace: how much higher the peak is with what operators take and give back, as cuDNN's; where it is measured
    """

    tensors: int
    allocated: int = 0
    reserved: int = 0
    workspace: int = 0


class Loop:
    """A network in training; names hold what a loop's names hold."""

    def __init__(self, case: Case) -> None:
        torch.manual_seed(0)
        graph = case.graph()
        self.case = case
        self.module = archc.build(graph, device=case.device, checkpoint=case.regions(graph))
        self.optimizer = _optimizer(case.optimizer, self.module)
        self.inputs = [torch.randn(case.batch, *value.shape, device=case.device) for value in graph.inputs.values()]
        shapes = [(case.batch, *value.shape) for value in (*graph.outputs.values(), *graph.heads.values())]
        self.targets = [_target(shape, case.device) for shape in shapes]
        self.out: Any = None
        self.loss: Any = None

    def base(self) -> int:
        """Bytes that are there before the first step."""
        tensors = [*self.module.parameters(), *self.module.buffers(), *self.inputs, *self.targets]
        return sum(tensor.untyped_storage().nbytes() for tensor in tensors)

    def step(self) -> None:
        amp = self.case.amp
        with torch.autocast(self.case.device, dtype=getattr(torch, amp)) if amp else nullcontext():
            self.out = self.module(*self.inputs)
            self.loss = self._loss()
        self.loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _loss(self) -> Any:
        outputs = list(self.out.values()) if isinstance(self.out, dict) else [self.out]
        pairs = zip(outputs, self.targets, strict=True)
        losses = [F.cross_entropy(o, t) if t.dtype == torch.int64 else F.mse_loss(o, t) for o, t in pairs]
        return sum(losses[1:], losses[0])


def _optimizer(name: str, module: torch.nn.Module) -> optim.Optimizer:
    if name == "momentum":
        return optim.SGD(module.parameters(), 1e-4, momentum=0.9)
    return optim.AdamW(module.parameters(), 1e-5)


def _target(shape: tuple[int, ...], device: str) -> Any:
    return torch.zeros(shape[:1] if len(shape) == 2 else shape, dtype=torch.int64 if len(shape) == 2 else torch.float32, device=device)


def predicted(case: Case) -> Bytes:
    """With the allowance for cuBLAS, which the allocator gives."""
    graph = case.graph()
    found = training(graph, case.options(), case.regions(graph))
    if case.device == "cpu":
        return Bytes(found.peak_bytes)
    return Bytes(found.peak_bytes + found.workspace, found.allocated_bytes + found.workspace, found.reserved_bytes + found.workspace)


def measured(case: Case) -> Bytes:
    """Three steps, then two under the profiler. On CUDA the profiler counts blocks, which are up to 1 MiB larger than the tensors."""
    if case.device == "cpu":
        return _profiled(Loop(case))
    clean()
    loop = Loop(case)
    torch.cuda.reset_peak_memory_stats()
    for _ in range(STEPS):
        loop.step()
    torch.cuda.synchronize()
    allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    del loop
    clean()
    return replace(_profiled(Loop(case)), allocated=allocated, reserved=reserved)


def _profiled(loop: Loop) -> Bytes:
    """The peak of a step as the profiler records allocations on the device, without and with what lives inside one operator."""
    events, marks = recorded(loop)
    plain, whole = allocations._summed(allocations._without_scratch(events), marks), allocations._summed(events, marks)
    return Bytes(loop.base() + plain.peak, workspace=whole.peak - plain.peak)


def recorded(loop: Loop) -> tuple[list[allocations._Event], list[tuple[int, str]]]:
    """What is allocated and freed on the device in two steps, and when the second begins."""
    events: list[allocations._Event] = []
    marks: list[tuple[int, str]] = []
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        loop.step()
        with torch.profiler.record_function("mark:last"):
            pass
        loop.step()
    for root in profile.profiler.kineto_results.experimental_event_tree():
        allocations._walk(_OnDevice(root, loop.case.device), None, "", events, marks)
    return sorted(events, key=lambda one: one.time), sorted(marks)


class _OnDevice:
    """An event of the profiler, with the allocations of one device alone below it."""

    def __init__(self, event: Any, device: str) -> None:
        self._event, self._device = event, device

    def __getattr__(self, name: str) -> Any:
        return getattr(self._event, name)

    @property
    def children(self) -> list[_OnDevice]:
        return [_OnDevice(child, self._device) for child in self._event.children if _there(child, self._device)]


def _there(event: Any, device: str) -> bool:
    return bool(event.tag != torch._C._profiler._EventType.Allocation or event.extra_fields.device.type == device)


def clean() -> None:
    """Gives all that is cached back."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch._C._cuda_clearCublasWorkspaces()
        torch.cuda.empty_cache()
