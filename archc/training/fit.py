"""Trains a network: from a graph and a recipe to a finished run folder; goes on with a run that was interrupted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from archc.analysis.cost.report import analyze
from archc.data import DataSet
from archc.draw.charts import ChartError, confusion, curves
from archc.graph import Graph
from archc.recipe import Recipe
from archc.recipe.recipe import recipe_text
from archc.runtime.build.build import BuildOptions, build
from archc.text.quantity import counted
from archc.training.checkpoints import Checkpoint, check_tensors, last_whole, latest, write
from archc.training.distributed import World, world_of
from archc.training.evaluation import EvaluationReport
from archc.training.loop import Loop
from archc.training.memory import choose_batch, images_per_pass, is_out_of_memory, out_of_memory_text
from archc.training.options import Outcome, TrainError, TrainOptions, quiet
from archc.training.progress import ProgressReporter
from archc.training.record import describe_data
from archc.training.report import corrupt_text, footer, header, stop_text
from archc.training.run import RESULT, START, Row, RunFolder, environment, fresh, open_run, spec_text
from archc.training.setup import Setup, check_tracker, open_training_data, plan_for, setup
from archc.training.state import Mismatch
from archc.training.step import NotFinite


def fit(graph: Graph, recipe: Recipe, folder: RunFolder, options: TrainOptions) -> Outcome:
    """Trains a network, or goes on with a run.

    Raises TrainError, DataError, WeightsError, PlaceError, SpecError.
    """
    with world_of(options.device) as world:
        options = options if world.first else replace(options, say=quiet, bar=False)
        check_tracker(options)
        data = open_training_data(graph, recipe, options.weights is not None)
        plan = plan_for(graph, recipe, options)
        recipe, chosen = choose_batch(graph, recipe, data.train.length, world, plan)
        try:
            with limit_threads(graph, recipe, world):
                return fit_on_data(graph=graph, recipe=recipe, data=data, world=world, folder=folder, options=options, chosen=chosen)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        raise TrainError(out_of_memory_text(graph, recipe, world, plan) + _last_checkpoint_text(folder))


def resume_run(path: str | Path, options: TrainOptions, data: str | None = None) -> Outcome:
    """A run from its last checkpoint to its end; `data` is where its images lie now. Raises as `fit`."""
    folder = open_run(path)
    graph = folder.graph()
    recipe = graph.recipe if data is None else replace(graph.recipe, data=replace(graph.recipe.data, source=data))
    if (folder.path / START).is_file():
        from archc.training.extraction import extract

        return extract(graph, recipe, folder, replace(options, resume=True))
    return fit(graph, recipe, folder, replace(options, resume=True, checkpoint=folder.plan(graph)))


def dry_run(graph: Graph, recipe: Recipe, options: TrainOptions, folder: str | None) -> None:
    """Says what `fit` would do, after building all that it needs; nothing is written."""
    with world_of(options.device) as world:
        check_tracker(options)
        data = open_training_data(graph, recipe, options.weights is not None)
        recipe, chosen = choose_batch(graph, recipe, data.train.length, world, plan_for(graph, recipe, options))
        ready = setup(graph, recipe, data, world, options)
        total = ready.order.steps * recipe.epochs
        steps = f"{counted(ready.order.steps, 'step')} an epoch, {total:,} in all; nothing was trained"
        for line in [
            *header(graph, recipe, data=data, world=world, strategy=ready.strategy, folder=fresh(folder, graph.name).path, plan=ready.plan),
            chosen,
            steps,
        ]:
            if line and world.first:
                options.say(line)


def fit_on_data(
    *, graph: Graph, recipe: Recipe, data: DataSet, world: World, folder: RunFolder, options: TrainOptions, chosen: str = ""
) -> Outcome:
    """`fit`, once data and processes are there."""
    if options.resume:
        folder.same_data(data)
    ready = setup(graph, recipe, data, world, options)
    with claim_folder(folder, world, options.resume):
        for line in [
            *header(graph, recipe, data=data, world=world, strategy=ready.strategy, folder=folder.path, plan=ready.plan),
            *filter(None, [chosen]),
        ]:
            options.say(line)
        return _fit(ready, folder, options)


@contextmanager
def claim_folder(folder: RunFolder, world: World, resume: bool) -> Iterator[None]:
    """Inside, the folder is this training's alone. All processes call it together; all raise the TrainError of the first."""
    with ExitStack() as held:
        note = ""
        try:
            if world.first:
                held.enter_context(folder.taken(resume))
        except TrainError as error:
            note = str(error)
        path, note = world.share((str(folder.path), note))
        if note:
            raise TrainError(note)
        folder.path = Path(path)
        yield


def _fit(ready: Setup, folder: RunFolder, options: TrainOptions) -> Outcome:
    world, recipe = ready.world, ready.recipe
    if world.first and not options.resume:
        where = environment(str(world.device), recipe.seed, world.size, ready.strategy)
        folder.begin(spec_text(ready.graph), recipe_text(recipe), where, describe_data(ready.data), options.checkpoint)
    watcher = ProgressReporter(options, folder.path, recipe.epochs, world.first)
    loop = Loop(ready, folder, watcher)
    started = time.perf_counter()
    if options.resume:
        _load_last_checkpoint(loop, folder, options)
    try:
        loop.run()
    except NotFinite as error:
        raise TrainError(_not_finite_text(error, loop, folder)) from None
    except KeyboardInterrupt:
        options.say(f"interrupted; archc resume {folder.resumable} goes on from its last checkpoint")
        raise
    finally:
        watcher.close()
    if loop.progress.stopped and recipe.stop is not None:
        options.say(stop_text(recipe.stop))
    outcome = finish_run(ready, loop.progress.best, folder, options)
    if ready.data.corrupt and world.first:
        folder.note(describe_data(ready.data))
        options.say(f"data     {corrupt_text(ready.data)}")
    for line in footer(outcome.metrics, folder.resumable, time.perf_counter() - started):
        options.say(line)
    return outcome


def _load_last_checkpoint(loop: Loop, folder: RunFolder, options: TrainOptions) -> None:
    """From the last whole checkpoint, or from the start where there is none."""
    found = last_whole(folder.checkpoints, options.say)
    if found is None:
        folder.cut(0)
        return
    try:
        loop.load(found)
    except Mismatch as error:
        raise TrainError(f"{folder.path}: its checkpoint of step {found.step} is not of this network and recipe: {error}") from None
    _require_best(folder, found)
    folder.cut(found.step // loop.setup.order.steps)


def _require_best(folder: RunFolder, checkpoint: Checkpoint) -> None:
    """Raises TrainError where the best weights are not those of which the checkpoint tells, nor of a later epoch, which comes again."""
    known = checkpoint.state.best.get("step")
    if known is None or not folder.best.exists():
        return
    said = check_tensors(folder.best).get("step", "")
    if said.isdecimal() and int(said) != known and int(said) <= checkpoint.step:
        raise TrainError(
            f"{folder.best} is of step {int(said):,}, and the best weights were those of step {known:,}: they do not belong together"
        )


def _last_checkpoint_text(folder: RunFolder) -> str:
    last = latest(folder.checkpoints)
    return f" The last checkpoint is {last}." if last else ""


def _not_finite_text(error: NotFinite, loop: Loop, folder: RunFolder) -> str:
    epoch = (error.step - 1) // loop.setup.order.steps + 1
    advice = "A smaller lr, a warm-up or clip: 1.0 may help."
    kept = _last_checkpoint_text(folder) or " There is no checkpoint before it."
    return f"the loss is {error.loss} at step {error.step}, in epoch {epoch}: {error.where}.{kept} {advice}"


def finish_run(ready: Setup, best: Row, folder: RunFolder, options: TrainOptions) -> Outcome:
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
        if options.pictures and (missing := draw(folder, report, data.classes)):
            options.say(f"no pictures: {missing}")
    return Outcome(module, figures, folder.path)


def best_module(graph: Graph, recipe: Recipe, folder: RunFolder, world: World) -> nn.Module:
    """The network with the run's best weights, in eval mode. Raises TrainError, WeightsError."""
    check_tensors(folder.best)
    dtype = "float64" if recipe.precision == "float64" else None
    return build(graph, BuildOptions(device=str(world.device), dtype=dtype, weights=folder.best, finite=False)).eval()


def draw(folder: RunFolder, report: EvaluationReport | None, classes: tuple[str, ...]) -> str | None:
    """curves.png and confusion.png; what is in the way of them, or None."""
    try:
        if folder.rows:
            write(folder.path / "curves.png", curves(folder.rows, "png"))
        if report is not None and report.pairs is not None:
            write(folder.path / "confusion.png", confusion(report.pairs.tolist(), classes, "png"))
    except ChartError as error:
        return str(error)
    return None


SMALL = 200_000_000  # MACs of a pass forward, below which threads wait for each other longer than they work


@contextmanager
def limit_threads(graph: Graph, recipe: Recipe, world: World) -> Iterator[None]:
    """One thread inside for a small network on a CPU, unless OMP_NUM_THREADS says otherwise."""
    before = torch.get_num_threads()
    small = analyze(graph).macs * images_per_pass(recipe, world) < SMALL
    if world.device.type == "cpu" and small and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
