"""The cost of each layer and of the network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archc.analysis.cost.count import Count, count, flops, total
from archc.analysis.field.field import NO_FIELD, Field, Fields, fields
from archc.analysis.memory.static import Memory, memory, output_bytes
from archc.catalog.dtypes import NETWORK
from archc.errors import ArgumentError, NameNotFound
from archc.graph import Graph, Node, Value
from archc.graph.graph import growing
from archc.ops.facts import NEW
from archc.ops.shape import Shape
from archc.text.diagnostics import printable
from archc.text.quantity import counted

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(slots=True, repr=False, eq=False)
class OfLayer:
    """Figures of a layer, which have its name and kind."""

    node: Node

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def kind(self) -> str:
        return self.node.kind


@dataclass(slots=True, repr=False, eq=False)
class Layer(OfLayer):
    """The figures of one layer, for one image.

    weights, biases, buffers: how many values it owns; 0 where it shares another layer's
    macs, flops: in the forward pass
    values: how many values come out
    storage: `new`; `view` and `in place` take no memory of their own
    fields: what of each input of the network an output position sees
    dense: parameters of a fully-connected layer that would do the same (convolutions)
    """

    weights: Count
    biases: Count
    buffers: Count
    macs: Count
    flops: Count
    values: int
    storage: str
    fields: Fields
    dense: int | None

    def __repr__(self) -> str:
        return f"<Layer {printable(self.name)}: {self.kind} {self.output_shape}>"

    @property
    def field(self) -> Field:
        """What an output position sees of the network's input; of several, the first that reaches it."""
        return next(iter(self.fields.values()), NO_FIELD)

    @property
    def output_shape(self) -> Shape:
        return self.node.output.shape

    @property
    def parameters(self) -> Count:
        return total((self.weights, self.biases))

    @property
    def activations(self) -> int:
        """Values that take memory: none for a view or a result in place."""
        return self.values if self.storage == NEW else 0

    def bytes(self, size: int) -> int:
        """Of its new outputs for one image, where a value of the network's dtype has `size`."""
        return output_bytes(self.node, size) if self.storage == NEW else 0


@dataclass(slots=True, repr=False, eq=False)
class Report:
    """The analysis of a network: its layers in order, totals for one image, memory in bytes, and the receptive field of every value.

    `report["features.0"]` is one layer. Shapes have no batch axis. A `Count` holds bounds, which are equal where a figure is exact.
    """

    graph: Graph
    layers: list[Layer]
    counts: dict[str, Count]
    memory: Memory
    fields: dict[Value, Fields]

    @property
    def name(self) -> str:
        return self.graph.name

    @property
    def parameters(self) -> int:
        return self.counts["parameters"].low

    @property
    def weights(self) -> int:
        return self.counts["weights"].low

    @property
    def biases(self) -> int:
        return self.counts["biases"].low

    @property
    def macs(self) -> int:
        return self.counts["macs"].low

    @property
    def flops(self) -> int:
        return self.counts["flops"].low

    @property
    def activations(self) -> int:
        return self.counts["activations"].low

    @property
    def complete(self) -> bool:
        """Whether every total is exact."""
        return all(figure.exact for figure in self.counts.values())

    def __repr__(self) -> str:
        totals = (counted(self.parameters, "parameter"), counted(self.macs, "MAC"), counted(len(self.layers), "layer"))
        return f"<Report {printable(self.name)}: {', '.join(totals)}>"

    def _repr_html_(self) -> str:
        from archc.analysis.cost.rows import fold_rows
        from archc.text.notebook import to_html
        from archc.text.table import Column, Table

        keys = ("parameters", "macs", "flops")
        columns = [Column("layer"), Column("×", "count"), Column("kind"), Column("output")]
        table = Table([*columns, Column("parameters", "count"), Column("MACs", "count"), Column("FLOPs", "count")])
        for row in fold_rows(self):
            times = row.times if row.times > 1 else ""
            table.rows.append([row.name, times, row.kind, str(row.shape), *(row.counts[key] for key in keys)])
        table.totals.append(["total", "", counted(len(self.layers), "layer"), "", *(self.counts[key] for key in keys)])
        return to_html(f"{self.name}, for one image", table)

    def __getitem__(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise NameNotFound(f"no layer is called {name}")

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it; docs/json.md says what each key means."""
        from archc.analysis.cost.export import to_dict

        return to_dict(self)

    def to_dataframe(self) -> DataFrame:
        """One row a layer, as a pandas.DataFrame (needs pandas)."""
        from archc.analysis.cost.export import to_dataframe

        return to_dataframe(self)


NOTHING = Count(0, 0)
UNKNOWN = Count(0, None)


def analyze(graph: Graph, batch: int = 1, dtype: str = "float32", optimizer: str | None = None) -> Report:
    """The cost of a network. Raises ValueError for a dtype or optimizer that it does not know."""
    if dtype not in NETWORK:
        raise ArgumentError(f"no dtype is called {dtype}; there are {', '.join(NETWORK)}")
    with growing():
        seen = fields(graph)
        layers = [layer_of(node, seen.get(node.output, {})) for node in graph.nodes]
    return Report(graph, layers, totals(layers), memory(graph, batch, dtype, optimizer), seen)


def layer_of(node: Node, found: Fields) -> Layer:
    """The figures of a layer, and what it sees of the inputs."""
    facts = node.facts
    owned = {"weight": 0, "bias": 0, "buffer": 0}
    if node.shared is None:
        for weight in facts.owned:
            owned[weight.role] += weight.values
    sizes = [UNKNOWN if facts.weights is None else Count(size, size) for size in owned.values()]
    return Layer(
        node=node,
        weights=sizes[0],
        biases=sizes[1],
        buffers=sizes[2],
        macs=count(facts.macs),
        flops=flops(facts.work),
        values=sum(value.shape.values for value in node.outputs),
        storage=facts.storage,
        fields=found,
        dense=facts.dense,
    )


def count_totals(graph: Graph) -> dict[str, Count]:
    """The totals of a network alone, without receptive fields and memory."""
    return totals(layer_of(node, {}) for node in graph.nodes)


def totals(layers: Iterable[Layer]) -> dict[str, Count]:
    """Sums over layers."""
    layers = list(layers)
    sums = {key: total([getattr(layer, key) for layer in layers]) for key in ("weights", "biases", "buffers", "macs", "flops")}
    sums["parameters"] = total((sums["weights"], sums["biases"]))
    values = sum(layer.activations for layer in layers)
    sums["activations"] = Count(values, values)
    return sums
