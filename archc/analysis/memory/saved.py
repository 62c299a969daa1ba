"""What autograd keeps from the forward pass until backward, in bytes, and where in-place layers would spoil it.

The sum is over storages: each counts once and whole, whoever keeps it and whatever view of it, and is charged to the layer that
first kept it. Parameters and buffers are not counted. Exact for PyTorch's eager mode on the CPU in float32, from a batch of 2
and with more than one thread on; with one image or one thread, PyTorch takes other kernels for some convolutions, whose outputs
may lie in another order, and a batch axis of size 1 makes more inputs contiguous, which attention then need not copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from archc.analysis.memory.storages import LayerRun, Storage, StorageRun, StoredTensor, run
from archc.graph import Graph, Node
from archc.ops.facts import INPLACE, OWN
from archc.ops.shape import product

KEPT = "kept"  # `other` keeps what the layer writes over
LISTED = "listed"  # the layer writes over one of the views of a split, which PyTorch refuses
STALE = "stale"  # `other` reads a view of a split whose storage the layer has written over
REPEATED = "repeated"  # the layer writes over a tensor that every image sees, which PyTorch refuses
OVERLAP = "overlap"  # the layer reads what it writes over in another order


class Clash(NamedTuple):
    """A layer in place with which PyTorch refuses to train, why, and the layer that is hurt."""

    layer: Node
    why: str
    other: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Bytes kept for backward. `by_node` has each layer, with 0 for most views; `unknown` are those that do not say what they keep."""

    batch: int
    dtype: str
    total: int
    by_node: dict[Node, int]
    storages: tuple[Storage, ...]
    clashes: tuple[Clash, ...]
    unknown: tuple[Node, ...]


def saved(graph: Graph, batch: int = 1, dtype: str = "float32") -> Saved:
    """What autograd keeps of the network as it is for training, at a batch size and dtype."""
    return saved_by(run(graph, batch, dtype), graph, batch, dtype)


def saved_by(done: StorageRun, graph: Graph, batch: int = 1, dtype: str = "float32") -> Saved:
    """As `saved`, of a run that there is already."""
    storages = tuple(dict.fromkeys(storage for step in done.steps for storage in step.kept))
    by_node = dict.fromkeys(graph.nodes, 0)
    for storage in storages:
        assert storage.kept_by is not None
        by_node[storage.kept_by] += storage.bytes
    unknown = tuple(node for node in graph.nodes if node.facts.keeps is None or node.facts.keeps_more)
    return Saved(
        batch=batch,
        dtype=dtype,
        total=sum(by_node.values()),
        by_node=by_node,
        storages=storages,
        clashes=tuple(_clashes(done)),
        unknown=unknown,
    )


def clashes(graph: Graph, batch: int = 2) -> list[Clash]:
    """The layers in place with which the network cannot be trained."""
    return _clashes(run(graph, batch))


def _clashes(done: StorageRun) -> list[Clash]:
    writers: dict[Storage, list[Node]] = {}  # by version: the first made version 1
    found: list[Clash] = []
    for step in done.steps:
        for x, wanting in zip(step.inputs, step.wanting, strict=True):
            over = writers.get(x.storage, [])
            if x.listed is not None and wanting and len(over) > x.listed:
                found.append(Clash(over[x.listed], STALE, step.node))
        if step.node.facts.storage == INPLACE:
            found += _refusals(step)
            writers.setdefault(step.inputs[0].storage, []).append(step.node)
    for step in done.steps:
        for storage, version in step.kept.items():
            if storage.version > version:
                found.append(Clash(writers[storage][version], KEPT, step.node))
    return found


def _refusals(step: LayerRun) -> list[Clash]:
    """Why PyTorch would not run a layer in place."""
    target, *others = step.inputs
    found = []
    if target.listed is not None and any(step.wanting):
        found.append(Clash(step.node, LISTED, step.node))
    own = target.storage.made_by is not None and target.storage.made_by.facts.storage == OWN
    if own or any(stride == 0 and size > 1 for size, stride in zip(target.block.sizes, target.block.strides, strict=True)):
        found.append(Clash(step.node, REPEATED, step.node))
    if any(_overlap(target, other) for other in others):
        found.append(Clash(step.node, OVERLAP, step.node))
    return found


def _overlap(a: StoredTensor, b: StoredTensor) -> bool:
    """Whether two tensors partly overlap, as far as PyTorch looks: at tensors without holes alone."""
    if a is b or a.storage is not b.storage or not (a.block.dense and b.block.dense):
        return False
    start, stop = a.block.offset, a.block.offset + product(a.block.sizes)
    first, last = b.block.offset, b.block.offset + product(b.block.sizes)
    if (start, stop) == (first, last):
        return a.block.strides != b.block.strides
    return start < last and first < stop
