"""The roofline (Williams, Waterman & Patterson, 2009) of a network: the least time that a device could take, layer by layer.

A layer takes at least FLOPs/peak and at least bytes/bandwidth. The sum of the larger of the two is a bound, not a forecast: real
kernels reach neither figure. It bounds programs that run layer by layer from main memory; one that fuses layers, keeps values in
caches, or convolves with fewer multiplications than the definition has may be faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archc.analysis.cost.report import OfLayer
from archc.analysis.time.forecast import forecast
from archc.analysis.time.traffic import NOTHING, Amount, backward, forward, wanted_gradients
from archc.catalog.devices.device import Device, DeviceError
from archc.catalog.dtypes import ARITHMETIC, dtype_name
from archc.errors import ArgumentError, NameNotFound
from archc.graph import Graph
from archc.text.diagnostics import printable
from archc.text.quantity import counted, time_text
from archc.text.suggest import did_you_mean

COMPUTE, BANDWIDTH = "compute", "bandwidth"


@dataclass(frozen=True, slots=True)
class Pass:
    """One direction of a layer: its amount, and the least seconds for its arithmetic and for its bytes."""

    amount: Amount
    compute: float
    bandwidth: float

    @property
    def seconds(self) -> float:
        return max(self.compute, self.bandwidth)


@dataclass(slots=True, repr=False)
class LayerTime(OfLayer):
    """The bound of one layer. `forecast` is None without a calibration."""

    forward: Pass
    backward: Pass
    forecast: float | None = None

    @property
    def flops(self) -> int:
        return self.forward.amount.flops + self.backward.amount.flops

    @property
    def bytes(self) -> int:
        return self.forward.amount.bytes + self.backward.amount.bytes

    @property
    def intensity(self) -> float | None:
        """FLOPs a byte; None where nothing moves."""
        return self.flops / self.bytes if self.bytes else None

    @property
    def seconds(self) -> float:
        return self.forward.seconds + self.backward.seconds

    @property
    def bound(self) -> str:
        """What the larger part of the time is bound by; empty where there is none."""
        parts = [(phase.seconds, COMPUTE if phase.compute >= phase.bandwidth else BANDWIDTH) for phase in (self.forward, self.backward)]
        return max(parts)[1] if self.seconds else ""

    def __repr__(self) -> str:
        return f"<LayerTime {printable(self.name)}: at least {time_text(self.seconds)}>"


@dataclass(slots=True, repr=False)
class Roofline:
    """The least time of a network on a device: layers in order, and totals for one step of `batch` images. Times are in seconds."""

    graph: Graph
    device: Device
    batch: int
    dtype: str
    training: bool
    layers: list[LayerTime]

    def __repr__(self) -> str:
        return f"<Roofline {printable(self.title)}: at least {time_text(self.seconds)}>"

    def _repr_html_(self) -> str:
        from archc.text.notebook import to_html
        from archc.text.table import Column, Table

        titles = [Column("layer"), Column("kind"), Column("FLOPs", "count"), Column("bytes", "bytes"), Column("bound by"), Column("least")]
        table = Table(titles)
        for layer in self.layers:
            table.rows.append([layer.name, layer.kind, layer.flops, layer.bytes, layer.bound, time_text(layer.seconds)])
        table.totals.append(["total", "", self.flops, self.bytes, "", time_text(self.seconds)])
        measured = f"forecast {time_text(self.forecast)}" if self.forecast is not None else ""
        return to_html(self.title, table, [measured])

    @property
    def title(self) -> str:
        """The network, the device and the step in words."""
        step = "forward and backward" if self.training else "forward"
        return f"{self.graph.name} on {self.device.name}, {step} of {counted(self.batch, 'image')} in {self.dtype}"

    @property
    def seconds(self) -> float:
        """The least time of a step. In training a step is forward and backward, without the optimizer."""
        return sum(layer.seconds for layer in self.layers)

    @property
    def forward(self) -> float:
        return sum(layer.forward.seconds for layer in self.layers)

    @property
    def backward(self) -> float:
        return sum(layer.backward.seconds for layer in self.layers)

    @property
    def images_per_second(self) -> float:
        """The most that can be."""
        return self.batch / self.seconds if self.seconds else float("inf")

    @property
    def flops(self) -> int:
        return sum(layer.flops for layer in self.layers)

    @property
    def bytes(self) -> int:
        return sum(layer.bytes for layer in self.layers)

    @property
    def forecast(self) -> float | None:
        """Seconds that a step should take by what was measured; None without a calibration in this dtype."""
        known = [layer.forecast for layer in self.layers if layer.forecast is not None]
        return sum(known) if len(known) == len(self.layers) else None

    @property
    def incomplete(self) -> list[str]:
        """The layers that do not state their work."""
        return [layer.name for layer in self.layers if layer.node.facts.work is None or layer.node.facts.macs is None]

    def dominating(self, most: int = 10) -> list[LayerTime]:
        """The layers that take the most, the longest first."""
        return sorted(self.layers, key=lambda layer: -layer.seconds)[:most]

    def __getitem__(self, name: str) -> LayerTime:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise NameNotFound(f"no layer is called {name}")

    def to_dict(self) -> dict[str, Any]:
        """The stable keys of `archc time --format json`. Times in seconds."""
        return {
            "name": self.graph.name,
            "device": self.device.key,
            "batch": self.batch,
            "dtype": self.dtype,
            "training": self.training,
            "flops": self.flops,
            "bytes": self.bytes,
            "least": {"step": self.seconds, "forward": self.forward, "backward": self.backward},
            "most_images_per_second": self.images_per_second if self.seconds else None,
            "forecast": self.forecast,
            "incomplete": self.incomplete,
            "layers": [self._layer(layer) for layer in self.layers],
        }

    def _layer(self, layer: LayerTime) -> dict[str, Any]:
        return {
            "name": layer.name,
            "kind": layer.kind,
            "flops": layer.flops,
            "bytes": layer.bytes,
            "intensity": layer.intensity,
            "bound": layer.bound or None,
            "least": layer.seconds,
            "part": layer.seconds / self.seconds if self.seconds else 0.0,
            "forecast": layer.forecast,
        }


def peak_dtype(text: str) -> str:
    """The full name of a dtype that a device may state a peak for. Raises DeviceError."""
    name = dtype_name(text, ARITHMETIC)
    if name is None:
        hint = did_you_mean(text, ARITHMETIC)
        raise DeviceError(f"no dtype is called {text}; {hint or 'there are ' + ', '.join(ARITHMETIC)}")
    return name


def roofline(graph: Graph, device: Device, batch: int = 1, dtype: str = "float32", training: bool = False) -> Roofline:
    """The bound of a network on a device. Raises DeviceError for a dtype in which the device states no peak.

    Inference is that of the deployed network; training is the whole network, forward and backward, without the optimizer.
    """
    if batch < 1:
        raise ArgumentError(f"a batch of {batch}: it needs at least one image")
    dtype = peak_dtype(dtype)
    peak, size = device.peak(dtype), ARITHMETIC[dtype]
    graph = graph if training else graph.deployed()
    wanted = wanted_gradients(graph) if training else set()

    def bound(amount: Amount) -> Pass:
        return Pass(amount, amount.flops / peak, amount.bytes / device.bandwidth)

    layers = []
    for node in graph.nodes:
        forward_bound = bound(forward(node, batch, size, training))
        backward_bound = bound(backward(node, batch, size, wanted) if training else NOTHING)
        layers.append(
            LayerTime(node, forward_bound, backward_bound, forecast(node, forward_bound.amount, backward_bound.amount, device, dtype))
        )
    return Roofline(graph, device, batch, dtype, training, layers)
