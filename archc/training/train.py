"""`archc.train(…)`, the Python interface of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from archc.analysis.recompute import CheckpointPlan, plan_of
from archc.elaborate.compiler import compile_spec
from archc.elaborate.recipe.overrides import recipe_with
from archc.errors import UsageError
from archc.graph import Graph
from archc.recipe import Recipe
from archc.recipe.keys import PLANS
from archc.text.diagnostics import SpecError
from archc.text.writing import text_of

if TYPE_CHECKING:
    from archc.training.options import Outcome


def train(
    net: Graph | str | PathLike[str],
    recipe: Recipe | None = None,
    *,
    folder: str | PathLike[str] | None = None,
    device: str = "auto",
    weights: str | PathLike[str] | None = None,
    rename: Sequence[str] = (),
    partial: bool = False,
    tensorboard: bool = False,
    resume: bool = False,
    checkpoint: CheckpointPlan | str | PathLike[str] | None = None,
    say: Callable[[str], None] | None = None,
    **overrides: Any,
) -> Outcome:
    """Trains a network by the recipe of its spec, or by `recipe`. `overrides` change that: archc.train("lenet5", epochs=5).

    folder: of the run, new or empty (default: runs/NAME-N); with `resume` one that has a run, which then goes on by its own recipe
    checkpoint: what backward recomputes: norms, blocks, a plan, or a file with one
    device: cpu, cuda, cuda:1, mps, or auto; weights: a file to start from, loaded as `build` does; say: takes what would be printed

    The outcome has `.module` (best weights, eval mode), `.metrics` and `.folder`.
    Raises SpecError, TrainError, DataError (a ValueError), WeightsError, PlaceError, and ValueError for a plan that cannot be.
    """
    from archc.training.fit import fit, resume_run
    from archc.training.options import TrainOptions, quiet
    from archc.training.run import fresh

    options = TrainOptions(
        device=device, weights=weights, rename=tuple(rename), partial=partial, tensorboard=tensorboard, resume=resume, say=say or quiet
    )
    if resume:
        if folder is None or recipe is not None or overrides or checkpoint is not None:
            raise UsageError("with resume=True a run continues with its own recipe: pass its folder, and no recipe")
        return resume_run(fspath(folder), options)
    if not isinstance(net, Graph | str | PathLike):
        raise UsageError("train takes a spec or a graph: archc.capture(module, input) gives that of a module, which is then trained anew")
    graph = copy(net if isinstance(net, Graph) else _load(fspath(net)))
    if recipe is not None:
        graph.recipe = recipe
    if checkpoint is not None:
        named = isinstance(checkpoint, str) and checkpoint in PLANS
        overrides |= {"checkpoint": checkpoint if named else "none"}
        options = replace(options, checkpoint=None if named else plan_of(graph, checkpoint))
    return fit(graph, override_recipe(graph, overrides), fresh(None if folder is None else fspath(folder), graph.name), options)


def override_recipe(graph: Graph, overrides: dict[str, Any]) -> Recipe:
    """The graph's recipe with other settings, checked as a spec's are."""
    return recipe_with(graph, [f"{name}={text_of(value)}" for name, value in overrides.items()])


def _load(named: str) -> Graph:
    model = compile_spec(named)
    if model.graph is None:
        raise SpecError(model.diagnostics)
    return model.graph
