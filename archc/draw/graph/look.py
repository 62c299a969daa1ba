"""How a graph is drawn: what a caller chooses, and the colours and lines of boxes and groups by what they stand for."""

from __future__ import annotations

from dataclasses import dataclass

from archc.draw.graph.fold import FULL, Folding
from archc.draw.graph.fold_fuse import SMALL
from archc.draw.graph.fold_marks import PORT, GraphBox, Group
from archc.draw.graph.labels import is_bar, sign
from archc.draw.scene import mix
from archc.draw.theme import LIGHT, Theme, family


@dataclass(frozen=True, slots=True)
class GraphOptions:
    """depth: levels of blocks opened; None for as many as stay legible. full: every layer a node, nothing folded or fused.

    rankdir: TB, BT, LR or RL, where the graph runs to; shapes: on every edge, not only where they change
    columns: a picture from top to bottom in so many; None for as many as make it largest on a page
    prefix: what the ids of the SVG begin with, where a page has several
    """

    depth: int | None = None
    full: bool = False
    rankdir: str = "TB"
    theme: Theme = LIGHT
    shapes: bool = False
    prefix: str = ""
    columns: int | None = None

    @property
    def folding(self) -> Folding:
        if self.full:
            return Folding(FULL if self.depth is None else self.depth, repeats=False, fuse=False)
        return Folding(self.depth)


BOX, BAR, CIRCLE, POINT = "box", "bar", "circle", "point"


@dataclass(frozen=True, slots=True)
class BoxLook:
    """shape: a box has round corners, a bar none; width: of the line around it, in points; kind: a class in the SVG"""

    kind: str
    fill: str
    edge: str
    width: float = 1.1
    shape: str = BOX
    dashed: bool = False


def look_of(box: GraphBox, theme: Theme) -> BoxLook:
    """A box: its main layer's colours; a closed block, an end and the end of a column have looks of their own."""
    if box.end == PORT:
        return BoxLook(PORT, theme.line, theme.line, shape=POINT)
    if box.closed:
        return BoxLook("block", shade(theme, 3), theme.line, 1.4)
    kind = main_kind(box)
    shape = CIRCLE if sign(box) else BAR if is_bar(box) else BOX
    return BoxLook(kind, theme.fill(kind), theme.edge(kind), shape=shape, dashed=bool(box.end))


def frame_of(group: Group, level: int, theme: Theme) -> BoxLook:
    """A group, `level` deep: a line that is seen where it stands for several copies."""
    kind = "block" if group.scope.block else "part"
    return BoxLook(kind, shade(theme, level), theme.faint if group.times > 1 else mix(theme.background, theme.ink, 0.25), 0.9)


def shade(theme: Theme, level: int) -> str:
    """The background of a group: the deeper, the further from the page's."""
    return mix(theme.background, theme.ink, 0.035 * min(level, 4))


def main_kind(box: GraphBox) -> str:
    """The kind of a box's main layer; that of the end, where it is one."""
    return box.end or next((node.kind for node in box.layers if family(node.kind) not in SMALL), box.layers[0].kind)
