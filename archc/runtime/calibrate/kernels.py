"""What a calibration measures: networks of one layer, by class, in sizes that networks have, and how long a call takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import NamedTuple

import torch

from archc.elaborate.compiler import compile_text
from archc.graph import Graph
from archc.ops.shape import product
from archc.text.diagnostics import SpecError


class Kernel(NamedTuple):
    """A layer of a class, on its inputs."""

    family: str
    layer: str
    inputs: tuple[tuple[int, ...], ...]

    def graph(self) -> Graph:
        shapes = ", ".join(f"x{i}: {list(shape)}" for i, shape in enumerate(self.inputs))
        names = ", ".join(f"x{i}" for i in range(len(self.inputs)))
        model = compile_text(f"input: {{{shapes}}}\nlayers: [{{from: [{names}], {self.layer} }}]\n")
        if model.graph is None:
            raise SpecError(model.diagnostics)
        return model.graph


def _conv(channels: int, kernel: int, more: str = "") -> str:
    return f"conv: {{channels: {channels}, kernel: {kernel}, padding: {kernel // 2}, bias: false{more}}}"


_MAPS = ((16, 8), (64, 8), (32, 16), (512, 4), (64, 28), (128, 28), (64, 56), (96, 64))
SMALL = 150_000  # values an input
# channels in and out, size
_CONVOLUTIONS = (
    (64, 32, 16), (96, 16, 32), (64, 64, 16), (512, 512, 4), (128, 128, 16), (256, 256, 8), (64, 64, 32), (256, 512, 16),
    (64, 64, 56), (64, 128, 64), (512, 512, 8),
)  # fmt: skip
_POINTWISE = (
    (64, 32, 16), (16, 96, 64), (32, 16, 64), (160, 960, 4), (960, 160, 4), (24, 144, 32), (64, 384, 8), (384, 96, 8),
    (320, 1280, 4), (256, 64, 28), (256, 128, 14),
)  # fmt: skip
_DEPTHWISE = ((32, 64, 1), (96, 64, 2), (144, 32, 1), (192, 16, 1), (384, 8, 1), (576, 8, 2), (960, 4, 1))  # channels, size, stride
_LINEAR = (
    ((512,), 10), ((512,), 1000), ((1024,), 1024), ((4096,), 4096), ((64, 64), 64), ((8192,), 8192), ((64, 384), 384),
    ((64, 768), 3072),
)  # fmt: skip


def kernels(quick: bool = False) -> list[Kernel]:
    """The kernels of a calibration; `quick` has every second one, without the largest."""
    found = [Kernel("convolution", _conv(out, 3), ((channels, size, size),)) for channels, out, size in _CONVOLUTIONS]
    for channels, out, size, kernel in ((3, 64, 128, 7), (3, 32, 128, 3), (64, 128, 32, 3), (256, 512, 8, 3)):
        found.append(Kernel("convolution", _conv(out, kernel, ", stride: 2"), ((channels, size, size),)))
    found.append(Kernel("convolution", _conv(64, 3), ((3, 32, 32),)))
    found += [Kernel("pointwise", _conv(out, 1), ((channels, size, size),)) for channels, out, size in _POINTWISE]
    for channels, size, stride in _DEPTHWISE:
        found.append(Kernel("depthwise", _conv(channels, 3, f", stride: {stride}, groups: depthwise"), ((channels, size, size),)))
    found += [Kernel("matrix", f"linear: {out}", (shape,)) for shape, out in _LINEAR]
    found += _maps("normalization", "batchnorm:")
    found += _maps("elementwise", "relu:") + _maps("elementwise", "add:", 2)
    found += _maps("pooling", "maxpool: {kernel: 2, stride: 2}") + _maps("averaging", "global_avgpool:")
    return [kernel for kernel in found[::2] if product(kernel.inputs[0]) < SMALL] if quick else found


def _maps(family: str, layer: str, inputs: int = 1) -> list[Kernel]:
    return [Kernel(family, layer, ((channels, size, size),) * inputs) for channels, size in _MAPS]


LEAST_RUNS = 5
SHORTEST = 1e-3  # seconds: what is shorter is run several times between two looks at the clock


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of a call: the median, and the best of all runs."""

    median: float
    best: float


def taken(call: Callable[[], object], device: torch.device, budget: float) -> Taken:
    """Times a call for about `budget` seconds, after two runs that do not count."""
    first = min(_run(call, 1, device) for _ in range(2))
    inner = max(1, min(1000, int(SHORTEST / max(first, 1e-7))))
    runs: list[float] = []
    end = perf_counter() + budget
    while len(runs) < LEAST_RUNS or perf_counter() < end:
        runs.append(_run(call, inner, device))
    return Taken(median(runs), min(runs))


def _run(call: Callable[[], object], times: int, device: torch.device) -> float:
    _finish(device)
    start = perf_counter()
    for _ in range(times):
        call()
    _finish(device)
    return (perf_counter() - start) / times


def _finish(device: torch.device) -> None:
    """Waits for what is under way."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
