"""Temporaries of layers that run as several operations in the forward pass."""

from __future__ import annotations

from archc.analysis.memory.storages import LayerRun
from archc.graph import Node
from archc.ops.facts import NEW, Module
from archc.ops.shape import product
from archc.ops.strides import broadcast


def temporaries(step: LayerRun, unit: int, item: int, saving: bool, number: int) -> list[int]:
    """Bytes that are there at a time beside the outputs and, where it is `saving`, what is kept.

    unit: bytes of a value of every image; number: those of a number that a value is combined with, on the CPU 8, none on CUDA
    """
    node = step.node
    size = node.output.shape.values * unit
    if len(step.inputs) == 1 and node.kind in ("add", "sub", "div"):  # and a constant
        return _constant(node, saving, size, number)
    if (node.kind == "add" and node.facts.storage == NEW) or node.kind in ("mul", "maximum", "minimum"):
        return [_chain_bytes(step, unit)]
    if node.kind == "add":
        return []
    if node.kind == "average":
        return [size] if saving else [size, number]
    if node.kind == "softsign":  # the magnitude, beside its sum with 1
        return [number] if saving else [size, number]
    if node.kind == "frozen_batchnorm":  # the product beside its sum with the shifts; the factors, which backward keeps
        vector = item * node.facts.owned[0].values
        return [size, vector] if saving else [size, vector, vector]
    if node.kind == "avgpool" and len(node.facts.keeps or ()) > 1:
        return _mean_of_part(step, unit, saving)
    if node.kind == "relative_position_bias":  # what was looked up
        return [node.output.shape.inner.values * item]
    if node.kind == "rotary":
        return [size, *([] if saving else [item * node.inputs[0].shape[-2] * node.inputs[0].shape[-1]])]
    if saving:
        return [number] if node.kind == "lrn" else []
    return _alone(step, size, unit, item, number)


def _constant(node: Node, saving: bool, size: int, number: int) -> list[int]:
    """The number that a value is combined with; of a number that is divided, the reciprocal of the value, which is multiplied with it."""
    if node.kind == "div":
        reciprocal = [size] if node.args.get("reverse") else []
        return [] if saving else [*reciprocal, number]
    return [] if node.args.get("reverse") else [number]


def _alone(step: LayerRun, size: int, unit: int, item: int, number: int) -> list[int]:
    """Where nothing is kept."""
    node = step.node
    if node.kind == "scale":
        return [number]
    if node.kind == "tanhshrink":
        return [size]
    if node.kind == "lrn":  # the padded squares beside the mean; the mean, its multiple and the sum or the power
        return [max(_kept(step, 1) * unit, 2 * size + number)]
    if node.kind == "lppool":  # the powers beside the mean; its sign and magnitudes, twice; the number of taps
        return [max(node.inputs[0].shape.values * unit, 3 * size, 2 * size + number)]
    # the operator makes indices of 8 bytes also where nobody asks for them
    if node.kind in ("global_maxpool", "adaptive_maxpool"):
        return [8 * node.output.shape.values * (unit // item)]  # where each maximum lies
    if node.kind == "index":
        return [8 * len(node.args["indices"])]
    if node.kind in ("cummax", "cummin") and len(node.outputs) == 1:
        return [8 * node.output.shape.values * (unit // item)]
    if node.kind == "attention":
        return _attention(step, size, unit)
    filters = [node.facts.owned[0].values * item] if node.args.get("standardize") else []
    if isinstance(node.facts.torch, Module) and node.facts.torch.pads_apart:
        return [
            *filters,
            *[storage.values * unit for storage in (node.facts.keeps or ()) if storage.what == "new" and storage.dtype == "same"][:1],
        ]
    return filters


def _chain_bytes(step: LayerRun, unit: int) -> int:
    """Of sums and products of several values, one after the other: each is there until the next one is made, those that are kept stay."""
    shapes = [value.shape for value in step.node.inputs]
    sizes = [product(broadcast(shapes[:count])) * unit for count in range(2, len(shapes) + 1)]
    slots = [*step.slots[3::2], None] if step.node.kind == "mul" else []  # of products, those that are kept
    stays = [*(slot is not None and slot.made_by is step.node for slot in slots), *[False] * len(sizes)]
    most = kept = before = 0
    for size, stay in zip(sizes, stays, strict=False):
        most = max(most, kept + before + size)
        kept, before = (kept + size, 0) if stay else (kept, size)
    return max(most - kept - sizes[-1], 0)


def _kept(step: LayerRun, slot: int) -> int:
    """Values of an image of what backward would keep."""
    return int((step.node.facts.keeps or ())[slot].values)


def _mean_of_part(step: LayerRun, unit: int, saving: bool) -> list[int]:
    """A mean over one-sided padding, by that of ones: the mean; the padded copy before it; the ones, their padded copy and mean."""
    node = step.node
    channels, size = node.inputs[0].shape.inner.channels * node.inputs[0].shape.batched(1)[0], node.output.shape.values * unit
    item = unit // max(int(step.inputs[0].block.sizes[0]), 1)
    padded, ones, mean = (item * n // channels for n in (_kept(step, 0), node.inputs[0].shape.values, node.output.shape.values))
    making = max(ones, mean) + padded
    if saving:
        return [size, max(making - size - mean, 0)]
    return [max(_kept(step, 0) * unit, making, size + mean)]


def first_slots(step: LayerRun) -> tuple[int, bool, bool]:
    """Of attention: how many slots are inputs, whether one input asks another, and whether it drops."""
    crossed = len(step.inputs) > 1 and step.inputs[1] is not step.inputs[0]
    return 2 if crossed else 1, crossed, bool(step.node.args.get("dropout"))


def is_fused(step: LayerRun) -> bool:
    """Whether attention without gradients is one operator: PyTorch's own conditions for it."""
    return not first_slots(step)[1] and bool(step.node.args.get("bias", True)) and int(step.node.args["heads"]) % 2 == 0


def _attention(step: LayerRun, size: int, unit: int) -> list[int]:
    """Queries, keys and values, those of one projection twice while they are put in order; then the result, which is projected last."""
    if is_fused(step):
        return []
    crossed = first_slots(step)[1]
    asked = step.node.inputs[1].shape.values * unit if crossed else size
    queries, packed = (size, 2 * asked) if crossed else (0, 3 * size)
    copied = packed if asked > step.node.inputs[-1].shape.features * (unit // max(int(step.inputs[0].block.sizes[0]), 1)) else 0
    return [max(queries + packed + max(copied, size) - size, size)]
