"""Results written over their inputs, where nobody needs those any more."""

from __future__ import annotations

from collections.abc import Mapping

from archc.analysis.memory.saved import clashes
from archc.codegen.passes import Result
from archc.graph import Graph, Node, Value
from archc.graph.rewrite import Copy
from archc.graph.structure import storage_roots
from archc.ops.facts import OWN


def in_place(graph: Graph) -> Result:
    """For inference, where autograd keeps nothing. Outputs are equal to the last bit."""
    return _write_over(graph, set())


def in_place_training(graph: Graph) -> Result:
    """For training: where autograd keeps nothing that would be written over, and keeps no copy instead.

    Outputs and gradients are equal to the last bit.
    """
    spared = {node.name for node in graph.nodes if not _saves(node)} | _beside_unknown(graph)
    # a layer that is refused frees others from what it would have written over: repeated until nothing new is refused
    while True:
        result = _write_over(graph, spared)
        refused = {clash.layer.name for clash in clashes(result.graph)} - {clash.layer.name for clash in clashes(graph)}
        if not refused - spared:
            return result
        spared |= refused


def _beside_unknown(graph: Graph) -> set[str]:
    """The layers that read what a layer reads or makes of which it is not known what it keeps."""
    roots = storage_roots(graph)
    held = {roots[value] for node in graph.nodes if node.facts.keeps is None for value in (*node.inputs, *node.outputs)}
    return {node.name for node in graph.nodes if any(roots[value] in held for value in node.inputs)}


def _saves(node: Node) -> bool:
    """Whether a layer in place keeps no more than one that is not. Dropout's mask would be four times as large on CUDA."""
    if "inplace" not in node.op.signature.params or node.facts.keeps is None or node.kind == "dropout":
        return False
    facts = node.op(*(value.shape for value in node.inputs), **{**node.args, "inplace": True}) if _fits(node) else node.facts
    return facts.keeps is not None and sum(storage.values for storage in facts.keeps) <= sum(storage.values for storage in node.facts.keeps)


def _fits(node: Node) -> bool:
    return node.inputs[0].shape == node.output.shape


def _write_over(graph: Graph, spared: set[str]) -> Result:
    roots = storage_roots(graph)
    last = _last_reads(graph, roots)
    copy = Copy(graph)
    done: dict[str, int] = {}
    for at, node in enumerate(graph.nodes):
        first = _over(node, at, roots, last) if node.name not in spared else None
        if first is None:
            copy.keep(node, {})
            continue
        inputs = [copy.of(value) for value in node.inputs]
        # what is written over is the first operand: `x += y`
        inputs.insert(0, inputs.pop(first))
        copy.keep(node, {"inplace": True}, tuple(inputs))
        done[node.kind] = done.get(node.kind, 0) + 1
    counts_text = ", ".join(f"{count} {kind}" for kind, count in done.items())
    return Result(copy.done(), said=[f"in place: {counts_text}" if counts_text else "in place: nothing"])


def _over(node: Node, at: int, roots: Mapping[Value, Value], last: Mapping[Value, int]) -> int | None:
    """Which input may be written over; a sum may take any of its own shape."""
    if "inplace" not in node.op.signature.params or node.args["inplace"]:
        return None
    for index, value in enumerate(node.inputs if node.op.merges else node.inputs[:1]):
        root = roots[value]
        alone = sum(roots[other] is root for other in node.inputs) == 1
        if root.node is not None and root.node.facts.storage != OWN and last[root] == at and alone and value.shape == node.output.shape:
            return index
    return None


def _last_reads(graph: Graph, roots: Mapping[Value, Value]) -> dict[Value, int]:
    """The last layer that reads the memory of each value that has its own; beyond all for what comes out."""
    found: dict[Value, int] = {}
    for value, at in graph.last_uses().items():
        found[roots[value]] = max(at, found.get(roots[value], -1))
    return found
