"""The end of a run: its best weights, tried on test images, and its pictures."""

from __future__ import annotations

import json

from torch import nn

from archc.draw.charts.charts import ChartError
from archc.draw.charts.curves import confusion, curves
from archc.graph import Graph
from archc.recipe import Recipe
from archc.runtime.build.build import Wishes as Build
from archc.runtime.build.build import build
from archc.training.checkpoints import check_tensors, write
from archc.training.distributed import World
from archc.training.evaluation import Report
from archc.training.run import RESULT, Row, RunFolder
from archc.training.setup import Setup
from archc.training.wishes import Outcome, Wishes


def finish(ready: Setup, best: Row, folder: RunFolder, wishes: Wishes) -> Outcome:
    """The best weights in a module of their own; test images where there are; figures and pictures into the folder."""
    ready.world.wait()
    module = best_module(ready.graph, ready.recipe, folder, ready.world)
    data, figures, report = ready.data, dict(best), None
    split = data.test or data.validation
    if split is not None:
        report = ready.evaluator(module, split)
    if report is not None and data.test is not None:
        figures |= {f"test_{name}": value for name, value in report.figures().items()}
    if ready.world.first:
        write(folder.path / RESULT, json.dumps(figures, indent=1) + "\n")
        if wishes.pictures and (missing := draw(folder, report, data.classes)):
            wishes.say(f"no pictures: {missing}")
    return Outcome(module, figures, folder.path)


def best_module(graph: Graph, recipe: Recipe, folder: RunFolder, world: World) -> nn.Module:
    """The network with the run's best weights, in eval mode. Raises TrainError, WeightsError."""
    check_tensors(folder.best)
    dtype = "float64" if recipe.precision == "float64" else None
    return build(graph, Build(device=str(world.device), dtype=dtype, weights=folder.best, finite=False)).eval()


def draw(folder: RunFolder, report: Report | None, classes: tuple[str, ...]) -> str | None:
    """curves.png and confusion.png; what is in the way of them, or None."""
    try:
        if folder.rows:
            write(folder.path / "curves.png", curves(folder.rows, "png"))
        if report is not None and report.pairs is not None:
            write(folder.path / "confusion.png", confusion(report.pairs.tolist(), classes, "png"))
    except ChartError as error:
        return str(error)
    return None
