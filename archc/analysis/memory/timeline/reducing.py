"""Backward of reductions: sums, extremes, norms and spreads along axes, running sums, and sums of windows."""

from __future__ import annotations

from archc.analysis.memory.storages import LayerRun
from archc.analysis.memory.timeline.arithmetic import TRUTH
from archc.analysis.memory.timeline.backward import RULES, Backward, Grad, plain, wanted
from archc.analysis.memory.timeline.chains import power
from archc.analysis.memory.timeline.tape import Block
from archc.ops.strides import Strided, contiguous

COUNT = 8  # bytes of a number of values


def _sum(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The gradient stretched over what was summed, without a copy."""
    (grad,), x, out = grads, step.inputs[0].block, step.outputs[0].block
    lies = at.lies(step.node.output, grad)
    kept = _kept_axes(step)
    strides = dict(zip(kept, lies.strides if len(out.sizes) < len(x.sizes) else [lies.strides[i] for i in kept], strict=True))
    stretched = Strided(x.sizes, tuple(strides.get(i, 0) for i in range(len(x.sizes))))
    at.add(step.node.inputs[0], Grad(grad.block, False, stretched), step.node)
    at.release(step)


def _kept_axes(step: LayerRun) -> list[int]:
    """The axes of the input that are not reduced, with the batch."""
    rank, axis = len(step.inputs[0].block.sizes), step.node.args.get("axis", 0)
    gone = {int(one) % (rank - 1) + 1 for one in (axis if isinstance(axis, tuple | list) else (axis,))}
    return [i for i in range(rank) if i not in gone]


def _extreme(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The gradient in equal parts to all that are the largest: where they are, how many, and its part."""
    if len(step.outputs) > 1:
        return _scattered(at, step, grads)
    node, (value,) = step.node, wanted(step)
    size, rows = at.bytes(value), at.bytes(node.output)
    equal = at.new(size // at.item * TRUTH, node)
    count = at.new(rows // at.item * COUNT, node)
    part = at.new(rows, node)
    made = _like_input(at, step)
    for block in (part, count, equal):
        at.tape.free(block)
    at.release(step, grads)
    at.add(value, made, node)


def _scattered(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The gradient among zeros, where its values came from."""
    (value,) = wanted(step)
    made = Grad(at.new(at.bytes(value), step.node))
    at.release(step, grads)
    at.add(value, made, step.node)


def _norm(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """x / norm, zero where that is 0, times the gradient; of magnitudes, the sign times the gradient."""
    node, (value,) = step.node, wanted(step)
    direction = at.new(at.bytes(value), node)
    zero = at.new(at.bytes(node.output) // at.item * TRUTH, node) if node.args.get("p", 2) == 2 else None
    made = _like_input(at, step)
    for block in (zero, direction):
        if block is not None:
            at.tape.free(block)
    at.release(step, grads)
    at.add(value, made, node)


def _variance(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """2 / (N - correction) * grad * (x - mean)."""
    made = _centered(at, step)
    at.release(step, grads)
    at.add(step.node.inputs[0], made, step.node)


def _deviation(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The gradient of the variance is grad / (2 * result), zero where that is 0; then its own."""
    node, rows = step.node, at.bytes(step.node.output)
    twice, inner = at.new(rows, node), at.new(rows, node)
    zero = at.new(rows // at.item * TRUTH, node)
    at.tape.free(zero)
    at.tape.free(twice)
    made = _centered(at, step)
    at.tape.free(inner)
    at.release(step, grads)
    at.add(node.inputs[0], made, node)


def _centered(at: Backward, step: LayerRun) -> Grad:
    node, rows = step.node, at.bytes(step.node.output)
    mean = at.new(rows, node)
    centered = at.new(at.bytes(node.inputs[0]), node)
    scaled = at.new(rows, node)
    made = _like_input(at, step)
    for block in (scaled, centered, mean):
        at.tape.free(block)
    return made


def _like_input(at: Backward, step: LayerRun) -> Grad:
    """A new gradient of the input, in the order in which that lies."""
    x = step.inputs[0].block
    lies = x if x.dense else contiguous(x.sizes)
    return Grad(at.new(at.bytes(step.node.inputs[0]), step.node), True, Strided(lies.sizes, lies.strides))


def _running_sum(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The running sum from the other end: turned round, summed, turned back."""
    (value,) = wanted(step)
    if step.node.inputs[0].shape.inner[step.node.args.get("axis", 0)] == 1:
        at.add(value, grads[0], step.node)
        at.release(step)
        return
    made: Block = power(at, step, grads[0].block, at.bytes(value))
    at.release(step)
    at.add(value, Grad(made), step.node)


def _columns(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """Windows to columns or back, in a storage that is at first as large as what came, and never becomes smaller."""
    (value,) = step.node.inputs
    made = Grad(at.new(max(at.bytes(value), at.bytes(step.node.output)), step.node))
    at.release(step, grads)
    at.add(value, made, step.node)


def _repeated(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The sum over the copies; of a single one, the gradient itself."""
    times = step.node.args["times"]
    if any(count > 1 for count in (times if isinstance(times, tuple | list) else (times,))):
        return plain(at, step, grads)
    at.add(step.node.inputs[0], grads[0], step.node)
    at.release(step)


RULES |= dict.fromkeys(("unfold", "fold"), _columns) | {"tile": _repeated}
RULES |= {"sum": _sum, "max": _extreme, "min": _extreme, "norm": _norm, "var": _variance, "std": _deviation, "cumsum": _running_sum}
RULES |= dict.fromkeys(("cummax", "cummin", "topk"), _scattered)
