"""Batch normalization folded into the convolution or dense layer before it: in inference it is a scale and a shift."""

from __future__ import annotations

from archc.codegen.passes import Fold, Result
from archc.graph import Graph, Node
from archc.graph.rewrite import rewritten
from archc.graph.structure import only_user

_INTO = ("conv", "linear", "conv_transpose")
NORMS = ("batchnorm", "frozen_batchnorm")


def fold_batchnorm(graph: Graph) -> Result:
    """W' = W * gamma/sqrt(var + eps), b' = (b - mean) * gamma/sqrt(var + eps) + beta. Outputs agree up to rounding."""
    owners = {node.shared for node in graph.nodes if node.shared is not None}
    owners |= {one for node in graph.nodes for tie in node.ties.values() for one in (node, tie.node)}
    folds: dict[Node, Fold] = {}
    norms: set[Node] = set()
    for norm in graph.nodes:
        if norm.kind not in NORMS or not norm.args.get("track", True) or norm in owners or norm.shared is not None:
            continue
        before = norm.inputs[0].node
        if before is None or before.kind not in _INTO or before in owners or before.shared is not None:
            continue
        tokens = before.kind == "linear" and len(before.output.shape) > 1  # there the norm's channels are not the features
        if only_user(graph, before.output) is not norm or not _holds_weight(before) or tokens:
            continue
        folds[before] = _fold(before, norm)
        norms.add(norm)
    made = rewritten(graph, lambda node: None if node in norms else {"bias": True} if node in folds else {})
    left = sum(node.kind in NORMS for node in made.nodes)
    said = [f"folded {len(norms)} batch normalizations into the layers before them"] if norms else ["folded nothing"]
    if left:
        said.append(f"left {left} batch normalizations that follow no convolution or dense layer, or share one")
    return Result(made, list(folds.values()), said)


def _fold(into: Node, norm: Node) -> Fold:
    weight = into.facts.owned[0]
    transposed = into.kind == "conv_transpose"
    groups = into.output.shape.channels // weight.shape[1] if transposed else 0
    return Fold(into.name, norm.name, float(norm.args["eps"]), bool(norm.args.get("affine", True)), bool(into.args["bias"]), groups)


def _holds_weight(node: Node) -> bool:
    """Whether a layer holds its weight as it is, and computes it from nothing."""
    return not node.args.get("standardize") and node.args.get("parametrize", "none") == "none"
