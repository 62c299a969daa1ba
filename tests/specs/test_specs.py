"""The specs and blocks that ship: documented, short, and equal to what others have published or count.

The figures stand in tests/figures; torchvision's are those of version 0.28.0.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import pytest

import archc
from archc.analysis.cost.report import Report
from archc.graph import Graph, Node, Scope, Value
from archc.language import library
from archc.language.loading import shipped
from archc.ops import Module
from tests.helpers.paths import FIGURES, table
from tests.helpers.zoo import VARIED

SPECS = {path.stem: path for path in shipped()}


@cache
def network(words: str) -> Graph:
    """`resnet50 stride_first=true`: a spec that ships, changed."""
    name, *changes = words.split()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is said of a spec that ships
        return archc.load(name, **{key: value == "true" for key, value in (change.split("=") for change in changes)})


@cache
def report(words: str) -> Report:
    return archc.analyze(network(words))


# Form


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_is_documented_and_short(name: str) -> None:
    text = SPECS[name].read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0] == "archc: 1"
    assert sum(line.startswith("doc: ") for line in lines) == 1
    assert network(name).doc.endswith(".")
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 140


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_keeps_its_promises(name: str) -> None:
    graph = network(name)
    assert {promise.metric for promise in graph.promises} >= {"parameters", "macs"}
    assert archc.check(graph) == []


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_is_called_as_its_file(name: str) -> None:
    assert network(name).name == name or name == "resnext50"


@pytest.mark.parametrize("name", library.index())
def test_a_block_is_documented(name: str) -> None:
    block = library.find(name)
    assert block is not None and block.doc.endswith(".") and "\n" not in block.doc


# Figures


@pytest.mark.parametrize("row", table("networks"), ids=lambda row: row["spec"])
def test_published_figures(row: dict[str, str]) -> None:
    found = report(row["spec"])
    assert (found.parameters, found.macs) == (int(row["parameters"]), int(row["macs"]))


@pytest.mark.parametrize("row", table("torchvision"), ids=lambda row: row["spec"])
def test_the_figures_of_torchvision(row: dict[str, str]) -> None:
    found = report(row["spec"])
    assert found.parameters == int(row["parameters"])
    assert found.macs == int(row["macs"])
    assert found.counts["buffers"].low == int(row["buffers"])
    assert sum(layer.values for layer in found.layers if layer.kind in ("conv", "linear")) == int(row["conv_and_dense_values"])
    assert round(found.macs / 1e9, 3) == float(row["published_gmacs"])


@pytest.mark.parametrize("row", table("activations"), ids=lambda row: row["spec"])
def test_totals_of_activations(row: dict[str, str]) -> None:
    """Values of convolutions and dense layers; with batch normalization; of all torch.nn modules.

    `not_modules`: layers that torchvision calls as functions, as it does every flatten.
    """
    layers = report(row["spec"]).layers
    dense = sum(layer.values for layer in layers if layer.kind in ("conv", "linear"))
    normalized = sum(layer.values for layer in layers if layer.kind == "batchnorm")
    functions = {*row["not_modules"].split(), *(layer.name for layer in layers if layer.kind == "flatten")}
    modules = [layer for layer in layers if isinstance(layer.node.facts.torch, Module) and layer.name not in functions]
    assert dense == int(row["conv_and_dense"])
    assert dense + normalized == int(row["with_batchnorm"])
    assert sum(layer.values for layer in modules) == int(row["modules"])


@pytest.mark.parametrize(
    ("width", "parameters", "macs"),
    [(0.75, 2_636_424, 209_069_792), (0.5, 1_968_680, 97_131_840), (0.35, 1_677_128, 59_285_808), (1.4, 6_108_776, 582_195_824)],
)
def test_the_widths_of_mobilenet_v2(width: float, parameters: int, macs: int) -> None:
    found = archc.analyze(archc.load("mobilenet_v2", width=width))
    assert (found.parameters, found.macs) == (parameters, macs)


def test_a_larger_image_lengthens_only_the_position_embedding_of_vit() -> None:
    found = archc.analyze(archc.load("vit_h14", input=[3, 518, 518]))
    assert (found.parameters, found.macs) == (633_470_440, 1_016_716_764_160)
    assert found.parameters - report("vit_h14").parameters == ((518 // 14) ** 2 - (224 // 14) ** 2) * 1280


def test_extra_heads_are_there_in_training_alone() -> None:
    graph = network("googlenet")
    heads = [node.name for node in graph.nodes if node.train_only and node.kind == "linear"]
    assert heads == ["aux1.fc1", "aux1.fc2", "aux2.fc1", "aux2.fc2"]
    assert sum(weight.values for node in graph.nodes for weight in node.facts.weights if weight.role != "buffer") == 13_004_888


# Names


def tensors(graph: Graph) -> dict[str, str]:
    """The names of all tensors of a network with their shapes."""
    found = {}
    for node in graph.nodes:
        for weight in node.facts.weights if node.shared is None else ():
            name = f"{node.name}.{weight.name}" if weight.name else node.name
            found[name] = "x".join(map(str, weight.shape)) or "scalar"
    return found


NAMED = [file for file in sorted((FIGURES / "names").glob("*.txt")) if file.stem in SPECS]


def named(file: Path) -> dict[str, str]:
    """The names that a file lists, each with its shape."""
    pairs = (line.split(" ") for line in file.read_text(encoding="utf-8").splitlines())
    return dict(pairs)


@pytest.mark.parametrize("file", NAMED, ids=lambda file: file.stem)
def test_tensors_are_called_as_in_torchvision(file: Path) -> None:
    found, wanted = tensors(network(file.stem)), named(file)
    assert found == wanted
    if file.stem != "vit_h14":  # whose class token stands before all modules
        assert list(found) == list(wanted)


@pytest.mark.parametrize("row", table("names"), ids=lambda row: row["spec"])
def test_tensors_are_called_as_in_the_public_model(row: dict[str, str]) -> None:
    """Names and shapes of all tensors, as a digest of `name shape` lines; where it fails, compare with the model that is named."""
    lines = sorted(f"{name} {shape}" for name, shape in tensors(network(row["spec"])).items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    assert (len(lines), digest) == (int(row["tensors"]), row["digest"]), row["model"]


# Pyramids


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize(("levels", "bins"), [([1], 1), ([1, 2, 4], 21), ([1, 2, 3, 6], 50)])
@pytest.mark.parametrize("size", [(13, 13), (10, 17), (6, 6)])
def test_spatial_pyramid_pooling(levels: list[int], bins: int, size: tuple[int, int], average: bool) -> None:
    text = f"""
input: [256, {size[0]}, {size[1]}]
layers: [{{spatial_pyramid_pooling: {{levels: {levels}, average: {str(average).lower()}}}}}]
"""
    found = archc.analyze(archc.loads(text))
    assert found.graph.outputs["output"].shape == (256 * bins,)
    assert (found.parameters, found.macs) == (0, 0)
    assert {layer.kind for layer in found.layers} - {"flatten", "concat"} == {"adaptive_avgpool" if average else "adaptive_maxpool"}


def test_atrous_spatial_pyramid_pooling() -> None:
    """The head of DeepLabv3 on the last map of ResNet-50 at a 520x520 image and output stride 8."""
    graph = archc.loads("{input: [2048, 65, 65], layers: {aspp: atrous_spatial_pyramid_pooling}}")
    found = archc.analyze(graph)
    assert graph.outputs["output"].shape == (256, 65, 65)
    assert found.parameters == 15_535_104
    assert [found[f"aspp.convs.{i}.0"].field.size[0] for i in (1, 2, 3)] == [25, 49, 73]
    wanted = named(FIGURES / "names" / "atrous_spatial_pyramid_pooling.txt")
    assert {name.removeprefix("aspp."): shape for name, shape in tensors(graph).items()} == wanted


# By enumeration


def connections(node: Node) -> tuple[int, int]:
    """Parameters and MACs of a layer, each counted one by one."""
    x, y, args = node.inputs[0].shape, node.output.shape, node.args
    if node.kind == "linear":
        weights = {(i, o) for i in range(x[0]) for o in range(y[0])}
        return len(weights) + len(set(range(y[0]))), len(weights)
    if node.kind != "conv":
        return 0, 0
    sides = range(args["kernel"]) if isinstance(args["kernel"], int) else range(args["kernel"][0])
    share_in, share_out = x[0] // args["groups"], y[0] // args["groups"]
    taps = [(o, i, a, b) for o in range(y[0]) for i in range(x[0]) if i // share_in == o // share_out for a, b in product(sides, sides)]
    places = sum(1 for _ in product(range(y[1]), range(y[2])))
    return len(set(taps)) + y[0], len(taps) * places


@pytest.mark.parametrize("name", ["mlp", "convnet", "lenet5", "lenet5_32"])
def test_parameters_one_by_one(name: str) -> None:
    for layer in report(name).layers:
        assert (layer.parameters.low, layer.macs.low) == connections(layer.node), layer.name


def weights_of(node: Node) -> int:
    """Parameters by the textbook formula of the layer's kind."""
    channels, args = node.inputs[0].shape[0], node.args
    features = node.inputs[0].shape[-1]
    taps = 1
    for axis in range(len(node.inputs[0].shape) - 1):
        kernel = args.get("kernel", 1)
        taps *= kernel if isinstance(kernel, int) else kernel[axis]
    formulas: dict[str, Callable[[], int]] = {
        "conv": lambda: (channels // groups_of(node) * taps + args["bias"]) * args["channels"],
        "conv_transpose": lambda: (channels // groups_of(node) * taps + args["bias"]) * args["channels"],
        "linear": lambda: (0 if tied(node) else features * args["features"]) + args["bias"] * args["features"],
        "embedding": lambda: args["entries"] * args["features"],
        "parameter": lambda: prod(args["shape"]),
        "rmsnorm": lambda: features,
        "layer_scale": lambda: channels,
        "experts": lambda: (3 * features * args["hidden"] + features) * args["count"],
        "batchnorm": lambda: 2 * channels * args["affine"],
        "groupnorm": lambda: 2 * channels,
        "instancenorm": lambda: 2 * channels * args["affine"],
        "lstm": lambda: 4 * args["hidden"] * (features + args["hidden"] + 2),
        "layernorm": lambda: 2 * features,
        "attention": lambda: 4 * (features + 1) * features,
        "class_token": lambda: features,
        "position_embedding": lambda: node.inputs[0].shape.values,
    }
    return formulas[node.kind]() if node.kind in formulas else 0


def tied(node: Node) -> bool:
    return any(weight.tied for weight in node.facts.tensors)


def groups_of(node: Node) -> int:
    groups = node.args["groups"]
    return int(node.inputs[0].shape[0]) if groups == "depthwise" else int(groups)


@pytest.mark.parametrize("name", SPECS)
def test_parameters_by_the_textbook(name: str) -> None:
    found = report(name)
    for layer in found.layers:
        assert layer.parameters.low == (0 if layer.node.shared else weights_of(layer.node)), layer.name
    assert found.parameters == sum(weights_of(layer.node) for layer in found.layers if not layer.node.shared)


# Receptive fields


def seen(graph: Graph, output: Value) -> tuple[int, int]:
    """The first and last row of the image that row 0 of a value depends on, walked backwards window by window."""
    needed = {output: (0, 0)}
    for node in reversed(graph.nodes):
        if node.output not in needed:
            continue
        low, high = needed[node.output]
        if node.kind in ("conv", "maxpool", "avgpool"):
            kernel, stride, padding, dilation = (first(node.args.get(key, 1)) for key in ("kernel", "stride", "padding", "dilation"))
            stride = kernel if stride is None else stride
            border = dilation * (kernel - 1) // 2 if padding == "same" else padding
            low, high = low * stride - border, high * stride - border + dilation * (kernel - 1)
        for value in node.inputs:
            before = needed.get(value, (low, high))
            needed[value] = (min(low, before[0]), max(high, before[1]))
    return needed[graph.inputs["input"]]


def first(size: int | str | tuple[int, ...] | None) -> Any:
    return size[0] if isinstance(size, tuple) else size


@pytest.mark.parametrize("row", table("fields"), ids=lambda row: row["network"])
def test_receptive_fields(row: dict[str, str]) -> None:
    layer = report(row["network"])[row["layer"]]
    assert layer.field.size == (int(row["field"]),) * 2
    assert layer.field.jump == (int(row["jump"]),) * 2


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet18", "resnet50", "densenet121", "googlenet", "mobilenet_v1"])
def test_receptive_fields_walked_backwards(name: str) -> None:
    graph = report(name).graph
    for layer in report(name).layers:
        if not layer.field.covers_input:
            low, high = seen(graph, layer.node.output)
            assert (layer.field.offset[0], layer.field.size[0]) == (low, high - low + 1), layer.name


# Wiring that neither names nor shapes show


def test_new_channels_come_after_the_old_in_a_dense_layer() -> None:
    graph = network("densenet121")
    for node in graph.nodes:
        if node.kind == "concat":
            old, new = node.inputs
            assert new.node is not None and new.node.name == node.name.replace("concat", "conv2")
            assert node.output.shape[0] == old.shape[0] + 32


def test_branches_of_inception_stand_in_their_order() -> None:
    for node in network("googlenet").nodes:
        if node.kind == "concat":
            names = [value.node.name for value in node.inputs if value.node is not None]
            assert names == sorted(names) and len(names) == 4


def test_skips_of_unet_are_cropped_and_come_first() -> None:
    graph = network("unet")
    for i, size in ((4, 56), (3, 104), (2, 200), (1, 392)):
        skip, up = graph[f"dec{i}.cat"].inputs
        assert skip.node is graph[f"dec{i}.skip"] and up.node is graph[f"dec{i}.up"]
        assert skip.shape[1:] == up.shape[1:] == (size, size)
        assert skip.node.inputs[0].node is graph[f"enc{i}.conv.3"]
    assert graph.outputs["output"].shape == (2, 388, 388)


def test_response_normalization_stands_before_the_pools_of_alexnet() -> None:
    kinds = [node.kind for node in network("alexnet_grouped").nodes[:8]]
    assert kinds == ["conv", "relu", "lrn", "maxpool"] * 2
    assert network("alexnet_grouped")["norm1"].args == {"size": 5, "alpha": 5 * 1e-4, "beta": 0.75, "k": 2.0}


def test_the_varied_few_have_what_the_zoo_has() -> None:
    """Of classifiers: every operator but one of Inception-ResNet's, heads, and all blocks but those of networks too large for each time."""
    zoo = [name for name, path in SPECS.items() if path.parent.name == "specs"]
    kinds = {name: {node.kind for node in network(name).nodes} for name in zoo}
    blocks = {name: set(re.findall(r"\w+", " ".join(scope.block for scope in below(network(name).root)))) for name in zoo}
    few, all_ = (set().union(*(kinds[name] for name in names)) for names in (VARIED, zoo))
    assert all_ - few == {"scale"}
    few, all_ = (set().union(*(blocks[name] for name in names)) for names in (VARIED, zoo))
    assert len(all_ - few) < 15
    assert any(network(name).heads for name in VARIED)


def below(scope: Scope) -> Iterator[Scope]:
    for child in scope.children:
        if isinstance(child, Scope):
            yield child
            yield from below(child)
