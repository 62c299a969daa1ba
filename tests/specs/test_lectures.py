"""The tables of the classic lectures, row by row, against the figures in tests/figures.

Those were recomputed from the published definitions, apart from this program; what a lecture printed stands beside
them. Nothing here looks at what a spec expects of itself.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

import archc
from archc.analysis.cost.accounts import activations_from_volumes, saved_from_activations
from archc.analysis.cost.report import Layer, Report, analyze, totals
from archc.analysis.memory.saved import saved
from archc.analysis.time.traffic import step_work
from archc.cli.main import main
from archc.elaborate.compiler import compile_spec, compile_text
from tests.helpers.paths import FIGURES, ROOT, table

PAGE = ROOT / "docs" / "lecture-tables.md"


def numbers(row: dict[str, str], *names: str) -> tuple[int, ...]:
    return tuple(int(row[name]) for name in names)


def figures(layer: Layer) -> tuple[int, ...]:
    """Weights, parameters and MACs."""
    return layer.weights.low, layer.parameters.low, layer.macs.low


def report(spec: str, **params: Any) -> Report:
    return archc.analyze(archc.load(spec, **params))


def small(text: str) -> Layer:
    """The one layer of a spec in two lines: its input and itself."""
    shape, entry = text.split(" ", 1)
    return archc.analyze(archc.loads(f"input: [{shape}]\nlayers: [{entry}]\n")).layers[0]


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


@pytest.mark.parametrize(
    ("layer", "shape", "parameters", "why"),
    [
        ("921600 {linear: 1000}", (1000,), 921_601_000, "a dense layer on a 640x480 photo"),
        ("1,28,28 {conv: {channels: 1, kernel: 5}}", (1, 24, 24), 26, "28 - 5 + 1"),
        ("3,5,5 {conv: {channels: 2, kernel: 3, stride: 2, padding: 1}}", (2, 3, 3), 56, "the animated demonstration"),
        ("4,3,5 {conv: {channels: 2, kernel: 3, stride: 2, padding: [2, 1]}}", (2, 3, 3), (9 * 4 + 1) * 2, "another padding for each axis"),
        ("16,32,32 {maxpool: {kernel: 2, stride: 2}}", (16, 16, 16), 0, "a pool halves the map and keeps the channels"),
        ("1,15,15,10 {conv: {channels: 8, kernel: 3}}", (8, 13, 13, 8), 8 * 28, "a convolution over a volume"),
        ("3,5,5 {conv: {channels: 4, kernel: 5}}", (4, 1, 1), 304, "a kernel as large as its input is a dense layer"),
        ("512,7,7 {conv: {channels: 4096, kernel: 7}}", (4096, 1, 1), 102_764_544, "VGG-16's first dense layer, made a convolution"),
        ("4096,1,1 {conv: {channels: 1000, kernel: 1}}", (1000, 1, 1), 4_097_000, "and its last"),
    ],
    ids=lambda value: value if isinstance(value, str) and "{" not in value else "",
)
def test_worked_layers(layer: str, shape: tuple[int, ...], parameters: int, why: str) -> None:
    found = small(layer)
    assert found.output_shape == shape
    assert found.parameters.low == parameters


def test_the_efficiency_of_a_convolution() -> None:
    """An edge filter of two taps on a 320x280 image, against the dense matrix."""
    layer = small("1,280,320 {conv: {channels: 1, kernel: [1, 2], bias: false}}")
    assert layer.output_shape == (1, 280, 319)
    assert (layer.weights.low, layer.macs.low, layer.flops.low) == (2, 178_640, 267_960)  # two multiplies and one add a value
    assert layer.dense == 8_003_072_000


@pytest.mark.parametrize("channels", [8, 64, 512])
def test_three_small_kernels_against_a_large_one(channels: int) -> None:
    one = small(f"{channels},32,32 {{conv: {{channels: {channels}, kernel: 7, padding: 3, bias: false}}}}")
    three = archc.analyze(
        archc.loads(f"""
input: [{channels}, 32, 32]
layers: [{{repeat: 3, conv: {{channels: {channels}, kernel: 3, padding: 1, bias: false}}}}]
""")
    )
    assert one.weights.low == 49 * channels**2
    assert three.weights == 27 * channels**2
    assert [layer.field.size[0] for layer in three.layers] == [3, 5, 7]
    assert one.field.size == three.layers[-1].field.size


def test_a_separable_convolution_is_not_n_times_n_plus_n() -> None:
    kernel, channels, filters = 3, 64, 128
    depthwise = small(f"{channels},32,32 {{conv: {{channels: {channels}, kernel: {kernel}, padding: 1, groups: depthwise, bias: false}}}}")
    pointwise = small(f"{channels},32,32 {{conv: {{channels: {filters}, bias: false}}}}")
    assert depthwise.weights.low + pointwise.weights.low == kernel * kernel * channels + channels * filters


# The page


def commands() -> list[tuple[str, str]]:
    """The commands of docs/lecture-tables.md, each with the output beneath it."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


@pytest.mark.parametrize(("command", "output"), commands(), ids=lambda text: text if "\n" not in text else "")
def test_the_page_shows_what_archc_prints(command: str, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, *words = shlex.split(command)
    assert program == "archc"
    assert main(words) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.strip().splitlines()]
    wanted = output.strip().splitlines()
    for part in "\n".join(wanted).split("…"):  # lines are left out between
        kept = part.strip("\n").splitlines()
        starts = [i for i in range(len(printed) - len(kept) + 1) if printed[i : i + len(kept)] == kept]
        assert starts, part
        printed = printed[starts[0] + len(kept) :]
    assert "…" in wanted or not printed


def rows_of_figures() -> list[tuple[str, int, int]]:
    """The rows of the page's tables that name a network: its words, its parameters, its MACs."""
    found = re.findall(r"^\|.*\| `([^`]+)` \| ([\d,]+) \| ([\d,]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [(words, int(parameters.replace(",", "")), int(macs.replace(",", ""))) for words, parameters, macs in found]


@pytest.mark.parametrize(("words", "parameters", "macs"), rows_of_figures())
def test_the_figures_of_the_page(words: str, parameters: int, macs: int) -> None:
    name, *changes = words.replace("--set ", "").split()
    graph = compile_spec(name, dict(change.split("=") for change in changes)).graph
    assert graph is not None
    found = archc.analyze(graph)
    assert (found.parameters, found.macs) == (parameters, macs)


def test_the_page_has_all_its_figures() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(commands()) == page.count("```console") == 6
    assert len(rows_of_figures()) == sum(line.startswith("|") and "`" in line for line in page.splitlines()) == 24


# The state of the art


@pytest.mark.parametrize("row", table("state_of_the_art"), ids=lambda row: row["method"])
def test_the_table_of_the_state_of_the_art(row: dict[str, str]) -> None:
    """Every row comes out of a spec in the printed digits, or the table here and the spec say why it cannot."""
    if not row["spec"]:
        assert row["why"]
        return
    parameters = archc.analyze(archc.load(row["spec"]).deployed()).parameters
    assert (f"{parameters / 1e6:.0f}M" == row["printed"]) == (not row["why"]), parameters
    spec = compile_spec(row["spec"]).spec
    assert spec is not None
    claimed = [claim for claim in spec.published if claim.figures.get("parameters") == row["printed"]]
    assert claimed and bool(row["why"]) == all(claim.why or claim.of for claim in claimed)  # `of`: without the classifier


# What the table's totals mean


def test_lenet5_with_biases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "lenet5", "--view", "lecture", "--biases"]) == 0
    printed = re.findall(r"^(?:CONV|FC).*= ([\d,]+)$", capsys.readouterr().out, re.MULTILINE)
    assert printed == [f"{int(row['parameters']):,}" for row in table("lenet5_rows") if int(row["parameters"])]


@pytest.mark.parametrize(("optimizer", "factor"), [("sgd", 2), ("momentum", 3), ("adam", 4)])
def test_training_multiplies_the_table(optimizer: str, factor: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The lectures' x 2 for plain SGD and x 4 for Adam on weights, x 2 on volumes."""
    assert main(["analyze", "vgg16", "--view", "lecture", "--optimizer", optimizer, "--batch", "10", "--dtype", "bf16"]) == 0
    out = capsys.readouterr().out
    told = re.search(rf"x {factor} with {optimizer} .* = ([\d.]+) (MB|GB), biases included", out)
    assert told is not None
    assert float(told[1]) * {"MB": 1e6, "GB": 1e9}[told[2]] == pytest.approx(factor * 2 * 138_357_544, rel=0.005)  # as printed
    assert f"x 10 images x 2 for the gradients in backward = {2 * 10 * 2 * 15_237_608 / 1e6:.1f} MB" in out


@pytest.mark.parametrize("spec", ["lenet5", "vgg16", "resnet18", "googlenet", "densenet121", "vit_b16", "unet", "mobilenet_v2"])
def test_three_totals_explain_one_another(spec: str) -> None:
    for batch in (1, 3):
        graph = compile_spec(spec).graph
        assert graph is not None
        found = analyze(graph, batch)
        assert sum(term.amount for term in activations_from_volumes(found)) == found.activations
        terms = saved_from_activations(found)
        assert terms[0].amount == found.memory.activations
        assert sum(term.amount for term in terms) == saved(graph, batch).total


@pytest.mark.parametrize("spec", ["lenet5", "resnet18", "googlenet", "vit_b16", "unet", "lambda_resnet26t", "bit_resnet50x1"])
def test_a_step_has_the_flops_that_torch_counts(spec: str) -> None:
    """Grouped convolutions are left out: PyTorch 2.13 counts the gradient of their weights as if there were one group."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    graph = compile_spec(spec).graph
    assert graph is not None
    flops = step_work(graph).to_dict()["flops"]
    net = archc.build(spec, device="cpu").to("meta").train()
    inputs = [torch.empty(2, *value.shape, device="meta") for value in graph.inputs.values()]
    with FlopCounterMode(display=False) as there:
        outputs = net(*inputs)
    outputs = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
    with FlopCounterMode(display=False) as back:
        sum(one.sum() for one in outputs).backward()
    assert (there.get_total_flops(), back.get_total_flops()) == (2 * flops["forward"], 2 * flops["backward"])


def test_a_depthwise_layer_costs_as_much_again_for_each_gradient() -> None:
    """By hand, where PyTorch's counter is wrong: 4 channels, 3x3 taps, 6x6 positions; the second layer alone has an input to reach."""
    graph = compile_text(
        "input: [4, 8, 8]\nlayers: [{conv: {channels: 4, kernel: 3, padding: 1, groups: 4}}, {conv: {channels: 4, kernel: 3, groups: 4}}]"
    ).graph
    assert graph is not None
    assert step_work(graph).to_dict()["macs"] == {
        "forward": 4 * 9 * (64 + 36),
        "backward": 4 * 9 * (64 + 2 * 36),
        "step": 4 * 9 * (2 * 64 + 3 * 36),
    }
