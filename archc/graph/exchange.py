"""A graph handed to the libraries of its field: networkx, to be computed with, and graphviz, to be laid out and changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archc.errors import MissingPackage
from archc.graph.graph import Graph, Node, Scope, Value
from archc.text.diagnostics import printable
from archc.text.extras import needs

if TYPE_CHECKING:
    import graphviz
    import networkx


def to_networkx(graph: Graph) -> networkx.DiGraph:
    """The layers and the inputs, by name; as `Graph.to_networkx` says."""
    try:
        import networkx
    except ModuleNotFoundError:
        raise MissingPackage(needs("networkx", "render", "networkx")) from None

    found = networkx.DiGraph(name=graph.name)
    for name, value in graph.inputs.items():
        found.add_node(name, kind="input", shape=tuple(value.shape))
    for node in graph.nodes:
        found.add_node(node.name, kind=node.kind, shape=tuple(node.output.shape))
        read = node.read
        for value in node.inputs:
            found.add_edge(value.node.name if value.node else value.name, node.name, shape=tuple(value.shape), by_value=value in read)
    return found


def to_graphviz(graph: Graph, rankdir: str = "TB") -> graphviz.Digraph:
    """The layers as nodes and the parts as clusters; as `Graph.to_graphviz` says."""
    try:
        import graphviz
    except ModuleNotFoundError:
        raise MissingPackage(needs("graphviz", "render", "graphviz")) from None

    drawn = graphviz.Digraph(
        graphviz.escape(printable(graph.name)),
        graph_attr={"rankdir": rankdir},
        node_attr={"shape": "box", "style": "rounded", "fontname": "Helvetica"},
        edge_attr={"fontname": "Helvetica", "fontsize": "9"},
    )
    numbers = {value: f"i{at}" for at, value in enumerate(graph.inputs.values())}
    numbers |= {value: f"n{at}" for node, at in graph.positions.items() for value in node.outputs}
    for name, value in graph.inputs.items():
        drawn.node(numbers[value], _label(name, value), style="dashed")
    _fill(drawn, graph, graph.root)
    for node in graph.nodes:
        for value in dict.fromkeys(node.inputs):
            drawn.edge(numbers[value], f"n{graph.positions[node]}", graphviz.escape(str(value.shape)))
    for at, (name, value) in enumerate((graph.outputs | graph.heads).items()):
        drawn.node(f"o{at}", _label(name, value), style="dashed")
        drawn.edge(numbers[value], f"o{at}")
    return drawn


def _fill(drawn: graphviz.Digraph, graph: Graph, scope: Scope) -> None:
    """What is in a part: layers, and parts as clusters of their own."""
    import graphviz

    for child in scope.children:
        if isinstance(child, Node):
            if child in graph.positions:
                drawn.node(f"n{graph.positions[child]}", _label(child.label, child.output, child.kind))
        elif any(node in graph.positions for node in child.walk()):
            first = next(graph.positions[node] for node in child.walk() if node in graph.positions)
            heading = f"{child.label}: {child.block}" if child.block else child.label
            with drawn.subgraph(name=f"cluster_{first}_{child.name.count('.')}") as part:
                part.attr(label=graphviz.escape(printable(heading)), labeljust="l", style="rounded")
                _fill(part, graph, child)


def _label(name: str, value: Value, kind: str = "") -> str:
    """The lines of a node, as text and never as markup."""
    import graphviz

    lines = [name if kind in ("", name) else f"{name}: {kind}", str(value.shape)]
    label: str = graphviz.nohtml("\\n".join(graphviz.escape(printable(line)) for line in lines))
    return label
