"""Measures the machine: kernels of each class forward and backward, their rates fitted, and networks that had no part in the fit.

Peak and bandwidth are the most that any kernel reached (caches and all), so that the bound of `archc time` is one here, too.
Rates are fitted to medians. `backward` is what a training step takes beyond the forward pass of inference: it has the statistics of
a batch that batch normalization takes in training.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from archc.analysis.time.forecast import Sample, class_of, fit, left_out_error
from archc.analysis.time.roofline import peak_dtype, roofline
from archc.analysis.time.traffic import NOTHING, Amount, backward, forward
from archc.catalog.devices.device import Calibration, Device, DeviceError, Rates, Trial
from archc.catalog.dtypes import ARITHMETIC
from archc.elaborate.compiler import compile_spec
from archc.graph import Graph
from archc.runtime.build.build import BuildOptions, build
from archc.runtime.build.place import device_of
from archc.runtime.calibrate.kernels import Kernel, Taken, kernels, taken
from archc.text.diagnostics import SpecError
from archc.text.quantity import counted

TRIALS = ("resnet18", "mobilenet_v2", "vgg11")
TRIAL_SIZE, QUICK_SIZE = 128, 64


@dataclass(frozen=True, slots=True)
class Measured:
    """A kernel: its amounts, and the seconds of inference and of a training step."""

    kernel: Kernel
    forward: Amount
    backward: Amount
    inference: Taken
    step: Taken


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """The device as measured, its kernels, and by class and direction the error of forecasting each kernel from the others."""

    device: Device
    kernels: list[Measured]
    errors: dict[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and as what is measured. GPUs have larger batches, and take longer to fill."""

    device: torch.device
    dtype: str
    budget: float

    @property
    def kind(self) -> torch.dtype:
        return torch.float32 if self.dtype == "tf32" else getattr(torch, self.dtype)

    @property
    def batch(self) -> int:
        return 4 if self.device.type == "cpu" else 64

    def module(self, graph: Graph) -> nn.Module:
        return build(graph, BuildOptions(device=str(self.device))).to(self.kind)

    def inputs(self, graph: Graph, batch: int) -> list[torch.Tensor]:
        return [torch.randn(batch, *value.shape, device=self.device, dtype=self.kind) for value in graph.inputs.values()]


def calibrate(
    device: str = "cpu",
    dtype: str = "float32",
    quick: bool = False,
    threads: int | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> CalibrationResult:
    """Measures a device. `threads` of a CPU, None for as many as PyTorch has; `say` hears what is under way.

    Raises PlaceError for a device that is not here, DeviceError for a dtype that it cannot be measured in.
    """
    dtype = peak_dtype(dtype)
    place = Machine(device_of(device), dtype, 0.02 if quick else 0.1)
    if dtype == "tf32" and place.device.type != "cuda":
        raise DeviceError(f"tf32 exists only on NVIDIA GPUs; measure {place.device} in float32")
    with _tf32(dtype == "tf32"), _threads(threads), torch.random.fork_rng():
        torch.manual_seed(0)
        found = []
        for kernel in kernels(quick):
            say(f"{kernel.family}: {kernel.layer.strip(': ')} of {', '.join(str(list(shape)) for shape in kernel.inputs)}")
            found.append(measure(kernel, place))
        made, errors = _fit_device(place, found)
        trials = [
            trial
            for name in (TRIALS[:2] if quick else TRIALS)
            for trial in _try_network(name, QUICK_SIZE if quick else TRIAL_SIZE, made, place, say)
        ]
    assert made.calibration is not None
    return CalibrationResult(replace(made, calibration=replace(made.calibration, trials=tuple(trials))), found, errors)


def steps(quick: bool) -> int:
    """How many times `calibrate` says what is under way."""
    return len(list(kernels(quick))) + len(TRIALS[:2] if quick else TRIALS)


def measure(kernel: Kernel, place: Machine) -> Measured:
    """The time of a kernel in inference, and in a step that gives the gradients of its inputs and weights."""
    graph = kernel.graph()
    node, size = graph.nodes[0], ARITHMETIC[place.dtype]
    inference, step = times(graph, place, place.batch, inputs_too=True)
    amounts = forward(node, place.batch, size, False), backward(node, place.batch, size, set(node.inputs))
    assert class_of(node) == kernel.family
    return Measured(kernel, *amounts, inference, step)


def times(graph: Graph, place: Machine, batch: int, inputs_too: bool = False) -> tuple[Taken, Taken]:
    """Inference and a training step (forward and backward, no optimizer) of a network."""
    module, inputs = place.module(graph), place.inputs(graph, batch)
    module.eval()
    with torch.inference_mode():
        inference = taken(lambda: module(*inputs), place.device, place.budget)
    module.train()
    wanted = [*module.parameters(), *([tensor.requires_grad_() for tensor in inputs] if inputs_too else [])]
    outputs = _tensors(module(*inputs))
    grads = [torch.ones_like(output) for output in outputs]

    def step() -> None:
        torch.autograd.grad(_tensors(module(*inputs)), wanted, grads)

    return inference, taken(step, place.device, place.budget)


def _tensors(output: object) -> list[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        return [output]
    values = output.values() if isinstance(output, dict) else output
    assert not isinstance(values, str)
    return [value for value in values if isinstance(value, torch.Tensor)]  # type: ignore[attr-defined]


def _fit_device(place: Machine, found: list[Measured]) -> tuple[Device, dict[tuple[str, str], float]]:
    """The device that the kernels show, and how well each is forecast from the others of its class."""
    peak = max(max(measured.forward.flops / measured.inference.best, _both(measured).flops / measured.step.best) for measured in found)
    bandwidth = max(max(measured.forward.bytes / measured.inference.best, _both(measured).bytes / measured.step.best) for measured in found)
    rates: dict[str, dict[str, Rates]] = {"forward": {}, "backward": {}}
    errors = {}
    for way in rates:
        for family in dict.fromkeys(measured.kernel.family for measured in found):
            samples = [sample for measured in found if measured.kernel.family == family and (sample := _sample(measured, way)) is not None]
            if samples:
                rates[way][family] = fit(samples, peak, bandwidth)
            if len(samples) > 1:
                errors[way, family] = left_out_error(samples, peak, bandwidth)
    threads = torch.get_num_threads() if place.device.type == "cpu" else None
    known = Calibration(place.dtype, threads, rates["forward"], rates["backward"])
    key = f"measured-{place.device.type}"
    source = f"archc calibrate, torch {torch.__version__.partition('+')[0]}" + (f", {counted(threads, 'thread')}" if threads else "")
    return Device(key, _name(place.device), bandwidth, {place.dtype: peak}, source=source, calibration=known), errors


def _both(measured: Measured) -> Amount:
    return measured.forward + measured.backward


def _sample(measured: Measured, way: str) -> Sample | None:
    if way == "forward":
        return measured.forward, measured.inference.median
    beyond = measured.step.median - measured.inference.median
    return (measured.backward, beyond) if beyond > 0 and measured.backward != NOTHING else None


def _try_network(name: str, size: int, device: Device, place: Machine, say: Callable[[str], object]) -> Iterator[Trial]:
    """A network that had no part in the fit: measured, and forecast."""
    say(f"trial: {name} of {size}x{size}")
    model = compile_spec(name, {}, {"": f"[3, {size}, {size}]"})
    if model.graph is None:
        raise SpecError(model.diagnostics)
    graph = model.graph.deployed()
    for training, measured in zip((False, True), times(graph, replace(place, budget=5 * place.budget), place.batch), strict=True):
        expected = roofline(graph, device, place.batch, place.dtype, training).forecast
        if expected is not None:
            yield Trial(name, place.batch, training, measured.median, expected)


@contextlib.contextmanager
def _threads(wanted: int | None) -> Iterator[None]:
    """Some number of threads, while it lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """Whether float32 may be multiplied as tf32 on NVIDIA's GPUs, while it lasts."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def _name(device: torch.device) -> str:
    """What the device calls itself."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
