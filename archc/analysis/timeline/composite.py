"""Attention: back through torch.nn.MultiheadAttention, one operation after the other."""

from __future__ import annotations

from archc.analysis.storages import Step
from archc.analysis.timeline.backward import RULES, Backward, Grad, wanted
from archc.analysis.timeline.passing import first_slots
from archc.analysis.timeline.tape import BACKWARD, GRADIENTS, TEMPORARY, Block
from archc.graph import Value

_Weights = list[tuple[int, Grad]]


def _attention(at: Backward, step: Step, grads: list[Grad]) -> None:
    """The last projection, the products, then the projections before them: of all together, or of queries apart from keys and values."""
    node, tape = step.node, at.tape
    size, long = at.bytes(node.output), _long(at, node.output)
    inputs, crossed, dropout = first_slots(step)
    block = _turned(at, step, grads[0].block) if long else grads[0].block
    at.rerun(node)
    made: _Weights = _weights(at, step, "out_proj.weight") if long else []
    inner = tape.new(size, BACKWARD, node)
    made += [] if long else _weights(at, step, "out_proj.weight")
    made += _weights(at, step, "out_proj.bias")
    tape.free(block)
    asked = at.bytes(node.inputs[1]) if crossed else size
    parts = _dropping(at, step, inner, asked, inputs) if dropout else _fused(at, step, inner, asked, inputs, crossed)
    far = [long, *[_long(at, node.inputs[1]) if crossed else long] * 2]
    for turns in [[0, 2]] if dropout else [[0, 1, 2]] * 2:
        parts = [_turned(at, step, part) if far[i] and i in turns else part for i, part in enumerate(parts)]
    if crossed:
        _across(at, step, parts, made)
    else:
        _within(at, step, parts, made)


def _long(at: Backward, value: Value) -> bool:
    """Whether tokens before the batch are in another order than the batch before tokens."""
    return at.batch > 1 and value.shape[0] > 1


def _turned(at: Backward, step: Step, block: Block) -> Block:
    """The same gradient in another order, which is a copy."""
    copy = at.tape.new(block.bytes, TEMPORARY, step.node)
    at.tape.free(block)
    return copy


def _fused(at: Backward, step: Step, inner: Block, asked: int, inputs: int, crossed: bool) -> list[Block]:
    """The kernel that computes all at once."""
    parts = [at.tape.new(one, BACKWARD, step.node) for one in (inner.bytes, asked, asked)]
    at.tape.free(inner)
    at.spend(step, range(inputs, len(step.slots)), range(inputs))
    return parts


def _dropping(at: Backward, step: Step, inner: Block, asked: int, inputs: int) -> list[Block]:
    """Weights times values, dropout, softmax, queries times keys, each of which was scaled."""
    queries, keys, scores, mask, dropped, result = range(len(step.slots) - 6, len(step.slots))
    tape, node = at.tape, step.node
    rest = [i for i in range(len(step.slots)) if i not in (inputs, dropped, result)]
    at.spend(step, [result], rest)
    slot = step.slots[scores]
    wide = slot.bytes if slot is not None else 0
    values, weights = tape.new(asked, BACKWARD, node), tape.new(wide, BACKWARD, node)
    tape.free(inner)
    at.spend(step, [inputs, dropped], rest)
    for last in (mask, scores):
        one = tape.new(wide, BACKWARD, node)
        tape.free(weights)
        at.spend(step, [last])
        weights = one
    parts = [tape.new(one, BACKWARD, node) for one in (asked, inner.bytes)]
    tape.free(weights)
    at.spend(step, [queries, keys])
    parts = [_turned(at, step, one) for one in parts]
    return [parts[1], parts[0], values]


def _within(at: Backward, step: Step, parts: list[Block], made: _Weights) -> None:
    """One projection of all three: each part is put among zeros, and those are added."""
    (value, *_) = [*wanted(step), None]
    whole = _gathered(at, step, parts, 3 * parts[0].bytes)
    long = _long(at, step.node.output)
    made += _weights(at, step, "in_proj")
    inner = at.new(at.bytes(value), step.node) if value is not None else None
    at.tape.free(whole)
    at.release(step)
    if inner is not None and value is not None:
        at.add(value, Grad(_turned(at, step, inner) if long else inner), step.node)
    at.adopt(step, made)


def _across(at: Backward, step: Step, parts: list[Block], made: _Weights) -> None:
    """Keys and values from one projection, queries from another, by the two parts of one matrix, whose gradients are joined."""
    node = step.node
    queries, asked = node.inputs
    found: dict[Value, Block] = {}
    wanting = dict(zip(node.inputs, step.wanting, strict=True))
    whole = _gathered(at, step, parts[1:], 2 * parts[1].bytes)
    pieces: list[Block] = []
    for value, block, slot, share in ((asked, whole, 1, 2), (queries, parts[0], 0, 1)):
        pieces += [at.tape.new(one // 3 * share, TEMPORARY, node) for one in _sizes(at, step)]
        if wanting[value]:
            found[value] = at.new(at.bytes(value), node)
        at.tape.free(block)
        at.spend(step, [slot], [1 - slot] if slot == 1 else [])
    half = len(pieces) // 2
    for at_bias in reversed(range(half)):
        made += _weights(at, step, "in_proj_bias" if at_bias else "in_proj_weight", own=True)
        at.tape.free(pieces[at_bias])
        at.tape.free(pieces[half + at_bias])
    at.release(step)
    for value, block in found.items():
        at.add(value, Grad(_turned(at, step, block) if _long(at, value) else block), node)
    at.adopt(step, made)


def _sizes(at: Backward, step: Step) -> list[int]:
    """Bytes of the gradients of the first projection's weight and bias."""
    item = 2 if at.halves(step.node) else at.item
    return [weight.values * item for weight in step.node.facts.owned if weight.name.startswith("in_proj")]


def _weights(at: Backward, step: Step, name: str, own: bool = False) -> _Weights:
    half = at.halves(step.node)
    size, kind = (2, TEMPORARY) if half else (at.item, GRADIENTS)
    return [
        (i, Grad(at.tape.new(weight.values * size, kind, step.node), own))
        for i, weight in enumerate(step.node.facts.owned)
        if weight.name.startswith(name)
    ]


def _gathered(at: Backward, step: Step, parts: list[Block], size: int) -> Block:
    """What was projected together, side by side: each is put among zeros, and those are added."""
    whole: Block | None = None
    for part in parts:
        one = at.tape.new(size, BACKWARD, step.node)
        at.tape.free(part)
        if whole is None:
            whole = one
        else:
            at.tape.free(one)
    assert whole is not None
    return _turned(at, step, whole)


RULES["attention"] = _attention
