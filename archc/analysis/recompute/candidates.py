"""Regions that are worth recomputing, and the plans made of them."""

from __future__ import annotations

from collections.abc import Iterator

from archc.analysis.recompute.mistakes import wrong_with
from archc.analysis.recompute.plan import CheckpointPlan, NetworkPlaces, Region
from archc.graph import Graph, Node
from archc.graph.structure import only_user

_CONVOLUTIONS = ("conv", "conv_transpose", "linear")


def _legal(graph: Graph, regions: Iterator[Region]) -> list[Region]:
    places = NetworkPlaces(graph)
    found = []
    for region in regions:
        span = places.span(region)
        if isinstance(span, range) and wrong_with(places, region, span) is None:
            found.append(region)
    return found


def norm_act_conv(graph: Graph) -> list[Region]:
    """A batch normalization, cheap layers after it, and the convolution that they lead to, with a concatenation before it.

    PyTorch ends the second run as soon as it has what backward needs: the convolution's input, so it runs once.
    """
    return _legal(graph, _norms(graph))


def _norms(graph: Graph) -> Iterator[Region]:
    for norm in graph.nodes:
        if norm.kind != "batchnorm":
            continue
        at = norm
        while (after := only_user(graph, at.output)) is not None and _is_cheap(after):
            at = after
        if after is not None and after.kind in _CONVOLUTIONS and len(at.outputs) == 1:
            before = norm.inputs[0].node
            joined = before is not None and before.kind == "concat" and only_user(graph, norm.inputs[0]) is norm
            yield Region(before.name if before is not None and joined else norm.name, after.name)


def _is_cheap(node: Node) -> bool:
    """Whether a layer works value by value and has no weights: an activation, dropout."""
    alone = len(node.inputs) == 1 and len(node.outputs) == 1 and not node.facts.owned
    return alone and node.facts.pointwise and not node.facts.macs and node.facts.keeps is not None


def blocks(graph: Graph) -> list[Region]:
    """Every block of more than one layer, those around others first."""
    places = NetworkPlaces(graph)
    named = sorted(places.parts.items(), key=lambda part: (part[1].start, -part[1].stop))
    return _legal(graph, (Region(name) for name, span in named if places.scopes[name].block and len(span) > 1))


def ready_norms(graph: Graph) -> CheckpointPlan:
    """The plan called `norms`: no convolution runs twice."""
    return CheckpointPlan(tuple(norm_act_conv(graph)))


def ready_blocks(graph: Graph) -> CheckpointPlan:
    """The plan called `blocks`: the outermost blocks, each at most half of the network."""
    places = NetworkPlaces(graph)
    found: list[Region] = []
    end = 0
    for region in blocks(graph):
        span = places.parts[region.first]
        if span.start >= end and 2 * len(span) <= len(graph.nodes):
            found.append(region)
            end = span.stop
    return CheckpointPlan(tuple(found))


READY = {"blocks": ready_blocks, "norms": ready_norms}
