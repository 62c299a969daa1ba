"""A feature map as a box in oblique perspective: its sizes on paper, its faces, its band."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2, sqrt

from archc.draw.scene import Box, Point, Scene, mix
from archc.draw.theme import Theme
from archc.draw.volumes.units import Unit, shape_text

SCALES = ("sqrt", "log", "linear")
TALLEST, LEAST, WIDEST = 170.0, 9.0, 64.0  # pixels
SLANT: Point = (0.36, -0.36)  # how far a pixel of depth goes right and up


@dataclass(slots=True)
class Solid:
    """A unit on paper: front face `wide` by `high`, `deep` into the page; `x` is its left side, `y` the middle of the axis."""

    unit: Unit
    wide: float
    high: float
    deep: float
    x: float = 0.0
    y: float = 0.0

    @property
    def slant(self) -> Point:
        return self.deep * SLANT[0], self.deep * SLANT[1]

    @property
    def top(self) -> float:
        """Of the front face; the whole box is centred on the axis."""
        return self.y - (self.high + self.slant[1]) / 2

    @property
    def bottom(self) -> float:
        return self.top + self.high

    @property
    def box(self) -> Box:
        dx, dy = self.slant
        return Box(self.x, self.top + dy, self.x + self.wide + dx, self.bottom)

    @property
    def exit(self) -> Point:
        """Where an arrow leaves: the middle of the right face."""
        return self.x + self.wide + self.slant[0] / 2, self.y

    @property
    def entry(self) -> Point:
        return self.x, self.y


def make_solid(unit: Unit, largest: int, scale: str) -> Solid:
    """The sizes of a unit on paper, where `largest` is the largest extent of any map."""
    shape, channels = unit.shape, unit.shape[0] if unit.mapped else unit.shape[-1]
    space = shape[1:] if unit.mapped else shape[:-1]
    if not space or all(size == 1 for size in space):
        return Solid(unit, 9.0, min(120.0, 14 + 1.5 * sqrt(channels)), 9.0)
    wide = min(WIDEST, max(5.0, 1.15 * sqrt(channels)))
    high = _extent(space[-2] if len(space) > 1 else space[0], largest, scale)
    return Solid(unit, wide, high, _extent(space[-1], largest, scale) if len(space) > 1 else 6.0)


def _extent(size: int, largest: int, scale: str) -> float:
    return max(LEAST, TALLEST * _measure(size, scale) / _measure(largest, scale))


def _measure(size: int, scale: str) -> float:
    return log2(1 + size) if scale == "log" else sqrt(size) if scale == "sqrt" else float(size)


def largest_extent(found: list[Unit]) -> int:
    sizes = [size for unit in found for size in (unit.shape[1:] if unit.mapped else unit.shape[:-1])]
    return max(sizes, default=1)


def paint(scene: Scene, solid: Solid, theme: Theme) -> None:
    """The three faces, and at the right end of the front and the top the band."""
    unit, (dx, dy), top, bottom = solid.unit, solid.slant, solid.top, solid.bottom
    band = min(max(2.5, solid.wide * 0.22), 9.0) if unit.band else 0.0
    right, cut = solid.x + solid.wide, solid.x + solid.wide - band
    light = 0.3 if theme.name == "light" else 0.16
    line = min(0.9, 0.3 + solid.wide / 30)
    with scene.group(f"volume {unit.body}", tooltip(unit)):
        fill, edge = theme.family_fill(unit.body), theme.family_edge(unit.body)
        side = [(right, top), (right + dx, top + dy), (right + dx, bottom + dy), (right, bottom)]
        scene.polygon(side, mix(fill, "#000000", 0.16), edge, line)
        for left, end, family in ((solid.x, cut, unit.body), (cut, right, unit.band)):
            if family:
                fill, edge = theme.family_fill(family), theme.family_edge(family)
                scene.polygon(
                    [(left, top), (end, top), (end + dx, top + dy), (left + dx, top + dy)], mix(fill, "#ffffff", light), edge, line
                )
                scene.polygon([(left, top), (end, top), (end, bottom), (left, bottom)], fill, edge, line)


def tooltip(unit: Unit) -> str:
    return f"{unit.name}: {unit.what}, {shape_text(unit)}, {unit.shape.values:,} values"
