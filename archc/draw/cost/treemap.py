"""Where a figure goes, by scope: a squarified treemap (Bruls, Huizing & van Wijk, 2000) whose areas are the counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from archc.analysis.cost.report import Layer, Report
from archc.draw.scene import Box, Scene, mix, shorten, text_width
from archc.draw.theme import Theme, family
from archc.text.quantity import bytes_text, short


def squarify(sizes: Sequence[float], box: Box) -> list[Box]:
    """A rectangle for each size, which must be positive; they tile the box. Larger ones first looks best."""
    found: list[Box] = []
    left, i = box, 0
    rest = float(sum(sizes))
    while i < len(sizes):
        scale = (left.right - left.left) * (left.bottom - left.top) / rest
        count = _row(sizes[i:], scale, min(left.right - left.left, left.bottom - left.top))
        row = sizes[i : i + count]
        boxes, left = _laid(row, left, sum(row) / rest, last=i + count == len(sizes))
        found += boxes
        rest -= sum(row)
        i += count
    return found


def _row(sizes: Sequence[float], scale: float, side: float) -> int:
    """How many stand in the next row along the shorter side: more as long as the worst of them becomes no longer."""
    total, best = 0.0, float("inf")
    for count, size in enumerate(sizes, 1):
        total += size
        worst = _worst(sizes[:1], size, total, scale, side)
        if worst > best:
            return count - 1
        best = worst
    return len(sizes)


def _worst(first: Sequence[float], last: float, total: float, scale: float, side: float) -> float:
    """The largest ratio of sides in a row of areas that fall from `first` to `last`."""
    area = total * scale
    if not side or not area:
        return float("inf")
    large, small = max(first[0], last) * scale, min(first[0], last) * scale
    return max(side * side * large / (area * area), area * area / (side * side * small) if small else float("inf"))


def _laid(row: Sequence[float], box: Box, part: float, last: bool) -> tuple[list[Box], Box]:
    """A row of rectangles along the shorter side, which takes `part` of the box, and what is left of it."""
    wide = box.right - box.left >= box.bottom - box.top
    near, far = (box.left, box.right) if wide else (box.top, box.bottom)
    cut = far if last else near + (far - near) * part
    start, end = (box.top, box.bottom) if wide else (box.left, box.right)
    total, done, boxes = sum(row), 0.0, []
    before = start
    for i, size in enumerate(row):
        done += size
        after = end if i == len(row) - 1 else start + (end - start) * done / total
        boxes.append(Box(near, before, cut, after) if wide else Box(before, near, after, cut))
        before = after
    return boxes, Box(cut, box.top, box.right, box.bottom) if wide else Box(box.left, cut, box.right, box.bottom)


DEPTH = 4
HEAD = 14.0


@dataclass(slots=True)
class TreemapPart:
    """A scope or a layer: its size, and what is in it. `kind` is that of its one layer, or empty."""

    name: str
    size: int = 0
    kind: str = ""
    parts: dict[str, TreemapPart] = field(default_factory=dict)


def parts(report: Report, of: Callable[[Layer], int]) -> TreemapPart:
    """What has a part of the figure, by the levels of the names."""
    root = TreemapPart("")
    for layer in report.layers:
        size = of(layer)
        if not size:
            continue
        at = root
        at.size += size
        for label in layer.name.split("."):
            full = f"{at.name}.{label}" if at.name else label
            at = at.parts.setdefault(label, TreemapPart(full))
            at.size += size
        at.kind = layer.kind
    return root


def paint(scene: Scene, root: TreemapPart, unit: str, box: Box, theme: Theme) -> None:
    """The treemap of a figure in the box. Areas of layers are in proportion everywhere; the names of scopes lie over them."""
    if root.size:
        _Map(scene, root.size, unit, theme).fill(root, box, DEPTH, box.top)
    else:
        scene.text(((box.left + box.right) / 2, (box.top + box.bottom) / 2), f"no {unit}", 12, theme.faint, "middle")


def cells(part: TreemapPart, box: Box) -> list[tuple[TreemapPart, Box]]:
    """What is in a part, the largest first, each with its place; a scope with one thing in it is that thing."""
    ordered = sorted(part.parts.values(), key=lambda child: (-child.size, child.name))
    return [(_only(child), place) for child, place in zip(ordered, squarify([child.size for child in ordered], box), strict=True)]


def _only(part: TreemapPart) -> TreemapPart:
    while len(part.parts) == 1:
        part = next(iter(part.parts.values()))
    return part


def _largest(part: TreemapPart) -> TreemapPart:
    """The layer in it that has most."""
    while part.parts:
        part = max(part.parts.values(), key=lambda child: child.size)
    return part


def _fitting(name: str, around: str, room: float) -> str:
    """As much of a name as there is room for: all of it, what follows the name around, its last word, or nothing."""
    texts = (name, name.removeprefix(f"{around}."), name.rpartition(".")[2])
    return next((text for text in texts if text_width(text, 9) <= room), "")


@dataclass(frozen=True, slots=True)
class _Map:
    scene: Scene
    total: int
    unit: str
    theme: Theme

    def fill(self, part: TreemapPart, box: Box, depth: int, free: float) -> None:
        """What is in a part; above `free` lie the names of those around."""
        for cell, place in cells(part, box):
            top = max(place.top, free)
            if cell.parts and depth > 1 and place.right - place.left > 44 and place.bottom - top > HEAD + 14:
                self.fill(cell, place, depth - 1, top + HEAD)
                self._head(cell, part.name, place, top, depth)
            else:
                fill = self.theme.family_fill(family(cell.kind or _largest(cell).kind))
                self.scene.rect(place, fill, mix(fill, self.theme.background, 0.65), 0.8, title=self._title(cell))
                self._label(cell, part.name, Box(place.left, top, place.right, place.bottom))

    def _title(self, part: TreemapPart) -> str:
        return f"{part.name}: {part.size:,} {self.unit}, {part.size / self.total:.1%}"

    def _size(self, part: TreemapPart) -> str:
        return f"{bytes_text(part.size) if self.unit == 'bytes' else short(part.size)} · {part.size / self.total:.1%}"

    def _head(self, part: TreemapPart, around: str, place: Box, top: float, depth: int) -> None:
        """A scope's border, its name and its size."""
        theme, wide = self.theme, place.right - place.left
        border = 2.6 if depth == DEPTH else 1.6
        corners = [(place.left, place.top), (place.right, place.top), (place.right, place.bottom), (place.left, place.bottom)]
        self.scene.line([*corners, corners[0]], theme.background, border)
        fill = mix(theme.family_fill(family(_largest(part).kind)), theme.background, 0.75)
        strip = Box(place.left + border / 2, top + border / 2, place.right - border / 2, top + HEAD)
        self.scene.rect(strip, fill, title=self._title(part))
        name, size = _fitting(part.name, around, wide - 8) or shorten(part.name.rpartition(".")[2], 9, wide - 8), self._size(part)
        if name:
            self.scene.text((place.left + 4, top + 10.5), name, 9, theme.ink)
        if text_width(size, 8.5) < wide - text_width(name, 9) - 18:
            self.scene.text((place.right - 4, top + 10.5), size, 8.5, theme.ink, "end")

    def _label(self, part: TreemapPart, around: str, room: Box) -> None:
        """The name of a layer, and under it the size, as far as there is room."""
        wide, high = room.right - room.left - 8, room.bottom - room.top
        name = _fitting(part.name, around, wide)
        if high < 14 or not name:
            return
        self.scene.text((room.left + 4, room.top + 11), name, 9, self.theme.ink)
        if high > 27 and text_width(self._size(part), 8.5) < wide:
            self.scene.text((room.left + 4, room.top + 22.5), self._size(part), 8.5, self.theme.ink)
