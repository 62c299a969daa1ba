"""Backward of arithmetic: functions of one value, a value and a constant, and two values that are divided, raised or compared."""

from __future__ import annotations

from archc.analysis.memory.storages import LayerRun
from archc.analysis.memory.timeline.backward import RULES, Backward, Grad, Rule, plain, wanted
from archc.analysis.memory.timeline.chains import power, times
from archc.analysis.memory.timeline.merging import read_slots, sum_block, widths
from archc.analysis.memory.timeline.tape import Block

TRUTH = 1  # bytes of a truth value


def _beside(count: int) -> Rule:
    """A product with what is worked out first, by `count` operations: grad * cos(x), grad * (exponent * x^(exponent - 1))."""

    def rule(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
        (value,) = wanted(step)
        factors = [at.new(at.bytes(value), step.node) for _ in range(count)]
        made = at.made(step, value, grads[0])
        for block in factors:
            at.tape.free(block)
        at.release(step, grads)
        at.add(value, made, step.node)

    return rule


def _clamp(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """grad where x is within the bounds, else 0: a mask for each bound, and the 0."""
    (value,) = wanted(step)
    zero = at.new(at.item, step.node)
    count = sum(step.node.args.get(name) is not None for name in ("low", "high"))
    masks = [at.new(at.bytes(value) // at.item * TRUTH, step.node) for _ in range(count)]
    made = at.made(step, value, grads[0])
    for block in (*masks, zero):
        at.tape.free(block)
    at.release(step, grads)
    at.add(value, made, step.node)


def _difference(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The gradient itself, and its opposite for what is subtracted."""
    if len(step.inputs) == 1:
        return plain(at, step, grads) if step.node.args.get("reverse") else _handed_on(at, step, grads)
    (grad,), size = grads, at.bytes(step.node.output)
    second = at.new(size, step.node) if step.wanting[1] else None
    first = None
    if step.wanting[0]:
        first = grad.block
        first.refs += 1
    _both(at, step, grads, first, second)


def _handed_on(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The same gradient: a constant was added."""
    at.add(step.node.inputs[0], grads[0], step.node)
    at.release(step)


def _quotient(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """Of a / b: for b, -grad * ((a / b) / b), before that for a, grad / b."""
    if step.node.args.get("reverse"):
        return _reciprocal(at, step, grads)
    at.rerun(step.node)
    if len(step.inputs) == 1:
        return plain(at, step, grads)
    size = at.bytes(step.node.output)
    second = _after(at, step, 3, size) if step.wanting[1] else None
    first = at.new(size, step.node) if step.wanting[0] else None
    _both(at, step, grads, first, second)


def _reciprocal(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """Of number * (1 / x): the product, which needs the number alone, then -grad * (1 / x)^2."""
    (value,) = wanted(step)
    size = at.bytes(value)
    scaled = times(at, step, grads[0].block, size)
    at.spend_numbers(step)
    at.rerun(step.node)
    made = power(at, step, scaled, size)
    at.release(step)
    at.add(value, Grad(made), step.node)


def _raised(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """Of a^b: for b, grad * (result * log(a)), where that is finite; before it for a, grad * (b * a^(b - 1)), where b is not 0."""
    if len(step.inputs) == 1:
        return _beside(1 if step.node.args.get("reverse") else 2)(at, step, grads)
    size, node = at.bytes(step.node.output), step.node
    first = second = None
    if step.wanting[1]:
        base, power_of = (at.batch * x.shape.values for x in node.inputs)
        masks = [at.new(count * TRUTH, node) for count in (power_of, base, size // at.item)]
        for mask in masks[:2]:
            at.tape.free(mask)
        blocks = [masks[2], *(at.new(bytes_, node) for bytes_ in (base * at.item, size, at.item, size))]
        second = at.new(size, node)
        for block in blocks:
            at.tape.free(block)
    if step.wanting[0]:
        power_of = at.batch * node.inputs[1].shape.values
        less = at.new(power_of * at.item, node)
        blocks = [less, *(at.new(size, node) for _ in range(3)), at.new(at.item, node), at.new(power_of * TRUTH, node)]
        first = at.new(size, node)
        for block in blocks:
            at.tape.free(block)
    _both(at, step, grads, first, second)


def _extreme(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The gradient goes to the one that was taken, half of it to each where both are equal."""
    values, sizes, block = step.node.inputs, widths(at, step), grads[0].block
    for i in range(len(values) - 1, 0, -1):
        blocks: list[Block | None] = []
        for wants in (step.wanting[i], any(step.wanting[:i])):
            blocks.append(_taken(at, step, sizes[i]) if wants else None)
        other, before = blocks
        read, later = read_slots(i), [slot for j in range(1, i) for slot in read_slots(j)]
        at.spend(step, read, later, early=True)
        before = sum_block(at, step, before, sizes[i - 1])
        other = sum_block(at, step, other, at.bytes(values[i]))
        at.tape.free(block)
        at.spend(step, read, later)
        if i == 1 and before is not None:
            at.add(values[0], Grad(before), step.node)
        if other is not None:
            at.add(values[i], Grad(other), step.node)
        if before is None:
            break
        block = before
    at.release(step)


def _taken(at: Backward, step: LayerRun, size: int) -> Block:
    """Half the gradient and where both are equal; where one is the larger."""
    half, equal = at.new(size, step.node), at.new(size // at.item * TRUTH, step.node)
    made = at.new(size, step.node)
    larger = at.new(size // at.item * TRUTH, step.node)
    for block in (larger, equal, half):
        at.tape.free(block)
    return made


def _after(at: Backward, step: LayerRun, count: int, size: int) -> Block:
    """A new value, worked out by way of some others."""
    blocks = [at.new(size, step.node) for _ in range(count)]
    made = at.new(size, step.node)
    for block in blocks:
        at.tape.free(block)
    return made


def _both(at: Backward, step: LayerRun, grads: list[Grad], first: Block | None, second: Block | None) -> None:
    """Hands two gradients on, of what was stretched the sums."""
    slots = range(len(step.slots))
    at.spend(step, slots, early=True)
    made = [sum_block(at, step, block, at.bytes(value)) for block, value in zip((first, second), step.node.inputs, strict=True)]
    at.release(step, grads)
    for value, block in zip(step.node.inputs, made, strict=True):
        if block is not None:
            at.add(value, grads[0] if block is grads[0].block else Grad(block), step.node)


RULES |= {name: _beside(1) for name in ("abs", "sqrt", "sin")}
RULES |= {name: _beside(2) for name in ("rsqrt", "cos", "square")}
RULES |= {"clamp": _clamp, "sub": _difference, "div": _quotient, "pow": _raised, "maximum": _extreme, "minimum": _extreme}
