"""A network that goes down in resolution and up again, with wires across: drawn as a U."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from archc.draw.scene import Box, Scene
from archc.draw.theme import Theme, family
from archc.draw.volumes.boxes import Solid, largest_extent, make_solid, paint
from archc.draw.volumes.labels import Label, write
from archc.draw.volumes.units import Unit, chain_units, input_units, shape_text
from archc.graph import Graph, Node
from archc.graph.structure import longest_path

STEP = 1.5  # a change of extent by this factor is a new level
_MOST = 120
BESIDE = 9.0  # pixels between boxes of one label


@dataclass(slots=True)
class Level:
    """A map on the way, or several that the same layers make one after the other: their level, their boxes and their label."""

    level: int
    solids: list[Solid]
    label: Label

    @property
    def wide(self) -> float:
        return sum(solid.wide for solid in self.solids) + BESIDE * (len(self.solids) - 1)

    @property
    def top(self) -> float:
        return min(solid.box.top for solid in self.solids)

    def put(self, x: float, y: float) -> None:
        """Its left side and the middle of its axis."""
        self.label.left = x
        for solid in self.solids:
            solid.x, solid.y = x, y
            x += solid.wide + BESIDE
        self.label.right = x - BESIDE


def path(graph: Graph) -> list[Node]:
    """The longest way from input to output, if the network is a U: some wire joins two places between which the map shrinks and grows."""
    end = next(iter(graph.outputs.values())).node if graph.outputs else graph.nodes[-1]
    way = longest_path(graph, end) if end is not None else []
    if len(graph.inputs) != 1 or not 4 <= len(chain_units(way)) <= _MOST or any(len(node.output.shape) < 2 for node in way[:-1]):
        return []
    return way if len(_bridges(graph, way)) >= 1 else []


def _bridges(graph: Graph, way: list[Node]) -> list[tuple[Node, Node]]:
    """Pairs on the way that a wire across joins, from the layer that it leaves to the merge that it enters."""
    places = {id(node): i for i, node in enumerate(way)}
    found: list[tuple[Node, Node]] = []
    for i, node in enumerate(way):
        if family(node.kind) != "merge" or i == 0:
            continue
        for value in node.inputs:
            source = _on_the_way(value.node, places)
            if source is None or places[id(source)] >= i - 1:
                continue
            between = way[places[id(source)] : i]
            sizes = [unit.output.shape[-1] for unit in between if len(unit.output.shape) > 1]
            if sizes and STEP * min(sizes) <= min(source.output.shape[-1], node.output.shape[-1]):
                found.append((source, node))
    return found


def _on_the_way(node: Node | None, places: dict[int, int]) -> Node | None:
    """The layer on the way that this comes from, through layers of one input."""
    while node is not None and id(node) not in places:
        if len(node.inputs) > 2 or not node.inputs:
            return None
        node = node.inputs[0].node
    return node


def paint_u(picture: Scene, graph: Graph, way: list[Node], scale: str, theme: Theme) -> list[Unit]:
    """Paints the U. The units that are drawn."""
    found = [*input_units(graph), *_join_units(chain_units(way))]
    stops = _stops(found, scale)
    _arrange(stops)
    for stop in stops:
        for solid in stop.solids:
            paint(picture, solid, theme)
        write(picture, stop.label, stop.top - stop.label.height - 3, theme)
    for before, after in pairwise(stops):
        _step(picture, before, after, theme)
    _wires(picture, graph, way, stops, theme)
    return found


def _join_units(found: list[Unit]) -> list[Unit]:
    """A map that is brought up and at once merged with the wire across is one box, so that the wire passes through none."""
    kept: list[Unit] = []
    for unit in found:
        before = kept[-1] if kept else None
        if before is not None and unit.body == "merge" and before.body == "upsampling" and len(unit.nodes) == 1:
            what = f"{before.what} + {unit.what}"
            kept[-1] = Unit(
                [*before.nodes, *unit.nodes],
                shape=unit.shape,
                name=unit.name,
                what=what,
                body="upsampling",
                band="merge",
                mapped=unit.mapped,
            )
        else:
            kept.append(unit)
    return kept


def _stops(found: list[Unit], scale: str) -> list[Level]:
    largest, level = largest_extent(found), 0
    size = found[0].shape[-1]
    stops: list[Level] = []
    for unit in found:
        now = unit.shape[-1] if len(unit.shape) > 1 else 1
        level += (now * STEP <= size) - (now >= size * STEP)
        size = now
        last = stops[-1].solids[-1].unit if stops else None
        if last is not None and stops[-1].level == level and (last.what, last.shape[0]) == (unit.what, unit.shape[0]):
            stops[-1].solids.append(make_solid(unit, largest, scale))
            stops[-1].label = Label(shape_text(unit), f"{unit.what} ×{len(stops[-1].solids)}")
        else:
            stops.append(Level(level, [make_solid(unit, largest, scale)], Label(shape_text(unit), unit.what)))
    return stops


def _arrange(stops: list[Level]) -> None:
    """Levels as rows, maps from left to right; a new level begins beside the arrow that leads to it."""
    middle = _middles(stops)
    x = 0.0
    for i, stop in enumerate(stops):
        reach = max((stop.label.width - stop.wide) / 2, 0.0)
        stop.put(x + reach, middle[stop.level])
        after = stops[i + 1] if i + 1 < len(stops) else None
        last = stop.solids[-1]
        if after is not None and after.level > stop.level:
            x = last.x + last.wide / 2 + 14
        elif after is not None and after.level < stop.level:
            x = last.box.right + 14 - max(after.label.width, after.wide) / 2
        else:
            x = max(last.box.right + 4, stop.label.centre + stop.label.width / 2) + 10


def _middles(stops: list[Level]) -> dict[int, float]:
    """Where the axis of each level is."""
    tall: dict[int, float] = {}
    for stop in stops:
        tall[stop.level] = max([tall.get(stop.level, 0.0), *(each.box.bottom - each.box.top for each in stop.solids)])
    y, middle = 0.0, {}
    for level in sorted(tall):
        middle[level] = y + tall[level] / 2
        y += tall[level] + 54
    return middle


def _step(picture: Scene, before: Level, after: Level, theme: Theme) -> None:
    """The arrow from a map to the next: along the row, or down or up at a corner."""
    start, end = before.solids[-1], after.solids[0]
    if before.level == after.level:
        picture.arrow([start.exit, end.entry], theme.line, 1.1)
    elif before.level < after.level:
        x = start.x + start.wide / 2
        picture.arrow([(x, start.bottom), (x, end.y), end.entry], theme.family_edge("pooling"), 1.6)
    else:
        x = end.x + end.wide / 2
        picture.arrow([start.exit, (x, start.y), (x, end.bottom)], theme.family_edge("upsampling"), 1.6)


def _wires(picture: Scene, graph: Graph, way: list[Node], stops: list[Level], theme: Theme) -> None:
    """The wires across, each along its level."""
    home = {id(node): stop for stop in stops for solid in stop.solids for node in solid.unit.nodes}
    for source, target in _bridges(graph, way):
        start, end = home.get(id(source)), home.get(id(target))
        if start is None or end is None:
            continue
        (x0, y0), (x1, y1) = start.solids[-1].exit, end.solids[0].entry
        picture.arrow([(x0, y0), (x1, y0)] if y0 == y1 else [(x0, y0), (x1 - 20, y0), (x1, y1)], theme.family_edge("merge"), 1.4, "5 3")
        cropped = not any(value.node is source for value in target.inputs)
        text = f"{target.kind}, cropped" if cropped else target.kind
        middle = (x0 + x1) / 2
        blocked = Box(middle - 40, y0 - 16, middle + 40, y0 - 2)
        if not any(box.meets(blocked) for _, box in picture.texts):
            picture.text((middle, y0 - 5), text, 9.5, theme.faint, "middle")
