"""The passes in their order, and a graph lowered by them to the source of a module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike

from archc.analysis.cost.report import count_totals
from archc.analysis.recompute import CheckpointPlan, plan_of, spans
from archc.codegen.emit.source import ModuleSource, source_of
from archc.codegen.passes import Following, Result
from archc.codegen.passes.branches import merge_branches
from archc.codegen.passes.convolutional import make_convolutional
from archc.codegen.passes.dead import drop_dead
from archc.codegen.passes.fold import fold_batchnorm
from archc.codegen.passes.inplace import in_place, in_place_training
from archc.errors import ArgumentError
from archc.graph import Graph
from archc.graph.graph import growing
from archc.text.suggest import did_you_mean

Pass = Callable[[Graph], Result]

OPTIMIZATIONS: dict[str, tuple[Pass, ...]] = {
    "inference": (drop_dead, fold_batchnorm, merge_branches, in_place),
    "train": (in_place_training,),
}


def run_passes(graph: Graph, kind: str) -> Result:
    """The graph after all passes of an optimization, one after the other. Raises ValueError for an unknown one."""
    if kind not in OPTIMIZATIONS:
        hint = did_you_mean(kind, OPTIMIZATIONS) or f"there are {', '.join(OPTIMIZATIONS)}"
        raise ArgumentError(f"no optimization is called {kind}; {hint}")
    folds: list[Following] = []
    said: list[str] = []
    for run in OPTIMIZATIONS[kind]:
        result = run(graph)
        graph = result.graph
        folds += result.folds
        said += result.said
    return Result(graph, folds, said, kind == "inference")


Checkpoint = CheckpointPlan | str | PathLike[str] | None


@dataclass(frozen=True, slots=True)
class Lowered:
    """The graph that was lowered, its source, and what the passes did."""

    source: ModuleSource
    result: Result

    @property
    def graph(self) -> Graph:
        return self.result.graph


def lower(graph: Graph, optimize: str = "", checkpoint: Checkpoint = None, convolutional: bool = False) -> Lowered:
    """The source of a network, after the passes of an optimization if one is named, and with regions that run again in backward.

    convolutional: dense layers over maps become convolutions first

    Raises ValueError where an operator says no PyTorch form, for an unknown optimization and for a plan that cannot be
    carried out; SpecError for a file with such a plan.
    """
    with growing():
        return _lower(graph, optimize, checkpoint, convolutional)


def _lower(graph: Graph, optimize: str, checkpoint: Checkpoint, convolutional: bool) -> Lowered:
    first = make_convolutional(graph) if convolutional else Result(graph)
    result = _after(first, run_passes(first.graph, optimize)) if optimize else first
    if checkpoint is None:
        return Lowered(source_of(result.graph, _notes(graph, optimize)), result)
    if result.inference:
        raise ArgumentError("a checkpoint plan is for training; leave it out, or optimize for training")
    recomputed = spans(result.graph, plan_of(result.graph, checkpoint))
    return Lowered(source_of(result.graph, _notes(graph, optimize), recomputed), result)


def _after(first: Result, then: Result) -> Result:
    return Result(then.graph, first.folds + then.folds, first.said + then.said, then.inference)


def _notes(graph: Graph, optimize: str) -> list[str]:
    """Where the network was published, and what it counts as it is deployed."""
    counted = count_totals(graph.deployed())
    counts = f"{counted['parameters'].low:,} parameters, {counted['macs'].low:,} multiply-accumulates for one image."
    paper = graph.paper
    cited = ". ".join(part for part in (paper.title, paper.short) if part)
    changed = f"Optimized for {optimize}: weights are not those of the plain network." if optimize == "inference" else ""
    return [text for text in (cited and f"{cited}. {paper.url}".strip(), counts, changed) if text]
