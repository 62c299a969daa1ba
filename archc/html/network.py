"""A network as data for the page: layers in columns, scopes, figures for one image, and how each figure comes about."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Generic, TypeVar

from archc.analysis.cost.count import Count
from archc.analysis.cost.derive import DerivationStep, derive
from archc.analysis.cost.report import Report, analyze
from archc.analysis.field.field import text
from archc.graph import Graph, Node, Scope, Value
from archc.html.bounds import traffic
from archc.ops.facts import INPLACE, NEW, OWN, VIEW, literal
from archc.ops.opaque import describe, stated

MOST_DERIVED = 5_000  # layers; the derivations of more would make a page too large for a browser
STORAGES = {NEW: 0, VIEW: 1, INPLACE: 2, OWN: 1}  # as the page knows them: to it, a tensor of the layer's own is a view
COUNTS = ("weights", "biases", "buffers", "macs", "flops")


def network(graph: Graph) -> dict[str, Any]:
    """The whole network; layers that are there in training alone are marked in `train`."""
    report = analyze(graph)
    scopes = _Scopes(graph)
    numbers = graph.positions
    inputs = {value: -1 - i for i, value in enumerate(graph.inputs.values())}
    return {
        "name": graph.name,
        "doc": graph.doc,
        "paper": _paper(graph),
        "params": {name: _written(value) for name, value in graph.params.items()},
        "inputs": [{"name": name, "shape": str(value.shape)} for name, value in graph.inputs.items()],
        "input_values": sum(value.shape.values for value in graph.inputs.values()),
        "outputs": [
            {"name": name, "shape": str(value.shape), "source": _source(value, numbers, inputs)} for name, value in graph.outputs.items()
        ],
        "scopes": scopes.columns(),
        "layers": _columns(report, scopes, numbers, inputs) | traffic(graph),
        **_words(report),
    }


def _paper(graph: Graph) -> dict[str, Any]:
    paper = graph.paper
    found = {key: getattr(paper, key) for key in ("title", "authors", "venue", "year", "url")}
    return {key: value for key, value in found.items() if value}


class _Scopes:
    """The levels of names in order; the first is the network."""

    def __init__(self, graph: Graph) -> None:
        self.all: list[Scope] = [graph.root]
        self.numbers: dict[Scope, int] = {graph.root: 0}
        waiting = [graph.root]
        while waiting:
            for child in waiting.pop().children:
                if isinstance(child, Scope):
                    self.numbers[child] = len(self.all)
                    self.all.append(child)
                    waiting.append(child)

    def columns(self) -> dict[str, list[Any]]:
        return {
            "label": [scope.label for scope in self.all],
            "parent": [-1 if scope.parent is None else self.numbers[scope.parent] for scope in self.all],
            "block": [scope.block for scope in self.all],
        }


def _columns(report: Report, scopes: _Scopes, numbers: Mapping[Node, int], inputs: dict[Value, int]) -> dict[str, Any]:
    kinds, shapes, fields = Interned[str](), Interned[str](), Interned[str]()
    layers = report.layers
    nodes = [layer.node for layer in layers]
    columns: dict[str, Any] = {
        "label": [node.label for node in nodes],
        "scope": [scopes.numbers[node.scope] for node in nodes],
        "kind": [kinds(node.kind) for node in nodes],
        "shape": [shapes(str(node.output.shape)) for node in nodes],
        "storage": [STORAGES[layer.storage] for layer in layers],
        "values": [layer.values for layer in layers],
        "field": [fields(text(layer.fields)) for layer in layers],
        "inputs": [[_source(value, numbers, inputs) for value in node.inputs] for node in nodes],
        "train": [i for i, node in enumerate(nodes) if node.train_only],
        "shares": {str(i): numbers[node.shared] for i, node in enumerate(nodes) if node.shared is not None},
    }
    for key in COUNTS:
        columns[key] = [_count(getattr(layer, key)) for layer in layers]
    tables = {"kinds": kinds.things, "shapes": shapes.things, "fields": fields.things}
    summaries = {node.kind: node.op.summary for node in nodes}
    return columns | {"tables": tables | {"summaries": [summaries[kind] for kind in kinds.things]}}


def _source(value: Value, numbers: Mapping[Node, int], inputs: dict[Value, int]) -> int:
    """The layer that a value comes from; of the network's inputs, -1 and down."""
    return inputs[value] if value.node is None else numbers[value.node]


def _count(count: Count) -> int | list[int | None]:
    return count.low if count.exact else [count.low, count.high]


def _words(report: Report) -> dict[str, Any]:
    """Derivations, arguments and places, each different one once."""
    steps, arguments, places = Interned[DerivationStep](), Interned[str](), Interned[str]()
    layers = report.layers
    derived = len(layers) <= MOST_DERIVED
    return {
        "derived": [[steps(item) for item in derive(layer, report.fields)] if derived else [] for layer in layers],
        "arguments_of": [arguments(_arguments(layer.node)) for layer in layers],
        "written_of": [places(_place(layer.node)) for layer in layers],
        "steps": steps.things,
        "arguments": arguments.things,
        "written": places.things,
    }


def _arguments(node: Node) -> str:
    shown = stated(node.args) if node.kind == "opaque" else node.args
    return ", ".join(f"{name}: {_written(value)}" for name, value in shown.items())


def _place(node: Node) -> str:
    if node.written is None:
        return describe(node.args) if node.kind == "opaque" else ""
    return f"{node.written.kind}" + "".join(f", in {use.label} at {use.span}" for use in node.written.uses)


def _written(value: object) -> str:
    """A value as a spec has it."""
    if value is None:
        return "null"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_written, value)) + "]"
    try:
        return literal(value).lower() if isinstance(value, bool) else str(value)
    except TypeError:
        return str(value)


T = TypeVar("T", bound=Hashable)


class Interned(Generic[T]):
    """`self(thing)` is the thing's number; `things` has them in order."""

    def __init__(self) -> None:
        self._numbers: dict[T, int] = {}

    def __call__(self, thing: T) -> int:
        return self._numbers.setdefault(thing, len(self._numbers))

    @property
    def things(self) -> list[T]:
        return list(self._numbers)
