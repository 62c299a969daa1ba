"""Reads plans of recomputation from files, words and objects."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Annotated

from archc.analysis.recompute.candidates import READY
from archc.analysis.recompute.mistakes import mistakes
from archc.analysis.recompute.plan import CheckpointPlan, Region
from archc.errors import ArgumentError
from archc.graph import Graph
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics, SpecError
from archc.text.files import read_file
from archc.text.source import Source
from archc.text.suggest import did_you_mean
from archc.validation.description import Read, Unreadable
from archc.validation.documents import data_of, read_tree

_PAIR = "a part is one name, consecutive layers are [first, last]"


def _region(written: object) -> Region:
    """A region as it is written. Names are words: `1.0` is no number here. Raises Unreadable."""
    match written:
        case str(name) | [str(name)] if name:
            return Region(name)
        case [str(first), str(last)] if first and last:
            return Region(first, last)
    raise Unreadable("not a region", _PAIR, "A202")


def plan_of(graph: Graph, wish: CheckpointPlan | str | PathLike[str]) -> CheckpointPlan:
    """A plan that is legal for a network: one that is given, a file of one, or by the words `blocks` and `norms`.

    Raises SpecError for a file and ValueError for a plan that cannot be carried out.
    """
    if isinstance(wish, CheckpointPlan):
        for wrong in mistakes(graph, wish):
            raise ArgumentError(f"{wish.regions[wrong.at]}: {wrong.message}; {wrong.hint}")
        return wish
    if wish in READY:
        return READY[str(wish)](graph)
    name = fspath(wish)
    if not Path(name).suffix and not Path(name).exists():
        raise ArgumentError(
            f"no checkpoint plan is called {name}; {did_you_mean(name, READY) or 'there are blocks and norms, or write a file'}"
        )
    found = Diagnostics()
    source = read_file(Path(name), name, None, found)
    plan = read_plan(source, graph, found) if source is not None else None
    if plan is None:
        raise SpecError(found)
    return plan


@dataclass(frozen=True, slots=True)
class PlanFile:
    """What a file of a plan holds."""

    checkpoint: tuple[Annotated[Region, Read(_region)], ...]


def read_plan(source: Source, graph: Graph, found: Diagnostics) -> CheckpointPlan | None:
    """The plan of a file, checked against a network; None where anything is wrong."""
    tree = t.parse(source, found)
    read = read_tree(PlanFile, tree, found, what="a plan", data=data_of(tree, words=True)) if tree is not None else None
    items = tree.get("checkpoint") if isinstance(tree, t.Mapping) else None
    if read is None or not isinstance(items, t.Sequence):
        return None
    plan = CheckpointPlan(read.checkpoint)
    for wrong in mistakes(graph, plan):
        code = "A301" if wrong.message.startswith("no layer") else "A404"
        found.error(code, items.items[wrong.at].span, wrong.message, wrong.hint)
    return None if found.failed else plan
