"""A graph as PyTorch source, with what a reader should know of it at its head."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

from archc.analysis.cost.report import analyze
from archc.analysis.recompute import CheckpointPlan, plan_of, spans
from archc.codegen.emit.source import Source, source_of
from archc.codegen.passes.pipeline import optimize as run_passes
from archc.codegen.passes.result import Result
from archc.errors import ArgumentError
from archc.graph import Graph

Checkpoint = CheckpointPlan | str | PathLike[str] | None


@dataclass(frozen=True, slots=True)
class Lowered:
    """The graph that was lowered, its source, and what the passes did."""

    source: Source
    result: Result

    @property
    def graph(self) -> Graph:
        return self.result.graph


def lower(graph: Graph, optimize: str = "", checkpoint: Checkpoint = None) -> Lowered:
    """The source of a network, after the passes of an optimization if one is named, and with regions that run again in backward.

    Raises ValueError where an operator says no PyTorch form, for an unknown optimization and for a plan that cannot be
    carried out; SpecError for a file with such a plan.
    """
    result = run_passes(graph, optimize) if optimize else Result(graph)
    if checkpoint is None:
        return Lowered(source_of(result.graph, _notes(graph, optimize)), result)
    if result.inference:
        raise ArgumentError("a checkpoint plan is for training; leave it out, or optimize for train")
    recomputed = spans(result.graph, plan_of(result.graph, checkpoint))
    return Lowered(source_of(result.graph, _notes(graph, optimize), recomputed), result)


def _notes(graph: Graph, optimize: str) -> list[str]:
    """Where the network was published, and what it counts as it is deployed."""
    report = analyze(graph.deployed())
    counts = f"{report.parameters:,} parameters, {report.macs:,} multiply-accumulates for one image."
    paper = graph.paper
    cited = ". ".join(part for part in (paper.title, paper.short) if part)
    changed = f"Optimized for {optimize}: weights are not those of the plain network." if optimize == "inference" else ""
    return [text for text in (cited and f"{cited}. {paper.url}".strip(), counts, changed) if text]
