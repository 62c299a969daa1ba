"""Plans as people give them: files, words, objects."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

from archc.analysis.recompute.candidates import READY
from archc.analysis.recompute.mistakes import mistakes
from archc.analysis.recompute.plan import CheckpointPlan, Region
from archc.graph import Graph
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics, SpecError
from archc.text.files import read_file
from archc.text.source import Source
from archc.text.suggest import did_you_mean

_PAIR = "a part is one name, consecutive layers are [first, last]"


def plan_of(graph: Graph, wish: CheckpointPlan | str | PathLike[str]) -> CheckpointPlan:
    """A plan that is legal for a network: one that is given, a file of one, or by the words `blocks` and `norms`.

    Raises SpecError for a file and ValueError for a plan that cannot be carried out.
    """
    if isinstance(wish, CheckpointPlan):
        for wrong in mistakes(graph, wish):
            raise ValueError(f"{wish.regions[wrong.at]}: {wrong.message}; {wrong.hint}")
        return wish
    if wish in READY:
        return READY[str(wish)](graph)
    name = fspath(wish)
    if not Path(name).suffix and not Path(name).exists():
        raise ValueError(
            f"no checkpoint plan is called {name}; {did_you_mean(name, READY) or 'there are blocks and norms, or write a file'}"
        )
    found = Diagnostics()
    source = read_file(Path(name), name, None, found)
    plan = read_plan(source, graph, found) if source is not None else None
    if plan is None:
        raise SpecError(found)
    return plan


def read_plan(source: Source, graph: Graph, found: Diagnostics) -> CheckpointPlan | None:
    """The plan of a file, checked against a network; None where anything is wrong."""
    tree = t.parse(source, found)
    items = tree.get("checkpoint") if isinstance(tree, t.Mapping) else None
    if tree is not None and not isinstance(items, t.Sequence):
        found.error("A202", tree.span, "no list of regions", "checkpoint: [layer1.0, [layer2.0.bn1, layer2.0.conv2]]")
    if not isinstance(items, t.Sequence) or not isinstance(tree, t.Mapping):
        return None
    for key, _ in tree.items:
        if key.value != "checkpoint":
            found.error("A201", key.span, f"a plan has no {key.value}", "it has `checkpoint` alone")
    read = [(item, _region(item, found)) for item in items.items]
    plan = CheckpointPlan(tuple(region for _, region in read if region is not None))
    if not found.failed:
        for wrong in mistakes(graph, plan):
            code = "A301" if wrong.message.startswith("no layer") else "A404"
            found.error(code, read[wrong.at][0].span, wrong.message, wrong.hint)
    return None if found.failed else plan


def _region(item: t.Tree, found: Diagnostics) -> Region | None:
    parts = item.items if isinstance(item, t.Sequence) else [item]
    if len(parts) > 2 or not parts or not all(isinstance(part, t.Scalar) and part.end > part.start for part in parts):
        found.error("A202", item.span, "not a region", _PAIR)
        return None
    names = [_name(part) for part in parts if isinstance(part, t.Scalar)]
    return Region(names[0], names[1] if len(names) > 1 else "")


def _name(scalar: t.Scalar) -> str:
    """A name as it is written: `1.0` is no number here."""
    return str(scalar.value) if scalar.quoted else scalar.span.text.strip()
