"""The roofline against hand-computed layers, `analyze`, and laws that any bound has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archc
from archc.analysis.time.forecast import class_of, fit, left_out_error, seconds
from archc.analysis.time.roofline import BANDWIDTH, COMPUTE, Roofline, peak_dtype, roofline
from archc.analysis.time.traffic import Amount
from archc.catalog.devices.catalogue import find
from archc.catalog.devices.device import CLASSES, Calibration, Device, DeviceError, Rates
from archc.graph import Graph

UNIT = Device("unit", "one FLOP and one byte a second", 1.0, {"float32": 1.0, "float16": 1.0})
NETS = ("lenet5", "resnet18", "mobilenet_v2", "densenet121", "googlenet", "unet", "lambda_resnet26t")


def one(layer: str, *shapes: str) -> Graph:
    inputs = ", ".join(f"x{i}: {shape}" for i, shape in enumerate(shapes))
    return archc.loads(f"input: {{{inputs}}}\nlayers: [{{from: [{', '.join(f'x{i}' for i in range(len(shapes)))}], {layer} }}]\n")


# By hand: FLOPs; values in, out, and weights (4 bytes each)
@pytest.mark.parametrize(
    ("layer", "shapes", "flops", "values", "weights"),
    [
        ("conv: {channels: 16, kernel: 3, padding: 1, bias: false}", ["[8, 10, 10]"], 2 * 1600 * 72 - 1600, 800 + 1600, 1152),
        ("conv: {channels: 16, kernel: 1, stride: 2}", ["[8, 10, 10]"], 2 * 16 * 25 * 8, 8 * 25 + 400, 144),  # a quarter is read
        ("conv: {channels: 4, kernel: 3, stride: 2}", ["[1, 10, 10]"], 2 * 64 * 9, 81 + 64, 40),  # the last row and column are not
        ("conv: {channels: 4, kernel: 2, stride: 3}", ["[1, 9, 9]"], 2 * 36 * 4, 36 + 36, 20),  # windows apart
        ("linear: 10", ["[100]"], 2000, 110, 1010),
        ("relu:", ["[8, 10, 10]"], 800, 1600, 0),
        ("batchnorm:", ["[8, 10, 10]"], 1600, 1600, 32),
        ("add:", ["[8, 10, 10]", "[8, 10, 10]"], 800, 2400, 0),
        ("flatten:", ["[8, 10, 10]"], 0, 0, 0),
        ("dropout: 0.5", ["[8, 10, 10]"], 0, 0, 0),
        ("matmul:", ["[2, 3, 4]", "[2, 4, 5]"], 2 * 2 * 3 * 4 * 5 - 30, 24 + 40 + 30, 0),
        ("maxpool: {kernel: 2, stride: 2}", ["[8, 10, 10]"], 8 * 25 * 3, 800 + 200, 0),
    ],
)
def test_forward_by_hand(layer: str, shapes: list[str], flops: int, values: int, weights: int) -> None:
    for batch in (1, 5):
        (found,) = roofline(one(layer, *shapes), UNIT, batch).layers
        assert (found.flops, found.bytes) == (batch * flops, 4 * (batch * values + weights))
        assert found.seconds == max(found.flops, found.bytes)


def test_a_table_is_read_where_it_is_looked_up() -> None:
    (found,) = roofline(one("embedding: {entries: 1000, features: 8}", "[6]"), UNIT, 3).layers
    assert found.bytes == 3 * (6 * 8 + 2 * 6 * 8 * 4)  # indices of 8 bytes; rows read, rows written


def test_backward_by_hand() -> None:
    """The first convolution needs no gradient of its input: half the FLOPs of the second, whose input's is wanted."""
    first_conv = "conv: {channels: 8, kernel: 3, padding: 1}"
    text = f"input: [8, 10, 10]\nlayers:\n- {first_conv}\n- relu\n- conv: {{channels: 16}}\n- flatten\n- linear: 10\n"
    found = roofline(archc.loads(text), UNIT, 2, "float32", True).layers
    first, relu, second, flat, last = found
    assert first.backward.amount == Amount(2 * (2 * 800 * 72), 4 * (2 * (800 + 800) + 584), 4 * 584)
    assert relu.backward.amount == Amount(0, 4 * 2 * 3 * 800)  # two gradients, and the output that tells where it was 0
    assert second.backward.amount.flops == 2 * (4 * 1600 * 8)
    assert second.backward.amount.bytes == 4 * (2 * (1600 + 800 + 800) + 2 * 144)  # gradients out, in; input; weights twice
    assert flat.backward.amount == Amount()
    assert last.backward.amount == Amount(2 * 4 * 16000, 4 * (2 * (10 + 1600 + 1600) + 2 * 16010), 4 * 2 * 16010)


def test_additions_hand_their_gradient_on() -> None:
    text = "input: [8, 4, 4]\nlayers:\n- conv: 8\n- add: [[{conv: 8}], [identity]]\n- concat: [[relu], [identity]]\n"
    kinds = {layer.kind: layer.backward.amount for layer in roofline(archc.loads(text), UNIT, 1, "float32", True).layers}
    assert kinds["add"] == kinds["concat"] == Amount() != kinds["relu"]


@pytest.mark.parametrize("name", NETS)
def test_flops_are_those_of_analyze(name: str) -> None:
    report, found = archc.analyze(name), roofline(archc.load(name), UNIT, 3)
    assert found.flops == 3 * report.flops
    assert [(one.name, one.flops) for one in found.layers] == [(one.name, 3 * one.flops.low) for one in report.layers]


@pytest.mark.parametrize("name", NETS)
def test_training_multiplies_by_the_gradients(name: str) -> None:
    """Backward FLOPs: four a MAC of a layer with weights, but two where its input needs no gradient."""
    found = roofline(archc.load(name), UNIT, 2, "float32", True)
    by_layer = {one.name: one for one in archc.analyze(found.graph.deployed()).layers}
    for layer in found.layers:
        if layer.name in by_layer:
            first = all(value.node is None for value in layer.node.inputs)
            factors = 1 if first and layer.node.facts.owned else 2
            assert layer.backward.amount.flops == 2 * 2 * factors * by_layer[layer.name].macs.low, layer.name


def test_a_shared_layer_reads_its_weights_each_time() -> None:
    text = "input: [16]\nlayers:\n  one: {linear: 16}\n  two: {share: one}\n"
    found = roofline(archc.loads(text), UNIT).layers
    assert found[0].bytes == found[1].bytes == 4 * (32 + 272)


devices = st.builds(
    lambda peak, bandwidth: Device("drawn", "drawn", bandwidth, {"float32": peak, "float16": peak}), *(st.floats(1e6, 1e15),) * 2
)


@given(devices, st.integers(1, 64), st.booleans(), st.sampled_from(("lenet5", "resnet18")), st.floats(1, 1e3))
def test_laws(device: Device, batch: int, training: bool, name: str, factor: float) -> None:
    graph = archc.load(name)

    def time(device: Device, batch: int = batch, dtype: str = "float32", training: bool = training) -> Roofline:
        return roofline(graph, device, batch, dtype, training)

    least = time(device)
    for faster in (
        replace(device, bandwidth=device.bandwidth * factor),
        replace(device, flops={"float32": device.flops["float32"] * factor}),
    ):
        assert time(faster).seconds <= least.seconds
    both = replace(device, bandwidth=device.bandwidth * factor, flops={"float32": device.flops["float32"] * factor})
    assert time(both).seconds * factor == pytest.approx(least.seconds)
    assert time(device, batch + 1).seconds >= least.seconds
    assert time(device, 2 * batch).images_per_second >= least.images_per_second * (1 - 1e-12)  # weights are read once
    assert time(device, dtype="float16").seconds <= least.seconds
    assert time(device, training=True).seconds >= time(device, training=False).seconds
    assert least.seconds >= max(least.flops / device.flops["float32"], least.bytes / device.bandwidth) * (1 - 1e-12)
    assert least.seconds <= least.flops / device.flops["float32"] + least.bytes / device.bandwidth * (1 + 1e-12)


def test_a_pass_is_bound_by_its_intensity() -> None:
    device = find("a100-40gb")
    ridge = device.peak("tf32") / device.bandwidth
    for layer in roofline(archc.load("resnet50"), device, 32, "tf32").layers:
        if layer.intensity is not None:
            assert layer.bound == (COMPUTE if layer.intensity >= ridge else BANDWIDTH)


def test_the_interface() -> None:
    from archc.api import roofline as public

    found = public("resnet18", device="a100", batch=8, dtype="bf16")
    assert found.dtype == "bfloat16" and found.device.key == "a100-40gb" and found["fc"].kind == "linear"
    assert public(archc.load("resnet18"), device=found.device, batch=8, dtype="bfloat16").seconds == found.seconds
    top = found.dominating(3)
    assert len(top) == 3 and top[0].seconds == max(layer.seconds for layer in found.layers) and found.forecast is None
    assert found.forward == found.seconds and found.backward == 0 and found.images_per_second == 8 / found.seconds
    with pytest.raises(KeyError):
        found["nothing"]


def test_mistakes() -> None:
    graph = archc.load("lenet5")
    with pytest.raises(DeviceError, match="v100-16gb states no peak for bfloat16; it states float64, float32, float16"):
        roofline(graph, find("v100"), 1, "bf16")
    with pytest.raises(DeviceError, match="m4 states no peak at all"):
        roofline(graph, find("m4"))
    with pytest.raises(DeviceError, match='did you mean "float32"'):
        peak_dtype("flot32")
    with pytest.raises(DeviceError, match="no dtype is called int8"):
        peak_dtype("int8")
    with pytest.raises(ValueError, match="at least one image"):
        roofline(graph, UNIT, 0)


amounts = st.builds(Amount, st.integers(1, 10**9), st.integers(10**6, 10**8), st.integers(0, 10**6))


@given(st.lists(amounts, min_size=6, max_size=12, unique=True), st.floats(1e-6, 1e-3), st.floats(0.1, 1), st.floats(0.1, 1))
def test_rates_are_found_again(samples: list[Amount], overhead: float, compute: float, memory: float) -> None:
    """Times that some rates make are explained by the rates that are fitted to them."""
    rates = Rates(overhead, compute, memory)
    timed = [(amount, seconds(amount, rates, 1e11, 1e10)) for amount in samples]
    found = fit(timed, 1e11, 1e10)
    for amount, time in timed:
        assert seconds(amount, found, 1e11, 1e10) == pytest.approx(time, rel=1e-3)


@given(st.lists(st.tuples(amounts, st.floats(1e-6, 1)), min_size=1, max_size=8))
def test_a_fit_has_no_negative_part_and_beats_a_constant(samples: list[tuple[Amount, float]]) -> None:
    rates = fit(samples, 1e11, 1e10)
    assert rates.overhead >= 0 and all(part is None or part > 0 for part in (rates.compute, rates.memory, rates.weights))

    def off(rates: Rates) -> float:
        return sum((seconds(amount, rates, 1e11, 1e10) / time - 1) ** 2 for amount, time in samples)

    constant = sum(1 / time for _, time in samples) / sum(1 / time**2 for _, time in samples)
    assert off(rates) <= off(Rates(constant)) * (1 + 1e-6) + 1e-9
    if len(samples) > 1:
        assert left_out_error(samples, 1e11, 1e10) >= 0


def test_a_forecast_is_the_rates_of_the_classes() -> None:
    rates = dict.fromkeys(CLASSES, Rates(2.0, 0.5, 0.25, 0.125))
    device = replace(UNIT, calibration=Calibration("float32", 1, rates, {}))
    graph = one("linear: 10", "[100]")
    (layer,) = roofline(graph, device).layers
    assert layer.forecast == 2 + 2000 / 0.5 + 4 * 110 / 0.25 + 4 * 1010 / 0.125
    assert roofline(graph, device, 1, "float16").forecast is None  # measured in float32
    assert roofline(graph, device, 1, "float32", True).forecast is None  # and not backward
    assert roofline(one("flatten:", "[2, 3]"), device).forecast == 0


@pytest.mark.parametrize("name", NETS)
def test_every_layer_has_a_class(name: str) -> None:
    assert {class_of(node) for node in archc.load(name).nodes} <= set(CLASSES)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("conv: {channels: 8, kernel: 3, groups: depthwise}", "depthwise"),
        ("conv: {channels: 16, kernel: 3, groups: 8}", "depthwise"),
        ("conv: {channels: 8, kernel: 3, groups: 4}", "convolution"),
        ("conv: 1", "pointwise"),
        ("conv_transpose: {channels: 1, kernel: 2, stride: 2}", "convolution"),
        ("conv_transpose: {channels: 8, kernel: 2, stride: 2, groups: depthwise}", "depthwise"),
        ("layernorm: {axis: channels}", "normalization"),
        ("gelu:", "elementwise"),
        ("avgpool: {kernel: 2, stride: 2}", "averaging"),
    ],
)
def test_class_of_a_layer(layer: str, expected: str) -> None:
    assert class_of(one(layer, "[8, 6, 6]").nodes[0]) == expected


def test_classes() -> None:
    kinds = {layer.name: class_of(layer) for layer in archc.load("mobilenet_v2").nodes}
    assert set(kinds.values()) == {"convolution", "pointwise", "depthwise", "normalization", "elementwise", "matrix", "averaging"}
