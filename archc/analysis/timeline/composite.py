"""Layers of several operations: what their backward allocates and frees on the way, one operation after the other."""

from __future__ import annotations

from archc.analysis.storages import Step, Storage
from archc.analysis.timeline.backward import RULES, Backward, Grad, wanted
from archc.analysis.timeline.tape import BACKWARD, GRADIENTS, TEMPORARY, Block
from archc.ops.facts import Weight


def _turned(at: Backward, step: Step, block: Block, size: int) -> Block:
    """The same gradient in another order, which is a copy."""
    copy = at.tape.new(size, TEMPORARY, step.node)
    at.tape.free(block)
    return copy


def _attention(at: Backward, step: Step, grads: list[Grad]) -> None:
    """torch.nn.MultiheadAttention over the kernel that computes all at once, back through its two projections."""
    node, tape = step.node, at.tape
    size = at.bytes(node.output)
    sources = wanted(step)
    asked = at.bytes(node.inputs[1]) if _crossed(step) else size
    block = _turned(at, step, grads[0].block, size)
    at.rerun(node)
    weights = {i: w for i, w in enumerate(node.facts.owned) if w.role != "buffer"}
    made = {i: _weight(at, step, w) for i, w in weights.items() if w.name.startswith("out_proj")}
    inner = tape.new(size, BACKWARD, node)
    tape.free(block)
    parts = [tape.new(one, BACKWARD, node) for one in (size, asked, asked)]
    tape.free(inner)
    gone = _late(step)
    for storage in gone:
        tape.free(at.held[storage])
    for _ in range(2):
        parts = [_turned(at, step, part, part.bytes) for part in parts]
    whole = _gathered(at, step, parts, 3 * size if asked == size and not _crossed(step) else 2 * asked)
    made |= {i: _weight(at, step, w, _crossed(step)) for i, w in weights.items() if i not in made}
    news = [tape.new(at.bytes(value), BACKWARD, node) for value in sources]
    tape.free(whole)
    at.release(step, gone=gone)
    for value, new in zip(sources, news, strict=True):
        at.add(value, Grad(_turned(at, step, new, new.bytes)), node)
    at.adopt(step, list(made.items()))


def _weight(at: Backward, step: Step, weight: Weight, own: bool = False) -> Grad:
    half = at.halves(step.node)
    return Grad(at.tape.new(weight.values * (2 if half else at.item), TEMPORARY if half else GRADIENTS, step.node), own)


def _crossed(step: Step) -> bool:
    return len(step.inputs) > 1 and step.inputs[1] is not step.inputs[0]


def _late(step: Step) -> list[Storage]:
    """What is free once the kernel itself has run backward: all but the inputs of the first projection."""
    first = 2 if _crossed(step) else 1
    return [storage for storage in list(step.kept)[first:] if storage.item != 0]


def _gathered(at: Backward, step: Step, parts: list[Block], size: int) -> Block:
    """Queries, keys and values side by side: each is put among zeros, and those are added."""
    whole: Block | None = None
    for part in parts:
        one = at.tape.new(size, BACKWARD, step.node)
        at.tape.free(part)
        if whole is None:
            whole = one
        else:
            at.tape.free(one)
    assert whole is not None
    return _turned(at, step, whole, size)


def _response(at: Backward, step: Step, grads: list[Grad]) -> None:
    """Local response normalization: the quotient, the power, the mean over channels and the square."""
    (value,) = wanted(step)
    size = at.bytes(value)
    made = at.new(size, step.node)
    passing = [at.tape.new(size, TEMPORARY, step.node) for _ in range(3)]
    for block in passing:
        at.tape.free(block)
    at.release(step, grads)
    at.add(value, Grad(made), step.node)


RULES |= {"attention": _attention, "lrn": _response}
