"""What a layer should take by what was measured on the device: the rates of its class, forward and backward."""

from __future__ import annotations

from archc.analysis.time.traffic import NOTHING, Amount
from archc.catalog.devices.device import Device, Rates
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


def forecast(node: Node, there: Amount, back: Amount, device: Device, dtype: str) -> float | None:
    """Seconds of a layer; None where the device was not measured in this dtype, or not in a class that it needs."""
    calibration = device.calibration
    if calibration is None or calibration.dtype != dtype:
        return None
    total = 0.0
    for amount, classes in ((there, calibration.forward), (back, calibration.backward)):
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
