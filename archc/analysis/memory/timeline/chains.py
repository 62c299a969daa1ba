"""Backward of layers that PyTorch runs as several operations, each with what it allocates and frees.

Slots are those of the operator's `keeps`. An operation's gradients are made, then what came and what it had saved is freed.
"""

from __future__ import annotations

from archc.analysis.memory.storages import LayerRun
from archc.analysis.memory.timeline.backward import RULES, Backward, Grad, wanted
from archc.analysis.memory.timeline.tape import TEMPORARY, Block


def power(at: Backward, step: LayerRun, came: Block, size: int) -> Block:
    """grad * (exponent * x^(exponent - 1))."""
    power, scaled, made = (at.new(size, step.node) for _ in range(3))
    for block in (power, scaled, came):
        at.tape.free(block)
    return made


def times(at: Backward, step: LayerRun, came: Block, size: int) -> Block:
    """One new value from the one that came: a product with a number, a mask, a mean."""
    made = at.new(size, step.node)
    at.tape.free(came)
    return made


def _apply_sign(at: Backward, step: LayerRun, came: Block, size: int) -> Block:
    """grad * sign(x), of a magnitude."""
    sign, made = at.new(size, step.node), at.new(size, step.node)
    at.tape.free(sign)
    at.tape.free(came)
    return made


def _quotient(at: Backward, step: LayerRun, came: Block, size: int) -> tuple[Block, Block]:
    """Of a / b: for a, grad / b, after that for b, -grad * ((a / b) / b)."""
    ratio, twice, minus, below = (at.new(size, step.node) for _ in range(4))
    for block in (ratio, twice, minus):
        at.tape.free(block)
    above = at.new(size, step.node)
    at.tape.free(came)
    return above, below


def _softsign(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """x / (1 + |x|)."""
    (value,) = wanted(step)
    size = at.bytes(value)
    above, below = _quotient(at, step, grads[0].block, size)
    at.spend(step, [1])
    at.add(value, Grad(above), step.node)
    made = _apply_sign(at, step, below, size)
    at.release(step)
    at.add(value, Grad(made), step.node)


def _tanhshrink(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """x - tanh(x)."""
    (value,) = wanted(step)
    minus = at.new(at.bytes(value), step.node)
    at.add(value, grads[0], step.node)
    at.rerun(step.node)
    made = times(at, step, minus, at.bytes(value))
    at.release(step)
    at.add(value, Grad(made), step.node)


def _root_mean_square(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """x * rsqrt(mean(x^2) + eps), times the weight."""
    node, values, block = step.node, wanted(step), grads[0].block
    size = at.bytes(node.output)
    rows = size // int(node.inputs[0].shape[-1])
    weights: list[tuple[int, Grad]] = []
    if node.facts.owned:
        full = at.new(size, node)
        inner = at.new(size, node) if values else None
        at.spend(step, [2], early=True)
        weights = at.weight(step, own=False)
        at.tape.free(full)
        at.tape.free(block)
        at.spend(step, [2])
        if inner is not None:
            block = inner
    for value in values:
        full, made = at.new(size, node), at.new(size, node)
        root = at.new(rows, node)
        at.tape.free(full)
        at.tape.free(block)
        at.add(value, Grad(made), node)
        mean = power(at, step, root, rows)
        at.spend(step, [1])
        square = power(at, step, times(at, step, mean, size), size)
        at.release(step)
        at.add(value, Grad(square), node)
    if not values:
        at.release(step)
    at.adopt(step, weights)


def _response(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """Local response normalization: x / (k + alpha * mean of x^2 over channels)^beta, the mean as a pool over a padded copy."""
    (value,) = wanted(step)
    size = at.bytes(value)
    padded = int(step.node.facts.keeps[1].values) * at.batch * at.item if step.node.facts.keeps else size
    above, below = _quotient(at, step, grads[0].block, size)
    at.spend(step, [3])
    at.add(value, Grad(above), step.node)
    scaled = power(at, step, below, size)
    at.spend(step, [2])
    mean = times(at, step, scaled, size)
    at.spend_numbers(step)
    wide = times(at, step, mean, padded)
    at.spend(step, [1])
    square = times(at, step, wide, size)
    first, second = at.new(size, step.node), at.new(size, step.node)
    at.tape.free(square)
    at.release(step)
    at.tape.free(second)
    at.add(value, Grad(first), step.node)


def _norm_pool(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """((sign(m) * relu(|m|)) * taps)^(1/p), m the mean of x^p over each window."""
    (value,) = wanted(step)
    node, size = step.node, at.bytes(step.node.output)
    scaled = power(at, step, grads[0].block, size)
    at.spend(step, [5])
    signed = times(at, step, scaled, size)
    at.spend_numbers(step)
    large, sign = at.new(size, node), at.new(size, node)
    at.tape.free(signed)
    at.spend(step, [3])
    magnitude = times(at, step, large, size)
    at.spend(step, [4])
    mean = _apply_sign(at, step, magnitude, size)
    at.spend(step, [2])
    zeros = at.new(size, node)
    at.tape.free(sign)
    at.tape.free(zeros)
    powers = times(at, step, mean, at.bytes(value))
    at.spend(step, [1])
    made = power(at, step, powers, at.bytes(value))
    at.release(step)
    at.add(value, Grad(made), node)


def _mean_pool(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """A mean that leaves one-sided padding out is divided by that of ones."""
    if len(step.slots) < 2:
        RULES["maxpool"](at, step, grads)
        return
    (value,) = wanted(step)
    padded = int(step.node.facts.keeps[0].values) * at.batch * at.item if step.node.facts.keeps else 0
    mean = times(at, step, grads[0].block, at.bytes(step.node.output))
    at.spend(step, [1])
    wide = times(at, step, mean, padded)
    at.spend(step, [0])
    made = times(at, step, wide, at.bytes(value))
    at.release(step)
    at.add(value, Grad(made), step.node)


def _group_norm(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """A normalization of groups wants what came to lie as its input seems to, else a copy of it."""
    lies, x = at.lies(step.node.output, grads[0]), step.inputs[0].block
    fits = lies.channels_last if x.suggests_channels_last else lies.contiguous
    copy = None if fits else at.tape.new(grads[0].block.bytes, TEMPORARY, step.node)
    made = [(value, at.made(step, value, grads[0])) for value in wanted(step)]
    weights = at.weight(step)
    if copy is not None:
        at.tape.free(copy)
    at.release(step, grads)
    for value, grad in made:
        at.add(value, grad, step.node)
    at.adopt(step, weights)


def _instance(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """A batch normalization of each channel of each image, with the weights repeated for all images."""
    learned = [weight for weight in step.node.facts.owned if weight.role != "buffer"]
    repeated = [at.new(weight.values * at.images(step.node.output) * at.item, step.node) for weight in learned]
    made = [(value, Grad(at.new(at.bytes(value), step.node), False)) for value in wanted(step)]
    at.release(step, grads)
    weights: list[tuple[int, Grad]] = []
    for i, block in enumerate(repeated):
        weights += [gradient for gradient in at.weight(step, learned[i].role) if gradient[0] == i]
        at.tape.free(block)
    for value, grad in made:
        at.add(value, grad, step.node)
    at.adopt(step, weights)


def _slopes(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """PReLU makes the gradients of its input and of its slopes, as large as that, whether both are wanted or not."""
    size = at.bytes(step.node.output)
    inner, full = at.new(size, step.node), at.new(size, step.node)
    values = wanted(step)
    if not values:
        at.tape.free(inner)
    gone = at.unpacked(step)
    seen = step.node.output.shape.inner
    summed = at.images(step.node.output) > 1 or step.node.args.get("shared", True) or seen.values > step.node.facts.owned[0].values
    weights = at.weight(step, own=False) if summed or size == at.item else [(0, Grad(full, False))]
    if weights[0][1].block is not full:
        at.tape.free(full)
    at.release(step, grads, gone)
    for value in values:
        at.add(value, Grad(inner), step.node)
    at.adopt(step, weights)


RULES |= {
    "softsign": _softsign,
    "tanhshrink": _tanhshrink,
    "rmsnorm": _root_mean_square,
    "lrn": _response,
    "lppool": _norm_pool,
    "avgpool": _mean_pool,
    "instancenorm": _instance,
    "groupnorm": _group_norm,
    "prelu": _slopes,
}
