"""The style `graph`: layers as nodes, blocks as nested clusters, repeats folded, written as DOT and laid out by Graphviz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from archc.draw.graph.columns import parts
from archc.draw.graph.dot import write_columns, write_dot
from archc.draw.graph.fold import View, view
from archc.draw.graph.look import GraphOptions
from archc.draw.graph.paint import ids, paint_columns
from archc.draw.graphviz import TIMEOUT, DrawError, layouts
from archc.draw.layout import Placement
from archc.draw.scene import Box as Place
from archc.errors import Argument
from archc.graph import Graph

MOST_EDGES = 1500  # above which no layout is legible, nor found in a reasonable time


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG, and the ids of its elements by the names of the layers and blocks that they stand for."""

    svg: str
    ids: dict[str, str] = field(default_factory=dict)


def graph_dot(graph: Graph, options: GraphOptions | None = None) -> str:
    """The picture of a network as DOT. Needs no Graphviz."""
    options = options or GraphOptions()
    return write_dot(graph.name, [view(graph, options.folding)], options)


def graph_svg(graph: Graph, options: GraphOptions | None = None, timeout: float = TIMEOUT) -> Drawing:
    """The picture of a network as SVG. Raises DrawError: no Graphviz, or no layout in time."""
    options = options or GraphOptions()
    found = view(graph, options.folding)
    layout = _laid_out(graph.name, [found], options, timeout)
    if options.rankdir == "TB" and options.columns != 1:
        places = [layout.nodes.get(f"n{box.index}", Place(0, 0, 0, 0)) for box in found.boxes()]
        columns = parts(found, places, options.columns)
        if len(columns) > 1:
            pages = layouts(write_columns(graph.name, columns, options), timeout)
            return _paint_drawing(graph.name, [([column], page) for column, page in zip(columns, pages, strict=True)], options)
    return _paint_drawing(graph.name, [([found], layout)], options)


def drawn(name: str, views: list[View], options: GraphOptions, timeout: float) -> Drawing:
    """Pictures beside each other, laid out. Raises DrawError."""
    return _paint_drawing(name, [(views, _laid_out(name, views, options, timeout))], options)


def _laid_out(name: str, views: list[View], options: GraphOptions, timeout: float) -> Placement:
    edges = sum(len(drawn.edges) for drawn in views)
    if edges > MOST_EDGES:
        raise DrawError(
            f"{edges:,} edges are more than a picture can show ({MOST_EDGES:,}): give a smaller ",
            Argument("depth"),
            ", or leave out ",
            Argument("full", True),
        )
    (found,) = layouts([write_dot(name, views, options, bare=True)], timeout)
    return found


def _paint_drawing(name: str, pages: Sequence[tuple[Sequence[View], Placement]], options: GraphOptions) -> Drawing:
    try:
        svg = paint_columns(name, pages, options)
    except KeyError as error:
        raise DrawError(f"Graphviz gave no place to {error}") from None
    return Drawing(svg, ids((drawn for views, _ in pages for drawn in views), options.prefix))
