"""Small layers drawn into the box of their neighbour: a convolution with its normalization and activation is one box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archc.draw.graph.fold_marks import GraphBox, Item
from archc.draw.theme import family
from archc.graph import Node, Value

SMALL = {"normalization", "activation", "dropout"}  # families that change no shape and are drawn within another box
_ALONE = {"merge", "input"}


def fuse_items(items: list[Item], uses: Mapping[Value, Sequence[Node]], kept: set[Value]) -> list[Item]:
    """The items with each chain of layers as few boxes, each with at most one large layer."""
    found: list[Item] = []
    chain: list[GraphBox] = []
    for item in items:
        if isinstance(item, GraphBox) and _joins(item) and (not chain or _follows(chain[-1], item, uses, kept)):
            chain.append(item)
            continue
        found += _box_chain(chain)
        chain = [item] if isinstance(item, GraphBox) and _joins(item) else []
        if not chain:
            found.append(item)
    return [*found, *_box_chain(chain)]


def small(box: GraphBox) -> bool:
    """Whether a box has small layers alone."""
    return not box.closed and all(family(node.kind) in SMALL for node in box.layers)


def _joins(box: GraphBox) -> bool:
    return not (box.closed or box.end or box.times > 1 or any(family(node.kind) in _ALONE for node in box.layers))


def _follows(tail: GraphBox, head: GraphBox, uses: Mapping[Value, Sequence[Node]], kept: set[Value]) -> bool:
    """Whether what the tail makes goes to the head alone, and the head takes nothing else, in every copy."""
    if len(tail.copies) != len(head.copies):
        return False
    return all(_feeds(a[-1], b, uses, kept) for a, b in zip(tail.copies, head.copies, strict=True))


def _feeds(source: Node, layers: list[Node], uses: Mapping[Value, Sequence[Node]], kept: set[Value]) -> bool:
    first = layers[0]
    return (
        len(source.outputs) == 1
        and len(first.inputs) == 1
        and first.inputs[0].node is source
        and len(uses[source.output]) == 1
        and source.output not in kept
        and (first.shared is None) == (source.shared is None)
    )


def _box_chain(chain: list[GraphBox]) -> list[Item]:
    """A chain as boxes. Small layers go with the large one before them; where a normalization leads the chain, with the one after."""
    before = bool(chain) and family(chain[0].layers[0].kind) == "normalization"
    boxes: list[GraphBox] = []
    ready: list[GraphBox] = []  # small ones that wait for a large one
    for box in chain:
        if small(box):
            if before or not boxes:
                ready.append(box)
            else:
                boxes[-1] = _join_boxes([boxes[-1], box])
            continue
        boxes.append(_join_boxes([*ready, box]))
        ready = []
    if ready and boxes:
        boxes[-1] = _join_boxes([boxes[-1], *ready])
    elif ready:
        boxes.append(_join_boxes(ready))
    return list(boxes)


def _join_boxes(parts: list[GraphBox]) -> GraphBox:
    main = next((part for part in parts if not small(part)), parts[0])
    copies = [[node for part in parts for node in part.copies[i]] for i in range(len(main.copies))]
    return GraphBox(copies, main.name)
