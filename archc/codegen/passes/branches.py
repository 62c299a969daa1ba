"""Parallel linear branches that are summed, as one convolution: RepVGG's reparameterization (Ding et al., 2021)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from archc.codegen.passes import Branch, Merge, Result
from archc.codegen.passes.fold import NORMS
from archc.graph import Graph, Node, Value
from archc.graph.rewrite import Copy
from archc.graph.structure import only_user
from archc.ops.facts import INPLACE
from archc.ops.window import Window
from archc.text.quantity import counted


def merge_branches(graph: Graph) -> Result:
    """conv(x) + conv(x) + batchnorm(x) + x is one convolution of x, with the largest kernel. Outputs agree up to rounding.

    A smaller kernel lies within the largest one, among zeros; a normalization is a kernel of one tap, and so is x itself.
    """
    merges: list[Merge] = []
    while True:
        made, found = _merged(graph)
        if not found:
            break
        graph = made
        merges += found
    return Result(graph, list(merges), [_summary(merges)] if merges else [])


def _summary(merges: list[Merge]) -> str:
    kinds = [branch.kind for merge in merges for branch in merge.branches]
    norms = f", {kinds.count('norm')} of them normalizations," if "norm" in kinds else ""
    convolutions = counted(len({merge.into for merge in merges}), "convolution")
    return f"merged {counted(len(kinds), 'parallel branch', 'parallel branches')}{norms} into {convolutions}"


def _merged(graph: Graph) -> tuple[Graph, list[Merge]]:
    """One round: sums of sums take another."""
    owners = {node.shared for node in graph.nodes if node.shared is not None}
    merges: dict[Node, Merge] = {}  # by the convolution that takes the others in
    gone: set[Node] = set()
    sums: dict[Node, tuple[Node, list[Value]]] = {}  # of a sum: the convolution, and what is still added to it
    for node in graph.nodes:
        if node.kind != "add" or node.facts.storage == INPLACE or len({tuple(value.shape) for value in node.inputs}) > 1:
            continue
        for source in dict.fromkeys(_source(graph, value, owners) for value in node.inputs):
            group = [value for value in node.inputs if _source(graph, value, owners) is source]
            group += [value for value in node.inputs if value is source]
            merge = _merge(source, group) if source is not None and _is_kept_whole(graph, source) else None
            if merge is None:
                continue
            into, branch = merge
            merges[into] = branch
            gone |= {value.node for value in group if value.node is not None and value is not source and value.node is not into}
            sums[node] = into, [value for value in node.inputs if value not in group]
            break
    copy = Copy(graph)
    for node in graph.nodes:
        if node in gone:
            copy.drop(node)
        elif node in merges:
            copy.keep(node, {"bias": True})
        elif node in sums and not sums[node][1]:
            copy.moved[node.output] = copy.of(sums[node][0].output)
        elif node in sums:
            into, rest = sums[node]
            copy.keep(node, {}, (copy.of(into.output), *map(copy.of, rest)))
        else:
            copy.keep(node, {})
    return copy.done() if merges else graph, list(merges.values())


def _source(graph: Graph, value: Value, owners: Collection[Node]) -> Value | None:
    """What a branch reads, if it is linear and nobody else wants what it gives."""
    node = value.node
    if node is None or node.shared is not None or node in owners or only_user(graph, value) is None or node.train_only:
        return None
    linear = (
        _is_plain(node) if node.kind == "conv" else node.kind in NORMS and bool(node.args.get("track", True)) and len(node.output.shape) > 1
    )
    return node.inputs[0] if linear else None


def _is_plain(conv: Node) -> bool:
    """Whether a convolution is a product with weights that it holds as they are, over a border of zeros."""
    window = _window(conv)
    zeros = conv.args["padding_mode"] == "zeros" or not any(map(any, window.pads))
    return not conv.args["standardize"] and conv.args["parametrize"] == "none" and zeros and window.symmetric


def _window(conv: Node) -> Window:
    return Window(conv.inputs[0].shape.space, *(conv.args[name] for name in ("kernel", "stride", "padding", "dilation")))


def _is_kept_whole(graph: Graph, source: Value) -> bool:
    """Whether no layer writes over what the branches read."""
    return all(user.facts.storage != INPLACE for user in graph.uses[source])


def _merge(source: Value, group: list[Value]) -> tuple[Node, Merge] | None:
    """The convolution that takes in all branches of a group, and how; None where they are not of one kind."""
    nodes = [value.node for value in group if value is not source]
    convs = [node for node in nodes if node is not None and node.kind == "conv"]
    if len(group) < 2 or not convs:
        return None
    into = max(convs, key=lambda conv: _window(conv).taps)
    large = _window(into)
    alone = len(group) > len(convs)  # a branch that is x, position by position
    if alone and (set(large.stride) != {1} or into.output.shape != source.shape):
        return None
    branches = []
    main = False
    for value in group:
        node = None if value is source else value.node
        if node is into and not main:
            main = True
            continue
        branch = _branch(node, large, into)
        if branch is None:
            return None
        branches.append(branch)
    return into, Merge(into.name, bool(into.args["bias"]), _parts(into), tuple(branches))


def _branch(node: Node | None, large: Window, into: Node) -> Branch | None:
    """Where a branch lies in the largest kernel; None where it does not."""
    kernel, padding = (1,) * len(large.kernel), (0,) * len(large.kernel)
    if node is not None and node.kind == "conv":
        window = _window(node)
        alike = window.stride == large.stride and _parts(node) == _parts(into)
        kernel, padding = window.kernel, window.padding
        wide = any(k > 1 and d != e for k, d, e in zip(kernel, window.dilation, large.dilation, strict=True))
        if not alike or wide:
            return None
    places: list[int] = []
    for k, p, most, border, hole in zip(kernel, padding, large.kernel, large.padding, large.dilation, strict=True):
        first, rest = divmod(border - p, hole)
        if rest or first < 0 or first + k > most:
            return None
        places.append(first)
    arguments: dict[str, Any] = node.args if node is not None else {}
    kind = "x" if node is None else "conv" if node.kind == "conv" else "norm"
    affine = bool(arguments.get("affine", True))
    return Branch(kind, node.name if node else "", tuple(places), bool(arguments.get("bias")), affine, float(arguments.get("eps", 0.0)))


def _parts(conv: Node) -> int:
    return int(conv.inputs[0].shape.channels) // int(conv.facts.owned[0].shape[1])
