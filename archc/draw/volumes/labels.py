"""Labels of boxes in a row: in two ranks where one has no room, so that none meets another and no leader crosses one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archc.draw.scene import Box, Scene, shorten, text_width
from archc.draw.theme import Theme

SIZE, SMALL, LINE, GAP = 10.5, 9.5, 12.5, 8.0
LONGEST = 130.0


@dataclass(slots=True)
class Label:
    """Two lines, at the middle of the boxes that they tell of, which reach from `left` to `right`."""

    shape: str
    what: str
    left: float = 0.0
    right: float = 0.0

    def __post_init__(self) -> None:
        self.what = shorten(self.what, SMALL, LONGEST)

    @property
    def centre(self) -> float:
        return (self.left + self.right) / 2

    @property
    def width(self) -> float:
        return max(text_width(self.shape, SIZE, True), text_width(self.what, SMALL))

    @property
    def height(self) -> float:
        return 2 * LINE + 3

    def box(self, top: float) -> Box:
        return Box(self.centre - self.width / 2, top, self.centre + self.width / 2, top + self.height)


def least_centre(before: Sequence[Label], label: Label) -> float:
    """How far to the left the middle of the next label may be: two ranks take turns, and a leader passes beside a label."""
    least = float("-inf")
    if before:
        least = before[-1].centre + max(before[-1].width, label.width) / 2 + GAP
    if len(before) > 1:
        least = max(least, before[-2].centre + (before[-2].width + label.width) / 2 + GAP)
    return least


def place_below(labels: Sequence[Label], boxes: Sequence[Box]) -> list[float]:
    """The top of each label: as high as the boxes above it and its neighbours allow."""
    tops: list[float] = [0.0] * len(labels)
    taken: list[Box] = []
    for rank in (0, 1):
        for i in range(rank, len(labels), 2):
            own = labels[i].box(0)
            above = [box.bottom for box in [*boxes, *taken] if box.left - 3 < own.right and own.left < box.right + 3]
            tops[i] = max(above, default=0.0) + 7
        taken = [label.box(top) for label, top in list(zip(labels, tops, strict=True))[::2]]
    return tops


def paint(scene: Scene, label: Label, top: float, foot: float, theme: Theme) -> None:
    """The label, a bracket under its boxes whose feet are at `foot`, and a leader from there."""
    spread = label.right - label.left > 24
    if spread:
        scene.line([(label.left, foot + 2), (label.left, foot + 4), (label.right, foot + 4), (label.right, foot + 2)], theme.faint, 0.8)
    if top - foot > 12:
        scene.line([(label.centre, foot + (4 if spread else 2)), (label.centre, top - 1)], theme.faint, 0.6, "1.5 2")
    write(scene, label, top, theme)


def write(scene: Scene, label: Label, top: float, theme: Theme) -> None:
    with scene.group("label"):
        scene.text((label.centre, top + 10), label.shape, SIZE, theme.ink, "middle", True)
        scene.text((label.centre, top + 10 + LINE), label.what, SMALL, theme.faint, "middle")
