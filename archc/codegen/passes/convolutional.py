"""Dense layers over maps as convolutions with the same weights: the network runs on larger images and gives a map of scores.

Sermanet et al., OverFeat (2014); Long, Shelhamer and Darrell, Fully Convolutional Networks (2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archc.codegen.passes import Reshape, Result
from archc.errors import ArgumentError
from archc.graph import Graph, Node, Value
from archc.graph.rewrite import Copy
from archc.graph.structure import only_user
from archc.ops import OPERATORS
from archc.ops.reach import POINT
from archc.ops.window import short
from archc.signature import Fault
from archc.text.quantity import counted

_POOLS = {"global_avgpool": "avgpool", "global_maxpool": "maxpool", "adaptive_avgpool": "avgpool", "adaptive_maxpool": "maxpool"}
_MAKES_MAPS = ("conv", "conv_transpose", "maxpool", "avgpool", "lppool", *_POOLS)
_JOINS = ("add", "mul", "average")
_OVER_FEATURES = ("softmax", "log_softmax", "concat")


def make_convolutional(graph: Graph) -> Result:
    """Each dense layer behind a flattened map becomes a convolution; pools of the whole map slide. Outputs agree up to rounding.

    Outputs keep their map: [classes, 1, 1] at the size that the spec has, more scores for a larger image.
    Raises ArgumentError where no dense layer follows a map, or where one cannot become a convolution.
    """
    heads = _heads(graph)
    dense = [node for node in graph.nodes if node in heads and node.kind == "linear"]
    if not dense:
        raise ArgumentError("no dense layer that leads to an output follows a feature map: there is nothing to make convolutional")
    pools = _pools_before(graph, heads)
    copy = Copy(graph)
    for node in graph.nodes:
        try:
            _carry(copy, node, heads, pools)
        except Fault as fault:
            raise ArgumentError(f"{node.name} has no form over a map: {fault}") from None
        if node in heads and copy.of(node.output).shape.values != node.output.shape.values:
            raise ArgumentError(f"{node.name} has no form over a map: it joins maps of several sizes")
    owners = [node for node in dense if node.shared is None]
    shapes = [Reshape(node.name, tuple(map(int, copy.nodes[node].facts.owned[0].shape))) for node in owners]
    said = [f"made {counted(len(dense), 'dense layer')} convolutional"]
    said += (
        [f"freed {counted(len(pools), 'pool')} of its fixed size" if len(pools) == 1 else f"freed {len(pools)} pools of their fixed sizes"]
        if pools
        else []
    )
    return Result(copy.done(), [*shapes], said)


def _carry(copy: Copy, node: Node, heads: set[Node], pools: set[Node]) -> None:
    """A layer as it is over maps."""
    if node in pools:
        _slide(copy, node)
    elif node not in heads:
        copy.keep(node, {})
    elif node.kind in ("flatten", "identity"):
        copy.drop(node)
    elif node.kind == "linear":
        if node.args["parametrize"] != "none":
            raise Fault("parametrize", f"its weight is computed by {node.args['parametrize']}")
        kernel = copy.of(node.inputs[0]).shape.space
        args = {"channels": int(node.args["features"]), "kernel": short(tuple(map(int, kernel))), "bias": node.args["bias"]}
        copy.make(node, OPERATORS["conv"], {**_defaults("conv"), **args})
    else:
        copy.keep(node, _over_channels(node))


def _heads(graph: Graph) -> set[Node]:
    """The layers from a flattened map on, as far as all that follows has a form over maps and ends in outputs."""
    found = {node for node in graph.nodes if len(node.output.shape) == 1 and _has_form(node)}
    waiting = list(found)
    while waiting:
        node = waiting.pop()
        users = [user for value in node.outputs for user in graph.uses[value]]
        if node in found and not (all(user in found for user in users) and all(_is_fed(node, value, found) for value in node.inputs)):
            found.discard(node)
            waiting += [*users, *(value.node for value in node.inputs if value.node is not None)]
    mixed = (node for node in graph.nodes if node.shared is not None and (node in found) != (node.shared in found))
    if torn := next((node for node in mixed if node.kind in ("linear", "prelu", "layernorm")), None):
        raise ArgumentError(f"{torn.name} shares its weights with a layer that does not follow a map: they cannot have two shapes")
    return found


def _is_fed(node: Node, value: Value, heads: set[Node]) -> bool:
    """Whether an input comes from a flattened map, or is one that this layer flattens."""
    return value.node in heads if len(value.shape) == 1 else node.kind == "flatten" and _is_map(value.node)


def _has_form(node: Node) -> bool:
    """Whether a layer over a vector does the same at each position of a map."""
    plain = node.kind in ("flatten", "identity", "linear", "dropout", "batchnorm", "frozen_batchnorm", "prelu", "layernorm")
    elementwise = node.facts.reach == POINT and not node.facts.owned and len(node.inputs) == 1
    return plain or elementwise or node.kind in (*_JOINS, *_OVER_FEATURES)


def _is_map(node: Node | None) -> bool:
    """Whether a layer gives a map whose first axis is the channels: what was turned or cut before is none."""
    while node is not None and node.facts.pointwise and node.kind not in _MAKES_MAPS and node.inputs and len(node.output.shape) > 1:
        if node.kind in ("permute", "transpose", "reshape", "tokens"):
            return False
        node = node.inputs[0].node
    return node is None or node.kind in (*_MAKES_MAPS, *_JOINS, "concat")


def _pools_before(graph: Graph, heads: set[Node]) -> set[Node]:
    """Pools to a fixed size that the flattened layers alone read."""
    found = set()
    for node in graph.nodes:
        if node in heads and node.kind == "flatten":
            value = node.inputs[0]
            while value.node is not None and only_user(graph, value) is not None:
                if value.node.kind in _POOLS:
                    found.add(value.node)
                if not value.node.facts.pointwise or len(value.node.inputs) != 1:
                    break
                value = value.node.inputs[0]
    return found


def _slide(copy: Copy, pool: Node) -> None:
    """A pool over windows of the size that its bins have; none where each bin is one position."""
    space = tuple(map(int, pool.inputs[0].shape.space))
    windows = [divmod(size, int(bins)) for size, bins in zip(space, pool.output.shape.space, strict=True)]
    if any(rest or not size for size, rest in windows):
        wanted = "x".join(str(int(bins)) for bins in pool.output.shape.space)
        text = f"{pool.name} makes {wanted} bins of unequal sizes of a map of {'x'.join(map(str, space))}"
        raise ArgumentError(f"{text}: give an input whose map it divides")
    kernel = tuple(size for size, _ in windows)
    if set(kernel) == {1}:
        copy.drop(pool)
        return
    whole = all(int(bins) == 1 for bins in pool.output.shape.space)
    steps = {"stride": 1} if whole else {}
    kind = _POOLS[pool.kind]
    copy.make(pool, OPERATORS[kind], {**_defaults(kind), "kernel": short(kernel), **steps})


def _over_channels(node: Node) -> Mapping[str, Any]:
    """The arguments of a layer over features, where those are the channels of a map."""
    if node.kind in _OVER_FEATURES:
        return {"axis": 0}
    return {"axis": "channels"} if node.kind == "layernorm" else {}


def _defaults(kind: str) -> dict[str, Any]:
    return {name: param.default for name, param in OPERATORS[kind].signature.params.items()}
