"""Layers and networks that lectures work out, and how the totals of one network follow from one another."""

from __future__ import annotations

import re
import shlex

import pytest

import archc
from archc.analysis.cost.accounts import activations_from_volumes, saved_from_activations
from archc.analysis.cost.report import analyze
from archc.analysis.memory.saved import saved
from archc.analysis.time.traffic import step_work
from archc.cli.main import main
from archc.elaborate.compiler import compile_spec, compile_text
from tests.helpers.lectures import PAGE, small
from tests.helpers.paths import table


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
