"""What leads to the values that come out of a network, and what ends elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from archc.graph import Graph, Node, Value


def leading(ends: Iterable[Value], within: Collection[Node] | None = None) -> set[Node]:
    """The layers that some of these values depend on; of a part, without those before it."""
    open_ = [value.node for value in ends]
    found: set[Node] = set()
    while open_:
        node = open_.pop()
        if node is not None and node not in found and (within is None or node in within):
            found.add(node)
            open_ += [value.node for value in node.inputs]
    return found


def dead_ends(graph: Graph, alive: Collection[Node]) -> dict[Node, tuple[Node, bool]]:
    """Of each layer that is not alive, the first of the layers in which it ends, and whether it is the only one."""
    users: dict[Node, list[Node]] = {}
    found: dict[Node, tuple[Node, bool]] = {}
    place = {node: at for at, node in enumerate(graph.nodes)}
    for node in reversed(graph.nodes):
        for value in node.inputs:
            if value.node is not None:
                users.setdefault(value.node, []).append(node)
        if node not in alive:
            after = [found[user] for user in users.get(node, [])]
            ends = {end for end, _ in after} or {node}
            found[node] = min(ends, key=place.__getitem__), len(ends) == 1 and all(only for _, only in after)
    return found


def dead_weights(graph: Graph) -> dict[Node, int]:
    """The layers of the deployed network whose learned values reach no output, with how many those are.

    Shared weights are alive where one of the layers that use them is.
    """
    alive = {node.shared or node for node in leading(graph.outputs.values())}
    owned = {node: sum(one.values for one in node.facts.owned if one.role != "buffer") for node in graph.nodes if node.shared is None}
    return {node: values for node, values in owned.items() if values and not node.train_only and node not in alive}
