"""Where parameters, MACs, activations and memory go: bars layer by layer, a treemap by scope, the memory timeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archc.analysis.cost.report import Layer, Report, analyze
from archc.analysis.memory.timeline import Options, Timeline, training
from archc.draw.cost import bars as cost_bars
from archc.draw.cost import timeline as cost_timeline
from archc.draw.cost import treemap as cost_treemap
from archc.draw.scene import Box, Scene, shorten
from archc.draw.theme import FAMILIES, Theme, family
from archc.errors import ArgumentError
from archc.graph import Graph
from archc.text.quantity import counted

OF = ("all", "bars", "treemap", "timeline")
BY = ("parameters", "macs", "activations", "memory")
WIDTH, MAP, CHART = 1038.0, 420.0, 260.0


@dataclass(frozen=True, slots=True)
class CostOptions:
    """of: which figures; by: what the treemap's areas are; the rest says of which training step the memory is, as in `archc memory`."""

    of: str = "all"
    by: str = "parameters"
    batch: int = 1
    dtype: str = "float32"
    optimizer: str = "sgd"
    how: str = ""
    loss: str = "auto"
    device: str = "cuda"
    amp: str = ""

    def __post_init__(self) -> None:
        for name, value, known in (("of", self.of, OF), ("by", self.by, BY)):
            if value not in known:
                raise ArgumentError(f"{name} is {', '.join(known[:-1])} or {known[-1]}, not {value}")


def draw(graph: Graph, options: CostOptions, theme: Theme) -> str:
    """The figure as SVG. Raises ValueError for a network without layers, and for options that the memory analysis refuses."""
    return scene(graph, options, theme).svg()


def scene(graph: Graph, options: CostOptions, theme: Theme) -> Scene:
    if not graph.deployed().nodes:
        raise ArgumentError(f"{graph.name} has no layers to draw")
    report = analyze(graph)
    settings = Options(
        options.batch,
        dtype=options.dtype,
        optimizer=options.optimizer,
        how=options.how,
        loss=options.loss,
        device=options.device,
        amp=options.amp,
    )
    timeline = training(graph, settings)
    picture = Scene(theme, f"{graph.name}: cost")
    picture.text((0, 0), shorten(graph.name, 15, 600), 15, theme.ink, bold=True)
    y = 16.0
    if options.of in ("all", "bars"):
        cost_bars.paint(picture, report, timeline, (0, y), theme)
        y = picture.box.bottom + 34
    if options.of in ("all", "treemap"):
        _treemap(picture, report, timeline, options.by, y, theme)
        y = picture.box.bottom + 34
    if options.of in ("all", "timeline"):
        _timeline(picture, timeline, y, theme)
    return picture


def _treemap(picture: Scene, report: Report, timeline: Timeline, by: str, y: float, theme: Theme) -> None:
    of: dict[str, Callable[[Layer], int]] = {
        figure.key: figure.of for figure in cost_bars.figures(timeline.kept_by_layer(), timeline.options.batch)
    }
    unit = {"macs": "MACs", "memory": "bytes"}.get(by, by)
    heading = {"memory": "memory kept for backward, by scope"}.get(by, f"{unit} by scope")
    picture.text((0, y + 10), heading[0].upper() + heading[1:], 12, theme.ink, bold=True)
    root = cost_treemap.parts(report, of[by])
    cost_treemap.paint(picture, root, unit, Box(0, y + 20, WIDTH, y + 20 + MAP), theme)
    used = {family(layer.kind) for layer in report.layers if of[by](layer)}
    cost_bars.legend(picture, [name for name in FAMILIES if name in used], 0, y + MAP + 40, theme)


def _timeline(picture: Scene, timeline: Timeline, y: float, theme: Theme) -> None:
    options = timeline.options
    images = counted(options.batch, "image")
    numbers = f"{options.dtype}, autocast to {options.amp}" if options.amp else options.dtype
    picture.text((0, y + 10), "Memory of a training step", 12, theme.ink, bold=True)
    picture.text((0, y + 25), f"{images}, {options.optimizer}, {numbers}, {options.device}", 10, theme.faint)
    cost_timeline.paint(picture, timeline, Box(64, y + 52, WIDTH, y + 52 + CHART), theme)
