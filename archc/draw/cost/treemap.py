"""Squarified treemaps: rectangles whose areas are in proportion, as near to squares as they come (Bruls, Huizing & van Wijk, 2000)."""

from __future__ import annotations

from collections.abc import Sequence

from archc.draw.scene import Box


def squarified(sizes: Sequence[float], box: Box) -> list[Box]:
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
