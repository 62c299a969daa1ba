"""Whether a row of boxes tells the truth of a network: each box comes from the one before, or stands for all of its branches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_

from archc.draw.theme import family
from archc.draw.volumes.pieces import QUIET, common
from archc.errors import Argument, ArgumentError
from archc.graph import Graph, Node, Value
from archc.text.quantity import counted

LONG = 4  # layers; a box outside all blocks stands for shorter branches, as those of an inception module


def check(graph: Graph, parts: Sequence[list[Node]]) -> None:
    """Raises ValueError where the parts, in their order, are not one chain from the input to the output."""
    why = _of_inputs(graph, parts) or _broken(graph, parts) or _fold_branches(parts) or _of_outputs(graph, parts)
    if why:
        raise ArgumentError(f"{graph.name} is not one chain: {why}; use ", Argument("style", "graph"))


def _of_inputs(graph: Graph, parts: Sequence[list[Node]]) -> str:
    """Several inputs are drawn side by side, so that the first box has to be where they meet."""
    if len(graph.inputs) < 2:
        return ""
    given, first = set(map(id, graph.inputs.values())), parts[0]
    late = any(id(value) in given for part in parts[1:] for node in part for value in node.inputs)
    if not late and (_of_block(first) or len(first) == 1 or not any(map(_makes, first))):
        return ""
    return _meeting(graph, list(map(_source, graph.inputs.values())), "inputs")


def _broken(graph: Graph, parts: Sequence[list[Node]]) -> str:
    """A box that reads nothing of the box before begins a branch."""
    before: list[Node] = []
    for part in parts:
        follows = not before or _reads(part, before)
        if any(_drawn(node) for node in part):
            if not follows:
                return _meeting(graph, [id(before[-1]), id(part[0])], "branches")
            before = part
        elif follows:
            before = [*before, *part]
    return ""


def _fold_branches(parts: Iterable[list[Node]]) -> str:
    """A box outside all blocks that has long branches in it."""
    for part in parts:
        join = _join(part) if len(part) > 2 * LONG and not _of_block(part) else None
        if join is not None:
            return f"branches meet at {join.name}"
    return ""


def _of_outputs(graph: Graph, parts: Sequence[list[Node]]) -> str:
    """Several outputs, and layers on the way to one in a box outside all blocks."""
    ends = {_source(value) for value in graph.outputs.values()}
    for part in parts if len(ends) > 1 else ():
        if any(id(node) in ends for node in part) and sum(map(_makes, part)) > 1 and not _of_block(part):
            return f"it leads to {counted(len(ends), 'output')}"
    return ""


def _meeting(graph: Graph, sources: Sequence[int], what: str) -> str:
    """Where what comes from any two of the sources first comes together."""
    seen = {source: 1 << i for i, source in enumerate(sources)}
    for node in graph.nodes:
        found = reduce(or_, [seen.get(_source(value), 0) for value in node.inputs], seen.get(id(node), 0))
        if found.bit_count() > 1:
            return f"{what} meet at {node.name}"
        seen[id(node)] = found
    return f"{what} never meet"


def _join(part: Sequence[Node]) -> Node | None:
    """The first layer where two long branches meet, if there is one."""
    within: dict[int, int] = {}  # by the layer: which makers its result comes from, as bits
    for i, node in enumerate(part):
        found = [within.get(source, 0) for source in set(map(_source, node.inputs))]
        union = shared = 0
        for mask in found:
            shared |= union & mask
            union |= mask
        if sum((mask & ~shared).bit_count() >= LONG for mask in found) > 1:
            return node
        within[id(node)] = union | (1 << i if _makes(node) else 0)
    return None


def _reads(part: Iterable[Node], before: Iterable[Node]) -> bool:
    own = {id(node) for node in before}
    return any(_source(value) in own for node in part for value in node.inputs)


def _of_block(part: Sequence[Node]) -> bool:
    return any(scope.block for scope in common(part))


def _source(value: Value) -> int:
    """The layer, or the network's input, that a value comes from, by identity."""
    return id(value) if value.node is None else id(value.node)


def _drawn(node: Node) -> bool:
    return family(node.kind) not in QUIET and node.kind != "split"


def _makes(node: Node) -> bool:
    return _drawn(node) and family(node.kind) != "merge"
