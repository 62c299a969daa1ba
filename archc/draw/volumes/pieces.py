"""Where a network is cut for a picture: at the values that all that follows goes through, and at its blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from archc.draw.theme import family
from archc.graph import Graph, Node, Scope
from archc.graph.structure import bottlenecks, common_scope

QUIET = ("normalization", "activation", "dropout", "reshape", "other")  # they mark a map, they do not make one


def pieces(graph: Graph) -> list[list[Node]]:
    """The layers between values that all that follows goes through; what has none within is cut at its blocks."""
    stops = [0, *(graph.positions[node] + 1 for node in bottlenecks(graph)), len(graph.nodes)]
    found = [graph.nodes[start:stop] for start, stop in pairwise(stops) if start < stop]
    return [part for scope in found for part in _cut_atblocks(scope, len(graph.nodes))]


def _cut_atblocks(piece: list[Node], total: int) -> Iterator[list[Node]]:
    """A piece that is most of a large network, as the parts that its blocks are."""
    if len(piece) < 40 or len(piece) < total // 6:
        yield piece
        return
    depth = len(common(piece))
    parts: list[list[Node]] = []
    last: object = None
    for node in piece:
        chain = down_to(node.scope)
        key: object = chain[depth] if len(chain) > depth else node
        if key is last:
            parts[-1].append(node)
        else:
            parts.append([node])
        last = key
    for part in parts:
        if len(part) < len(piece):
            yield from _cut_atblocks(part, total)
        else:
            yield part


def by_blocks(cut: list[list[Node]], scopes: list[list[Scope]], level: int) -> list[list[Node]]:
    """Pieces that are of one block together; `level` counts blocks within blocks from the outermost."""
    found: list[list[Node]] = []
    last: Scope | None = None
    for piece, around in zip(cut, scopes, strict=True):
        scope = around[min(level, len(around) - 1)] if around else None
        if scope is not None and scope is last:
            found[-1].extend(piece)
        else:
            found.append(list(piece))
        last = scope
    return found


def blocks(nodes: Iterable[Node]) -> list[Scope]:
    """The blocks around all layers, from the outermost, that are more than a convolution with its normalization."""
    return [scope for scope in common(nodes) if scope.block and sum(1 for node in scope.walk() if family(node.kind) not in QUIET) > 1]


def common(nodes: Iterable[Node]) -> list[Scope]:
    """The scopes that all layers are in, from the root down."""
    return down_to(common_scope(node.scope for node in nodes))


def down_to(scope: Scope) -> list[Scope]:
    """From the root down to the scope."""
    return list(scope.around())[::-1]
