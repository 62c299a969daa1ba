"""The edges of a graph in DOT: which run straight, and where their shapes stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from math import atan2, degrees, hypot

from archc.draw.graph.fold import View
from archc.draw.graph.fold_marks import PORT, Box, Edge, Item
from archc.draw.graph.labels import SMALL_SIZE, Telling, edge_text, joins, sign, size
from archc.draw.graph.options import GraphOptions
from archc.draw.graph.spine import spines
from archc.draw.scene import text_width

_MARGIN = 8  # of a cluster, as far as a text may reach into it


def edge_lines(view: View, options: GraphOptions, telling: Telling) -> Iterator[str]:
    """The edges, first those that are drawn straight. Other branches begin at their fork; how far to the join, they have to see."""
    edges, spine, around = view.edges, spines(view.edges), _around(view.items)
    entering, leaving = Counter(edge.head.index for edge in edges), Counter(edge.tail.index for edge in edges)
    said: set[tuple[int, str]] = set()
    for edge in sorted(edges, key=lambda edge: id(edge) not in spine):
        tail, head = edge.tail.index, edge.head.index
        text = edge_text(edge, options.shapes)
        if not options.shapes and (tail, text) in said:
            text = ""  # what goes to several boxes has its shape once
        said.add((tail, text))
        single = leaving[tail] == entering[head] == 1
        straight = single or id(edge) in spine
        alone = straight and around[tail] == around[head] and (single or (leaving[tail] == 1 and _beside(edge, edges, around)))
        weight = 50 if straight else 3 if entering[head] == 1 else 1
        open_end = "arrowhead=none " if edge.head.end == PORT else ""
        yield f"  n{tail} -> n{head} [{_label(edge, text, options.rankdir, alone, telling)}{open_end}weight={weight}];"


def _beside(edge: Edge, edges: list[Edge], around: dict[int, int]) -> bool:
    """Whether what an edge meets at its head comes around its block, and so from the side."""
    others = [other for other in edges if other.head is edge.head and other is not edge]
    return bool(sign(edge.head)) or (joins(edge.head) and all(around[other.tail.index] != around[edge.tail.index] for other in others))


def _label(edge: Edge, text: str, rankdir: str, alone: bool, telling: Telling) -> str:
    """The text of an edge. Beside one that runs straight and `alone` there is room; for another, the layout has to make it."""
    if not text:
        return ""
    across, down = text_width(text, SMALL_SIZE) / 2 + 4, 11
    if not alone or rankdir not in ("TB", "BT") or 2 * across > size(edge.tail, telling)[0] / 2 + _MARGIN:
        return f'label=" {text} " '
    side = (1 if rankdir == "TB" else -1) * (-1 if joins(edge.head) else 1)  # what joins comes from the right, mostly
    return f'taillabel="{text}" labelangle={side * degrees(atan2(across, down)):.1f} labeldistance={hypot(across, down) / 10:.2f} '


def _around(items: Iterable[Item], within: int = 0) -> dict[int, int]:
    """For each box, the group that it is in."""
    found: dict[int, int] = {}
    for item in items:
        found |= {item.index: within} if isinstance(item, Box) else _around(item.items, id(item))
    return found
