"""The elements of an SVG by Graphviz: their tags, and what they cover."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from archc.draw.scene import Box

SVG = "http://www.w3.org/2000/svg"
Element = ElementTree.Element
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def own_tag(name: str) -> str:
    return f"{{{SVG}}}{name}"


def box_of(element: Element) -> Box:
    """What the outline of a node or cluster covers."""
    for shape in element:
        if shape.tag == own_tag("ellipse"):
            x, y, rx, ry = (float(shape.get(key, "0")) for key in ("cx", "cy", "rx", "ry"))
            return Box(x - rx, y - ry, x + rx, y + ry)
    found = (_NUMBER.findall(shape.get("d") or shape.get("points") or "") for shape in element)
    numbers = [float(number) for number in next(filter(None, found), ("0", "0"))]
    return Box(min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2]))
