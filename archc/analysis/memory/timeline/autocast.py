"""A forward pass under torch.autocast: which values are in 2 bytes and which in 4, and the copies that casts make.

The lists of operators are those of aten/src/ATen/autocast_mode.h, by device.
"""

from __future__ import annotations

from dataclasses import replace

from archc.analysis.memory.storages import LayerRun, Storage, StorageRun
from archc.graph import Graph, Node
from archc.ops.facts import INPLACE, VIEW
from archc.ops.shape import product

HALF, FULL = 2, 4
LOW = {"conv", "conv_transpose", "linear", "attention", "matmul"}
_CUDA_LOW = {"prelu"}
_CUDA_FULL = {"layernorm", "groupnorm", "softmax", "log_softmax", "softplus", "rmsnorm", "lrn", "lppool"}
_WITH_WEIGHTS = {"layer_scale", "frozen_batchnorm", "position_embedding", "class_token", "parameter", "buffer", "constant"}


def cast(graph: Graph, run: StorageRun, device: str) -> StorageRun:
    """The run, made in 2 bytes a value, with what is in 4 bytes widened, and with the copies that casts leave."""
    for value in graph.inputs.values():
        _widen(run.tensors[value].storage)
    copies: dict[Node, Storage] = {}
    run.steps = [_step(step, device, copies) for step in run.steps]
    return run


def low(node: Node, device: str) -> bool:
    """Whether a layer computes in 2 bytes."""
    return node.kind in LOW or (device == "cuda" and node.kind in _CUDA_LOW)


def _widen(storage: Storage) -> None:
    if storage.item == HALF:
        storage.item, storage.bytes = FULL, storage.bytes * 2


def _step(step: LayerRun, device: str, copies: dict[Node, Storage]) -> LayerRun:
    node = step.node
    # a view is of its input's dtype, and what is written over an input has to be
    if node.facts.storage in (VIEW, INPLACE):
        return step
    wants = _wants(step, device)
    if wants == FULL:
        for out in step.outputs:
            _widen(out.storage)
    kept, slots = dict(step.kept), step.slots
    if low(node, device) or (device == "cuda" and node.kind in _CUDA_FULL):
        cast = {storage: _copy_of(step, storage, wants) for storage in kept}
        kept = {cast[storage]: version for storage, version in kept.items()}
        slots = tuple(None if storage is None else cast[storage] for storage in slots)
    # the cast of a weight is cached until autocast ends, so that layers that share the weight share the copy
    if low(node, device) and node.facts.learns:
        owner = node.shared or node
        owner = owner.ties["weight"].node if "weight" in owner.ties and not owner.ties["weight"].transposed else owner
        if owner not in copies:
            size = HALF * sum(weight.values for weight in node.facts.tensors if weight.role == "weight")
            copies[owner] = Storage(size, HALF, node, kept_by=node)
        kept[copies[owner]] = 0
    return replace(step, kept=kept, slots=slots)


def _wants(step: LayerRun, device: str) -> int:
    """The bytes of a value that the layer computes with: what the lists say, else the widest of what comes in."""
    if low(step.node, device):
        return HALF
    if step.node.kind in _WITH_WEIGHTS or (device == "cuda" and step.node.kind in _CUDA_FULL):
        return FULL
    return max((x.storage.item for x in step.inputs), default=HALF)


def _copy_of(step: LayerRun, storage: Storage, wants: int) -> Storage:
    """What is kept of an input that was cast: the copy."""
    for x in step.inputs:
        if x.storage is storage and storage.item in (HALF, FULL) and storage.item != wants:
            return Storage(product(x.block.sizes) * wants, wants, step.node, storage.needs_grad, step.node)
    return storage
