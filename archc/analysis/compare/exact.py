"""Whether two networks are the same one: graph equality, which figures and outputs cannot show.

Two networks with equal parameters, MACs and outputs may still differ in what only training does, as in a lost drop_path. Here
layers are compared in the order in which they run: kinds, all arguments, what each reads, what is there in training alone, whose
weights it uses, and the names of layers that own tensors, which are the names of a state_dict.

Spellings of one computation are one thing: `normal.py` says which. Layers without tensors have any names, and share nothing; so have
inputs and outputs. An input of which no dtype is declared has that which its layers want.
"""

from __future__ import annotations

from typing import Any

from archc.analysis.compare.normal import Normal, Step
from archc.graph import Graph
from archc.graph.dtypes import input_dtypes

MOST_SHOWN = 20


def differences(one: Graph, other: Graph) -> list[str]:
    """What keeps two networks from being the same one, the first MOST_SHOWN; nothing where they are."""
    found = [*_edges(one, other)]
    mine, theirs = Normal(one), Normal(other)
    if len(mine.steps) != len(theirs.steps):
        found.append(f"{len(mine.steps):,} layers, and {len(theirs.steps):,}")
    for a, b in zip(mine.steps, theirs.steps, strict=False):
        ours, others = mine.said(a), theirs.said(b)
        if ours != others:
            found.append(_difference(a, b, ours, others))
            if len(found) >= MOST_SHOWN:
                break
    if not found and mine.returned != theirs.returned:
        found.append(f"outputs {mine.returned}, and {theirs.returned}")
    return found


def _edges(one: Graph, other: Graph) -> list[str]:
    shapes = [[tuple(map(int, value.shape)) for value in graph.inputs.values()] for graph in (one, other)]
    if shapes[0] != shapes[1]:
        return [f"inputs of shapes {shapes[0]}, and {shapes[1]}"]
    dtypes = [list(input_dtypes(graph).values()) for graph in (one, other)]
    return [] if dtypes[0] == dtypes[1] else [f"inputs of dtypes {dtypes[0]}, and {dtypes[1]}"]


_PARTS = ("name", "kind", "arguments", "what it reads", "train_only", "share", "tie")


def _difference(a: Step, b: Step, mine: tuple[Any, ...], theirs: tuple[Any, ...]) -> str:
    names = a.shown if a.shown == b.shown else f"{a.shown} and {b.shown}"
    for part, x, y in zip(_PARTS, mine, theirs, strict=True):
        if x == y:
            continue
        if isinstance(x, dict) and isinstance(y, dict):
            x, y = ({name: value for name, value in one.items() if other.get(name) != value} for one, other in ((x, y), (y, x)))
        return f"{names}: {part} {x}, and {y}"
    return names
