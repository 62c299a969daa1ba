"""The regions that are searched: runs of segments between the cuts of a network, and runs of layers within a segment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from archc.analysis.recompute.plan import NetworkPlaces

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
