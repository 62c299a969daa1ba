"""A device: what it can do at most, and what was measured on it."""

from __future__ import annotations

from dataclasses import dataclass, field


class DeviceError(ValueError):
    """A device that is not known, or does not say what was asked of it. Its text is complete."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What layers of one class reached, as parts of the device's peak and bandwidth.

    time = overhead + FLOPs/(compute*peak) + (bytes of values)/(memory*bandwidth) + (bytes of weights)/(weights*bandwidth)

    overhead: seconds a layer
    compute, memory, weights: None where that term is not there
    """

    overhead: float = 0.0
    compute: float | None = None
    memory: float | None = None
    weights: float | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A network that was measured and forecast, and had no part in the fit. Seconds a step."""

    network: str
    batch: int
    training: bool
    measured: float
    forecast: float

    @property
    def error(self) -> float:
        """By how much the forecast is off, as a part of what was measured."""
        return self.forecast / self.measured - 1


@dataclass(frozen=True, slots=True)
class Calibration:
    """Rates of classes of layers, forward and backward, measured in one dtype."""

    dtype: str
    threads: int | None
    forward: dict[str, Rates]
    backward: dict[str, Rates]
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """A device. What it does not state is None, or not in `flops`.

    bandwidth: bytes a second to its main memory
    flops: the peak a second by dtype, dense; a multiply-add counts as two
    memory: bytes, as the data sheet has them
    visible: those that a program is told of, where that is known
    cuda: whether PyTorch's allocator for CUDA runs on it
    """

    key: str
    name: str
    bandwidth: float
    flops: dict[str, float]
    memory: int | None = None
    year: int | None = None
    source: str = ""
    note: str = ""
    aliases: tuple[str, ...] = ()
    calibration: Calibration | None = field(default=None, compare=False)
    visible: int | None = None
    cuda: bool = False

    def peak(self, dtype: str) -> float:
        """FLOPs a second in a dtype. Raises DeviceError where it states none."""
        if dtype not in self.flops:
            known = ", ".join(self.flops) or "no peak at all; a file of your own may (--devices FILE.yaml)"
            raise DeviceError(f"{self.key} states no peak for {dtype}; it states {known}")
        return self.flops[dtype]
