"""Layers that do nothing in the deployed network, or whose values nobody uses."""

from __future__ import annotations

from archc.codegen.passes import Result
from archc.graph import Graph, Node
from archc.graph.rewrite import Copy
from archc.ops.facts import NEW
from archc.text.quantity import counted


def drop_dead(graph: Graph) -> Result:
    """Leaves out what is there in training alone, what hands its input on, and what leads to no output. Outputs are equal."""
    deployed = graph.deployed()
    wanted = _needed_layers(deployed)
    idle = [node for node in deployed.nodes if node in wanted and node.facts.identity_in_eval]
    unused = [node for node in deployed.nodes if node not in wanted]
    copy = Copy(deployed)
    for node in deployed.nodes:
        if node.facts.identity_in_eval:
            copy.drop(node)
        elif node in wanted:
            copy.keep(node, {})
    training = len(graph.nodes) - len(deployed.nodes)
    said = [
        *([f"dropped {counted(training, 'layer')} that are there in training alone"] if training else []),
        *([f"dropped {counted(len(idle), 'layer')} that do nothing in inference ({_kinds(idle)})"] if idle else []),
        *([f"dropped {counted(len(unused), 'layer')} that lead to no output"] if unused else []),
    ]
    return Result(copy.done(), said=said or ["dropped nothing: every layer does something"])


def _needed_layers(graph: Graph) -> set[Node]:
    """The layers that an output depends on. A layer over its input's storage belongs to all that share it."""
    wanted = {value.node for value in graph.returned if value.node is not None}
    for node in reversed(graph.nodes):
        if node in wanted:
            wanted.update(value.node for value in node.inputs if value.node is not None)
            if node.shared is not None:
                wanted.add(node.shared)
            wanted.update(tie.node for tie in node.ties.values())
        elif node.facts.storage != NEW and not node.facts.identity_in_eval and node.args.get("inplace"):
            wanted.add(node)
            wanted.update(value.node for value in node.inputs if value.node is not None)
    return wanted


def _kinds(nodes: list[Node]) -> str:
    counts: dict[str, int] = {}
    for node in nodes:
        counts[node.kind] = counts.get(node.kind, 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())
