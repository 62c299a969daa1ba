"""The style `graph`: layers as nodes, blocks as nested clusters, repeats folded, written as DOT and laid out by Graphviz."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from archc.draw.graph.columns import parts
from archc.draw.graph.compose import places, side_by_side
from archc.draw.graph.dot import write_columns, write_dot
from archc.draw.graph.finish import Said, finished
from archc.draw.graph.fold import View, view
from archc.draw.graph.fold_marks import PORT, Box, Group, Item
from archc.draw.graph.labels import Line, clean, lines, telling, title
from archc.draw.graph.options import GraphOptions
from archc.draw.graphviz import TIMEOUT, DrawError, to_svg, to_svgs
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
    svg = _laid_out(graph.name, [found], options, timeout)
    if options.rankdir != "TB" or options.columns == 1:
        return _dressed(graph.name, svg, [found], options)
    columns = parts(found, places(svg, sum(1 for _ in found.boxes())), options.columns)
    if len(columns) > 1:
        texts = write_columns(graph.name, columns, options)
        svg = side_by_side(to_svgs(texts, timeout), [_ports(one) for one in columns], options.theme)
    return _dressed(graph.name, svg, columns, options)


def drawn(name: str, views: list[View], options: GraphOptions, timeout: float) -> Drawing:
    """Pictures beside each other, laid out. Raises DrawError."""
    return _dressed(name, _laid_out(name, views, options, timeout), views, options)


def _laid_out(name: str, views: list[View], options: GraphOptions, timeout: float) -> str:
    edges = sum(len(one.edges) for one in views)
    if edges > MOST_EDGES:
        raise DrawError(f"{edges:,} edges are more than a picture can show ({MOST_EDGES:,}): give a smaller --depth, or leave out --full")
    return to_svg(write_dot(name, views, options, bare=True), timeout)


def _dressed(name: str, svg: str, views: list[View], options: GraphOptions) -> Drawing:
    dressed = finished(svg, clean(name), _said(views), options.theme, options.prefix)
    return Drawing(dressed, {name: options.prefix + own for name, own in _ids(views).items()})


def _ports(column: View) -> tuple[int | None, int | None]:
    """The numbers of the boxes at which a column is entered and left."""
    first, last = column.items[0], column.items[-1]
    entered = first.index if isinstance(first, Box) and first.end == PORT else None
    return entered, last.index if isinstance(last, Box) and last.end == PORT else None


def _said(views: list[View]) -> dict[str, Said]:
    """What is said of each element, by its id."""
    boxes = [box for one in views for box in one.boxes()]
    names = telling(boxes)
    said = {f"n-{box.index}": Said(_called(box), tuple(lines(box, names))) for box in boxes}
    for i, group in enumerate(_groups(item for one in views for item in one.items)):
        heading, where = title(group)
        beside = (Line(where),) if where else ()
        said[f"c-{i}"] = Said(clean(group.scope.name or group.scope.label), (Line(heading, True), *beside))
    return said


def _called(box: Box) -> str:
    """The names of a box's layers."""
    if box.end:
        return clean(box.name)
    if box.closed:
        last = box.last or box.closed
        return clean(box.closed.name) + (f" … {clean(last.name)}" if last is not box.closed else "")
    return ", ".join(clean(node.name) for node in box.layers)


def _ids(views: list[View]) -> dict[str, str]:
    """The id of the element of each layer and each block."""
    found: dict[str, str] = {}
    for box in (box for one in views for box in one.boxes()):
        for node in (node for copy in box.copies for node in copy):
            found[node.name] = f"n-{box.index}"
        if box.closed:
            found.setdefault(box.closed.name, f"n-{box.index}")
    for i, group in enumerate(_groups(item for one in views for item in one.items)):
        found.setdefault(group.scope.name, f"c-{i}")
    return found


def _groups(items: Iterable[Item]) -> Iterator[Group]:
    """The groups in the order in which they are written."""
    for item in items:
        if isinstance(item, Group):
            yield item
            yield from _groups(item.items)
