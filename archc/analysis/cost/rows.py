"""Rows of a table: layers one by one, repeated blocks folded to one, or scopes summed; and the tree of all scopes with their sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archc.analysis.cost.count import Count
from archc.analysis.cost.report import Layer, Report, totals
from archc.analysis.field.field import text
from archc.graph import Node, Scope
from archc.ops.facts import NEW
from archc.ops.shape import Shape
from archc.text.quantity import counted


@dataclass(slots=True, kw_only=True, eq=False)
class TableRow:
    """A line of the table: a layer, or a scope with the sums of its layers; `times` copies of it follow each other."""

    name: str
    kind: str
    shape: Shape
    counts: dict[str, Count]
    activations: int
    storage: str
    field: str
    times: int = 1
    layers: tuple[Layer, ...] = ()

    @property
    def is_scope(self) -> bool:
        return len(self.layers) > 1

    def bytes(self, size: int) -> int:
        """Of one copy's new outputs for one image, where a value of the network's dtype has `size`."""
        return sum(layer.bytes(size) for layer in self.layers)


def layer_rows(report: Report) -> list[TableRow]:
    """One row a layer."""
    return [row_of_layer(layer, layer.name, 1) for layer in report.layers]


def fold_rows(report: Report) -> list[TableRow]:
    """One row a layer, but copies of a block that follow each other, equal in every figure, are one row each."""
    layers = {id(layer.node): layer for layer in report.layers}
    return [row_of_layer(layers[id(node)], name, times) for node, name, times in _fold(report.graph.root, "", 1, layers)]


def scope_rows(report: Report, depth: int) -> list[TableRow]:
    """Scopes deeper than `depth` levels of names as one row each, with their sums."""
    rows: list[TableRow] = []
    group: list[Layer] = []
    for layer in report.layers:
        if group and _cut(layer.name, depth) != _cut(group[0].name, depth):
            rows.append(_of_group(group, depth))
            group = []
        group.append(layer)
    return [*rows, _of_group(group, depth)] if group else rows


SORT_KEYS = ("order", "name", "kind", "parameters", "weights", "biases", "macs", "flops", "activations")
FIGURES = SORT_KEYS[3:]


def sort_rows(rows: list[TableRow], key: str) -> list[TableRow]:
    """By name or kind upwards, by a figure downwards."""
    if key == "order":
        return rows
    if key in ("name", "kind"):
        return sorted(rows, key=lambda row: str(getattr(row, key)))
    return sorted(rows, key=lambda row: -amount(row, key))


def amount(row: TableRow, key: str) -> int:
    """A figure of a row, or the least that it can be."""
    return row.activations if key == "activations" else row.counts[key].low


def row_of_layer(layer: Layer, name: str, times: int) -> TableRow:
    """The figures of one layer, under a name that may stand for several copies."""
    counts = {key: getattr(layer, key) for key in ("weights", "biases", "macs", "flops", "parameters")}
    return TableRow(
        name=name,
        kind=layer.kind,
        shape=layer.output_shape,
        counts=counts,
        activations=layer.activations,
        storage=layer.storage,
        field=text(layer.fields),
        times=times,
        layers=(layer,),
    )


def _of_group(layers: list[Layer], depth: int) -> TableRow:
    last = layers[-1]
    name = _cut(last.name, depth)
    if len(layers) == 1 and name == last.name:
        return row_of_layer(last, name, 1)
    scope = last.node.scope
    while scope.parent is not None and scope.name != name:
        scope = scope.parent
    return row_of_layers(layers, name, scope.block or counted(len(layers), "layer"), 1)


def row_of_layers(layers: list[Layer], name: str, kind: str, times: int) -> TableRow:
    """The sums of several layers, with what the last of them gives."""
    last, values = layers[-1], sum(layer.activations for layer in layers)
    return TableRow(
        name=name,
        kind=kind,
        shape=last.output_shape,
        counts=totals(layers),
        activations=values,
        storage=NEW,
        field=text(last.fields),
        times=times,
        layers=tuple(layers),
    )


def _cut(name: str, depth: int) -> str:
    return ".".join(name.split(".")[:depth])


def _fold(scope: Scope, prefix: str, times: int, layers: dict[int, Layer]) -> Iterator[tuple[Node, str, int]]:
    """Layers in order with the names that they are shown under and how many copies stand for each other."""
    children = [child for child in scope.children if not isinstance(child, Node) or id(child) in layers]
    i = 0
    while i < len(children):
        child = children[i]
        if isinstance(child, Node):
            yield child, prefix + child.label, times
            i += 1
            continue
        mark = mark_of(child)
        stop = i + 1
        while stop < len(children) and mark and isinstance(other := children[stop], Scope) and mark_of(other) == mark:
            stop += 1
        label = child.label if stop == i + 1 else f"{child.label}…{children[stop - 1].label}"
        yield from _fold(child, f"{prefix}{label}.", times * (stop - i), layers)
        i = stop


def mark_of(scope: Scope) -> tuple[object, ...]:
    """What must be equal in two copies: the names within, and the facts, of which equal layers have one."""
    marks: list[object] = []
    for child in scope.children:
        if isinstance(child, Node):
            marks.append((child.label, id(child.facts), child.shared is not None, child.train_only))
        else:
            marks.append((child.label, mark_of(child)))
    return tuple(marks)


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
        yield row_of_layers(held, name, child.block or counted(len(held), "layer"), times)
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
