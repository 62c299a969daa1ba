"""The memory of a training step over time, stacked by what it is made of, with its peak."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from archc.analysis.memory.timeline import Timeline
from archc.analysis.memory.timeline.tape import KINDS
from archc.draw.scene import Box, Point, Scene, binary_ticks, shorten, text_width
from archc.draw.theme import Theme
from archc.text.quantity import bytes_text

_COLORS = dict(
    zip(
        KINDS,
        ("convolution", "reshape", "linear", "attention", "input", "pooling", "normalization", "upsampling", "activation", "merge"),
        strict=True,
    )
)


def paint(scene: Scene, timeline: Timeline, box: Box, theme: Theme) -> None:
    """The chart within the box, its axes and words around it, its legend below."""
    columns = _thin(timeline.tape.moments())
    peak = timeline.peak_bytes or 1
    ticks = binary_ticks(peak)
    scale = (box.bottom - box.top) / max(peak * 1.08, ticks[-1])
    for tick in ticks:
        y = box.bottom - tick * scale
        scene.line([(box.left, y), (box.right, y)], theme.grid, 0.8)
        scene.text((box.left - 6, y + 3), bytes_text(tick), 9, theme.faint, "end")
    used = [kind for kind in KINDS if any(column[kind] for column in columns)]
    _areas(scene, columns, used, box, scale, theme)
    scene.line([(box.left, box.bottom), (box.right, box.bottom)], theme.line, 0.9)
    _phases(scene, timeline, box, theme)
    _peak(scene, timeline, box, scale, theme)
    _legend(scene, used, box.left, box.bottom + 42, theme)


def _thin(found: list[Counter[str]], most: int = 400) -> list[Counter[str]]:
    """As many columns as can be seen, each the fullest of its moments."""
    if len(found) <= most:
        return found
    groups = [found[i * len(found) // most : (i + 1) * len(found) // most] for i in range(most)]
    return [max(group, key=Counter.total) for group in groups]


def _areas(scene: Scene, columns: list[Counter[str]], used: list[str], box: Box, scale: float, theme: Theme) -> None:
    """A stepped area for each kind, one on the other."""
    step = (box.right - box.left) / len(columns)
    base = [0] * len(columns)
    for kind in used:
        top = [below + column[kind] for below, column in zip(base, columns, strict=True)]
        upper = _step_line(top, box, step, scale)
        lower = _step_line(base, box, step, scale)
        largest = max(column[kind] for column in columns)
        family = _COLORS[kind]
        scene.polygon([*upper, *reversed(lower)], theme.family_fill(family), theme.family_edge(family), 0.4,
                      title=f"{kind}: {bytes_text(largest)} at most")  # fmt: skip
        base = top


def _step_line(values: list[int], box: Box, step: float, scale: float) -> list[Point]:
    points: list[Point] = []
    for i, value in enumerate(values):
        y = box.bottom - value * scale
        for point in ((box.left + i * step, y), (box.left + (i + 1) * step, y)):
            if len(points) > 1 and points[-1][1] == y == points[-2][1]:
                points[-1] = point
            else:
                points.append(point)
    return points


def _phases(scene: Scene, timeline: Timeline, box: Box, theme: Theme) -> None:
    """Where forward and backward begin, and their names under the axis."""
    marks = timeline.events
    step, at = (box.right - box.left) / len(marks), 0
    for phase, group in groupby(marks, key=lambda mark: mark.phase):
        count = len(list(group))
        left, right = box.left + at * step, box.left + (at + count) * step
        if phase in ("forward", "backward"):
            scene.line([(left, box.top), (left, box.bottom)], theme.faint, 0.7, "3 3")
            scene.line([(right, box.top), (right, box.bottom)], theme.faint, 0.7, "3 3")
            scene.text(((left + right) / 2, box.bottom + 16), phase, 11, theme.ink, "middle")
        at += count


def _peak(scene: Scene, timeline: Timeline, box: Box, scale: float, theme: Theme) -> None:
    """A point at the peak, and during what it is."""
    marks = timeline.events
    index = marks.index(timeline.peak_mark)
    x = box.left + (index + 0.5) * (box.right - box.left) / len(marks)
    y = box.bottom - timeline.peak_bytes * scale
    scene.circle((x, y), 3, theme.ink, theme.background)
    text = f"peak {timeline.amount_text(timeline.peak_bytes)}, {shorten(timeline.peak_at, 10.5, 300)}"
    width = text_width(text, 10.5, True)
    centre = min(max(x, box.left + width / 2 + 4), box.right - width / 2)
    why = f": {timeline.bound.text}" if timeline.bound.text else ""
    title = f"{timeline.bound.sign}{timeline.peak_bytes:,} bytes{why}"
    scene.text((centre, box.top - 8), text, 10.5, theme.ink, "middle", True, title=title)
    scene.line([(x, box.top - 4), (x, y - 4)], theme.ink, 0.7)


def _legend(scene: Scene, used: list[str], x: float, y: float, theme: Theme) -> None:
    left = x
    for kind in used:
        width = 32 + text_width(kind, 10)
        if x + width > left + 760:
            x, y = left, y + 18
        family = _COLORS[kind]
        scene.rect(Box(x, y - 9, x + 11, y + 2), theme.family_fill(family), theme.family_edge(family), radius=2)
        scene.text((x + 16, y), kind, 10, theme.ink)
        x += width
