"""The lectures' figure: feature maps as boxes in perspective, sized by their shape, coloured by what made them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from archc.draw.scene import Box, Scene, shorten, text_width
from archc.draw.theme import FAMILIES, Theme
from archc.draw.volumes import chain as volumes_chain
from archc.draw.volumes import u_shape as volumes_u
from archc.draw.volumes.boxes import SCALES, Solid, largest_extent, make_solid, paint
from archc.draw.volumes.labels import Label, least_centre, place_below
from archc.draw.volumes.labels import paint as paint_label
from archc.draw.volumes.units import Unit, UnitRun, input_units, parts, runs, units_of
from archc.errors import ArgumentError
from archc.graph import Graph


@dataclass(frozen=True, slots=True)
class VolumesOptions:
    """scale: how extents grow on paper, sqrt, log or linear; names: layers' names in the place of what they are; legend; title."""

    scale: str = "sqrt"
    names: bool = False
    legend: bool = True
    title: bool = True

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ArgumentError(f"a scale is {', '.join(SCALES[:-1])} or {SCALES[-1]}, not {self.scale}")


def draw(graph: Graph, options: VolumesOptions, theme: Theme) -> str:
    """The figure as SVG. Raises ValueError for a network without layers, and for one with branches that no row of boxes can show."""
    return scene(graph, options, theme).svg()


def scene(graph: Graph, options: VolumesOptions, theme: Theme) -> Scene:
    graph = graph.deployed()
    if not graph.nodes:
        raise ArgumentError(f"{graph.name} has no layers to draw")
    picture = Scene(theme, f"{graph.name}: feature maps")
    path = volumes_u.path(graph)
    shown = volumes_u.paint_u(picture, graph, path, options.scale, theme) if path else _paint_row(picture, graph, options, theme)
    if options.title:
        picture.text((picture.box.left, picture.box.top - 14), shorten(graph.name, 15, 600), 15, theme.ink, bold=True)
    if options.legend:
        _legend(picture, shown, theme)
    return picture


def _paint_row(picture: Scene, graph: Graph, options: VolumesOptions, theme: Theme) -> list[Unit]:
    """Boxes from left to right, with their labels below. The units that are drawn."""
    cut = parts(graph)
    volumes_chain.check(graph, cut)
    found = runs([*input_units(graph), *units_of(cut)])
    shown = [unit for run in found for unit in run.shown]
    largest = largest_extent(shown)
    rows = [[make_solid(unit, largest, options.scale) for unit in run.shown] for run in found]
    labels = [Label(run.shape_text, run.units[0].name if options.names else run.what) for run in found]
    _arrange(rows, labels)
    for i, (row, run) in enumerate(zip(rows, found, strict=True)):
        for solid in row:
            paint(picture, solid, theme)
        _dots(picture, row, run, theme)
        if i and run.shown[0].body != "input":  # one input does not come from another
            picture.arrow([rows[i - 1][-1].exit, row[0].entry], theme.line, 1.1)
    tops = place_below(labels, [solid.box for row in rows for solid in row])
    for label, row, top in zip(labels, rows, tops, strict=True):
        paint_label(picture, label, top, max(solid.bottom for solid in row), theme)
    return shown


def _arrange(rows: list[list[Solid]], labels: list[Label]) -> None:
    """Gives each box its place: as near to the one before as the arrow between them and their labels allow."""
    x = 0.0
    for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
        _line_up(row, x)
        label.left, label.right = row[0].x, row[-1].x + row[-1].wide
        late = least_centre(labels[:i], label) - label.centre
        if late > 0:
            _line_up(row, x + late)
            label.left, label.right = row[0].x, row[-1].x + row[-1].wide
        x = row[-1].exit[0] + max(18.0, row[-1].slant[0] * 0.12)


def _line_up(row: list[Solid], x: float) -> None:
    for solid in row:
        solid.x = x
        x += solid.wide + max(7.0, min(solid.slant[0] * 0.35, 22.0))


def _dots(picture: Scene, row: list[Solid], run: UnitRun, theme: Theme) -> None:
    """How many maps a row of three stands for."""
    if len(run.units) > len(run.shown):
        top = min(solid.box.top for solid in row)
        picture.text(((row[0].box.left + row[-1].box.right) / 2, top - 6), f"{len(run.units)} in all", 9.5, theme.faint, "middle")


def _legend(picture: Scene, shown: Iterable[Unit], theme: Theme) -> None:
    """The families that are in the picture, under it."""
    used = {name for unit in shown for name in (unit.body, unit.band) if name}
    names = [name for name in FAMILIES if name in used]
    words = {"merge": "ends in a sum or concatenation", "activation": "ends in an activation"}
    bands = {unit.band for unit in shown} - {unit.body for unit in shown}
    texts = [words[name] if name in words and name in bands else name for name in names]
    x, y = picture.box.left, picture.box.bottom + 24
    left, right = x, max(picture.box.right, x + 420)
    for name, text in zip(names, texts, strict=True):
        width = 16 + text_width(text, 10) + 16
        if x > left and x + width > right:
            x, y = left, y + 18
        picture.rect(Box(x, y - 9, x + 11, y + 2), theme.family_fill(name), theme.family_edge(name), radius=2)
        picture.text((x + 16, y), text, 10, theme.ink)
        x += width
