"""Where a network can be cut: the places through which a single value passes.

Such a value's layer dominates all that comes after: every path from the inputs to the outputs goes through it. In the order in which
the layers run, these are the places that exactly one value crosses, so that one sweep finds them without a dominator tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from archc.analysis.recompute.places import Places

MOST_RUNS = 2500


def cuts(places: Places) -> list[int]:
    """Before which layers a single value is waiting, with 0 and the end."""
    graph = places.graph
    total = len(graph.nodes)
    ends = [0] * (total + 2)
    waiting = sum(1 for value in graph.inputs.values() if places.last.get(value, -1) >= 0)
    for value in graph.inputs.values():
        if value in places.last:
            ends[min(places.last[value], total) + 1] += 1
    found = [0]
    for at, node in enumerate(graph.nodes):
        for value in node.outputs:
            if places.last.get(value, -1) > at:
                waiting += 1
                ends[min(places.last[value], total) + 1] += 1
        waiting -= ends[at + 1]
        if waiting == 1 and at + 1 < total:
            found.append(at + 1)
    return [*found, total]


def runs(edges: list[int]) -> tuple[list[range], bool]:
    """Every run of segments between cuts, and whether these are all: in a very long chain, long runs begin and end at some cuts alone."""
    count = len(edges)
    reach, grid = count, 1
    if count * count > 2 * MOST_RUNS:
        reach, grid = max(2, MOST_RUNS // (2 * count)), 1 + count * 10 // int((100 * MOST_RUNS) ** 0.5)
    found = [range(edges[i], edges[j]) for i in range(count) for j in range(i + 1, count) if _taken(i, j, reach, grid)]
    return found, grid == 1


def thinned(edges: list[int], most: int) -> list[int]:
    """At most about so many of the cuts, evenly, with both ends."""
    step = -(-len(edges) // most)
    return edges if step == 1 else [*edges[:-1:step], edges[-1]]


def _taken(i: int, j: int, reach: int, grid: int) -> bool:
    return j - i <= reach or (i % grid == 0 and j % grid == 0)


def stretches(places: Places, edges: list[int]) -> Iterator[range]:
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
