"""Feature extraction: a frozen body whose features are computed once, and a linear classifier that is trained on them.

The run's folder has the whole network; `classifier/` in it is the run of the classifier alone.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from archc.data import DataSet
from archc.errors import Argument
from archc.graph import Graph
from archc.recipe import Recipe
from archc.recipe.recipe import recipe_text
from archc.runtime.build.build import build_with_report
from archc.text.quantity import counted
from archc.training.batches import mix_seed
from archc.training.checkpoints import check_tensors, save_tensors, write
from archc.training.distributed import World, world_of
from archc.training.fit import claim_folder, fit_on_data
from archc.training.options import Outcome, TrainError, TrainOptions
from archc.training.record import describe_data
from archc.training.run import CLASSIFIER, METRICS, RESULT, START, RunFolder, environment, is_run, open_run, spec_text
from archc.training.setup import check_tracker, evaluator, first_build, initial_build, open_training_data
from archc.training.transfer import classifier, classifier_graph, classifier_recipe, extract_features, put_classifier

_BATCH = 256  # of features, where the recipe says `fit`


def extract(graph: Graph, recipe: Recipe, folder: RunFolder, options: TrainOptions) -> Outcome:
    """Trains the last linear layer on features of the others, or goes on with that.

    Raises TrainError, DataError, WeightsError, PlaceError, SpecError.
    """
    classifier(graph)
    with world_of(options.device) as world:
        if world.size > 1:
            raise TrainError("features are computed and learned from in one process; leave ", Argument("processes"), " out")
        check_tracker(options)
        data = open_training_data(graph, recipe, options.weights is not None)
        if options.resume:
            folder.same_data(data)
        return _taken(graph, recipe, folder, options, world, data)


def _taken(graph: Graph, recipe: Recipe, folder: RunFolder, options: TrainOptions, world: World, data: DataSet) -> Outcome:
    """The training, in a folder that nobody else trains in."""
    with claim_folder(folder, world, options.resume):
        module = _start_network(graph, recipe, folder, options, world, data)
        prepare = evaluator(graph, recipe, data, world, len(data.classes)).prepare
        cached = extract_features(graph, module, data, prepare, world.device)
        options.say(_headline(graph, cached))
        small, inner = classifier_graph(graph), RunFolder(folder.path / CLASSIFIER)
        resumed = options.resume and is_run(inner.path)
        learn = classifier_recipe(replace(recipe, batch=recipe.batch or _BATCH))
        found = fit_on_data(
            graph=small,
            recipe=learn,
            data=cached,
            world=world,
            folder=open_run(inner.path) if resumed else inner,
            options=replace(options, weights=None, rename=(), partial=False, fresh=(), resume=resumed, checkpoint=None),
        )
        put_classifier(graph, module, found.module)
        return _assemble(graph, module, folder, found)


def _start_network(graph: Graph, recipe: Recipe, folder: RunFolder, options: TrainOptions, world: World, data: DataSet) -> nn.Module:
    """The network to start from. Its weights are kept, so that the run can go on without the file that they came from."""
    if options.resume:
        check_tensors(folder.path / START)
        return build_with_report(
            graph, initial_build(recipe, world, replace(options, weights=folder.path / START, rename=(), partial=False, fresh=()))
        )[0]
    torch.manual_seed(mix_seed(recipe.seed, 0))
    module = first_build(graph, recipe, world, options)
    folder.begin(spec_text(graph), recipe_text(recipe), environment(str(world.device), recipe.seed, 1, "single"), describe_data(data))
    save_tensors(folder.path / START, {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}, {})
    return module


def _headline(graph: Graph, cached: DataSet) -> str:
    node = classifier(graph)
    counts = ", ".join(f"{len(split):,} {name}" for name, split in cached.splits().items())
    return f"features of {counts} images: {counted(int(node.inputs[0].shape[0]), 'value')} each, as {node.name} is given them"


def _assemble(graph: Graph, module: nn.Module, folder: RunFolder, found: Outcome) -> Outcome:
    """The whole network with its classifier, as the best of the run."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    save_tensors(folder.best, tensors, {"archc": graph.name})
    _copy_files(found.folder / METRICS, folder.path / METRICS)
    write(folder.path / RESULT, json.dumps(found.metrics, indent=1) + "\n")
    for picture in ("curves.png", "confusion.png"):
        _copy_files(found.folder / picture, folder.path / picture)
    return Outcome(module.eval(), found.metrics, folder.path)


def _copy_files(source: Path, target: Path) -> None:
    if source.is_file():
        write(target, source.read_bytes())
