"""A long picture in columns, as a page of a paper has them: cut where one value alone goes on, and not within a block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archc.draw.graph.fold import View
from archc.draw.graph.fold_marks import PORT, Edge, GraphBox, Group, Item
from archc.draw.scene import Box as Place

PAGE = (504.0, 648.0)  # points: 7 by 9 inches, what a paper leaves for a figure
LEGIBLE = 0.6  # a picture is not cut that is shrunk no further than to this part of its size
BETTER = 1.5  # nor where columns let it be no larger than by this
MOST_COLUMNS = 6
MOST_CUTS = 500  # of more boxes, not all places are tried
BESIDE, BELOW = 64.0, 56.0  # what a column has around its boxes: frames, long edges, the way to the next


def parts(found: View, places: Sequence[Place], columns: int | None) -> list[View]:
    """The columns of a picture whose boxes, by index, are at these places: so many, or as many as make it largest on a page."""
    cuts = _cuts(found)
    if columns is not None:
        stops = _stops(places, cuts, columns)[-1]
    else:
        tried = _stops(places, cuts, MOST_COLUMNS)
        stops = max(tried, key=lambda some: (_scale(places, some), -len(some)))
        scale = _scale(places, tried[0])
        if scale >= LEGIBLE or _scale(places, stops) < BETTER * scale:
            return [found]
    return [found] if len(stops) == 1 else _cut(found, stops)


def _cuts(found: View) -> list[int]:
    """The boxes before which the picture can be cut."""
    boxes = list(found.boxes())
    kept = _kept(found.items)
    tried = range(1, len(boxes), 1 + len(boxes) // MOST_CUTS)
    return [at for at in tried if kept[at - 1] & kept[at] == set() and len(_passing(found.edges, at)) == 1]


def _passing(edges: Iterable[Edge], at: int) -> set[int]:
    """The boxes before a place whose values are used behind it; a backward edge is as good as two."""
    passing = [edge for edge in edges if (edge.tail.index < at) != (edge.head.index < at)]
    return {edge.tail.index for edge in passing} | ({-1, -2} if any(edge.head.index < at for edge in passing) else set())


def _kept(items: Iterable[Item], within: frozenset[int] = frozenset()) -> dict[int, frozenset[int]]:
    """For each box the groups around it that stay in one piece: blocks and repeats."""
    found: dict[int, frozenset[int]] = {}
    for item in items:
        if isinstance(item, GraphBox):
            found[item.index] = within
        else:
            found |= _kept(item.items, within | {id(item)} if item.times > 1 or item.scope.block else within)
    return found


def _stops(places: Sequence[Place], cuts: list[int], columns: int) -> list[list[int]]:
    """Where each of at most 1, 2, … columns ends, so that the highest is as low as can be."""
    ends, heights = [*cuts, len(places)], _heights(places, cuts)
    best: dict[int, tuple[float, list[int]]] = {end: (heights[0, end], [end]) for end in ends}
    found = [best[len(places)][1]]
    for _ in range(columns - 1):
        best = {end: _lowest(end, best, cuts, heights) for end in ends}
        found.append(best[len(places)][1])
    return found


def _lowest(
    end: int, best: dict[int, tuple[float, list[int]]], cuts: list[int], heights: dict[tuple[int, int], float]
) -> tuple[float, list[int]]:
    """The columns up to an end, with one more than in `best` where that is lower."""
    least, last = best[end][0], 0
    for cut in cuts:
        if cut >= end:
            break
        height = heights[cut, end]
        if height < least and (before := best[cut][0]) < least:
            least, last = max(before, height), cut
    return (least, [*best[last][1], end]) if last else best[end]


def _heights(places: Sequence[Place], cuts: list[int]) -> dict[tuple[int, int], float]:
    """The height of each column that may be, about, by its first box and the one after its last."""
    found, ends = {}, {*cuts, len(places)}
    for first in (0, *cuts):
        top, bottom = places[first].top, places[first].bottom
        for stop, place in enumerate(places[first:], first + 1):
            top, bottom = min(top, place.top), max(bottom, place.bottom)
            if stop in ends:
                found[first, stop] = bottom - top + BELOW
    return found


def _size(places: Sequence[Place], first: int, stop: int) -> tuple[float, float]:
    """Width and height of a column, about."""
    some = places[first:stop]
    width = max(place.right for place in some) - min(place.left for place in some)
    return width + BESIDE, max(place.bottom for place in some) - min(place.top for place in some) + BELOW


def _scale(places: Sequence[Place], stops: list[int]) -> float:
    """How large columns that end here can be on a page."""
    sizes = [_size(places, first, stop) for first, stop in zip([0, *stops], stops, strict=False)]
    return min(1.0, PAGE[0] / sum(width for width, _ in sizes), PAGE[1] / max(height for _, height in sizes))


def _cut(found: View, stops: list[int]) -> list[View]:
    """The columns; a port ends one and begins the next."""
    made = []
    for first, stop in zip([0, *stops], stops, strict=False):
        inside = [edge for edge in found.edges if first <= edge.tail.index < stop and first <= edge.head.index < stop]
        entering = [edge for edge in found.edges if edge.tail.index < first <= edge.head.index < stop]
        leaving = [edge for edge in found.edges if first <= edge.tail.index < stop <= edge.head.index]
        items = list(_between(found.items, first, stop))
        if first:
            port = GraphBox([[]], "", PORT)
            items, inside = [port, *items], [*(Edge(port, edge.head, []) for edge in entering), *inside]
        if leaving:
            port = GraphBox([[]], "", PORT)
            items, inside = [*items, port], [*inside, Edge(leaving[0].tail, port, leaving[0].shapes, leaving[0].source)]
        made.append(View(items, inside))
    return made


def _between(items: Iterable[Item], first: int, stop: int) -> Iterable[Item]:
    """What of the items is in a column; a part of the network that is cut is in both."""
    for item in items:
        if isinstance(item, GraphBox):
            if first <= item.index < stop:
                yield item
            continue
        inner = list(_between(item.items, first, stop))
        if inner == item.items:
            yield item
        elif inner:
            begun = f"{item.place or item.scope.label}, continued" if _first(item) < first else item.place
            yield Group(item.scope, inner, item.times, item.last, begun)


def _first(item: Item) -> int:
    """The number of an item's first box."""
    return item.index if isinstance(item, GraphBox) else _first(item.items[0])
