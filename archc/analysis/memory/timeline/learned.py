"""Backward of layers with parameters whose gradients autograd sums after the layer has run backward."""

from __future__ import annotations

from archc.analysis.memory.storages import LayerRun
from archc.analysis.memory.timeline.backward import RULES, Backward, Grad, strips, wanted
from archc.analysis.memory.timeline.tape import TEMPORARY
from archc.ops.shape import product
from archc.ops.strides import view_as


def _linear(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """The gradient of the bias is a sum of its own: before the product where the input was copied, else after it."""
    copied = any(storage.made_by is step.node for storage in step.kept)
    grads = [_fold_tokens(at, step, grads[0])]
    made: list[tuple[int, Grad]] = at.weight(step, "bias", own=False) if copied else []
    at.rerun(step.node)
    tokens = len(step.node.output.shape.inner) > 1  # whose rows are seen as tokens again
    inputs = [(value, Grad(at.new(at.bytes(value), step.node), not tokens)) for value in wanted(step)]
    weights = at.weight(step, "weight", own=False)
    gone = at.unpacked(step)
    made += [] if copied else at.weight(step, "bias", own=False)
    at.release(step, grads, gone)
    at.adopt_some(step, made)
    if tokens:
        at.adopt(step, weights)
    for value, grad in inputs:
        at.add(value, grad, step.node)
    if not tokens:
        at.adopt(step, weights)


def _fold_tokens(at: Backward, step: LayerRun, grad: Grad) -> Grad:
    """Over tokens, the product is one of all of them: what came is seen so, or copied."""
    lies, value = at.lies(step.node.output, grad), step.node.output
    if len(value.shape.inner) == 1:
        return grad
    rows = (at.batch * product(value.shape[:-1]), int(value.shape[-1]))
    return at.turned(step, grad, view_as(lies, rows), rows)


def _scale(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """A learned factor: its gradient is first as large as the value."""
    made = [(value, at.made(step, value, grads[0])) for value in wanted(step)]
    gradient = at.tape.new(at.bytes(step.node.output), TEMPORARY, step.node)
    gone = at.unpacked(step)
    weights = at.weight(step, own=False)
    at.tape.free(gradient)
    at.release(step, grads, gone)
    for value, grad in made:
        at.add(value, grad, step.node)
    at.adopt(step, weights)


def _add_positions(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """What is added to every image: the gradient itself, and its sum over the images, which is for one image itself, too."""
    several = at.images(step.node.output) > 1
    weights = at.weight(step) if several else [(0, grads[0]._replace(lies=at.lies(step.node.output, grads[0])))]
    if not several:
        grads[0].block.refs += 1
    for value in wanted(step):
        grads[0].block.refs += 1
        at.add(value, grads[0], step.node)
    at.release(step, grads)
    at.adopt(step, weights)


def _add_rows_of_table(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """A bias looked up for each pair of tokens: its gradient is summed over the images, then put where it was looked up."""
    summed = at.tape.new(step.node.output.shape.inner.values * at.item, TEMPORARY, step.node)
    for value in wanted(step):
        grads[0].block.refs += 1
        at.add(value, grads[0]._replace(own=True), step.node)
    at.release(step, grads)
    weights = at.weight(step)
    at.tape.free(summed)
    at.adopt(step, weights)


def _add_fixed(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """What is added and not learned: the gradient itself."""
    for value in wanted(step):
        grads[0].block.refs += 1
        at.add(value, grads[0], step.node)
    at.release(step, grads)


def _prepend_token(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """A class token before the others: strips of the whole, the token's summed over the images, which is for one image itself."""
    (grad,), tokens = grads, int(step.node.output.shape.inner[0])
    token, others = strips(at, step, grad, 1, [1, tokens - 1])
    for value in wanted(step):
        grad.block.refs += 1
        at.add(value, others, step.node)
    several = at.images(step.node.output) > 1
    weights = at.weight(step) if several else [(0, token._replace(own=False))]
    if several:
        at.release(step, grads)
    at.adopt(step, weights)


def _parameter(at: Backward, step: LayerRun, grads: list[Grad]) -> None:
    """A tensor that every image sees: the sum over the images, which is what came where there is one and the tensor has its axis."""
    (grad,) = grads
    (weight,) = step.node.facts.owned
    if at.images(step.node.output) == 1 and len(weight.shape) > len(step.node.output.shape.inner):
        at.release(step)
        at.adopt(step, [(0, grad._replace(lies=at.lies(step.node.output, grad)))])
        return
    weights = at.weight(step)
    at.release(step, grads)
    at.adopt(step, weights)


RULES |= {
    "linear": _linear,
    "layer_scale": _scale,
    "position_embedding": _add_positions,
    "relative_position_bias": _add_rows_of_table,
    "shift_mask": _add_fixed,
    "class_token": _prepend_token,
    "parameter": _parameter,
}
