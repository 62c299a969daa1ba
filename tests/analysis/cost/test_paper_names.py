"""Layers by the names of their papers: told by the spec, counted along the network, understood where a command takes a layer."""

from __future__ import annotations

import pytest

from archc.analysis.cost.paper_names import meant, paper_names
from archc.cli.main import main
from archc.draw.graph.block import block_dot
from archc.elaborate.compiler import compile_spec, compile_text

# Where torchvision's modules, whose indices the specs have, hold the layers that others cite (style transfer, SSD, FCN).
KNOWN = [
    ("vgg16", "conv1_1", "features.0"), ("vgg16", "conv4_3", "features.21"), ("vgg16", "relu4_3", "features.22"),
    ("vgg16", "pool5", "features.30"), ("vgg16", "fc6", "classifier.0"), ("vgg16", "fc7", "classifier.3"), ("vgg16", "fc8", "classifier.6"),
    ("vgg19", "conv4_2", "features.21"), ("vgg19", "relu5_4", "features.35"), ("vgg16_bn", "conv5_3", "features.40"),
    ("vgg11", "conv5_2", "features.18"), ("alexnet_torchvision", "conv5", "features.10"), ("alexnet_torchvision", "fc6", "classifier.1"),
    ("resnet50", "conv4_x", "layer3"), ("resnet101", "conv4_23", "layer3.22"), ("resnet18", "conv2_1", "layer1.0"),
    ("vgg16", "features.21", "features.21"), ("vgg16", "conv4_4", "conv4_4"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "name", "ours"), KNOWN)
def test_known(spec: str, name: str, ours: str) -> None:
    graph = compile_spec(spec).graph
    assert graph is not None and meant(graph, name) == ours


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "vgg16", "conv4_3"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("features.21: conv\n") and "  also    conv4_3, as the paper counts\n" in out
    assert main(["explain", "vgg16", "conv4_4"]) == 2
    assert 'did you mean "conv4_3"' in capsys.readouterr().err


def test_a_block_of_the_paper_is_drawn() -> None:
    graph = compile_spec("resnet50").graph
    assert graph is not None and block_dot([graph], ["conv4_2"]) == block_dot([graph], ["layer3.1"])


def test_names_of_a_spec() -> None:
    text = "archc: 1\ninput: [3, 8, 8]\npaper: {title: t, names: {stem: a, gone: z}}\nlayers: {a: {conv: 4}, stem: relu}"
    graph = compile_text(text).graph
    assert graph is not None and paper_names(graph) == {"stem": "a"}
    assert meant(graph, "stem") == "stem"  # a layer of this name goes before
    (found,) = compile_text(text.replace("{stem: a, gone: z}", "caffe")).diagnostics
    assert (found.code, found.hint) == ("A402", "layers or stages, or a mapping: {conv2_x: layer1}")
