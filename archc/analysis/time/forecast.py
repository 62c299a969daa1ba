"""Forecasts from measurements: rates of each class of layers, fitted to measured times, and the time of a layer by them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from archc.analysis.time.traffic import NOTHING, Amount
from archc.catalog.devices.device import Device, Rates
from archc.errors import ArgumentError
from archc.graph import Node
from archc.ops.facts import VIEW
from archc.ops.shape import product

POOLS = ("maxpool", "lppool", "global_maxpool", "adaptive_maxpool")
MEANS = ("avgpool", "global_avgpool", "adaptive_avgpool", "mean")


def class_of(node: Node) -> str:
    """The class of a layer, by what its kernels do; a convolution whose groups are single channels is depthwise."""
    if node.kind in ("conv", "conv_transpose"):
        weight = node.facts.owned[0]
        channels, taps = node.inputs[0].shape.channels, weight.shape[2:]
        if channels > 1 and weight.values == node.output.shape.channels * product(taps):  # groups of one channel
            return "depthwise"
        return "pointwise" if product(taps) == 1 else "convolution"
    if node.facts.macs != 0:
        return "matrix"
    if node.kind.endswith("norm") or node.kind == "lrn":
        return "normalization"
    return "pooling" if node.kind in POOLS else "averaging" if node.kind in MEANS else "elementwise"


def forecast(node: Node, forward: Amount, backward: Amount, device: Device, dtype: str) -> float | None:
    """Seconds of a layer; None where the device was not measured in this dtype, or not in a class that it needs."""
    calibration = device.calibration
    if calibration is None or calibration.dtype != dtype:
        return None
    total = 0.0
    for amount, classes in ((forward, calibration.forward), (backward, calibration.backward)):
        if amount == NOTHING or node.facts.storage == VIEW:
            continue
        rates = classes.get(class_of(node))
        if rates is None:
            return None
        total += seconds(amount, rates, device.peak(dtype), device.bandwidth)
    return total


def seconds(amount: Amount, rates: Rates, peak: float, bandwidth: float) -> float:
    """The time of an amount at some rates."""
    compute = amount.flops / (rates.compute * peak) if rates.compute else 0.0
    memory = (amount.bytes - amount.weights) / (rates.memory * bandwidth) if rates.memory else 0.0
    weights = amount.weights / (rates.weights * bandwidth) if rates.weights else 0.0
    return rates.overhead + compute + memory + weights


Sample = tuple[Amount, float]  # what was done, and the seconds that it took


def fit(samples: Sequence[Sample], peak: float, bandwidth: float) -> Rates:
    """The overhead, and the parts of peak and bandwidth, that explain the times best.

    time = a + b*FLOPs/peak + c*(bytes of values)/bandwidth + d*(bytes of weights)/bandwidth, none of them negative: the best of the
    fits with some of the four terms whose parts are all positive. Raises ValueError without samples.
    """
    if not samples:
        raise ArgumentError("nothing was measured")
    rows = [[part / time for part in _parts(amount, peak, bandwidth)] for amount, time in samples]
    best: tuple[float, list[float]] | None = None
    for count in (1, 2, 3, 4):
        for chosen in combinations(range(4), count):
            found = _solve([[row[i] for i in chosen] for row in rows])
            if found is None or min(found) <= 0:
                continue
            parts = [0.0] * 4
            for i, value in zip(chosen, found, strict=True):
                parts[i] = value
            off = sum((sum(x * y for x, y in zip(row, parts, strict=True)) - 1) ** 2 for row in rows)
            if best is None or off < best[0] * (1 - 1e-9):
                best = off, parts
    assert best is not None  # a mean of positive times is positive
    overhead, *parts = best[1]
    return Rates(overhead, *(1 / part if part else None for part in parts))


def _parts(amount: Amount, peak: float, bandwidth: float) -> tuple[float, float, float, float]:
    """One layer, and the seconds of its FLOPs, values and weights at full rates."""
    return 1.0, amount.flops / peak, (amount.bytes - amount.weights) / bandwidth, amount.weights / bandwidth


def left_out_error(samples: Sequence[Sample], peak: float, bandwidth: float) -> float:
    """The mean relative error of each time, forecast from the others (leave one out). Needs two samples."""
    errors = []
    for i, (amount, time) in enumerate(samples):
        rates = fit([*samples[:i], *samples[i + 1 :]], peak, bandwidth)
        errors.append(abs(seconds(amount, rates, peak, bandwidth) / time - 1))
    return sum(errors) / len(errors)


def _solve(rows: list[list[float]]) -> list[float] | None:
    """The x for which rows*x comes nearest to 1: the normal equations, by elimination. None where they are singular."""
    size = len(rows[0])
    table = [[sum(row[i] * row[j] for row in rows) for j in range(size)] + [sum(row[i] for row in rows)] for i in range(size)]
    for i in range(size):
        pivot = max(range(i, size), key=lambda at: abs(table[at][i]))
        table[i], table[pivot] = table[pivot], table[i]
        scale = sum(row[i] ** 2 for row in rows)
        if abs(table[i][i]) <= 1e-10 * scale or not table[i][i]:
            return None
        for j in range(size):
            if j != i:
                factor = table[j][i] / table[i][i]
                table[j] = [a - factor * b for a, b in zip(table[j], table[i], strict=True)]
    return [table[i][size] / table[i][i] for i in range(size)]
