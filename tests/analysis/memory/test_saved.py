"""What autograd keeps, byte for byte and layer by layer, against PyTorch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import archc
from archc.analysis.memory.saved import KEPT, LISTED, OVERLAP, STALE, clashes, saved
from archc.analysis.memory.storages import run
from archc.elaborate.compiler import compile_text
from archc.graph import Graph
from archc.ops.facts import OWN

torch = pytest.importorskip("torch")

from tests.helpers.autograd import Measured, backward, trained
from tests.helpers.random_layers import graphs
from tests.helpers.random_networks import networks
from tests.helpers.zoo import every_spec

LARGE = {
    *("amoebanet_a", "amoebanet_a_448", "amoebanet_b_gpipe", "amoebanet_c", "bit_resnet152x4", "densenet_100_24"),
    *("densenet_bc_190_40", "densenet_bc_250_24", "efficientnet_b7", "efficientnet_l2", "inception_resnet_v2", "inception_v3"),
    *("nasnet_a_large", "pnasnet5_large", "polynet", "preact_resnet1001", "pyramidnet272_a200_bottleneck", "resnet1202_cifar"),
    *("resnext101_32x32d", "resnext101_32x48d"),
}
RELAXED = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=5000, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def told(graph: Graph) -> str:
    """The graph in words, for a failure."""
    lines = [f"{value.name}: {list(value.shape)}" for value in graph.inputs.values()]
    for node in graph.nodes:
        inputs = ", ".join(f"{v.node.name if v.node else v.name}.{v.index}" for v in node.inputs)
        lines.append(f"{node.name}({inputs}) {node.args} -> {[list(v.shape) for v in node.outputs]}{' shared' if node.shared else ''}")
    return "\n".join(lines)


def agrees(graph: Graph, done: Measured, batch: int = 2) -> None:
    """Every layer's bytes, their sum, and how every value lies in its storage."""
    ours, theirs = saved(graph, batch), done.by_node()
    wrong = [(node, ours.by_node[node], theirs.get(node, 0)) for node in graph.nodes if ours.by_node[node] != theirs.get(node, 0)]
    assert not wrong, f"{wrong}\n{told(graph)}"
    assert ours.total == sum(theirs.values()) == sum(storage.bytes for storage in ours.storages)
    for value, tensor in run(graph, batch).tensors.items():
        found = done.values[value]
        lies, should = (tensor.block.sizes, tensor.block.strides), (tuple(found.shape), found.stride())
        assert lies == should, f"{value}: {lies}, not {should}\n{told(graph)}"
        maker = tensor.storage.made_by
        if maker is not None and maker.facts.storage == OWN:  # a tensor of the layer's own counts with its weights
            assert tensor.storage.bytes == 0 < maker.facts.owned[0].bytes(4) == found.untyped_storage().nbytes()
            continue
        assert tensor.storage.bytes == found.untyped_storage().nbytes(), f"{value}\n{told(graph)}"


def trains(graph: Graph, batch: int = 2) -> None:
    """What is kept, and whether PyTorch refuses: in the forward pass, or in backward for what was written over."""
    with_threads(graph)
    found = saved(graph, batch).clashes
    at_once = [clash for clash in found if clash.why != KEPT]
    try:
        done = trained(graph, batch)
    except RuntimeError as error:
        if "view size is not compatible" in str(error) and any(node.kind == "lrn" for node in graph.nodes):
            return  # LocalResponseNorm over three axes calls `view`, which some orders of axes forbid
        assert at_once, f"{error}\n{told(graph)}"
        return
    assert not at_once, f"{at_once}\n{told(graph)}"
    agrees(graph, done, batch)
    if crashes(graph):
        return
    try:
        backward(graph, trained(graph, batch, hooks=False))
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error) or "has been modified inplace" in str(error), f"{error}\n{told(graph)}"
        assert found, told(graph)
    else:
        assert not found, f"{found}\n{told(graph)}"


def crashes(graph: Graph) -> bool:
    """PyTorch 2.13 itself dies, with a segmentation fault, in backward of a group normalization whose input lies channels last
    and needs no gradient."""
    steps = run(graph, 2).steps
    return any(one.node.kind == "groupnorm" and not any(one.wanting) and one.inputs[0].block.suggests_channels_last for one in steps)


def with_threads(graph: Graph) -> None:
    """With one thread, PyTorch takes another kernel for 1x1x1 convolutions."""
    torch.set_num_threads(2 if any(len(node.output.shape) == 4 for node in graph.nodes) else 1)


def smaller(name: str) -> Graph:
    """A network that ships, on the smallest of some inputs that it takes."""
    graph = archc.load(name)
    (value,) = graph.inputs.values()
    if len(value.shape) == 3:
        for size in (32, 64, 96, 128, 160, 192):
            if size < value.shape[-1]:
                try:
                    return archc.load(name, input=[value.shape[0], size, size])
                except archc.SpecError:
                    continue
    return graph


@every_spec
def test_networks_that_ship(name: str) -> None:
    graph = smaller(name)
    with_threads(graph)
    agrees(graph, trained(graph))
    assert not saved(graph, 2).clashes


@RELAXED
@given(graphs(), st.sampled_from([2, 2, 3, 5]))
def test_random_layers(graph: Graph, batch: int) -> None:
    trains(graph, batch)


@pytest.mark.heavy
@pytest.mark.timeout(6000)
@LONG
@given(graphs(30), st.sampled_from([2, 2, 3, 5]))
def test_random_layers_at_length(graph: Graph, batch: int) -> None:
    trains(graph, batch)


def compiles_and_trains(text: str) -> None:
    graph = compile_text(text).graph
    assume(graph is not None)
    assert graph is not None
    trains(graph)


@settings(RELAXED, max_examples=25)
@given(networks())
def test_random_specs(text: str) -> None:
    compiles_and_trains(text)


@pytest.mark.heavy
@pytest.mark.timeout(6000)
@LONG
@given(networks())
def test_random_specs_at_length(text: str) -> None:
    compiles_and_trains(text)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("[{conv: 4}, sigmoid, {relu: {inplace: true}}]", [("relu", KEPT, "sigmoid")]),
        ("[{conv: 4}, {conv: 4}, {relu: {inplace: true}}]", []),
        ("[{conv: 4}, batchnorm, {relu: {inplace: true}}]", []),
        ("{a: {conv: 4}, b: {from: input, conv: 4}, s: {from: [a, b], add: {inplace: true}}, r: {relu: {inplace: true}}}", []),
        ("[relu, {relu: {inplace: true}}, {conv: 4}]", []),
        ("[{conv: 4}, tanh, {dropout: {p: 0.5, inplace: true}}, {elu: {inplace: true}}]", [("dropout", KEPT, "tanh")]),
        ("{a: {conv: 4}, s: {split: 2}, r: {from: s.0, relu: {inplace: true}}}", [("relu", LISTED, "relu")]),
        ("{a: {conv: 4}, s: {from: a, split: 2}, r: {from: a, relu: {inplace: true}}, c: {from: s.1, conv: 4}}", [("relu", STALE, "conv")]),
        ("{a: {conv: 4}, t: {from: a, transpose: {axes: [1, 2]}}, s: {from: [a, t], add: {inplace: true}}}", [("add", OVERLAP, "add")]),
        ("{a: {conv: 4}, b: {from: a, conv: 4}, r: {from: a, relu: {inplace: true}}}", [("relu", KEPT, "conv")]),
    ],
)
def test_layers_in_place_that_cannot_be_trained_are_named(layers: str, expected: list[tuple[str, str, str]]) -> None:
    graph = compile_text(f"input: [4, 6, 6]\nlayers: {layers}\n").graph
    assert graph is not None
    assert [(clash.layer.kind, clash.why, clash.other.kind) for clash in clashes(graph)] == expected
    trains(graph)


def test_a_storage_counts_once_and_is_charged_to_the_first_that_keeps_it() -> None:
    """32 filters on 8 images of 3x10x10: the images, the map that the norm reads, its statistics, one map for relu and the next."""
    graph = compile_text("input: [3, 10, 10]\nlayers: [{conv: {channels: 32, kernel: 3, padding: 1}}, batchnorm, relu, {conv: 4}]\n").graph
    assert graph is not None
    found = saved(graph, 8)
    image, plane = 8 * 3 * 100 * 4, 8 * 32 * 100 * 4
    assert list(found.by_node.values()) == [image, plane + 2 * 32 * 4, plane, 0]
    assert found.total == image + 2 * plane + 256 and len(found.storages) == 4


@pytest.mark.parametrize(("shift", "axis"), [([2], [1]), ([2, 2], [1, 0]), ([0], [0]), ([1, 0], [0, 1]), ([1, 1, 1], [0, 1, 2])])
def test_a_rolled_map_lies_as_its_parts_joined(shift: list[int], axis: list[int]) -> None:
    graph = archc.loads(f"{{input: [8, 2, 6], layers: [sigmoid, {{permute: [2, 0, 1]}}, {{roll: {{shift: {shift}, axis: {axis}}}}}]}}")
    agrees(graph, trained(graph))
