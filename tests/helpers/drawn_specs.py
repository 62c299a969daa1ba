"""Drawn networks as specs, so that they are read, checked and built as anybody's."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from archc.graph import Graph, Node, Value


def plain(args: dict[str, Any]) -> Any:
    """Arguments as JSON has them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in args.items()} or None


def spec_of(graph: Graph, random: Random) -> str | None:
    """A drawn network as a spec, most inputs first scaled, so that gradients are wanted; all of it, or what leads to its last layer."""
    nodes = graph.nodes if random.random() < 0.3 else [node for node in graph.nodes if node in leading_to(graph.nodes[-1])]
    read = {value for node in nodes for value in node.inputs}
    inputs = [value for value in graph.inputs.values() if value in read]
    layers: dict[str, Any] = {}
    names: dict[Value, str] = {}
    for value in inputs:
        names[value] = value.name
        if value.name != "indices" and random.random() < 0.7:
            names[value] = f"in_{value.name}"
            layers[names[value]] = {"from": value.name, random.choice(["layer_scale", "prelu"]): None}
    for node in nodes:
        sources = [names[value] for value in node.inputs]
        body = {"share": node.shared.name} if node.shared is not None else {node.kind: plain(node.args)}
        layers[node.name] = {"from": sources[0] if len(sources) == 1 else sources, **body}
        for value in node.outputs:
            names[value] = node.name if len(node.outputs) == 1 else f"{node.name}.{value.index}"
    ends = [value for node in nodes for value in node.outputs if value not in read and not node.facts.is_integer(value.index)]
    for i, end in enumerate(ends):
        if end.shape.joined:
            layers[f"left_{i}"] = {"from": names[end], "leave_batch": None}
            names[end] = f"left_{i}"
    spec: dict[str, Any] = {"input": {value.name: list(value.shape) for value in inputs}, "layers": layers}
    if len(ends) > 1:
        spec["outputs"] = {f"o{i}": names[end] for i, end in enumerate(ends)}
    return json.dumps(spec) if ends else None


def leading_to(last: Node) -> set[Node]:
    """The layers that a layer needs, with itself."""
    found: set[Node] = set()
    todo = [last]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += [value.node for value in node.inputs if value.node is not None]
            todo += [node.shared] if node.shared is not None else []
    return found
