"""Where Graphviz puts what a DOT text has, read from its JSON: in points, y downwards from the top left corner."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archc.draw.scene import Box, Point

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?")
_LABELS = (("label", "lp"), ("taillabel", "tail_lp"))
_INCH = 72.0


@dataclass(frozen=True, slots=True)
class Wire:
    """An edge: the names of its ends, the control points of its curve, the tip of its arrow, if any, and its texts by their middle."""

    tail: str
    head: str
    curve: tuple[Point, ...]
    tip: Point | None
    texts: tuple[tuple[str, Point], ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """nodes, clusters: what each covers, by name; headings: the middle of the text of each cluster that has one"""

    width: float
    height: float
    nodes: Mapping[str, Box]
    clusters: Mapping[str, Box]
    headings: Mapping[str, Point]
    wires: tuple[Wire, ...]


def read_layout(found: Any) -> Placement:
    """What `dot -Tjson0` says. Raises KeyError, TypeError or ValueError where it is no layout."""
    left, bottom, right, top = _numbers(found["bb"], 4)
    flip = _Flip(left, top)
    nodes: dict[str, Box] = {}
    clusters: dict[str, Box] = {}
    headings: dict[str, Point] = {}
    for entry in found.get("objects", ()):
        name = str(entry["name"])
        if "pos" in entry:
            x, y = flip.point(entry["pos"])
            wide, high = float(entry["width"]) * _INCH / 2, float(entry["height"]) * _INCH / 2
            nodes[name] = Box(x - wide, y - high, x + wide, y + high)
        elif "bb" in entry:
            x1, y1, x2, y2 = _numbers(entry["bb"], 4)
            clusters[name] = Box(x1 - left, top - y2, x2 - left, top - y1)
            if "lp" in entry:
                headings[name] = flip.point(entry["lp"])
    numbers = {entry["_gvid"]: str(entry["name"]) for entry in found.get("objects", ())}
    wires = [_wire(entry, numbers, flip) for entry in found.get("edges", ())]
    return Placement(right - left, top - bottom, nodes, clusters, headings, tuple(wires))


@dataclass(frozen=True, slots=True)
class _Flip:
    """Graphviz's y grows upwards."""

    left: float
    top: float

    def point(self, text: str) -> Point:
        x, y = _numbers(text, 2)
        return x - self.left, self.top - y


def _wire(edge: Mapping[str, Any], numbers: Mapping[int, str], flip: _Flip) -> Wire:
    curve: list[Point] = []
    tip: Point | None = None
    for part in str(edge["pos"]).partition(";")[0].split():
        if part.startswith("e,"):
            tip = flip.point(part[2:])
        elif not part.startswith("s,"):
            curve.append(flip.point(part))
    if len(curve) % 3 != 1 or len(curve) < 4:
        raise ValueError(f"a curve of {len(curve)} points")
    texts = [(str(edge[key]).strip(), flip.point(edge[place])) for key, place in _LABELS if edge.get(place) and edge.get(key)]
    return Wire(numbers[edge["tail"]], numbers[edge["head"]], tuple(curve), tip, tuple(texts))


def _numbers(text: str, count: int) -> list[float]:
    found = [float(number) for number in _NUMBER.findall(text)]
    if len(found) != count:
        raise ValueError(f"{count} numbers, not {len(found)}")
    return found
