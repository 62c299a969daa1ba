"""Parameters, MACs, activations and memory layer by layer: aligned bars, each stacked by the families of its operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from archc.analysis.cost.report import Layer, Report
from archc.analysis.memory.timeline import Timeline
from archc.draw.scene import Box, Scene, shorten, text_width
from archc.draw.theme import FAMILIES, Theme, family
from archc.graph import Node
from archc.text.quantity import bytes_text, counted, short

MOST_ROWS = 32
ROW, BAR, WIDE, NAMES = 17.0, 11.0, 150.0, 190.0


@dataclass(slots=True)
class LayerBar:
    """A row: its name and, for each figure, its parts by family."""

    name: str
    parts: list[Counter[str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Figure:
    """A column of bars: its heading, what a layer has of it, and how it is written."""

    key: str
    name: str
    of: Callable[[Layer], int]
    text: Callable[[int], str]


def figures(kept: Mapping[Node, int], batch: int) -> list[Figure]:
    """The four columns. Counts are of one image in the network as it is deployed, memory is of a batch in training."""
    images = counted(batch, "image")

    def deployed(of: Callable[[Layer], int]) -> Callable[[Layer], int]:
        return lambda layer: 0 if layer.node.train_only else of(layer)

    return [
        Figure("parameters", "parameters", deployed(lambda layer: layer.parameters.low), short),
        Figure("macs", "MACs", deployed(lambda layer: layer.macs.low), short),
        Figure("activations", "activations", deployed(lambda layer: layer.activations), short),
        Figure("memory", f"kept for backward, {images}", lambda layer: kept.get(layer.node, 0), bytes_text),
    ]


def bars(report: Report, found: list[Figure], most: int = MOST_ROWS) -> list[LayerBar]:
    """Rows of layers, as deep into the names as leaves no more than `most`; layers that cost nothing are left out."""
    layers = [layer for layer in report.layers if any(figure.of(layer) for figure in found)]
    deepest = max((layer.name.count(".") + 1 for layer in layers), default=1)
    rows = _rows(layers, found, 1)
    for depth in range(2, deepest + 1):
        deeper = _rows(layers, found, depth)
        if len(deeper) > most:
            break
        rows = deeper
    return rows if len(rows) <= most else _window_bars(rows, most)


def _rows(layers: list[Layer], found: list[Figure], depth: int) -> list[LayerBar]:
    rows: list[LayerBar] = []
    for layer in layers:
        name = ".".join(layer.name.split(".")[:depth])
        if not rows or rows[-1].name != name:
            rows.append(LayerBar(name, [Counter() for _ in found]))
        for parts, figure in zip(rows[-1].parts, found, strict=True):
            parts[family(layer.kind)] += figure.of(layer)
    return rows


def _window_bars(rows: list[LayerBar], most: int) -> list[LayerBar]:
    """Neighbours together, where even the outermost names are too many."""
    joined: list[LayerBar] = []
    for i in range(most):
        group = rows[i * len(rows) // most : (i + 1) * len(rows) // most]
        name = group[0].name if len(group) == 1 else f"{group[0].name} … {group[-1].name}"
        joined.append(LayerBar(name, [sum((bar.parts[k] for bar in group), Counter()) for k in range(len(group[0].parts))]))
    return joined


def paint(scene: Scene, report: Report, timeline: Timeline, at: tuple[float, float], theme: Theme) -> None:
    """The bars from `at` rightwards and down."""
    found = figures(timeline.kept_by_layer(), timeline.options.batch)
    rows = bars(report, found)
    x, y = at
    for row_at, row in enumerate(rows):
        middle = y + 44 + row_at * ROW
        scene.text((x + NAMES - 8, middle + 3.5), shorten(row.name, 10, NAMES - 12), 10, theme.ink, "end", title=row.name)
    for k, figure in enumerate(found):
        _column(scene, figure, [(row.name, row.parts[k]) for row in rows], (x + NAMES + k * (WIDE + 62), y), theme)
    used = {name for row in rows for parts in row.parts for name, size in parts.items() if size}
    legend(scene, [name for name in FAMILIES if name in used], x + NAMES, y + 44 + len(rows) * ROW + 12, theme)


def _column(scene: Scene, figure: Figure, rows: list[tuple[str, Counter[str]]], at: tuple[float, float], theme: Theme) -> None:
    """One figure's bars, their values at the ends, and the total above."""
    x, y = at
    total = sum(parts.total() for _, parts in rows)
    largest = max((parts.total() for _, parts in rows), default=0) or 1
    scene.text((x, y + 10), figure.name, 11, theme.ink, bold=True)
    scene.text((x, y + 24), f"{figure.text(total)} in all", 9.5, theme.faint)
    scene.line([(x, y + 34), (x, y + 44 + len(rows) * ROW - ROW / 2)], theme.line, 0.8)
    for i, (name, parts) in enumerate(rows):
        left, middle = x, y + 44 + i * ROW
        for kind in FAMILIES:
            if not parts[kind]:
                continue
            right = left + WIDE * parts[kind] / largest
            title = f"{name}, {kind}: {parts[kind]:,}"
            scene.rect(Box(left, middle - BAR / 2, right, middle + BAR / 2), theme.family_fill(kind), title=title)
            left = right
        if parts.total():
            scene.text((left + 4, middle + 3.2), figure.text(parts.total()), 8.5, theme.faint, title=f"{parts.total():,}")


def legend(scene: Scene, names: list[str], x: float, y: float, theme: Theme) -> None:
    """The families, in a line."""
    for name in names:
        scene.rect(Box(x, y - 9, x + 11, y + 2), theme.family_fill(name), theme.family_edge(name), radius=2)
        scene.text((x + 16, y), name, 10, theme.ink)
        x += 32 + text_width(name, 10)
