"""Graphviz's SVG made ready for a page: the texts put in, in the middle of their boxes; headings above the arrows; names as titles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from archc.draw.graph.compose import read
from archc.draw.graph.labels import SIZE, SMALL_SIZE, Line, line_height
from archc.draw.graph.marks import SVG, Element, box_of
from archc.draw.graph.marks import own_tag as _tag
from archc.draw.scene import text_width
from archc.draw.theme import FONT, Theme


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of an element: the lines in a box, or a heading and what stands beside it; `title` shows under the pointer."""

    title: str
    lines: tuple[Line, ...]


def finished(svg: str, name: str, said: Mapping[str, Said], theme: Theme, prefix: str = "") -> str:
    """The SVG with what is `said` of its elements, by id, and `prefix` before each id. Raises DrawError."""
    ElementTree.register_namespace("", SVG)
    root, graph = read(svg)
    headings = Element(_tag("g"), {"class": "headings"})
    for element in [graph, *graph.findall(_tag("g"))]:
        headings.extend(_dress(element, said, theme, prefix))
    graph.append(headings)
    for key, value in {"role": "img", "aria-label": name, "font-family": FONT}.items():
        root.set(key, value)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _dress(element: Element, said: Mapping[str, Said], theme: Theme, prefix: str) -> Iterator[Element]:
    """One node, edge or cluster with its title, its texts and its id; what of it stands above all else."""
    own = element.attrib.pop("id", "")
    about = said.get(own)
    title = element.find(_tag("title"))
    for shape in element.iter():
        if shape.get("stroke") == "transparent":
            shape.set("stroke", "none")
    if about is None:
        if title is not None:
            element.remove(title)
        _small(element)
        return
    element.set("id", prefix + own)
    if title is not None:
        title.text = about.title
    placed = element.findall(_tag("text"))
    for text in placed:
        element.remove(text)
    if element.get("class", "").startswith("cluster"):
        yield from _heading(element, placed, about, theme)
    else:
        element.extend(_lines(element, about, theme))


def _small(edge: Element) -> None:
    """The shape on an edge, in the font of the picture."""
    for text in edge.findall(_tag("text")):
        text.attrib.pop("font-family", None)
        text.set("font-size", str(SMALL_SIZE))
        text.text = (text.text or "").strip()


def _lines(node: Element, about: Said, theme: Theme) -> Iterator[Element]:
    """The lines of a box, around its middle."""
    box = box_of(node)
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    top = y - sum(map(line_height, about.lines)) / 2
    for line in about.lines:
        height = line_height(line)
        yield _text(line, x, top + height / 2, theme.ink, "middle")
        top += height


def _text(line: Line, x: float, middle: float, color: str, anchor: str) -> Element:
    size = line.size or (SIZE if line.strong else SMALL_SIZE)
    look = {"x": f"{x:.2f}", "y": f"{middle + 0.36 * size:.2f}", "font-size": str(size), "fill": color, "text-anchor": anchor}
    element = Element(_tag("text"), look | ({"font-weight": "bold"} if line.strong else {}))
    element.text = line.text
    return element


def _heading(cluster: Element, placed: list[Element], about: Said, theme: Theme) -> Iterator[Element]:
    """A cluster's heading where Graphviz made room for it, with a patch of the cluster's color behind: arrows pass below."""
    if not placed:
        return
    x, y = box_of(cluster).left + 9, float(placed[0].get("y", "0")) - 0.36 * SIZE
    fill = next((shape.get("fill", "none") for shape in cluster if shape.get("fill")), "none")
    for line in about.lines:
        size = SIZE if line.strong else SMALL_SIZE
        width = text_width(line.text, size, line.strong)
        patch = {"x": x - 2, "y": y - 0.58 * size, "width": width + 4, "height": 1.16 * size}
        yield Element(_tag("rect"), {**{key: f"{value:.2f}" for key, value in patch.items()}, "fill": fill})
        yield _text(line, x, y, theme.ink if line.strong else theme.faint, "start")
        x += width + 8
