"""What backward allocates, layer by layer: gradients of inputs and weights, and what they need on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import accumulate
from typing import NamedTuple

from archc.analysis.memory.storages import LayerRun, Storage, StoredTensor
from archc.analysis.memory.timeline.frames import Frames, free, remade_for
from archc.analysis.memory.timeline.tape import BACKWARD, GRADIENTS, TEMPORARY, Block, Tape
from archc.graph import Node, Value
from archc.ops.facts import INPLACE, VIEW, Module, Weight
from archc.ops.layout import ELEMENTWISE, PACKED, PRESERVED, SCALED, Axes, Entry, Move, Packed, Part, Stretch
from archc.ops.shape import product
from archc.ops.strides import Strided, channels_last, contiguous, elementwise, view_as


class Grad(NamedTuple):
    """A gradient in a block. Autograd adds in place to what is `own`: a tensor without holes that is no view of another.

    lies: how it lies in memory; None is contiguous
    whole: whether it is of all that a view was cut from, over which a layer wrote
    """

    block: Block
    own: bool = True
    lies: Strided | None = None
    whole: bool = False


@dataclass(slots=True)
class Backward:
    """The state of a backward pass: the gradients that wait for their layer, and those of weights."""

    tape: Tape
    _: KW_ONLY
    batch: int
    item: int
    held: dict[Storage, Block]
    tensors: dict[Value, StoredTensor]
    writers: dict[StoredTensor, list[tuple[int, Value]]]  # who made a tensor and who wrote over it: the layer's place, and what it is since
    now: int  # the place of the layer at hand, at first after the last
    halves: Callable[[Node], bool] = lambda node: False  # whether a layer's weights were cast to 2 bytes
    waiting: dict[Value, Grad] = field(default_factory=dict)
    weights: dict[tuple[Node, int], Block] = field(default_factory=dict)  # the gradients that parameters have
    uses: Counter[Node] = field(default_factory=Counter)  # layers that have yet to run backward, by the owner of their weights
    sums: dict[tuple[Node, int], Grad] = field(default_factory=dict)  # what waits for the other uses of a weight
    frames: Frames | None = None
    rerun: Callable[[Node], None] = lambda node: None  # has the region of a layer run again
    spent: set[Storage] = field(default_factory=set)  # what the layer at hand has freed of what was kept for it
    missing: list[Value] = field(default_factory=list)  # outputs of the layer at hand to which no gradient came

    def bytes(self, value: Value) -> int:
        return self.batch * value.shape.values * self.tensors[value].storage.item

    def new(self, size: int, node: Node) -> Block:
        return self.tape.new(size, BACKWARD, node)

    def add(self, value: Value, grad: Grad, node: Node) -> None:
        """Adds to what waits for a value: in place where nothing else holds that, else into a new block."""
        key = self.known_as(value)
        old = self.waiting.get(key)
        self.waiting[key] = grad if old is None else self.met(value, old, grad, node)

    def met(self, value: Value, old: Grad, grad: Grad, node: Node) -> Grad:
        """The sum of two gradients of a value."""
        # as autograd's InputBuffer: in place only where nobody else can see the sum
        if old.own and old.block.refs == 1:
            self.tape.free(grad.block)
            return old
        lies = elementwise([self.lies(value, old), self.lies(value, grad)])
        total = Grad(self.new(self.bytes(value), node), True, lies)
        self.tape.free(old.block)
        self.tape.free(grad.block)
        return total

    def known_as(self, value: Value) -> Value:
        """What a value's tensor was to the layer at hand: a name reads what was last written over it."""
        writers = self.writers[self.tensors[value]]
        while writers[-1][0] >= self.now:  # has run backward
            writers.pop()
        return writers[-1][1]

    def images(self, value: Value) -> int:
        """The size of PyTorch's batch axis, with the axes of a value that are in it."""
        return value.shape.batched(self.batch)[0]

    def lies(self, value: Value, grad: Grad) -> Strided:
        """How the gradient of a value lies in memory."""
        return grad.lies or contiguous(value.shape.batched(self.batch))

    def made(self, step: LayerRun, value: Value, grad: Grad) -> Grad:
        """A new gradient of an input: of an elementwise layer in the order of what came and of what was kept, else as the input lies."""
        block, x = self.new(self.bytes(value), step.node), self.tensors[value].block
        if step.node.facts.layout not in (PRESERVED, ELEMENTWISE, SCALED, PACKED) or x.sizes != step.outputs[0].block.sizes:
            flat = len(x.sizes) == 3 and step.node.kind.endswith("pool")  # a map of height 1 to PyTorch, and seen as one of no height
            return Grad(block, not flat, channels_last(x.sizes) if x.suggests_channels_last else None)
        beside = [out.block for out in step.outputs if out.storage in step.kept] or [x] * any(x.storage in step.kept for x in step.inputs)
        return Grad(block, True, elementwise([self.lies(step.node.output, grad), *beside]))

    def adopt_some(self, step: LayerRun, made: list[tuple[int, Grad]]) -> None:
        """As `adopt`, of some of a layer's weights before the others."""
        self._collect(step, made)
        for i, _ in made:
            owner, place = self._source(step.node, i)
            if self.uses[owner] == 1:
                self._accumulate(owner, [place])

    def step(self, step: LayerRun) -> None:
        """Runs one layer backward, if a gradient has come to it, and frees what was kept for it."""
        found = [self.waiting.pop(self.known_as(value), None) for value in step.node.outputs]
        self.now -= 1
        grads = [grad for grad in found if grad is not None]
        self.spent = set()
        self.missing = [value for value, grad in zip(step.node.outputs, found, strict=True) if grad is None]
        if grads:
            if step.node.kind not in LATE:
                self.rerun(step.node)
            if step.node.facts.storage == INPLACE and step.inputs[0].seen:
                _over_view(self, step, grads)
            else:
                RULES.get(step.node.kind, _view if step.node.facts.storage == VIEW else plain)(self, step, grads)
        else:
            self.release(step)

    def release(self, step: LayerRun, grads: Iterable[Grad] = (), gone: Collection[Storage] = ()) -> None:
        """Frees what was kept for a layer, apart from what is gone, and the gradients that came to it."""
        free(step, self.frames, self.held, self.tape, {*gone, *self.spent})
        for grad in grads:
            self.tape.free(grad.block)

    def present(self, step: LayerRun) -> set[Storage]:
        """What is kept for a layer, or was made again by its region."""
        inside = self.frames is not None and step.node in self.frames.of
        return remade_for(step, self.frames) if inside else set(step.kept)

    def unpacked(self, step: LayerRun) -> set[Storage]:
        """Frees what a region made again for a layer: its backward holds that until it has run, and sums what was stretched later."""
        gone = remade_for(step, self.frames)
        self.drop(step, gone)
        return gone

    def spend(self, step: LayerRun, slots: Iterable[int], later: Iterable[int] = (), early: bool = False) -> None:
        """Frees what one operation of a layer has read, apart from what `later` ones read, too.

        early: before sums over what was stretched, at which only what a region made again is gone
        """
        if early and not (self.frames is not None and step.node in self.frames.of):
            return
        stay, present = {step.slots[i] for i in later}, self.present(step)
        for storage in dict.fromkeys(step.slots[i] for i in slots):
            if storage is not None and storage in present and storage not in stay and storage not in self.spent:
                self._spend(storage)

    def spend_numbers(self, step: LayerRun) -> None:
        """Frees the numbers that a layer multiplied with."""
        for storage in step.kept:
            if storage not in step.slots and storage not in self.spent:
                self._spend(storage)

    def _spend(self, storage: Storage) -> None:
        self.spent.add(storage)
        self.tape.free(self.held[storage])

    def drop(self, step: LayerRun, gone: Collection[Storage]) -> None:
        """Frees some of what was kept for a layer, in its order."""
        for storage in step.kept:
            if storage in gone:
                self.tape.free(self.held[storage])

    def turned(self, step: LayerRun, grad: Grad, lies: Strided | None, sizes: Sequence[int]) -> Grad:
        """A gradient seen otherwise, or where that is no view of it, a copy."""
        if lies is not None:
            return Grad(grad.block, False, lies)
        copy = self.tape.new(product(sizes) * self.item, BACKWARD, step.node)
        self.tape.free(grad.block)
        return Grad(copy, False, contiguous(sizes))

    def weight(self, step: LayerRun, role: str = "", own: bool = True) -> list[tuple[int, Grad]]:
        """New gradients of the weights, all or those of a role; of cast weights, those of their copies."""
        half = self.halves(step.node)
        size, kind = (2, TEMPORARY) if half else (self.item, GRADIENTS)
        return [
            (i, Grad(self.tape.new(weight.values * size, kind, step.node), own, _filters(step, weight)))
            for i, weight in enumerate(step.node.facts.tensors)
            if weight.role != "buffer" and role in ("", weight.role)
        ]

    def _source(self, node: Node, i: int) -> tuple[Node, int]:
        """The layer that owns tensor `i` of a layer, and its place there."""
        tie = node.ties.get(node.facts.tensors[i].name)
        if tie is None:
            return node.shared or node, i
        return tie.node, [weight.name for weight in tie.node.facts.tensors].index(tie.tensor)

    def adopt(self, step: LayerRun, made: list[tuple[int, Grad]]) -> None:
        """What a layer hands its weights: added to what came from their other uses, and after the last of these taken over."""
        self._collect(step, made)
        for owner in (step.node.shared or step.node, *(tie.node for tie in step.node.ties.values())):
            self.uses[owner] -= 1
            if not self.uses[owner]:
                self._accumulate(owner, [i for held, i in self.sums if held is owner])

    def _collect(self, step: LayerRun, made: list[tuple[int, Grad]]) -> None:
        for i, grad in made:
            key, new = self._source(step.node, i), grad
            owner = key[0]
            # the weight was cast for autocast, so its gradient has 2 bytes until the cast runs backward
            if new.block.kind == TEMPORARY:
                new = Grad(self.tape.new(2 * grad.block.bytes, GRADIENTS, step.node))
                self.tape.free(grad.block)
            old = self.sums.get(key)
            if old is None:
                self.sums[key] = new
            elif old.own and old.block.refs == 1:
                self.tape.free(new.block)
            else:
                size = owner.facts.tensors[key[1]].values * self.item
                self.sums[key] = Grad(self.tape.new(size, GRADIENTS, step.node), True, old.lies)
                self.tape.free(old.block)
                self.tape.free(new.block)

    def _accumulate(self, owner: Node, indices: Iterable[int]) -> None:
        """A parameter without a gradient takes the new one over; one that has some from a pass before adds in place."""
        for i in indices:
            grad = self.sums.pop((owner, i))
            if (owner, i) in self.weights:
                self.tape.free(grad.block)
            # AccumulateGrad takes over a gradient that it alone holds and that lies as the parameter does; any other is copied
            elif _takes_copy(grad):
                self.weights[owner, i] = self.tape.new(owner.facts.tensors[i].values * self.item, GRADIENTS, owner)
                self.tape.free(grad.block)
            else:
                self.weights[owner, i] = grad.block


def _filters(step: LayerRun, weight: Weight) -> Strided | None:
    """How the gradient of filters lies: channels last where the convolution was computed so."""
    out = step.outputs[0].block
    filters = step.node.kind in ("conv", "conv_transpose") and len(weight.shape) > 3 and not step.node.args.get("standardize")
    return channels_last(weight.shape) if filters and out.channels_last and not out.contiguous else None


def _takes_copy(grad: Grad) -> bool:
    """Whether a parameter takes a copy: of a gradient that something else holds, and of one that lies otherwise than it does."""
    held = grad.own and grad.block.refs > 1
    return held or (grad.lies is not None and _steps(grad.lies) != _steps(contiguous(grad.lies.sizes)))


def _steps(x: Strided) -> list[int]:
    # the stride of an axis of size 1 says nothing: PyTorch does not compare it, either
    return [stride for size, stride in zip(x.sizes, x.strides, strict=True) if size != 1]


Rule = Callable[[Backward, LayerRun, list[Grad]], None]


def wanted(step: LayerRun) -> list[Value]:
    return [value for value, wanting in zip(step.node.inputs, step.wanting, strict=False) if wanting]


def plain(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """A new gradient for each input and weight, all at once."""
    made = [(value, at.made(step, value, grads[0])) for value in wanted(step)]
    weights = at.weight(step)
    if step.node.args.get("standardize"):
        at.drop(step, _saved_by_convolution(at, step))
        for grad in grads:
            at.tape.free(grad.block)
    else:
        at.release(step, grads)
    for value, grad in made:
        at.add(value, grad, step.node)
    if step.node.args.get("standardize"):
        weights = _unstandardize(at, step, weights, _saved_by_convolution(at, step))
        at.release(step, gone=at.present(step))
    at.adopt(step, weights)


def _saved_by_convolution(at: Backward, step: LayerRun) -> set[Storage]:
    """What a convolution of standardized filters saved itself: all but the mean and spread that these were brought from."""
    return at.present(step) - {storage for storage in step.slots[-1:] if storage is not None}


def _unstandardize(at: Backward, step: LayerRun, weights: list[tuple[int, Grad]], gone: set[Storage]) -> list[tuple[int, Grad]]:
    """The gradient of filters from that of the standardized ones."""
    (i, grad), *others = weights
    last = Grad(at.tape.new(grad.block.bytes, GRADIENTS, step.node))
    at.tape.free(grad.block)
    at.drop(step, at.present(step) - gone)
    return [(i, last), *others]


def _over_view(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """A layer that wrote over a view: the gradient of the whole, of which the part is copied, run backward and put back."""
    size, (grad,) = step.inputs[0].storage.bytes, grads
    if not grad.whole:  # of the view: among zeros
        came, grad = grad, Grad(at.new(size, step.node))
        at.tape.free(came.block)
    # CopySlices: the gradient of the whole is cloned, the layer gets a clone of its part, and the result is copied into its
    # place
    joined = at.new(size, step.node)
    part, made = (at.new(at.bytes(step.node.inputs[0]), step.node) for _ in range(2))
    at.tape.free(part)
    at.tape.free(made)
    at.release(step, [grad])
    at.add(step.node.inputs[0], Grad(joined, whole=True), step.node)


def _pad(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """A layer over a padded copy: the gradient of the copy first, then of what lies inside, for which a mirrored border keeps it."""
    copies = {s for s in step.kept if s.made_by is step.node and s is not step.outputs[0].storage}
    standardized = bool(step.node.args.get("standardize"))
    apart = {storage for storage in step.slots[-2:] if storage is not None} if standardized else set()
    size = max((storage.bytes for storage in copies - apart if storage.item == at.item), default=0)
    values = wanted(step)
    inner = [at.new(size, step.node) for _ in values]
    weights = at.weight(step)
    gone = copies & (_saved_by_convolution(at, step) if standardized else at.present(step))
    at.drop(step, gone)
    for grad in grads:
        at.tape.free(grad.block)
    form = step.node.facts.torch
    last = standardized and not (isinstance(form, Module) and form.pads_before)  # the module pads after it has filters
    if not last:
        if standardized:
            weights = _unstandardize(at, step, weights, at.present(step) - apart | gone)
            gone |= apart & at.present(step)
        at.adopt(step, weights)
    for value, block in zip(values, inner, strict=True):
        made = Grad(at.new(at.bytes(value), step.node))
        at.tape.free(block)
        kept = at.present(step) - apart - gone
        at.drop(step, kept if last else set())
        if last:
            gone |= kept
        else:
            at.release(step, gone=gone)
        at.add(value, made, step.node)
    if last:
        rest = apart & at.present(step) - gone
        at.drop(step, at.present(step) - rest - gone)
        weights = _unstandardize(at, step, weights, at.present(step) - rest)
        at.release(step, gone=at.present(step))
        at.adopt(step, weights)
    elif not values:
        at.release(step, gone=gone)


def _window(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    form = step.node.facts.torch
    (_pad if isinstance(form, Module) and form.pads_apart else plain)(at, step, grads)


def _view(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The same storage, seen otherwise. A part gives a gradient of the whole, with zeros around it."""
    (value,) = step.node.inputs[:1]
    if step.outputs[0] is step.inputs[0]:  # the very tensor: it has waited for this value's layer already
        at.add(value, grads[0], step.node)
        at.release(step)
        return
    if step.node.facts.multi_output_view:
        # one function is behind all parts: those without a gradient count as zeros before all are joined
        zeros = [at.tape.new(at.bytes(out), TEMPORARY, step.node) for out in at.missing]
        block = at.new(at.bytes(value), step.node)
        for zero in zeros:
            at.tape.free(zero)
        at.release(step, grads)
        at.add(value, Grad(block), step.node)
        return
    moves = step.node.facts.moves[0] if step.node.facts.moves else ()
    if step.outputs[0].block == step.inputs[0].block and all(isinstance(move, Part | Stretch) for move in moves):  # all of it
        at.add(value, grads[0], step.node)
        at.release(step)
        return
    grad = grads[0]._replace(own=False, lies=at.lies(step.node.output, grads[0]))
    block_sizes = [step.inputs[0].block]
    for move in moves:
        seen = move.view(block_sizes[-1])
        if seen is None:
            break
        block_sizes.append(seen)
    for before, move in reversed(list(zip(block_sizes, moves, strict=False))):
        summed = isinstance(move, Stretch) and before.sizes != (before.sizes[0], *move.sizes)
        if summed or isinstance(move, Entry) or (isinstance(move, Part) and (move.size, move.step) != (before.sizes[move.axis], 1)):
            moved = at.new(product(before.sizes) * at.item, step.node)
            at.tape.free(grad.block)
            grad = Grad(moved)
        else:
            grad = at.turned(step, grad, _before(move, before, grad.lies or contiguous(step.outputs[0].block.sizes)), before.sizes)
    at.release(step)
    at.add(value, grad, step.node)


def _before(move: Move, before: Strided, lies: Strided) -> Strided | None:
    """The gradient as it was before a move; None where that takes a copy."""
    if isinstance(move, Axes):
        inverse = tuple(move.order.index(axis) for axis in range(len(move.order)))
        return Axes(inverse).view(lies)
    return lies if isinstance(move, Part | Packed | Stretch) else view_as(lies, before.sizes)


def _concat(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """Each value gets its strip of the whole."""
    (grad,) = grads
    (axis,) = [axis for axis, size in enumerate(step.outputs[0].block.sizes) if size != step.inputs[0].block.sizes[axis]] or [1]
    values, sizes = step.node.inputs, [x.block.sizes[axis] for x in step.inputs]
    handed = [(value, part) for value, part, wants in zip(values, strips(at, step, grad, axis, sizes), step.wanting, strict=True) if wants]
    # the strips are views of one block, which lives until the last of them is gone
    grad.block.refs += len(handed)
    at.release(step, grads)
    for value, part in handed:
        at.add(value, part, step.node)


def strips(at: Backward, step: LayerRun, grad: Grad, axis: int, sizes: Sequence[int]) -> list[Grad]:
    """Parts of a gradient side by side, each of a size along an axis."""
    lies, starts = at.lies(step.node.output, grad), accumulate(sizes, initial=0)
    seen = [Part(axis, start, size).view(lies) for start, size in zip(starts, sizes, strict=False)]
    return [Grad(grad.block, False, part) for part in seen]


LATE = {"attention", "div", "linear", "tanhshrink"}  # layers that do something else before they want what they saved
RULES: dict[str, Rule] = {
    "concat": _concat,
    "conv": _window,
    "maxpool": _window,
    "avgpool": _window,
}
