"""Which passes an optimization is made of."""

from __future__ import annotations

from collections.abc import Callable

from archc.graph import Graph
from archc.passes.dead import drop_dead
from archc.passes.fold import fold_batchnorm
from archc.passes.inplace import in_place
from archc.passes.result import Fold, Result

Pass = Callable[[Graph], Result]

OPTIMIZATIONS: dict[str, tuple[Pass, ...]] = {
    "inference": (drop_dead, fold_batchnorm, in_place),
    "train": (),
}


def optimized(graph: Graph, kind: str) -> Result:
    """The graph after all passes of an optimization, one after the other. Raises KeyError for an unknown one."""
    folds: list[Fold] = []
    said: list[str] = []
    for one in OPTIMIZATIONS[kind]:
        result = one(graph)
        graph = result.graph
        folds += result.folds
        said += result.said
    return Result(graph, folds, said)
