"""What leads where in a network: ancestors, dead ends, cuts, longest paths, storages and scopes that layers have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import accumulate

from archc.graph import Graph, Node, Scope, Value
from archc.ops.facts import NEW, OWN, VIEW


def ancestors(ends: Iterable[Value], within: Collection[Node] | None = None, by_value: bool = False) -> set[Node]:
    """The layers that some of these values depend on; of a part, without those before it.

    by_value: without those of which no more than the size counts
    """
    waiting = [value.node for value in ends]
    found: set[Node] = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found and (within is None or node in within):
            found.add(node)
            waiting += [value.node for value in (node.read if by_value else node.inputs)]
    return found


def only_user(graph: Graph, value: Value) -> Node | None:
    """The layer that alone reads a value; None where none does, or several, or where it comes out of the network."""
    users = graph.uses[value]
    return users[0] if len(users) == 1 and value not in graph.returned else None


def dead_ends(graph: Graph, alive: Collection[Node]) -> dict[Node, tuple[Node, bool]]:
    """Of each layer that is not alive, the first of the layers in which it ends, and whether it is the only one."""
    found: dict[Node, tuple[Node, bool]] = {}
    for node in reversed(graph.nodes):
        if node not in alive:
            after = [found[user] for value in node.outputs for user in graph.uses[value]]
            ends = {end for end, _ in after} or {node}
            found[node] = min(ends, key=graph.positions.__getitem__), len(ends) == 1 and all(only for _, only in after)
    return found


def dead_weights(graph: Graph) -> dict[Node, int]:
    """The layers of the deployed network whose learned values reach no output, with how many those are.

    Shared weights are alive where one of the layers that use them is.
    """
    alive = {node.shared or node for node in ancestors(graph.outputs.values())}
    alive |= {tie.node for node in alive for tie in node.ties.values()}
    owned = {
        node: sum(weight.values for weight in node.facts.owned if weight.role != "buffer") for node in graph.nodes if node.shared is None
    }
    return {node: values for node, values in owned.items() if values and not node.train_only and node not in alive}


def crossings(spans: Iterable[tuple[int, int]], places: int) -> list[int]:
    """How many spans cross each of the places 0 to `places`.

    A span is from the position that makes something to the last that needs it; place `p` is just before position `p`.
    """
    change = [0] * (places + 2)
    for made, last in spans:
        if made < last:
            change[made + 1] += 1
            change[last + 1] -= 1
    return list(accumulate(change))[: places + 1]


def cuts(graph: Graph) -> list[int]:
    """The positions before which a single value waits, with 0 and the end.

    The layer of such a value dominates all that comes after: every path from the inputs to the outputs goes through it. In the order
    in which the layers run, these are the places that exactly one value crosses, so that one sweep finds them without a dominator tree.
    """
    last, total = graph.last_uses(), len(graph.nodes)
    spans = [(-1, last[value]) for value in dict.fromkeys(graph.inputs.values()) if value in last]
    spans += [(at, last[value]) for at, node in enumerate(graph.nodes) for value in node.outputs if value in last]
    crossed = crossings(spans, total)
    return [0, *(at for at in range(1, total) if crossed[at] == 1), total]


def bottlenecks(graph: Graph) -> list[Node]:
    """The layers that no value passes by: all that is read after one was made by it or after it."""
    last, total = graph.last_uses(), len(graph.nodes)
    ends = [max([-1, *(last[value] for value in node.outputs if value in last)]) for node in graph.nodes]
    spans = [*((-1, last[value]) for value in graph.inputs.values() if value in last), *enumerate(ends)]
    crossed = crossings(spans, total)
    return [node for at, node in enumerate(graph.nodes) if crossed[at + 1] == (ends[at] > at)]


def longest_path(graph: Graph, end: Node) -> list[Node]:
    """A longest chain of layers, by the values that they read, that ends at a layer; of equals, the one through first inputs."""
    length: dict[Node, int] = {}
    before: dict[Node, Node | None] = {}
    for node in graph.nodes:
        sources = [value.node for value in node.read if value.node is not None]
        last = before[node] = max(sources, key=length.__getitem__, default=None)
        length[node] = 1 + (length[last] if last is not None else 0)
    found: list[Node] = []
    at: Node | None = end
    while at is not None:
        found.append(at)
        at = before[at]
    return found[::-1]


def storage_roots(graph: Graph) -> dict[Value, Value]:
    """For each value, the one whose memory it lies in: its own, or that of what it is a view of or written over.

    A view that PyTorch would have to copy counts as a view.
    """
    roots = {value: value for value in graph.inputs.values()}
    for node in graph.nodes:
        for value in node.outputs:
            roots[value] = value if node.facts.storage in (NEW, OWN) else roots[node.inputs[0]]
    return roots


def view_base(value: Value) -> Value:
    """What a view is of, through views of views; a value that is no view is its own."""
    while value.node is not None and value.node.facts.storage == VIEW:
        value = value.node.inputs[0]
    return value


def common_scope(scopes: Iterable[Scope]) -> Scope:
    """The innermost scope around all of these, or one of them."""
    chains = {scope: list(scope.around())[::-1] for scope in scopes}
    found, *others = chains.values()
    for chain in others:
        depth = next((i for i, (a, b) in enumerate(zip(found, chain, strict=False)) if a is not b), min(len(found), len(chain)))
        found = found[:depth]
    return found[-1]


def is_within_block(scope: Scope) -> bool:
    """Whether a block is around a scope; what it is itself does not count."""
    return any(above.block for above in scope.around() if above is not scope)
