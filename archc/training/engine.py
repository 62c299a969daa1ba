"""The face of the room: a graph and a recipe to a finished run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from archc.data import DataSet
from archc.graph import Graph
from archc.recipe import Recipe
from archc.recipe.writing import recipe_text
from archc.training.checkpoints import Checkpoint, check_tensors, last_whole, latest
from archc.training.checks import check_tracker
from archc.training.distributed import World, world_of
from archc.training.finishing import finish
from archc.training.loop import Loop
from archc.training.memory import fitted, out_of_memory_text, ran_out
from archc.training.report import corrupt_text, footer, header, stopped_text
from archc.training.run import START, RunFolder, environment, fresh, opened
from archc.training.same import noted
from archc.training.setup import Setup, opened_data, plan_for, setup
from archc.training.spec import spec_text
from archc.training.state import Mismatch
from archc.training.step import NotFinite
from archc.training.threads import threads
from archc.training.watching import Watcher
from archc.training.wishes import Outcome, TrainError, Wishes, quiet


def fit(graph: Graph, recipe: Recipe, folder: RunFolder, wishes: Wishes) -> Outcome:
    """Trains a network, or goes on with a run.

    Raises TrainError, DataError, WeightsError, PlaceError, SpecError.
    """
    with world_of(wishes.device) as world:
        wishes = wishes if world.first else replace(wishes, say=quiet, bar=False)
        check_tracker(wishes)
        data = opened_data(graph, recipe)
        plan = plan_for(graph, recipe, wishes)
        recipe, chosen = fitted(graph, recipe, data.train.length, world, plan)
        try:
            with threads(graph, recipe, world):
                return begun(graph, recipe, data, world, folder, wishes, chosen)
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
        raise TrainError(out_of_memory_text(graph, recipe, world, plan) + _kept(folder))


def go_on(path: str | Path, wishes: Wishes, data: str | None = None) -> Outcome:
    """A run from its last checkpoint to its end; `data` is where its images lie now. Raises as `fit`."""
    folder = opened(path)
    graph = folder.graph()
    recipe = graph.recipe if data is None else replace(graph.recipe, data=replace(graph.recipe.data, source=data))
    if (folder.path / START).is_file():
        from archc.training.extraction import extract

        return extract(graph, recipe, folder, replace(wishes, resume=True))
    return fit(graph, recipe, folder, replace(wishes, resume=True, checkpoint=folder.plan(graph)))


def tried(graph: Graph, recipe: Recipe, wishes: Wishes, folder: str | None) -> None:
    """Says what `fit` would do, after building all that it needs; nothing is written."""
    with world_of(wishes.device) as world:
        check_tracker(wishes)
        data = opened_data(graph, recipe)
        recipe, chosen = fitted(graph, recipe, data.train.length, world, plan_for(graph, recipe, wishes))
        ready = setup(graph, recipe, data, world, wishes)
        total = ready.order.steps * recipe.epochs
        steps = f"{ready.order.steps:,} steps an epoch, {total:,} in all; nothing was trained"
        for line in [*header(graph, recipe, data, world, ready.strategy, fresh(folder, graph.name).path, ready.plan), chosen, steps]:
            if line and world.first:
                wishes.say(line)


def begun(graph: Graph, recipe: Recipe, data: DataSet, world: World, folder: RunFolder, wishes: Wishes, chosen: str = "") -> Outcome:
    """`fit`, once data and processes are there."""
    if wishes.resume:
        folder.same_data(data)
    ready = setup(graph, recipe, data, world, wishes)
    with claimed(folder, world, wishes.resume):
        for line in [*header(graph, recipe, data, world, ready.strategy, folder.path, ready.plan), *filter(None, [chosen])]:
            wishes.say(line)
        return _fit(ready, folder, wishes)


@contextmanager
def claimed(folder: RunFolder, world: World, resume: bool) -> Iterator[None]:
    """Inside, the folder is this training's alone. All processes call it together; all raise the TrainError of the first."""
    with ExitStack() as held:
        told = ""
        try:
            if world.first:
                held.enter_context(folder.taken(resume))
        except TrainError as error:
            told = str(error)
        path, told = world.share((str(folder.path), told))
        if told:
            raise TrainError(told)
        folder.path = Path(path)
        yield


def _fit(ready: Setup, folder: RunFolder, wishes: Wishes) -> Outcome:
    world, recipe = ready.world, ready.recipe
    if world.first and not wishes.resume:
        where = environment(str(world.device), recipe.seed, world.size, ready.strategy)
        folder.begin(spec_text(ready.graph), recipe_text(recipe), where, noted(ready.data), wishes.checkpoint)
    watcher = Watcher(wishes, folder.path, recipe.epochs, world.first)
    loop = Loop(ready, folder, watcher)
    started = time.perf_counter()
    if wishes.resume:
        _resumed(loop, folder, wishes)
    try:
        loop.run()
    except NotFinite as error:
        raise TrainError(_not_finite_text(error, loop, folder)) from None
    except KeyboardInterrupt:
        wishes.say(f"interrupted; archc resume {folder.whole} goes on from its last checkpoint")
        raise
    finally:
        watcher.close()
    if loop.progress.stopped and recipe.stop is not None:
        wishes.say(stopped_text(recipe.stop))
    outcome = finish(ready, loop.progress.best, folder, wishes)
    if ready.data.corrupt and world.first:
        folder.note(noted(ready.data))
        wishes.say(f"data     {corrupt_text(ready.data)}")
    for line in footer(outcome.metrics, folder.whole, time.perf_counter() - started):
        wishes.say(line)
    return outcome


def _resumed(loop: Loop, folder: RunFolder, wishes: Wishes) -> None:
    """From the last whole checkpoint, or from the start where there is none."""
    found = last_whole(folder.checkpoints, wishes.say)
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


def _kept(folder: RunFolder) -> str:
    last = latest(folder.checkpoints)
    return f" The last checkpoint is {last}." if last else ""


def _not_finite_text(error: NotFinite, loop: Loop, folder: RunFolder) -> str:
    epoch = (error.step - 1) // loop.setup.order.steps + 1
    advice = "A smaller lr, a warm-up or clip: 1.0 may help."
    kept = _kept(folder) or " There is no checkpoint before it."
    return f"the loss is {error.loss} at step {error.step}, in epoch {epoch}: {error.where}.{kept} {advice}"
