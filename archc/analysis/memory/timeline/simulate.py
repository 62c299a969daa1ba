"""Simulates a training step, and inference, on a tape of allocations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import lru_cache, partial
from typing import Any

import archc.analysis.memory.timeline.arithmetic
import archc.analysis.memory.timeline.chains
import archc.analysis.memory.timeline.composite
import archc.analysis.memory.timeline.learned
import archc.analysis.memory.timeline.merging
import archc.analysis.memory.timeline.reducing  # noqa: F401  (its rules, and those of the ones above)
from archc.analysis.memory.storages import Storage, StorageRun, StoredTensor, run, run_in_eval
from archc.analysis.memory.timeline.autocast import cast, low
from archc.analysis.memory.timeline.backward import Backward, Grad
from archc.analysis.memory.timeline.bounds import bound
from archc.analysis.memory.timeline.forward import Forward, masks, numbers
from archc.analysis.memory.timeline.frames import Frames
from archc.analysis.memory.timeline.optimizers import IMPLEMENTATIONS, state_bytes, step_bytes, usual
from archc.analysis.memory.timeline.order import order, owners_of
from archc.analysis.memory.timeline.result import Timeline
from archc.analysis.memory.timeline.tape import BACKWARD, BATCH, BUFFERS, KEPT, OPTIMIZER, PARAMETERS, PASSING, TEMPORARY, Block, Tape
from archc.analysis.recompute import CheckpointPlan, spans
from archc.catalog.dtypes import FLOATS, NETWORK
from archc.catalog.optimizers import OPTIMIZERS
from archc.errors import ArgumentError
from archc.graph import Graph, Node, Value
from archc.graph.graph import growing
from archc.graph.rewrite import rewritten
from archc.graph.structure import ancestors
from archc.ops.facts import INPLACE

KEPT_GRAPHS = 4  # of networks without dropout, since one is simulated many times
LOSSES = ("auto", "cross_entropy", "mse", "sum")


@dataclass(frozen=True, slots=True)
class Options:
    """How a network is trained.

    optimizer: one of `archc.catalog.optimizers`, with its default `arguments` but for those given
    how: its implementation: foreach, loop or fused; torch.optim's own choice unless given
    loss: of each output, and their sum: cross_entropy, mse, sum; auto is cross_entropy for a vector of classes, else mse
    device: cpu or cuda
    amp: bfloat16 or float16, where the forward pass runs under torch.autocast
    accumulate: passes of a step, among which the batch is divided; gradients add up over them
    """

    batch: int = 1
    _: KW_ONLY
    dtype: str = "float32"
    optimizer: str = "sgd"
    how: str = ""
    loss: str = "auto"
    device: str = "cpu"
    amp: str = ""
    accumulate: int = 1
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def images(self) -> int:
        """Those of the largest pass."""
        return -(-self.batch // self.accumulate)


def training(graph: Graph, options: Options, plan: CheckpointPlan | None = None) -> Timeline:
    """One step of training in its steady state: state of the optimizer is there, gradients are set to None after each step.

    plan: what backward runs again; it has to be legal for the network (`archc.analysis.recompute.mistakes`)
    """
    _known(options)
    with growing():
        return _Training(graph, options, plan).timeline()


def inference(graph: Graph, options: Options) -> Timeline:
    """One forward pass in eval mode without gradients. The result of the pass before is gone."""
    _known(options)
    if options.accumulate > 1:
        raise ArgumentError("gradients are accumulated only in training; leave out accumulate or inference")
    with growing():
        return _inference(_evaluated(graph), options)


@lru_cache(maxsize=KEPT_GRAPHS)
def _evaluated(graph: Graph) -> Graph:
    """The network where attention drops nothing, as in eval mode, so that a fused kernel takes it."""
    if not any(map(_drops, graph.nodes)):
        return graph
    return rewritten(graph, lambda node: {"dropout": 0.0} if _drops(node) else {})


def _drops(node: Node) -> bool:
    return node.kind == "scaled_dot_product_attention" and node.args["dropout"] > 0


def _inference(graph: Graph, options: Options) -> Timeline:
    run = run_in_eval(graph, options.batch, options.amp or options.dtype)
    if options.amp:
        cast(graph, run, options.device)
    tape = Tape()
    forward = Forward(tape, run, False, options.device)
    for node in graph.nodes:
        if node.shared is None:
            _own(tape, node, NETWORK[options.dtype])
    for value in graph.inputs.values():
        storage = run.tensors[value].storage
        forward.held[storage] = tape.new(storage.bytes, BATCH)
    tape.mark("start", None)
    forward.go(order(graph, training=False))
    tape.mark("end", None)
    return Timeline(graph, options, "", tape, bound=bound(graph, run, options, learning=False))


def _never(node: Node) -> bool:
    return False


def _known(options: Options) -> None:
    for what, word, names in (
        ("optimizer", options.optimizer, OPTIMIZERS),
        ("dtype", options.dtype, FLOATS),
        ("loss", options.loss, LOSSES),
        ("device", options.device, ("cpu", "cuda")),
        ("autocast", options.amp, ("", "bfloat16", "float16")),
        ("implementation", options.how, ("", *IMPLEMENTATIONS)),
    ):
        if word not in names:
            raise ArgumentError(f"no {what} is called {word}; there are {', '.join(filter(None, names))}")
    if options.batch < 1:
        raise ArgumentError(f"a batch has at least 1 image, not {options.batch}")
    if not 1 <= options.accumulate <= options.batch:
        message = f"a batch of {options.batch} cannot be divided into {options.accumulate} passes"
        raise ArgumentError(f"{message}; write from 1 to {options.batch}")


def _own(tape: Tape, node: Node, item: int) -> None:
    """The tensors of a layer."""
    for weight in node.facts.owned:
        tape.new(weight.bytes(item), BUFFERS if weight.role == "buffer" else PARAMETERS, node)


class _Training:
    def __init__(self, graph: Graph, options: Options, plan: CheckpointPlan | None) -> None:
        self.graph = graph
        self.plan = plan
        self.options = options
        self.how = options.how or usual(options.optimizer, options.device)
        self.item = NETWORK[options.dtype]
        self.run: StorageRun = run(graph, options.images, options.amp or options.dtype)
        if options.amp:
            cast(graph, self.run, options.device)
        self.counts: set[Storage] = set()
        if options.device == "cuda":
            masks(self.run)
        else:
            self.counts = numbers(self.run)
        self.tape = Tape()
        regions = tuple(spans(graph, plan)) if plan is not None else ()
        self.instructions = order(graph, True, regions)
        self.frames = Frames(graph, self.run, self.instructions, self.counts) if regions else None
        self.forward = Forward(self.tape, self.run, True, options.device, self.frames)
        self.outputs = [*graph.returned]

    def timeline(self) -> Timeline:
        owners = owners_of(self.graph)
        learns = set(self._uses())  # of the others, there are no gradients
        shapes = [weight.shape for node in owners if node in learns for weight in node.facts.owned if weight.role != "buffer"]
        self._start(owners, shapes)
        before = self._previous()
        self.tape.mark("start", None)
        grads: dict[tuple[Node, int], Block] = {}
        for number in range(min(self.options.accumulate, 2)):  # all after the first are alike
            if number:
                before = self._held_over()
            grads = self._pass(before, grads)
        self._step(grads, shapes)
        found = bound(self.graph, self.run, self.options, learning=True)
        return Timeline(self.graph, self.options, self.how, self.tape, self.plan, found)

    def _pass(self, before: list[Block], grads: dict[tuple[Node, int], Block]) -> dict[tuple[Node, int], Block]:
        """Forward and backward, on top of the gradients that there are; those that there are then."""
        self.forward.go(self.instructions)
        for block in before:
            self.tape.free(block)
        backward = self._backward(grads)
        self._loss(backward)
        for step in reversed(self.run.steps):
            backward.step(step)
            self.tape.mark("backward", step.node)
        self.tape.free(self.loss_gradient)
        return backward.weights

    def _start(self, owners: Sequence[Node], shapes: list[tuple[int, ...]]) -> None:
        """What is there all the time."""
        for node in owners:
            _own(self.tape, node, self.item)
        options = self.options
        for size in state_bytes(options.optimizer, shapes, self.item, options.device, self.how, options.arguments):
            self.tape.new(size, OPTIMIZER)
        for value in self.graph.inputs.values():
            storage = self.run.tensors[value].storage
            self.forward.held[storage] = self.tape.new(storage.bytes, BATCH)
        for value in self.outputs:
            self.tape.new(self._target(value), BATCH)

    def _way(self, value: Value) -> str:
        auto = "cross_entropy" if len(value.shape) == 1 else "mse"
        return auto if self.options.loss == "auto" else self.options.loss

    def _target(self, value: Value) -> int:
        """Class indices have eight bytes."""
        way = self._way(value)
        if way == "cross_entropy":
            return 8 * self.options.images * value.shape.values // value.shape[0]
        return self._bytes(value) if way == "mse" else 0

    def _bytes(self, value: Value) -> int:
        return self.options.images * value.shape.values * self.item

    def _previous(self) -> list[Block]:
        """The names of the step before still hold its outputs and its loss."""
        storages: dict[Storage, None] = dict.fromkeys(self.run.tensors[value].storage for value in self.outputs)
        found = [self.tape.new(storage.bytes, PASSING) for storage in storages if storage.made_by is not None]
        plain = len(self.outputs) == 1 and self.options.accumulate == 1
        self.before = self.tape.new(self._scalar(self.outputs[0]) if plain else self.item, PASSING)
        return found

    def _held_over(self) -> list[Block]:
        """A pass after another: names hold the outputs and the loss of that one, nothing else of it is left but gradients."""
        outputs = [self.run.tensors[value].storage for value in dict.fromkeys(self.outputs)]
        found = [self.forward.held[storage] for storage in outputs if storage.made_by is not None]
        inputs = {self.run.tensors[value].storage for value in self.graph.inputs.values()}
        self.forward.held = {storage: block for storage, block in self.forward.held.items() if storage in inputs}
        if self.frames is not None:
            self.frames = self.forward.frames = Frames(self.graph, self.run, self.instructions, self.counts)
        return found

    def _scalar(self, value: Value) -> int:
        """PyTorch's mean-square loss is one number in a storage as large as the output."""
        return self._bytes(value) if self._way(value) == "mse" else self.item

    def _backward(self, grads: dict[tuple[Node, int], Block]) -> Backward:
        writers: dict[StoredTensor, list[tuple[int, Value]]] = {self.run.tensors[x]: [(-1, x)] for x in self.graph.inputs.values()}
        for at, step in enumerate(self.run.steps):
            for value, tensor in zip(step.node.outputs, step.outputs, strict=True):
                if step.node.facts.storage == INPLACE or tensor not in writers:  # a view may be the very tensor
                    writers.setdefault(tensor, []).append((at, value))
        device, amp = self.options.device, bool(self.options.amp)
        halves = partial(low, device=device) if amp else _never
        tape, steps = self.tape, self.run.steps
        found = Backward(
            tape,
            batch=self.options.images,
            item=self.item,
            held=self.forward.held,
            tensors=self.run.tensors,
            writers=writers,
            now=len(steps),
            halves=halves,
        )
        found.weights = grads
        found.uses = self._uses()
        if self.frames is not None:
            found.frames, found.rerun = self.frames, self._rerun
        return found

    def _uses(self) -> Counter[Node]:
        """How many layers use the weights of each layer, of those that reach an output: itself, and those that share or are tied."""
        users = ancestors(self.graph.returned, by_value=True)
        return Counter(node.shared or node for node in users) + Counter(tie.node for node in users for tie in node.ties.values())

    def _rerun(self, node: Node) -> None:
        """A gradient has come to a layer: its region runs again, if the layer wants something and it has not yet."""
        assert self.frames is not None
        frame = self.frames.of.get(node)
        if frame is not None and not frame.done and self.frames.wants(node):
            self.forward.rerun(frame)

    def _loss(self, backward: Backward) -> None:
        """The loss of each output, their sum, its part in the step, and backward up to the outputs."""
        losses: list[Block] = []
        kept = [self._loss_of(value, losses) for value in self.outputs]
        for number in range(1, len(losses)):
            losses.append(self.tape.new(self.item, PASSING))
            if number > 1:
                self.tape.free(losses.pop(-2))
        passes = [self.tape.new(8, KEPT)] if self.options.accumulate > 1 and self.options.device == "cpu" else []  # their number
        losses += [self.tape.new(self.item, PASSING)] if self.options.accumulate > 1 else []
        for block in losses[:-1]:
            self.tape.free(block)
        self.tape.free(self.before)
        self.before = losses[-1]
        self.tape.mark("loss", None)
        self.loss_gradient = grad = self.tape.new(self.item, BACKWARD)
        if self.options.accumulate > 1:
            grad = self.tape.new(self.item, BACKWARD)
        for block in passes:
            self.tape.free(block)
        grad.refs += len(self.outputs)
        if grad is not self.loss_gradient:
            self.tape.free(grad)
        for value, blocks in reversed(list(zip(self.outputs, kept, strict=True))):
            if self._needs_grad(value):
                self._loss_grad(value, blocks, grad, backward)
            else:
                for block in (*blocks, grad):
                    self.tape.free(block)

    def _needs_grad(self, value: Value) -> bool:
        return self.run.tensors[value].storage.needs_grad

    def _loss_of(self, value: Value, losses: list[Block]) -> list[Block]:
        """What the loss of an output keeps."""
        way = self._way(value)
        if way == "cross_entropy" and self._needs_grad(value):
            kept = [self.tape.new(self._bytes(value), KEPT), self.tape.new(self.item, KEPT)]
        else:
            kept = []
            if way == "mse":
                block = self.forward.held[self.run.tensors[value].storage]
                block.refs += 1
                kept = [block]
        losses.append(self.tape.new(self._scalar(value), PASSING))
        return kept

    def _loss_grad(self, value: Value, kept: list[Block], came: Block, backward: Backward) -> None:
        way = self._way(value)
        if way == "sum":
            backward.add(value, Grad(came, False), self.run.steps[-1].node)
            return
        grad = self.tape.new(self._bytes(value), BACKWARD)
        for block in (kept[-1], came):
            self.tape.free(block)
        if way == "cross_entropy":
            last = self.tape.new(self._bytes(value), BACKWARD)
            self.tape.free(grad)
            self.tape.free(kept[0])
            grad = last
        backward.add(value, Grad(grad), self.run.steps[-1].node)

    def _step(self, grads: dict[tuple[Node, int], Block], shapes: list[tuple[int, ...]]) -> None:
        options = self.options
        if size := step_bytes(options.optimizer, shapes, self.item, options.device, self.how, options.arguments):
            self.tape.free(self.tape.new(size, TEMPORARY))
        self.tape.mark("optimizer", None)
        for block in grads.values():
            self.tape.free(block)
        self.tape.mark("end", None)
