"""Backward of sums, means and products of several values, as a chain of operations of two values."""

from __future__ import annotations

from archc.analysis.memory.storages import LayerRun
from archc.analysis.memory.timeline.backward import RULES, Backward, Grad
from archc.analysis.memory.timeline.tape import Block
from archc.ops.einsum import read_equation, roles
from archc.ops.facts import INPLACE
from archc.ops.layout import Axes, Entry
from archc.ops.shape import product
from archc.ops.strides import broadcast, contiguous


def _sum(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    _add(at, step, grads[0])
    at.release(step)


def _average(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    scaled = Grad(at.new(at.bytes(step.node.output), step.node))
    at.tape.free(grads[0].block)
    at.spend_numbers(step)
    _add(at, step, scaled)
    at.release(step)


def _add(at: Backward, step: LayerRun, grad: Grad) -> None:
    """Both values of an addition get the one gradient; one that was stretched, the sum over what it was stretched along."""
    values, sizes = step.node.inputs, widths(at, step)
    if len(values) == 1:  # and a constant
        at.add(values[0], grad, step.node)
    for i in range(len(values) - 1, 0, -1):
        first = any(step.wanting[:i])
        itself = i > 1 and step.node.facts.storage == INPLACE and step.inputs[i] is step.inputs[0]  # what has been added so far
        second = first if itself else step.wanting[i]
        before = _hand_on(at, step, grad, sizes[i - 1], sizes[i]) if first else None
        other = _hand_on(at, step, grad, at.bytes(values[i]), sizes[i]) if second else None
        at.tape.free(grad.block)
        if i == 1 and before is not None:
            at.add(values[0], before, step.node)
        if itself and before is not None and other is not None:
            before = at.met(values[i], before, other, step.node)
        elif other is not None:
            at.add(values[i], other, step.node)
        if before is None:
            return
        grad = before


def _hand_on(at: Backward, step: LayerRun, grad: Grad, size: int, wide: int) -> Grad:
    if size < wide:
        return Grad(at.new(size, step.node))
    grad.block.refs += 1
    return grad


def _product(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """Each factor's gradient is first as large as the product, that of the second before that of the first; then come the sums."""
    values, sizes, block = step.node.inputs, widths(at, step), grads[0].block
    for i in range(len(values) - 1, 0, -1):
        first, second = any(step.wanting[:i]), step.wanting[i]
        other = at.new(sizes[i], step.node) if second else None
        before = at.new(sizes[i], step.node) if first else None
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


def read_slots(i: int) -> tuple[int, int]:
    """The slots of factor i and of the product before it."""
    return (1, 0) if i == 1 else (2 * i - 2, 2 * i - 1)


def sum_block(at: Backward, step: LayerRun, total: Block | None, size: int) -> Block | None:
    if total is None or total.bytes <= size:
        return total
    small = at.new(size, step.node)
    at.tape.free(total)
    return small


def widths(at: Backward, step: LayerRun) -> list[int]:
    """Bytes of the first value, of the first two together, and so on."""
    shapes = [value.shape for value in step.node.inputs]
    item = at.tensors[step.node.output].storage.item
    return [at.batch * product(broadcast(shapes[: i + 1])) * item for i in range(len(shapes))]


def _matrices(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """Gradients of matrices that were stretched are first those of all copies; they are summed, that of the second first."""
    item = at.tensors[step.node.output].storage.item
    wide = product(step.node.output.shape[:-2]) * at.batch * item
    values = [value for value, wanting in zip(step.node.inputs, step.wanting, strict=False) if wanting]
    made = [(value, at.new(wide * product(value.shape[-2:]), step.node)) for value in values]
    at.release(step, grads)
    for value, block in reversed(made):
        small = sum_block(at, step, block, at.bytes(value))
        assert small is not None
        at.add(value, Grad(small), step.node)


def _stack(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """Each value gets its entry of the whole, a view."""
    (grad,), axis = grads, int(step.node.args.get("axis", 0)) % len(step.node.output.shape) + 1
    lies = at.lies(step.node.output, grad)
    handed = [(value, i) for i, (value, wants) in enumerate(zip(step.node.inputs, step.wanting, strict=True)) if wants]
    grad.block.refs += len(handed)
    at.release(step, grads)
    for value, i in handed:
        at.add(value, Grad(grad.block, False, Entry(axis, i).view(lies)), step.node)


def _einsum(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """A product of rows of matrices: the gradient of the right one before that of the left, each seen as its value lies."""
    a, b, out = read_equation(step.node.args["equation"])
    sizes = {
        letter: int(size)
        for letters, value in zip((a, b), step.node.inputs, strict=True)
        for letter, size in zip(letters, value.shape, strict=True)
    }
    made = []
    for i, groups in reversed(roles(a, b, out, sizes).sides):
        if step.wanting[i]:
            letters, value = (a, b)[i], step.node.inputs[i]
            order = [letter for group in groups for letter in group if letter in letters]
            packed = contiguous((at.batch, *(sizes[letter] for letter in order)))
            lies = Axes((0, *(order.index(letter) + 1 for letter in letters))).view(packed)
            made.append((value, Grad(at.new(at.bytes(value), step.node), False, lies)))
    at.release(step, grads)
    for value, grad in reversed(made):
        at.add(value, grad, step.node)


RULES |= {"einsum": _einsum, "stack": _stack, "add": _sum, "average": _average, "mul": _product, "matmul": _matrices}
