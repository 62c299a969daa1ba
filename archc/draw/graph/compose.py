"""Columns that Graphviz laid out, beside each other in one SVG, and the ways from the end of one to the beginning of the next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from archc.draw.graph.marks import Element, box_of, own_tag
from archc.draw.graphviz import DrawError
from archc.draw.scene import Box, number
from archc.draw.theme import Theme

GUTTER, ROUND, REACH = 14.0, 7.0, 5.0  # between columns; of a corner; how far a way stays from the edge of a column
OVER = 2.0  # how far it goes into the edge that it meets
_PAIR = re.compile(r"(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)")
_MOVED = re.compile(r"translate\(([-\d.]+)[ ,]([-\d.]+)\)")
_SIDES = re.compile(r"[-\d.]+")


def read(svg: str) -> tuple[Element, Element]:
    """An SVG of Graphviz as a tree, and the element with all that is drawn. Raises DrawError."""
    try:
        root = ElementTree.fromstring(svg.encode())
    except ElementTree.ParseError as error:
        raise DrawError(f"Graphviz gave no SVG: {error}") from None
    graph = root.find(own_tag("g"))
    if graph is None:
        raise DrawError("Graphviz gave an empty SVG")
    return root, graph


def places(svg: str, count: int) -> list[Box]:
    """What each of so many boxes covers, by its number. Raises DrawError."""
    _, graph = read(svg)
    found = {element.get("id", ""): box_of(element) for element in graph.findall(own_tag("g"))}
    return [found.get(f"n-{i}", Box(0, 0, 0, 0)) for i in range(count)]


def side_by_side(svgs: Sequence[str], ports: Sequence[tuple[int | None, int | None]], theme: Theme) -> str:
    """One SVG of several. `ports`: for each, the numbers of the box at which it is entered and of the one at which it is left."""
    root = Element(own_tag("svg"))
    whole = ElementTree.SubElement(root, own_tag("g"), {"class": "graph"})
    background = ElementTree.SubElement(whole, own_tag("polygon"), {"fill": theme.background, "stroke": "none"})
    left, bottom, ways = 0.0, 0.0, Element(own_tag("g"), {"class": "way"})
    leaving: tuple[float, float, float] | None = None
    for svg, (entry, way_out) in zip(svgs, ports, strict=True):
        column, graph = read(svg)
        width, height = (float(_SIDES.findall(column.get(side, "0"))[0]) for side in ("width", "height"))
        drawn = _moved(graph, left)
        if leaving is not None and entry is not None:
            x, y = _middle(drawn, entry)
            ways.append(_way(leaving, left - GUTTER / 2, (x, y), theme))
        leaving = (*_middle(drawn, way_out), height - REACH) if way_out is not None else None
        numbers = {f"n-{port}" for port in (entry, way_out) if port is not None}
        whole.extend(element for element in drawn if element.get("id") not in numbers)
        left, bottom = left + width + GUTTER, max(bottom, height)
    whole.append(ways)
    right = left - GUTTER
    background.set("points", f"0,0 0,{number(bottom)} {number(right)},{number(bottom)} {number(right)},0")
    size = {"width": f"{number(right)}pt", "height": f"{number(bottom)}pt", "viewBox": f"0 0 {number(right)} {number(bottom)}"}
    root.attrib.update(size)
    return ElementTree.tostring(root, encoding="unicode")


def _moved(graph: Element, left: float) -> list[Element]:
    """The nodes, edges and clusters of a column, in the coordinates of the page."""
    found = _MOVED.search(graph.get("transform", ""))
    dx, dy = (float(found[1]) + left, float(found[2])) if found else (left, 0.0)
    drawn = graph.findall(own_tag("g"))
    for shape in (shape for element in drawn for shape in element.iter()):
        for key, by in (("x", dx), ("y", dy), ("cx", dx), ("cy", dy)):
            if key in shape.attrib:
                shape.set(key, number(float(shape.attrib[key]) + by))
        for key in ("points", "d"):
            if key in shape.attrib:
                shape.set(key, _PAIR.sub(lambda pair: f"{number(float(pair[1]) + dx)},{number(float(pair[2]) + dy)}", shape.attrib[key]))
    return drawn


def _middle(drawn: Sequence[Element], port: int) -> tuple[float, float]:
    box = next(box_of(element) for element in drawn if element.get("id") == f"n-{port}")
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2


def _way(start: tuple[float, float, float], gutter: float, end: tuple[float, float], theme: Theme) -> Element:
    """A line from the end of a column, below it, up between the two, and down into the next."""
    x, y, low = start
    points = [(x, y), (x, low), (gutter, low), (gutter, REACH), (end[0], REACH), end]
    d = f"M{number(x)},{number(y - OVER)}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        (x1, y1), (x2, y2) = _towards(corner, before), _towards(corner, after)
        d += f" L{number(x1)},{number(y1)} Q{number(corner[0])},{number(corner[1])} {number(x2)},{number(y2)}"
    d += f" L{number(end[0])},{number(end[1] + OVER)}"
    return Element(own_tag("path"), {"d": d, "fill": "none", "stroke": theme.line})


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """The point on the way from a corner at which its rounding ends."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    far = abs(dx) + abs(dy) or 1.0  # along an axis
    part = min(ROUND, far / 2) / far
    return corner[0] + dx * part, corner[1] + dy * part
