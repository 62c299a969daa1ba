"""The tables of the classic lectures, row by row, against the figures in tests/figures.

Those were recomputed from the published definitions, apart from this program; what a lecture printed stands beside
them. Nothing here looks at what a spec expects of itself.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

import archc
from archc.analysis.cost.report import Layer, Report, totals
from archc.cli.main import main
from tests.helpers.lectures import small
from tests.helpers.paths import FIGURES, table


def numbers(row: dict[str, str], *names: str) -> tuple[int, ...]:
    return tuple(int(row[name]) for name in names)


def figures(layer: Layer) -> tuple[int, ...]:
    """Weights, parameters and MACs."""
    return layer.weights.low, layer.parameters.low, layer.macs.low


def report(spec: str, **params: Any) -> Report:
    return archc.analyze(archc.load(spec, **params))


def classic(shape: tuple[int, ...]) -> str:
    """Height, width, channels, as lectures write a map."""
    return "x".join(map(str, (*shape[1:], shape[0])))


# LeNet-5


def test_lenet5_row_by_row() -> None:
    found = [layer for layer in report("lenet5").layers if layer.kind != "tanh"]
    for layer, row in zip(found, table("lenet5_rows"), strict=True):
        assert layer.name == row["row"]
        assert figures(layer) == numbers(row, "weights", "parameters", "macs")
        assert layer.values == int(row["values"])
        assert classic(tuple(layer.output_shape)) == row["shape"].removeprefix("1x1x")


def test_the_activation_of_lenet5_bears_on_no_row() -> None:
    for act in ("tanh", "relu", "sigmoid"):
        assert report("lenet5", act=act).parameters == 44_426


def test_lenet5_has_three_sizes() -> None:
    assert report("lenet5").parameters == 44_426
    assert report("lenet5_32").parameters == 61_706
    joined = 60  # of 6 x 16 pairs of maps, in the paper's third layer
    paper = 61_706 - (6 * 16 - joined) * 25 - 850 + 2 * (6 + 16)  # a scale and a shift for each pooled map; the end is fixed
    assert paper == 60_000


# AlexNet


@pytest.mark.parametrize(("spec", "columns"), [("alexnet", ""), ("alexnet_grouped", "grouped_")])
def test_alexnet_row_by_row(spec: str, columns: str) -> None:
    found = report(spec)
    names = [columns + name for name in ("weights", "parameters", "macs")]
    *rows, total = table("alexnet_rows")
    for row in rows:
        assert str(found[row["row"]].output_shape) == row["shape"]
        assert figures(found[row["row"]]) == numbers(row, *names), row["row"]
    assert (found.weights, found.parameters, found.macs) == numbers(total, *names)


def test_the_first_layer_of_alexnet() -> None:
    layer = report("alexnet")["conv1"]
    assert layer.parameters.low == 34_944
    assert layer.output_shape == (96, 55, 55)


@pytest.mark.parametrize(("size", "padding", "dense"), [(227, 0, 44_892_064_800), (224, 2, 43_713_331_200)])
def test_the_dense_layer_that_would_do_the_same(size: int, padding: int, dense: int) -> None:
    """Lectures print 43.7e9 beside an input of 227, where it is 44.9e9."""
    text = f"3,{size},{size} {{conv: {{channels: 96, kernel: 11, stride: 4, padding: {padding}, bias: false}}}}"
    assert small(text).dense == dense


def test_the_dense_layer_that_would_do_the_same_as_conv1() -> None:
    layer = report("alexnet")["conv1"]
    assert layer.dense == 44_892_064_800 + layer.values  # a bias for each output


# VGG


def test_vgg16_row_by_row() -> None:
    found = report("vgg16")
    rows = table("vgg16_rows")
    assert found.graph.inputs["input"].shape.values == int(rows[0]["values"])
    layers = [layer for layer in found.layers if layer.kind in ("conv", "maxpool", "linear")]
    for layer, row in zip(layers, rows[1:], strict=True):
        assert classic(tuple(layer.output_shape)) == row["shape"].removeprefix("1x1x")
        assert layer.values == int(row["values"])
        assert figures(layer) == numbers(row, "weights", "parameters", "macs")


def test_vgg16_as_the_lectures_print_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "vgg16", "--view", "lecture"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:24] == (FIGURES / "vgg16_lecture.txt").read_text(encoding="utf-8").splitlines()
    assert lines[25].startswith("TOTAL values:  15,237,608 = 15.2M x 4 bytes = 61.0 MB")
    assert lines[26].startswith("TOTAL weights: 138,344,128 = 138M x 4 bytes = 553.4 MB; with 13,416 biases 138,357,544")


def test_the_lecture_lines_without_their_alignment() -> None:
    lines = [re.sub(r" +", " ", line) for line in (FIGURES / "vgg16_lecture.txt").read_text(encoding="utf-8").splitlines()]
    assert lines[1] == "CONV3-64: [224x224x64] = 3.2M (3x3x3)x64 = 1,728"
    for line, row in zip(lines, table("vgg16_rows"), strict=True):
        assert line.startswith(f"{row['row']}") and f": [{row['shape']}] = {row['printed']} " in line


def test_the_values_of_vgg16_are_not_24_million() -> None:
    rows = table("vgg16_rows")
    assert sum(int(row["values"]) for row in rows) == 15_237_608
    assert sum(int(row["weights"]) for row in rows) == report("vgg16").weights


VGG = """
extends: vgg16
params: {depths: [2, 2, 3, 3, 3], third: 1, border: 1, lrn: false}
layers:
  features:
    - for: {depth: $depths, width: [64, 128, 256, 512, 512]}
      inline:
        - repeat: $depth
          inline:
            - conv:
                channels: $width
                kernel: ${third if depth == 3 and last else 3}
                padding: ${border * (0 if depth == 3 and last and third == 1 else 1)}
            - relu
            - {when: "${lrn and width == 64}", lrn: 5}
        - {maxpool: 2}
  flatten: flatten
  classifier: [{linear: 4096}, {linear: 4096}, {linear: 1000}]
"""


def vgg(**params: Any) -> Report:
    """Configurations that do not ship: C, whose third convolutions are 1x1, and others."""
    return archc.analyze(archc.loads(VGG, **params))


@pytest.mark.parametrize("row", table("vgg"), ids=lambda row: row["net"])
def test_the_vgg_networks(row: dict[str, str]) -> None:
    shipped = {"A": "vgg11", "B": "vgg13", "D": "vgg16", "E": "vgg19"}
    if row["net"] == "A-LRN":  # normalization after the first layer: no weights, no MACs
        found = vgg(lrn=True, depths=[1, 1, 2, 2, 2])
        assert sum(layer.kind == "lrn" for layer in found.layers) == 1
    elif row["net"] == "C":
        found = vgg()
    else:
        found = report(shipped[row["net"]])
    assert (found.parameters, found.weights, found.macs) == numbers(row, "parameters", "weights", "macs")
    weighty = [layer for layer in found.layers if layer.weights.low]
    assert len(weighty) == int(row["weight_layers"])
    assert sum(layer.values for layer in weighty) == int(row["conv_and_dense_values"])
    assert round(found.parameters / 1e6) == int(row["printed_millions"])


def test_vgg16_without_padding_is_another_network() -> None:
    """As the lectures' Keras code builds it: nothing is padded, and 512 values reach the dense layers."""
    found = vgg(third=3, border=0)
    assert found["flatten"].output_shape == (512,)
    assert (found.parameters, found.macs) == (37_694_248, 10_081_172_224)


# GoogLeNet


def googlenet_rows(found: Report) -> dict[str, list[Layer]]:
    """The layers of each row of the paper's table."""
    names = {"conv1": "conv1", "conv2": "conv2", "conv3": "conv2", "fc": "linear"}
    rows: dict[str, list[Layer]] = {}
    for layer in found.layers:
        head = layer.name.partition(".")[0]
        rows.setdefault(names.get(head, head.removeprefix("inception")), []).append(layer)
    return rows


@pytest.mark.parametrize("row", table("googlenet_rows"), ids=lambda row: row["row"])
def test_googlenet_row_by_row(row: dict[str, str]) -> None:
    sums = totals(googlenet_rows(report("googlenet_caffe"))[row["row"]])
    assert tuple(sums[name].low for name in ("weights", "parameters", "macs")) == numbers(row, "weights", "parameters", "macs")


def distances(row: dict[str, str]) -> list[float]:
    """How far the printed parameters are from the weights, and from weights and biases, in units of 1024."""
    return [abs(float(row["printed_params"].rstrip("K")) - int(row[name]) / 1024) for name in ("weights", "parameters")]


def test_which_rows_of_the_googlenet_table_hold() -> None:
    """The printed operations are these MACs in millions but for two rows; the printed parameters, of 1024, but for eight."""
    rows = table("googlenet_rows")
    ops = [row["row"] for row in rows if abs(int(row["printed_ops"].rstrip("M")) - int(row["macs"]) / 1e6) >= 1]
    params = [row["row"] for row in rows if all(off >= 1 for off in distances(row))]
    assert ops == ["conv1", "5a"]
    assert params == ["conv1", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]


def test_the_first_row_of_the_googlenet_table_is_a_separable_convolution() -> None:
    first = small("3,224,224 {conv: {channels: 24, kernel: 7, stride: 2, padding: 3, groups: depthwise, bias: false}}")
    second = small("24,112,112 {conv: {channels: 64, kernel: 1, bias: false}}")
    assert first.weights.low + second.weights.low == 2_712
    assert first.macs.low + second.macs.low == 34_019_328


def test_the_extra_heads_of_googlenet() -> None:
    graph = archc.load("googlenet_caffe")
    assert archc.analyze(graph).parameters == 6_998_552
    trained = sum(weight.values for node in graph.nodes for weight in node.facts.weights if weight.role != "buffer")
    assert trained == 13_378_280
    assert sum(node.facts.macs for node in graph.nodes) == 1_591_044_096


# ResNet, ResNeXt, DenseNet


@pytest.mark.parametrize("row", table("resnet"), ids=lambda row: row["layers"])
def test_resnet(row: dict[str, str]) -> None:
    found = report(f"resnet{row['layers']}")
    assert found.parameters == int(row["parameters"])
    assert found.macs == int(row["macs_v15"])
    assert found.graph.params["depths"] == [int(n) for n in row["blocks"].split()]
    weighty = [layer for layer in found.layers if layer.kind in ("conv", "linear") and "downsample" not in layer.name]
    assert len(weighty) == int(row["layers"])


@pytest.mark.parametrize("row", table("resnet"), ids=lambda row: row["layers"])
def test_the_printed_cost_of_resnet_is_that_of_a_stride_on_the_first_convolution(row: dict[str, str]) -> None:
    options = {"stride_first": True} if int(row["layers"]) >= 50 else {}
    macs = report(f"resnet{row['layers']}", **options).macs
    assert macs == int(row["macs_published"])
    assert 0 <= macs / 1e9 - float(row["printed_giga"]) + 0.05 < 0.15  # rounded in some rows, cut in others


@pytest.mark.parametrize("row", table("resnext"), ids=lambda row: "x".join(list(row.values())[:3]))
def test_resnext_keeps_its_cost(row: dict[str, str]) -> None:
    found = report(f"resnet{row['layers']}", groups=int(row["groups"]), base_width=int(row["base_width"]))
    assert (found.parameters, found.macs) == numbers(row, "parameters", "macs")


@pytest.mark.parametrize("row", table("densenet"), ids=lambda row: row["layers"])
def test_densenet(row: dict[str, str]) -> None:
    found = report("densenet121", depths=[int(n) for n in row["blocks"].split()])
    assert (found.parameters, found.macs) == numbers(row, "parameters", "macs")
    convolved = sum(layer.weights.low for layer in found.layers if layer.kind != "batchnorm")
    assert convolved == int(row["weights"])


# The small networks and single layers


def test_the_perceptron_and_the_convnet() -> None:
    mlp, convnet = report("mlp"), report("convnet")
    assert [layer.parameters.low for layer in mlp.layers if layer.parameters.low] == [200_960, 2_570]
    assert [layer.parameters.low for layer in convnet.layers if layer.parameters.low] == [832, 18_496, 409_856, 2_570]
    assert [layer.output_shape[-1] for layer in convnet.layers if layer.kind in ("conv", "maxpool")] == [24, 12, 10, 5]
    assert (mlp.parameters, mlp.macs, convnet.parameters, convnet.macs) == (203_530, 203_264, 431_754, 2_716_160)
    assert convnet["fc1"].parameters.low / convnet.parameters > 0.94
