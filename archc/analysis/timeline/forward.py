"""The forward pass on a tape: values as the program holds them, and what autograd keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from archc.analysis.storages import Run, Step, Storage
from archc.analysis.timeline.order import DROP, RUN
from archc.analysis.timeline.tape import KEPT, PASSING, TEMPORARY, Block, Tape
from archc.graph import Node, Value
from archc.ops.facts import NEW

_BY_NUMBERS = {"average", "scale", "lrn"}


class Forward:
    """Runs instructions. `held` are the blocks of the storages that are there."""

    def __init__(self, tape: Tape, run: Run, training: bool, device: str) -> None:
        self.tape = tape
        self.run = run
        self.unit = run.batch * run.item  # the bytes of a value of every image
        self.training = training
        self.number = 8 if device == "cpu" else 0
        self.steps: dict[Node, Step] = {step.node: step for step in run.steps}
        self.held: dict[Storage, Block] = {}

    def go(self, instructions: Iterable[tuple[str, Node | Value]]) -> None:
        for what, one in instructions:
            if what == RUN:
                assert isinstance(one, Node)
                self._layer(self.steps[one])
            else:
                assert isinstance(one, Value)
                block = self.held[self.run.tensors[one].storage]
                if what == DROP:
                    self.tape.free(block)
                else:
                    block.refs += 1

    def _layer(self, step: Step) -> None:
        """Outputs, what is kept beside them, and what is gone when the layer is through."""
        if step.node.kind == "attention" and self.training:
            self._attention(step)
            return
        passing = [self.tape.new(size, TEMPORARY, step.node) for size in self._temporaries(step)]
        for out in step.outputs:
            self._hold(out.storage, step.node)
        for storage in step.kept:
            self._hold(storage, step.node)
        for block in passing:
            self.tape.free(block)
        self.tape.mark("forward", step.node)

    def _temporaries(self, step: Step) -> list[int]:
        return [size for size in temporaries(step, self.unit, self.run.item, self.training, self.number) if size]

    def _attention(self, step: Step) -> None:
        """The first projection lies in another order than the kernel wants, so it is there twice for a while."""
        kept = list(step.kept)
        for i, storage in enumerate(kept):
            passing = self.tape.new(storage.bytes, TEMPORARY, step.node) if i == 1 else None
            self._hold(storage, step.node)
            if passing is not None:
                self.tape.free(passing)
        for out in step.outputs:
            self._hold(out.storage, step.node)
        self.tape.mark("forward", step.node)

    def _hold(self, storage: Storage, node: Node) -> None:
        block = self.held.get(storage)
        if block is None or not block.refs:
            self.held[storage] = self.tape.new(storage.bytes, KEPT if storage.kept_by else PASSING, node)
        else:
            block.refs += 1


def masks(run: Run) -> None:
    """On CUDA, one kernel drops values and keeps a mask of a byte a value; in place, it is as wide as the values."""
    for step in run.steps:
        if step.node.kind == "dropout" and step.node.facts.storage == NEW:
            for storage in step.kept:
                if storage.made_by is step.node and storage is not step.outputs[0].storage:
                    storage.bytes //= storage.item


def numbers(run: Run) -> None:
    """On the CPU, a number that a value is multiplied with is kept as a tensor of 8 bytes."""
    for i, step in enumerate(run.steps):
        if step.node.kind in _BY_NUMBERS and any(step.wanting):
            run.steps[i] = replace(step, kept={**step.kept, Storage(8, 8, step.node, kept_by=step.node): 0})


def temporaries(step: Step, unit: int, item: int, training: bool, number: int) -> list[int]:
    """Bytes of what a layer of several operations makes and drops on the way. A `number` has its bytes on the CPU, none on CUDA."""
    node = step.node
    size = node.output.shape.values * unit
    if node.kind == "add":
        return [size] if len(node.inputs) > 2 else []
    if node.kind == "average":
        return [size] if training else [size, number]
    if training:
        return []
    if node.kind == "scale":
        return [number]
    if node.kind == "lrn":
        return [size, size, number]  # two of the mean, its multiple, the sum and the power are there at a time, beside the newest
    if node.kind == "mul":
        return [size] if len(node.inputs) > 2 else []
    if node.args.get("standardize"):
        return [node.facts.owned[0].values * item]
    form = node.facts.torch
    if "F.pad(" in getattr(form, "call", "") or getattr(form, "options", {}).get("padding_mode", "zeros") != "zeros":
        return [one.values * unit for one in (node.facts.keeps or ()) if one.what == "new" and one.dtype == "same"][:1]
    return []
