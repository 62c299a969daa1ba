"""A network as a tree of scopes, each with the sums of its layers."""

from __future__ import annotations

from collections.abc import Iterator

from archc.analysis.cost.report import Layer, Report
from archc.analysis.cost.rows import TableRow, mark_of, row_of_layer, row_of_layers
from archc.graph import Node, Scope


def tree_rows(report: Report, depth: int | None = None, full: bool = False) -> list[TableRow]:
    """A row a scope, followed by those of its layers and scopes, `depth` levels deep; their names stand behind the branches of a tree.

    Copies of a block that follow each other, equal in every figure, are one row with the figures of one copy, unless `full`.
    """
    layers = {id(layer.node): layer for layer in report.layers}
    return list(_rows(report.graph.root, None, depth or 10**6, full, layers))


def _rows(scope: Scope, lead: str | None, depth: int, full: bool, layers: dict[int, Layer]) -> Iterator[TableRow]:
    children = list(_children(scope, full, layers))
    for at, (child, label, times) in enumerate(children):
        end = at == len(children) - 1
        name = label if lead is None else f"{lead}{'└─ ' if end else '├─ '}{label}"
        if isinstance(child, Node):
            yield row_of_layer(layers[id(child)], name, times)
            continue
        held = list(_layers(child, layers))
        yield row_of_layers(held, name, child.block or f"{len(held)} layer{'s' * (len(held) != 1)}", times)
        if depth > 1:
            yield from _rows(child, "" if lead is None else f"{lead}{'   ' if end else '│  '}", depth - 1, full, layers)


def _children(scope: Scope, full: bool, layers: dict[int, Layer]) -> Iterator[tuple[Node | Scope, str, int]]:
    """What a scope holds, each with its label and how many copies of it follow each other."""
    children = [child for child in scope.children if next(_layers(child, layers), None) is not None]
    at = 0
    while at < len(children):
        child, stop = children[at], at + 1
        if isinstance(child, Scope) and not full:
            mark = mark_of(child)
            while stop < len(children) and mark and isinstance(other := children[stop], Scope) and mark_of(other) == mark:
                stop += 1
        yield child, child.label if stop == at + 1 else f"{child.label}…{children[stop - 1].label}", stop - at
        at = stop


def _layers(part: Node | Scope, layers: dict[int, Layer]) -> Iterator[Layer]:
    """The layers of the report within a part of the network."""
    if isinstance(part, Scope):
        for child in part.children:
            yield from _layers(child, layers)
    elif id(part) in layers:
        yield layers[id(part)]
