"""A graph painted where Graphviz puts its boxes: groups, edges, boxes with their texts, ways from column to column, headings on top."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from archc.draw.graph.fold import View
from archc.draw.graph.fold_marks import PORT, GraphBox, Group, Item
from archc.draw.graph.labels import SIZE, SMALL_SIZE, LabelLine, Telling, clean, line_height, lines, telling, title
from archc.draw.graph.look import BAR, CIRCLE, GraphOptions, frame_of, look_of
from archc.draw.layout import Placement, Wire
from archc.draw.scene import Box as Place
from archc.draw.scene import Point, Scene, text_width

PAD = 14.4  # around a layout
GUTTER, ROUND, REACH = 14.0, 7.0, 5.0  # between columns; of a corner; how far a way stays from the edge of a column
_OVER = 2.0  # how far a way goes into the edge that it meets
_CORNER = 12.0  # of a box, at most; of a low one a third of its height
_HEAD, _SIDE, _INTO = 6.0, 2.1, 0.3  # of an arrow: how long, half as wide, and how far it begins before its line ends
_MIDDLE = 0.36  # from the middle of a letter to its baseline, in sizes


@dataclass(frozen=True, slots=True)
class PlacedColumn:
    """Views that one layout has beside each other; `left` is where it begins on the page."""

    views: Sequence[View]
    layout: Placement
    left: float = 0.0

    @property
    def right(self) -> float:
        return self.left + self.layout.width + 2 * PAD

    @property
    def bottom(self) -> float:
        return self.layout.height + 2 * PAD

    def items(self) -> Iterator[Item]:
        for view in self.views:
            yield from view.items

    def at(self, point: Point) -> Point:
        return point[0] + self.left + PAD, point[1] + PAD

    def box(self, box: Place) -> Place:
        return Place(*self.at((box.left, box.top)), *self.at((box.right, box.bottom)))


def paint_columns(name: str, pages: Sequence[tuple[Sequence[View], Placement]], options: GraphOptions) -> str:
    """One SVG of the columns, from left to right."""
    scene = Scene(options.theme, clean(name), 0, "pt")
    columns: list[PlacedColumn] = []
    for views, layout in pages:
        columns.append(PlacedColumn(views, layout, columns[-1].right + GUTTER if columns else 0.0))
    scene.reserve(Place(0, 0, columns[-1].right, max(group.bottom for group in columns)))
    names = telling(box for column in columns for view in column.views for box in view.boxes())
    headings: list[tuple[Group, Point, str]] = []
    first = 0
    for column in columns:
        groups = list(_groups(column.items()))
        headings += _frames(scene, column, groups, first, options)
        first += len(groups)
        for wire in column.layout.wires:
            _edge(scene, column, wire)
        for box in (box for view in column.views for box in view.boxes()):
            if box.end != PORT:
                _box(scene, box, column.box(column.layout.nodes[f"n{box.index}"]), names, options)
    _ways(scene, columns)
    with scene.group("headings"):
        for group, at, fill in headings:
            _heading(scene, group, at, fill)
    return scene.svg()


def ids(views: Iterable[View], prefix: str) -> dict[str, str]:
    """The id of the element of each layer and each block."""
    found: dict[str, str] = {}
    shown = list(views)
    for box in (box for view in shown for box in view.boxes()):
        for node in (node for copy in box.copies for node in copy):
            found[node.name] = f"{prefix}n-{box.index}"
        if box.closed:
            found.setdefault(box.closed.name, f"{prefix}n-{box.index}")
    for i, (group, _) in enumerate(_groups(item for view in shown for item in view.items)):
        found.setdefault(group.scope.name, f"{prefix}c-{i}")
    return found


def _groups(items: Iterable[Item], level: int = 1) -> Iterator[tuple[Group, int]]:
    """The groups in the order in which they are written, and how deep they are."""
    for item in items:
        if isinstance(item, Group):
            yield item, level
            yield from _groups(item.items, level + 1)


def _frames(
    scene: Scene, column: PlacedColumn, groups: Sequence[tuple[Group, int]], first: int, options: GraphOptions
) -> Iterator[tuple[Group, Point, str]]:
    """The backgrounds of groups, outer ones first; their headings are for later, with where they begin and on what color."""
    for i, (group, level) in enumerate(groups, first):
        look, place = frame_of(group, level, options.theme), column.box(column.layout.clusters[f"cluster_{i}"])
        with scene.group(f"cluster {look.kind}", clean(group.scope.name or group.scope.label), f"{options.prefix}c-{i}"):
            scene.rect(place, look.fill, look.edge, look.width, _CORNER)
        if f"cluster_{i}" in column.layout.headings:
            yield group, (place.left + 9, column.at(column.layout.headings[f"cluster_{i}"])[1]), look.fill


def _edge(scene: Scene, column: PlacedColumn, wire: Wire) -> None:
    """A curve, its arrow, and the shape that flows."""
    line, curve = scene.theme.line, [column.at(point) for point in wire.curve]
    with scene.group("edge"):
        scene.curve(curve, line)
        if wire.tip is not None:
            (x, y), (x0, y0) = column.at(wire.tip), curve[-1]
            far = ((x - x0) ** 2 + (y - y0) ** 2) ** 0.5 or 1.0
            ux, uy = (x - x0) / far, (y - y0) / far
            x0, y0 = x0 - ux * _INTO, y0 - uy * _INTO
            head = [(x0 - uy * _SIDE, y0 + ux * _SIDE), (x0 + ux * _HEAD, y0 + uy * _HEAD), (x0 + uy * _SIDE, y0 - ux * _SIDE)]
            scene.polygon(head, line, line)
        for text, middle in wire.texts:
            x, y = column.at(middle)
            scene.text((x, y + _MIDDLE * SMALL_SIZE), text, SMALL_SIZE, scene.theme.faint, "middle")


def _box(scene: Scene, box: GraphBox, place: Place, names: Telling, options: GraphOptions) -> None:
    """A box, and its lines around its middle."""
    look = look_of(box, options.theme)
    x, y = (place.left + place.right) / 2, (place.top + place.bottom) / 2
    with scene.group(f"node {look.kind}", _names_of(box), f"{options.prefix}n-{box.index}"):
        if look.shape == CIRCLE:
            scene.circle((x, y), (place.right - place.left) / 2, look.fill, look.edge, width=look.width)
        else:
            radius = 0.0 if look.shape == BAR else min(_CORNER, (place.bottom - place.top) / 3)
            scene.rect(place, look.fill, look.edge, look.width, radius, dash="5,2" if look.dashed else "")
        shown = lines(box, names)
        top = y - sum(map(line_height, shown)) / 2
        for line in shown:
            _text(scene, line, (x, top + line_height(line) / 2), options.theme.ink, "middle")
            top += line_height(line)


def _text(scene: Scene, line: LabelLine, at: Point, color: str, anchor: str) -> None:
    size = line.size or (SIZE if line.strong else SMALL_SIZE)
    scene.text((at[0], at[1] + _MIDDLE * size), line.text, size, color, anchor, line.strong)


def _heading(scene: Scene, group: Group, at: Point, fill: str) -> None:
    """What a group is, and where, with a patch of its color behind: arrows pass below."""
    what, where = title(group)
    x, y = at
    for line in (LabelLine(what, True), *((LabelLine(where),) if where else ())):
        size = SIZE if line.strong else SMALL_SIZE
        width = text_width(line.text, size, line.strong)
        scene.rect(Place(x - 2, y - 0.58 * size, x + width + 2, y + 0.58 * size), fill)
        _text(scene, line, (x, y), scene.theme.ink if line.strong else scene.theme.faint, "start")
        x += width + 8


def _ways(scene: Scene, columns: Sequence[PlacedColumn]) -> None:
    """From the end of each column, below it, up between the two, and down into the next."""
    with scene.group("way"):
        for before, after in pairwise(columns):
            (x, y), (end, top), gutter, low = _port(before, -1), _port(after, 0), after.left - GUTTER / 2, before.bottom - REACH
            points = [(x, y - _OVER), (x, low), (gutter, low), (gutter, REACH), (end, REACH), (end, top + _OVER)]
            scene.bent(points, scene.theme.line, ROUND)


def _port(column: PlacedColumn, which: int) -> Point:
    """The middle of the box at which a column is entered or left."""
    item = column.views[0].items[which]
    assert isinstance(item, GraphBox)
    place = column.box(column.layout.nodes[f"n{item.index}"])
    return (place.left + place.right) / 2, (place.top + place.bottom) / 2


def _names_of(box: GraphBox) -> str:
    """The names of a box's layers."""
    if box.end:
        return clean(box.name)
    if box.closed:
        last = box.last or box.closed
        return clean(box.closed.name) + (f" … {clean(last.name)}" if last is not box.closed else "")
    return ", ".join(clean(node.name) for node in box.layers)
