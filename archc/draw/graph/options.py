"""How a graph is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from archc.draw.graph.fold import FULL, Folding
from archc.draw.theme import LIGHT, Theme


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
