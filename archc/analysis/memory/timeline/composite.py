"""Attention: back through torch.nn.MultiheadAttention, one operation after the other."""

from __future__ import annotations

from archc.analysis.memory.storages import LayerRun
from archc.analysis.memory.timeline.backward import RULES, Backward, Grad, wanted
from archc.analysis.memory.timeline.passing import first_slots
from archc.analysis.memory.timeline.tape import BACKWARD, GRADIENTS, TEMPORARY, Block
from archc.graph import Value
from archc.ops.strides import Strided, view_as

_Weights = list[tuple[int, Grad]]


def _attention(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The last projection, the products, then the projections before them: of all together, or of queries apart from keys and values."""
    node, tape = step.node, at.tape
    size, long = at.bytes(node.output), _long(at, node.output)
    inputs, crossed, dropout = first_slots(step)
    block = _rows(at, step, grads[0])
    at.rerun(node)
    made: _Weights = _weights(at, step, "out_proj.weight") if long else []
    inner = tape.new(size, BACKWARD, node)
    made += [] if long else _weights(at, step, "out_proj.weight")
    made += _weights(at, step, "out_proj.bias")
    tape.free(block)
    at.adopt_some(step, made[::-1])
    asked = at.bytes(node.inputs[1]) if crossed else size
    parts = _dropping(at, step, inner, asked, inputs) if dropout else _run_fused(at, step, inner, asked, inputs, crossed)
    far = [long, *[_long(at, node.inputs[1]) if crossed else long] * 2]
    for turns in [[0, 2]] if dropout else [[0, 1, 2]] * 2:
        parts = [_transpose(at, step, part) if far[i] and i in turns else part for i, part in enumerate(parts)]
    if crossed:
        _across(at, step, parts)
    else:
        _within(at, step, parts)


def _rows(at: Backward, step: LayerRun, grad: Grad) -> Block:
    """What came, with tokens before the batch, as one matrix: a copy where it lies otherwise."""
    value = step.node.output
    lies = at.lies(value, grad)
    # MultiheadAttention computes with tokens before the batch, whatever batch_first says
    seen = lies._replace(sizes=(lies.sizes[1], lies.sizes[0], lies.sizes[2]), strides=(lies.strides[1], lies.strides[0], lies.strides[2]))
    images, tokens, features = value.shape.batched(at.batch)
    rows = (images * tokens, features)
    return at.turned(step, grad, view_as(seen, rows), rows).block


def _batch_first(at: Backward, value: Value, block: Block) -> Grad:
    """The gradient of an input, which lies with tokens before the batch."""
    images, tokens, features = value.shape.batched(at.batch)
    return Grad(block, False, Strided((images, tokens, features), (features, images * features, 1)))


def _long(at: Backward, value: Value) -> bool:
    """Whether tokens before the batch are in another order than the batch before tokens."""
    images, tokens, _ = value.shape.batched(at.batch)
    return images > 1 and tokens > 1


def _transpose(at: Backward, step: LayerRun, block: Block) -> Block:
    """The same gradient in another order, which is a copy."""
    copy = at.tape.new(block.bytes, TEMPORARY, step.node)
    at.tape.free(block)
    return copy


def _run_fused(at: Backward, step: LayerRun, inner: Block, asked: int, inputs: int, crossed: bool) -> list[Block]:
    """The kernel that computes all at once."""
    parts = [at.tape.new(size, BACKWARD, step.node) for size in (inner.bytes, asked, asked)]
    at.tape.free(inner)
    at.spend(step, range(inputs, len(step.slots)), range(inputs))
    return parts


def _dropping(at: Backward, step: LayerRun, inner: Block, asked: int, inputs: int) -> list[Block]:
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
        first = tape.new(wide, BACKWARD, node)
        tape.free(weights)
        at.spend(step, [last])
        weights = first
    parts = [tape.new(size, BACKWARD, node) for size in (asked, inner.bytes)]
    tape.free(weights)
    at.spend(step, [queries, keys])
    parts = [_transpose(at, step, part) for part in parts]
    return [parts[1], parts[0], values]


def _within(at: Backward, step: LayerRun, parts: list[Block]) -> None:
    """One projection of all three: each part is put among zeros, and those are added."""
    (value, *_) = [*wanted(step), None]
    gathered = _gather(at, step, parts, 3 * parts[0].bytes)
    made = _weights(at, step, "in_proj")
    inner = at.new(at.bytes(value), step.node) if value is not None else None
    at.tape.free(gathered)
    at.release(step)
    at.adopt(step, made[::-1])
    if inner is not None and value is not None:
        at.add(value, _batch_first(at, value, inner), step.node)


def _across(at: Backward, step: LayerRun, parts: list[Block]) -> None:
    """Keys and values from one projection, queries from another, by the two parts of one matrix, whose gradients are joined."""
    node = step.node
    queries, asked = node.inputs
    found: dict[Value, Block] = {}
    wanting = dict(zip(node.inputs, step.wanting, strict=True))
    full = _gather(at, step, parts[1:], 2 * parts[1].bytes)
    pieces: list[Block] = []
    for value, block, slot, share in ((asked, full, 1, 2), (queries, parts[0], 0, 1)):
        pieces += [at.tape.new(size // 3 * share, TEMPORARY, node) for size in _sizes(at, step)]
        if wanting[value]:
            found[value] = at.new(at.bytes(value), node)
        at.tape.free(block)
        at.spend(step, [slot], [1 - slot] if slot == 1 else [])
    half = len(pieces) // 2
    made: _Weights = []
    for i in reversed(range(half)):  # the bias before the weight
        at.adopt_some(step, made)
        made = _weights(at, step, "in_proj_bias" if i else "in_proj_weight", own=True)
        at.tape.free(pieces[i])
        at.tape.free(pieces[half + i])
    at.release(step)
    at.adopt(step, made)
    for value, block in found.items():
        at.add(value, _batch_first(at, value, block), node)


def _sizes(at: Backward, step: LayerRun) -> list[int]:
    """Bytes of the gradients of the first projection's weight and bias."""
    item = 2 if at.halves(step.node) else at.item
    return [weight.values * item for weight in step.node.facts.owned if weight.name.startswith("in_proj")]


def _weights(at: Backward, step: LayerRun, name: str, own: bool = False) -> _Weights:
    half = at.halves(step.node)
    size, kind = (2, TEMPORARY) if half else (at.item, GRADIENTS)
    return [
        (i, Grad(at.tape.new(weight.values * size, kind, step.node), own))
        for i, weight in enumerate(step.node.facts.owned)
        if weight.name.startswith(name)
    ]


def _gather(at: Backward, step: LayerRun, parts: list[Block], size: int) -> Block:
    """What was projected together, side by side: each is put among zeros, and those are added."""
    gathered: Block | None = None
    for part in parts:
        first = at.tape.new(size, BACKWARD, step.node)
        at.tape.free(part)
        if gathered is None:
            gathered = first
        else:
            at.tape.free(first)
    assert gathered is not None
    return _transpose(at, step, gathered)


def _asking(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The kernel gives gradients of queries, keys and values, also where nobody asks for some of them."""
    node = step.node
    made = [(value, at.made(step, value, grads[0]), wanting) for value, wanting in zip(node.inputs[:3], step.wanting, strict=False)]
    at.release(step, grads)
    for value, grad, wanting in made:
        if wanting:
            at.add(value, grad, node)
        else:
            at.tape.free(grad.block)


def _turning(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """Rotary positions: the halves of what came, each times sines and cosines, then the halves of the input side by side."""
    node, tape = step.node, at.tape
    half = at.bytes(node.output) // 2
    by_sine, by_cosine, turned = (tape.new(half, BACKWARD, node) for _ in range(3))
    both = tape.new(half, BACKWARD, node)
    for block in (turned, both):
        tape.free(block)
    last = tape.new(half, BACKWARD, node)
    at.release(step, grads)
    tape.free(last)
    made = at.new(at.bytes(node.output), node)
    for block in (by_sine, by_cosine):
        tape.free(block)
    at.add(node.inputs[0], Grad(made), node)


RULES["attention"] = _attention
RULES["rotary"] = _turning
RULES["scaled_dot_product_attention"] = _asking
