"""Which passes an optimization is made of."""

from __future__ import annotations

from collections.abc import Callable

from archc.codegen.passes.dead import drop_dead
from archc.codegen.passes.fold import fold_batchnorm
from archc.codegen.passes.inplace import in_place, in_place_training
from archc.codegen.passes.result import Fold, Result
from archc.errors import ArgumentError
from archc.graph import Graph
from archc.text.suggest import did_you_mean

Pass = Callable[[Graph], Result]

OPTIMIZATIONS: dict[str, tuple[Pass, ...]] = {
    "inference": (drop_dead, fold_batchnorm, in_place),
    "train": (in_place_training,),
}


def optimize(graph: Graph, kind: str) -> Result:
    """The graph after all passes of an optimization, one after the other. Raises ValueError for an unknown one."""
    if kind not in OPTIMIZATIONS:
        hint = did_you_mean(kind, OPTIMIZATIONS) or f"there are {', '.join(OPTIMIZATIONS)}"
        raise ArgumentError(f"no optimization is called {kind}; {hint}")
    folds: list[Fold] = []
    said: list[str] = []
    for run in OPTIMIZATIONS[kind]:
        result = run(graph)
        graph = result.graph
        folds += result.folds
        said += result.said
    return Result(graph, folds, said, kind == "inference")
