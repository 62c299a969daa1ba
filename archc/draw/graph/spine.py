"""The spine of a picture: the longest way through it, which is drawn straight."""

from __future__ import annotations

from archc.draw.graph.fold_marks import Edge


def spines(edges: list[Edge]) -> set[int]:
    """The edges (by id) on the longest way to each box that no other edge of theirs is on: at most one in and one out of each box."""
    depth: dict[int, int] = {}
    incoming: dict[int, list[Edge]] = {}
    for edge in edges:
        if edge.tail.index < edge.head.index:
            incoming.setdefault(edge.head.index, []).append(edge)
    chosen: dict[int, Edge] = {}
    for head in sorted(incoming):
        best = max(incoming[head], key=lambda edge: depth.get(edge.tail.index, 0))  # the first of equals
        depth[head] = depth.get(best.tail.index, 0) + 1
        chosen[head] = best
    below = _heights(edges)
    out: dict[int, Edge] = {}
    for edge in chosen.values():
        rival = out.get(edge.tail.index)
        if rival is None or below.get(edge.head.index, 0) > below.get(rival.head.index, 0):
            out[edge.tail.index] = edge
    return {id(edge) for edge in out.values()}


def ranks(edges: list[Edge]) -> int:
    """How many boxes stand one below the other."""
    return max(_heights(edges).values(), default=0) + 1


def _heights(edges: list[Edge]) -> dict[int, int]:
    """For each box, the longest way down from it."""
    height: dict[int, int] = {}
    for edge in sorted(edges, key=lambda edge: -edge.tail.index):
        if edge.tail.index < edge.head.index:
            height[edge.tail.index] = max(height.get(edge.tail.index, 0), height.get(edge.head.index, 0) + 1)
    return height
