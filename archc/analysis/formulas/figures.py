"""The figures of a report, with numbers of any kind: formulas, or whole numbers at some sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from archc.analysis.cost.count import Count
from archc.analysis.cost.report import Layer, totals
from archc.analysis.memory.static import Memory
from archc.catalog.dtypes import NETWORK

N = TypeVar("N")
COUNTED = ("weights", "biases", "buffers", "parameters", "macs", "flops")
KEPT_AS_IT_IS = ("batch", "dtype", "optimizer")  # of Memory


@dataclass(frozen=True, slots=True)
class Bounds(Generic[N]):
    """A figure that lies between two numbers, which are the same where it is exact; `high` None: nothing is known above `low`."""

    low: N
    high: N | None

    @property
    def exact(self) -> bool:
        return self.high is self.low


@dataclass(frozen=True, slots=True)
class LayerFigures(Generic[N]):
    """Those of one layer, for one image. `counts` has weights, biases, buffers, parameters, macs and flops; `bytes` are of new outputs."""

    name: str
    kind: str
    output_shape: tuple[N, ...]
    counts: dict[str, Bounds[N]]
    values: N
    bytes: N
    storage: str


@dataclass(frozen=True, slots=True)
class Figures(Generic[N]):
    """Those of a network: its layers, totals for one image, and bytes by the names of `archc.analyze(…).memory`."""

    layers: list[LayerFigures[N]]
    counts: dict[str, Bounds[N]]
    memory: dict[str, N]

    @property
    def parameters(self) -> N:
        return self.counts["parameters"].low

    @property
    def macs(self) -> N:
        return self.counts["macs"].low

    @property
    def flops(self) -> N:
        return self.counts["flops"].low

    @property
    def activations(self) -> N:
        return self.counts["activations"].low

    def __getitem__(self, name: str) -> LayerFigures[N]:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)


def figures(layers: list[Layer], memory: Memory, shown: Callable[[int], N]) -> Figures[N]:
    """The figures of layers, each number as `shown` has it."""
    size = NETWORK[memory.dtype]
    counts = {key: _bounds(count, shown) for key, count in totals(layers).items()}
    numbers = {name: number for name, number in memory._asdict().items() if name not in KEPT_AS_IT_IS}
    numbers["training"] = memory.training
    return Figures([_layer(layer, size, shown) for layer in layers], counts, {name: shown(number) for name, number in numbers.items()})


def _layer(layer: Layer, size: int, shown: Callable[[int], N]) -> LayerFigures[N]:
    return LayerFigures(
        name=layer.name,
        kind=layer.kind,
        output_shape=tuple(map(shown, layer.output_shape)),
        counts={key: _bounds(getattr(layer, key), shown) for key in COUNTED},
        values=shown(layer.values),
        bytes=shown(layer.bytes(size)),
        storage=layer.storage,
    )


def _bounds(count: Count, shown: Callable[[int], N]) -> Bounds[N]:
    low = shown(count.low)
    if count.high is None:
        return Bounds(low, None)
    return Bounds(low, low if count.high is count.low or shown(count.high) == low else shown(count.high))
