"""What tests of pictures share: networks, SVG as a tree, and texts as boxes measured with a font and not with the estimate."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from PIL import ImageFont

from archc import load
from archc.draw.scene import Box
from archc.graph import Graph
from tests.helpers.zoo import SPECS

LECTURES = ("lenet5", "alexnet", "vgg16", "resnet18", "resnet50", "googlenet", "unet", "densenet121", "mobilenet_v2", "vit_b16",
            "efficientnet_b0")  # fmt: skip
ALL = [pytest.param(name, marks=[] if name in LECTURES else [pytest.mark.heavy]) for name in SPECS]  # by default, the lectures' own
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = """
archc: 1
name: "<script>alert('x')</script>\\"&amp;]]>"
input: [3, 32, 32]
layers:
  conv: {conv: {channels: 4, kernel: 3}}
  relu: {relu: }
  pool: {maxpool: {kernel: 2}}
  end: {global_avgpool: }
"""
_FONTS = Path(matplotlib.__file__).parent / "mpl-data" / "fonts" / "ttf"


@cache
def net(name: str) -> Graph:
    return load(name)


def tree(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def words(root: ElementTree.Element) -> list[str]:
    """The texts that are painted."""
    return [own_text(one) for one in root.iter(f"{SVG}text")]


def own_text(element: ElementTree.Element) -> str:
    return (element.text or "") + "".join(child.tail or "" for child in element)


def titles(root: ElementTree.Element) -> list[str]:
    """What shows under the pointer."""
    return [one.text or "" for one in root.iter(f"{SVG}title")]


def painted(root: ElementTree.Element) -> list[tuple[str, Box]]:
    """The texts and what they cover in DejaVu Sans, the widest of the fonts that pictures name."""
    return [(own_text(one), _covered(one)) for one in root.iter(f"{SVG}text") if not one.get("transform")]


def _covered(element: ElementTree.Element) -> Box:
    size, x, y = (float(element.get(key, "0")) for key in ("font-size", "x", "y"))
    font = _font("DejaVuSans-Bold.ttf" if element.get("font-weight") == "bold" else "DejaVuSans.ttf")
    left, top, right, bottom = (value * size / 100 for value in font.getbbox(own_text(element), anchor="ls"))
    shift = {"middle": -(left + right) / 2, "end": -right}.get(element.get("text-anchor", ""), 0.0)
    return Box(x + left + shift, y + top, x + right + shift, y + bottom)


@cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_FONTS / name), 100)


def overlapping(root: ElementTree.Element) -> list[tuple[str, str]]:
    """Pairs of texts that lie over each other."""
    found = painted(root)
    return [(a, b) for i, (a, box) in enumerate(found) for b, other in found[i + 1 :] if box.meets(other)]


def outside(root: ElementTree.Element) -> list[str]:
    """Texts that the picture cuts."""
    left, top, width, height = map(float, (root.get("viewBox") or "").split())
    frame = Box(left, top, left + width, top + height)
    return [
        text
        for text, box in painted(root)
        if box.left < frame.left or box.top < frame.top or box.right > frame.right or box.bottom > frame.bottom
    ]


def faces(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """The faces of the boxes in perspective, as the corners of each."""
    groups = [one for one in root.iter(f"{SVG}g") if (one.get("class") or "").startswith("volume ")]
    return [
        [(float(x), float(y)) for x, y in (pair.split(",") for pair in (face.get("points") or "").split())]
        for group in groups
        for face in group.iter(f"{SVG}polygon")
    ]


def covered(root: ElementTree.Element) -> list[str]:
    """Texts that lie over a face, as convex shapes."""
    shapes = faces(root)
    return [text for text, box in painted(root) if any(_meet(box, shape) for shape in shapes)]


def _meet(box: Box, shape: list[tuple[float, float]]) -> bool:
    """Whether a rectangle and a convex shape overlap: no side of either parts them."""
    corners = [(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)]
    for polygon in (corners, shape):
        for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
            nx, ny = by - ay, ax - bx
            one, other = [nx * x + ny * y for x, y in corners], [nx * x + ny * y for x, y in shape]
            if max(one) <= min(other) + 1e-6 or max(other) <= min(one) + 1e-6:
                return False
    return True


def is_inert(svg: str) -> bool:
    """Whether nothing in it can run, load or be anything but shapes and text."""
    known = {"svg", "title", "g", "rect", "polygon", "polyline", "circle", "text"}
    for element in tree(svg).iter():
        if element.tag.removeprefix(SVG) not in known or any(key.startswith("on") or "href" in key for key in element.attrib):
            return False
    return True
