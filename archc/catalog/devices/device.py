"""A device: what it can do at most, and what was measured on it; with what a file may say of each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated

from archc.catalog.dtypes import ARITHMETIC
from archc.errors import Argument, ArgumentError
from archc.text.diagnostics import printable
from archc.text.quantity import BANDWIDTH, BYTES, FLOPS
from archc.validation.description import Amount, Match, OneOf, Range

CLASSES = ("convolution", "pointwise", "depthwise", "matrix", "normalization", "elementwise", "pooling", "averaging")

_MOST = 1e24
_ABOVE_ZERO = Range(0, _MOST, excluded=True)
_Share = Annotated[float, _ABOVE_ZERO]
_Dtype = Annotated[str, OneOf(tuple(ARITHMETIC))]
_Key = Annotated[str, Match(re.compile(r"[a-z0-9][a-z0-9._-]{0,63}"), "lower-case letters, digits, `-`, `.` and `_`")]
_Bytes = Annotated[int, _ABOVE_ZERO, Amount(BYTES, whole=True)]


class DeviceError(ArgumentError):
    """A device that is not known, or does not say what was asked of it. Its text is complete."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What layers of one class reached, as parts of the device's peak and bandwidth.

    time = overhead + FLOPs/(compute*peak) + (bytes of values)/(memory*bandwidth) + (bytes of weights)/(weights*bandwidth)

    overhead: seconds a layer
    compute, memory, weights: None where that term is not there
    """

    overhead: Annotated[float, Range(0, _MOST)] = 0.0
    compute: _Share | None = None
    memory: _Share | None = None
    weights: _Share | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A network that was measured and forecast, and had no part in the fit. Seconds a step."""

    network: str
    batch: Annotated[int, Range(1, 10**9)]
    training: bool
    measured: Annotated[float, _ABOVE_ZERO]
    forecast: Annotated[float, _ABOVE_ZERO]

    @property
    def error(self) -> float:
        """By how much the forecast is off, as a part of what was measured."""
        return self.forecast / self.measured - 1


@dataclass(frozen=True, slots=True)
class Calibration:
    """Rates of classes of layers, forward and backward, measured in one dtype."""

    dtype: _Dtype
    threads: Annotated[int, Range(1, 4096)] | None = None
    forward: dict[Annotated[str, OneOf(CLASSES)], Rates] = field(default_factory=dict)
    backward: dict[Annotated[str, OneOf(CLASSES)], Rates] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Device:
    """A device. What it does not state is None, or not in `flops`.

    bandwidth: bytes a second to its main memory
    flops: the peak a second by dtype, dense; a multiply-add counts as two
    memory: bytes, as the data sheet has them
    visible: those that a program is told of, where that is known
    cuda: whether PyTorch's allocator for CUDA runs on it
    """

    key: _Key
    name: str
    bandwidth: Annotated[float, _ABOVE_ZERO, Amount(BANDWIDTH)]
    flops: dict[_Dtype, Annotated[float, _ABOVE_ZERO, Amount(FLOPS)]] = field(default_factory=dict)
    memory: _Bytes | None = None
    year: Annotated[int, Range(1940, 2100)] | None = None
    source: str = ""
    note: str = ""
    aliases: tuple[str, ...] = ()
    calibration: Calibration | None = field(default=None, compare=False)
    visible: _Bytes | None = None
    cuda: bool = False

    def __repr__(self) -> str:
        return f"<Device {printable(self.key)}: {printable(self.name)}>"

    def peak(self, dtype: str) -> float:
        """FLOPs a second in a dtype. Raises DeviceError where it states none."""
        if dtype not in self.flops:
            if not self.flops:
                more = Argument("devices", "FILE.yaml")
                raise DeviceError(f"{self.key} states no peak at all; a file of your own can state one: ", more)
            raise DeviceError(f"{self.key} states no peak for {dtype}; it states {', '.join(self.flops)}")
        return self.flops[dtype]
