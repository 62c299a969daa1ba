"""What a network is as a graph: its paths from input to output and their lengths, what all of them go through, branches and joins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import Any

from archc.analysis.cost.count import count
from archc.graph import Graph, Node

PAPER = "Veit et al., Residual Networks Behave Like Ensembles of Relatively Shallow Networks, 2016"
_SOURCE, _SINK = ("source",), ("sink",)  # no layer is called so: names are strings


@dataclass(frozen=True, kw_only=True)
class Structure:
    """The graph of a network: layers are its vertices, values that are read its edges.

    lengths: how many paths lead from an input to an output through so many layers with weights
    bottlenecks: the layers that every path goes through, which dominate the outputs
    branches, joins: layers or inputs that several layers read, and layers that read several
    layers: on a path; idle: on none
    """

    name: str
    layers: int
    idle: int
    lengths: Mapping[int, int]
    bottlenecks: tuple[str, ...]
    branches: tuple[str, ...]
    joins: tuple[str, ...]

    @cached_property
    def paths(self) -> int:
        """How many paths there are, exactly."""
        return sum(self.lengths.values())

    @property
    def shortest(self) -> int:
        return min(self.lengths, default=0)

    @property
    def depth(self) -> int:
        """The layers with weights on a longest path: the 50 of ResNet-50."""
        return max(self.lengths, default=0)

    def quantile(self, part: float) -> int:
        """The length that this part of the paths does not exceed, from 0 to 1."""
        wanted, seen = -(-self.paths * round(part * 10**6) // 10**6), 0  # in whole numbers: 2^54 paths are beyond floats
        for length, many in sorted(self.lengths.items()):
            seen += many
            if seen >= wanted:
                return length
        return self.depth

    def to_dict(self) -> dict[str, Any]:
        """As `archc explain --structure --format json` prints it."""
        return {
            "name": self.name,
            "layers": self.layers,
            "idle": self.idle,
            "paths": self.paths,
            "shortest": self.shortest,
            "median": self.quantile(0.5),
            "depth": self.depth,
            "lengths": [{"length": length, "paths": many} for length, many in sorted(self.lengths.items())],
            "bottlenecks": list(self.bottlenecks),
            "branches": list(self.branches),
            "joins": list(self.joins),
        }


def structure(graph: Graph) -> Structure:
    """The structure of a network, by networkx. Raises MissingPackage without it."""
    full = graph.to_networkx()
    import networkx

    flow = networkx.DiGraph((tail, head) for tail, head, by_value in full.edges(data="by_value") if by_value)
    flow.add_nodes_from(full)  # an input that nothing reads is there, too
    flow.add_edges_from((_SOURCE, name) for name in graph.inputs)
    flow.add_edges_from((value.node.name if value.node else value.name, _SINK) for value in graph.outputs.values())
    flow.add_nodes_from((_SOURCE, _SINK))
    alive = (networkx.descendants(flow, _SOURCE) | {_SOURCE}) & (networkx.ancestors(flow, _SINK) | {_SINK})
    paths = flow.subgraph(alive)
    layers = [node for node in graph.nodes if node.name in alive]
    weighted = {node.name for node in layers if has_weights(node)}
    named = [*graph.inputs, *(node.name for node in graph.nodes)]
    shared = _dominators(paths) if _SINK in alive and _SOURCE in alive else []
    known = {node.name for node in layers}
    return Structure(
        name=graph.name,
        layers=len(layers),
        idle=len(graph.nodes) - len(layers),
        lengths=_lengths(paths, weighted, {_SOURCE, *shared, _SINK}) if _SINK in alive and _SOURCE in alive else {},
        bottlenecks=tuple(name for name in shared if name in known),
        branches=tuple(name for name in named if name in alive and paths.out_degree(name) > 1),
        joins=tuple(node.name for node in layers if paths.in_degree(node.name) > 1),
    )


def has_weights(node: Node) -> bool:
    """Whether a layer counts in a network's depth: it multiplies by weights, its own or those of another layer."""
    return any(weight.role == "weight" for weight in node.facts.owned) and count(node.facts.macs).high != 0


def _lengths(paths: Any, weighted: set[str], shared: set[Any]) -> dict[int, int]:
    """By dynamic programming along a topological order: how many paths of each length lead to a vertex.

    The counts of a vertex are the digits of one whole number, so that paths that meet are one sum, and a layer with weights is a shift.
    Between two vertices that all paths share, counting begins anew: the counts of the whole are the product of those of its parts,
    most of which are alike in a deep network.
    """
    import networkx

    order = list(networkx.topological_sort(paths))
    totals: dict[Any, int] = {}
    whole = 1
    for vertex in order:
        totals[vertex] = sum(totals[before] for before in paths.pred[vertex]) or 1
        if vertex in shared:
            whole, totals[vertex] = whole * totals[vertex], 1
    digit = whole.bit_length()
    waiting = dict(paths.out_degree())
    known: dict[Any, int] = {}
    counts, weights = Counter[int](), 0
    for vertex in order:
        known[vertex] = (sum(known[before] for before in paths.pred[vertex]) or 1) << (
            digit if vertex in weighted and vertex not in shared else 0
        )
        for before in paths.pred[vertex]:
            waiting[before] -= 1
            if not waiting[before]:
                del known[before]  # of a long network, the counts take much memory
        if vertex in shared:
            counts[known[vertex]] += 1
            weights += vertex in weighted
            known[vertex] = 1
    return {place + weights: many for place, many in _digits(_product([part**times for part, times in counts.items()]), digit)}


def _product(numbers: list[int]) -> int:
    """Small ones first, as Python multiplies numbers of one size best."""
    heap = [(number.bit_length(), number) for number in numbers]
    heapify(heap)
    while len(heap) > 1:
        number = heappop(heap)[1] * heappop(heap)[1]
        heappush(heap, (number.bit_length(), number))
    return heap[0][1] if heap else 1


def _digits(number: int, bits: int) -> Iterator[tuple[int, int]]:
    """The digits of a number that are not 0, with their places, from the last."""
    data, mask = number, (1 << bits) - 1
    text = data.to_bytes((data.bit_length() + 7) // 8, "little")
    for place in range(-(-data.bit_length() // bits)):
        first = place * bits
        chunk = int.from_bytes(text[first // 8 : (first + bits) // 8 + 1], "little") >> first % 8 & mask
        if chunk:
            yield place, chunk


def _dominators(paths: Any) -> list[Any]:
    """The vertices on all paths between the ends, in order."""
    import networkx

    above = networkx.immediate_dominators(paths, _SOURCE)
    found, at = [], above[_SINK]
    while at != _SOURCE:
        found.append(at)
        at = above[at]
    return found[::-1]
