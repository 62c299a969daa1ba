"""The regions of a network that a plan may consist of: runs of segments between its cuts, runs of layers in a segment, blocks, norms."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from archc.analysis.recompute import Region, blocks, norm_act_conv
from archc.analysis.recompute.mistakes import NORMS, wrong_with
from archc.analysis.recompute.plan import NetworkPlaces
from archc.analysis.recompute.planner.macs import Reruns
from archc.graph import Graph
from archc.graph.structure import cuts
from archc.ops.facts import OWN

MOST_EDGES = 300  # of a network with more than MOST_SEARCHED layers
MOST_SEARCHED = 2_000


class Pieces:
    """All regions that a plan may have; `complete`: whether every run of segments is among them.

    coarse: the network is so long that only some of its cuts are considered, and no regions within a segment

    edges: where the network can be cut; stops: of the regions, by the layer with which they begin
    norms: a normalization up to its convolution, by the first layer; parts: blocks, the largest first
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.places = NetworkPlaces(graph)
        self.reruns = Reruns(graph)
        self.coarse = len(graph.nodes) > MOST_SEARCHED
        self.edges = cuts(graph)
        if self.coarse:
            self.edges = thin(self.edges, MOST_EDGES)
        self.titles = {span: name for name, span in reversed(self.places.parts.items())}
        self.applied = [self.places.parts[copy] for copy in set(self.places.copies.values()) if copy in self.places.parts]
        self.norms = {span.start: span for span in self._spans(norm_act_conv(graph))}
        self.parts = self._spans(blocks(graph))
        self.largest_at: dict[int, list[range]] = {}
        for span in self.parts:
            self.largest_at.setdefault(span.start, []).append(span)
        self.plain = self._plain()
        self.reach = [max((self.places.last.get(value, -1) for value in node.outputs), default=-1) for node in graph.nodes]
        found, self.complete = runs(self.edges)
        self.complete &= not self.coarse
        within = () if self.coarse else stretches(self.places, self.edges)
        legal = [span for span in (*found, *within) if self._legal(span)]
        self.stops: dict[int, set[int]] = {}
        for span in (*legal, *self.norms.values(), *self.parts):
            self.stops.setdefault(span.start, set()).add(span.stop)

    def region(self, span: range) -> Region:
        """A region by name: a part, a layer, or a first and a last layer."""
        first, last = self.graph.nodes[span.start].name, self.graph.nodes[span.stop - 1].name
        title = self.titles.get(span)
        if len(span) == 1:
            return Region(first)
        return Region(title) if title is not None and title not in self.places.layers else Region(first, last)

    def norms_in(self, span: range) -> Iterator[range]:
        return (norm for norm in self.norms.values() if span.start <= norm.start and norm.stop <= span.stop and norm != span)

    def largest(self, start: int) -> Iterator[range]:
        """Blocks from a layer on that do not lie in each other; none that begins with it and is most of the network."""
        end = start
        for at in sorted(self.largest_at):
            if at >= end:
                longest = max(self.largest_at[at], key=len)
                end = longest.stop
                yield longest

    def middle(self, span: range) -> int:
        """The cut in the middle of a run of three segments or more; 0 where there is none."""
        low, high = bisect_right(self.edges, span.start), bisect_right(self.edges, span.stop - 1)
        return self.edges[(low + high) // 2] if high - low > 1 else 0

    def _spans(self, regions: list[Region]) -> list[range]:
        found = (span for span in map(self.places.span, regions) if isinstance(span, range))
        return [span for span in found if not self._repeats_another(span)]

    def _repeats_another(self, span: range) -> bool:
        """Whether a region lies within a part that is applied again, so that it would be two: those are left out."""
        return any(other.start <= span.start and span.stop <= other.stop and span != other for other in self.applied)

    def _plain(self) -> bool:
        """Whether nothing but values that are used outside can be wrong with a region."""
        nodes = self.graph.nodes
        changing = [node for node in nodes if node.kind not in NORMS and node.facts.storage != OWN]
        states = any(weight.role == "buffer" for node in changing for weight in node.facts.owned)
        return not (states or self.places.written or self.places.copies or any(node.train_only for node in nodes))

    def _legal(self, span: range) -> bool:
        if self.plain:
            return max(self.reach[span.start : span.stop - 1], default=-1) < span.stop
        return not self._repeats_another(span) and wrong_with(self.places, self.region(span), span) is None


MOST_RUNS = 2500


def runs(edges: list[int]) -> tuple[list[range], bool]:
    """Every run of segments between cuts, and whether these are all: in a very long chain, long runs begin and end at some cuts alone."""
    count = len(edges)
    reach, grid = count, 1
    if count * count > 2 * MOST_RUNS:
        reach, grid = max(2, MOST_RUNS // (2 * count)), 1 + count * 10 // int((100 * MOST_RUNS) ** 0.5)
    found = [range(edges[i], edges[j]) for i in range(count) for j in range(i + 1, count) if _taken(i, j, reach, grid)]
    return found, grid == 1


def thin(edges: list[int], most: int) -> list[int]:
    """At most about so many of the cuts, evenly, with both ends."""
    step = -(-len(edges) // most)
    return edges if step == 1 else [*edges[:-1:step], edges[-1]]


def _taken(i: int, j: int, reach: int, grid: int) -> bool:
    return j - i <= reach or (i % grid == 0 and j % grid == 0)


def stretches(places: NetworkPlaces, edges: list[int]) -> Iterator[range]:
    """Within each segment, the runs of layers whose values nobody outside reads but the last one's."""
    for start, stop in pairwise(edges):
        for first in range(start, stop):
            farthest = -1
            for last in range(first, stop):
                if farthest <= last and (first, last + 1) != (start, stop):
                    yield range(first, last + 1)
                farthest = max([farthest, *(places.last.get(value, -1) for value in places.graph.nodes[last].outputs)])
                if farthest >= stop:
                    break
