"""Where a network is cut for a picture: at the values that all that follows goes through, and at its blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archc.draw.theme import family
from archc.graph import Graph, Node, Scope

QUIET = ("normalization", "activation", "dropout", "reshape", "other")  # they mark a map, they do not make one


def pieces(graph: Graph) -> list[list[Node]]:
    """The layers between values that all that follows goes through; what has none within is cut at its blocks."""
    places = {id(node): i for i, node in enumerate(graph.nodes)}
    jumped = [0] * (len(graph.nodes) + 2)  # how many wires pass over each layer, as differences
    wires = [(value, i) for i, node in enumerate(graph.nodes) for value in node.inputs]
    wires += [(value, len(graph.nodes)) for value in graph.outputs.values()]
    for value, i in wires:
        start = places.get(id(value.node), -1) + 1
        jumped[start] += 1
        jumped[max(i, start)] -= 1
    found: list[list[Node]] = []
    piece: list[Node] = []
    over = 0
    for i, node in enumerate(graph.nodes):
        over += jumped[i]
        piece.append(node)
        if not over:
            found.append(piece)
            piece = []
    found += [piece] if piece else []
    return [part for whole in found for part in _cut_atblocks(whole, len(graph.nodes))]


def _cut_atblocks(piece: list[Node], total: int) -> Iterator[list[Node]]:
    """A piece that is most of a large network, as the parts that its blocks are."""
    if len(piece) < 40 or len(piece) < total // 6:
        yield piece
        return
    depth = len(ancestors(common(piece)))
    parts: list[list[Node]] = []
    last: object = None
    for node in piece:
        chain = ancestors(node.scope)
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


def blocks(scope: Scope) -> list[Scope]:
    """The blocks around, from the outermost, that are more than a convolution with its normalization."""
    return [one for one in ancestors(scope) if one.block and sum(1 for node in one.walk() if family(node.kind) not in QUIET) > 1]


def ancestors(scope: Scope) -> list[Scope]:
    """From the root down to the scope."""
    chain: list[Scope] = []
    one: Scope | None = scope
    while one is not None:
        chain.append(one)
        one = one.parent
    return chain[::-1]


def common(nodes: Sequence[Node]) -> Scope:
    """The innermost scope that all are in."""
    chain = ancestors(nodes[0].scope)
    for node in nodes[1:]:
        other = ancestors(node.scope)
        depth = 0
        while depth < min(len(chain), len(other)) and chain[depth] is other[depth]:
            depth += 1
        chain = chain[:depth]
    return chain[-1]
