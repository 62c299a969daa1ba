"""Each pass: outputs agree, the graph it came from is as it was, and what it says is what it did."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings

import archc
from archc.codegen.lowering import lower
from archc.codegen.passes.branches import merge_branches
from archc.codegen.passes.dead import drop_dead
from archc.codegen.passes.fold import fold_batchnorm
from archc.codegen.passes.inplace import in_place
from archc.elaborate.compiler import compile_text
from archc.graph import Graph

torch = pytest.importorskip("torch")

from torch import nn

from archc.runtime.build.build import after_passes, build, make_module
from archc.runtime.build.following import fold_tensors
from tests.helpers.random_networks import networks
from tests.helpers.zoo import some_of

from .seen import inputs_of, randomize

RELAXED = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=3000, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))


def after(graph: Graph, one) -> tuple[nn.Module, nn.Module]:  # type: ignore[no-untyped-def]
    """The network before and after a pass, with the same random weights."""
    before = randomize(build(graph)).eval()
    result = one(graph)
    source = lower(result.graph).source
    there = make_module(source).eval()
    there.load_state_dict(fold_tensors(before.state_dict(), result.folds, there.state_dict()))
    return before, there


def outputs(module: nn.Module, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    with torch.no_grad():
        out = module(*inputs)
    return list(out.values()) if isinstance(out, dict) else [out]


def close(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    """Within 2e-5 of the largest output: folding rounds each weight anew."""
    return all((x - y).abs().max() <= 2e-5 * y.abs().max().clamp(min=1e-3) for x, y in zip(a, b, strict=True))


def passes_agree(text: str) -> None:
    model = compile_text(text)
    assume(model.graph is not None)
    graph = model.graph
    assert graph is not None
    told = [(node.name, dict(node.args)) for node in graph.nodes]
    inputs = inputs_of(graph)
    for one in (drop_dead, in_place):
        before, there = after(graph, one)
        assert all(map(torch.equal, outputs(there, inputs), outputs(before, inputs)))
    wide = [one.double() for one in inputs]
    for one in (fold_batchnorm, merge_branches):
        before, there = after(graph, one)
        assert all(torch.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in zip(outputs(there.double(), wide), outputs(before.double(), wide),
                                                                            strict=True))  # fmt: skip
    plain = randomize(build(graph)).eval()
    assert all(torch.isfinite(one).all() for one in outputs(after_passes(plain, lower(graph, "inference")), inputs))
    assert told == [(node.name, dict(node.args)) for node in graph.nodes]


def trained(module: nn.Module, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Outputs and gradients of a step, dropout drawing the same noise."""
    torch.manual_seed(0)
    out = module.train()(*inputs)
    values = list(out.values()) if isinstance(out, dict) else [out]
    sum((value * value).sum() for value in values).backward()
    return [*values, *(p.grad for p in module.parameters() if p.grad is not None)]


def training_agrees(text: str) -> None:
    model = compile_text(text)
    assume(model.graph is not None)
    graph = model.graph
    assert graph is not None
    plain, fast = build(graph), make_module(lower(graph, "train").source)
    fast.load_state_dict(randomize(plain).state_dict())
    inputs = inputs_of(graph)
    assert all(map(torch.equal, trained(fast, [x.clone() for x in inputs]), trained(plain, inputs)))


@RELAXED
@given(networks())
def test_training_in_place(text: str) -> None:
    training_agrees(text)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "googlenet"])
def test_training_in_place_of_known_networks(name: str) -> None:
    graph = archc.load(name, input=(3, 64, 64))
    plain, fast = build(graph), make_module(lower(graph, "train").source)
    fast.load_state_dict(plain.state_dict())
    inputs = inputs_of(graph)
    assert all(map(torch.equal, trained(fast, inputs), trained(plain, inputs)))


@RELAXED
@given(networks())
def test_random_networks(text: str) -> None:
    passes_agree(text)


@pytest.mark.heavy
@pytest.mark.timeout(6000)
@LONG
@given(networks())
def test_random_networks_at_length(text: str) -> None:
    passes_agree(text)
    training_agrees(text)


@some_of("resnet18 densenet121 googlenet", "mobilenet_v2 efficientnet_b0 vgg16_bn preact_resnet50")
def test_inference_agrees(name: str) -> None:
    graph = archc.load(name, input=(3, 64, 64)) if name != "vgg16_bn" else archc.load(name, input=(3, 32, 32))
    module = randomize(build(graph)).eval()
    fast = after_passes(module, lower(graph, "inference"))
    inputs = inputs_of(graph)
    assert close(outputs(fast, inputs), outputs(module, inputs))
    assert not [one for one in fast.modules() if isinstance(one, nn.Dropout)]


def test_resnet_has_no_normalization_left() -> None:
    result = lower(archc.load("resnet50"), "inference")
    assert not [node for node in result.graph.nodes if node.kind == "batchnorm"]
    assert len(result.result.folds) == 53
    assert result.result.said == [
        "dropped nothing: every layer does something",
        "folded 53 batch normalizations into the layers before them",
        "in place: 49 relu, 16 add",
    ]


def test_a_dropped_layer_keeps_the_names_of_others() -> None:
    names = lower(archc.load("vgg16_bn"), "inference").graph
    assert [node.name for node in names.nodes if node.kind == "conv"][:3] == ["features.0", "features.3", "features.7"]


FOLDS = """
input: [6, 9, 9]
layers:
  a: {conv: {channels: 8, kernel: 3, groups: 2, bias: %s}}
  n: {batchnorm: {affine: %s, eps: 0.1}}
  t: {conv_transpose: {channels: 12, kernel: 3, groups: 4, stride: 2, bias: %s}}
  m: batchnorm
  f: flatten
  l: {linear: 5}
  o: {batchnorm: }
"""


@pytest.mark.parametrize("bias", ["true", "false"])
@pytest.mark.parametrize("affine", ["true", "false"])
def test_folding(bias: str, affine: str) -> None:
    graph = archc.loads(FOLDS % (bias, affine, bias))
    before, there = after(graph, fold_batchnorm)
    assert not [one for one in there.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    inputs = [torch.randn(2, 6, 9, 9, dtype=torch.float64)]
    ours, theirs = outputs(there.double(), inputs), outputs(before.double(), inputs)
    assert torch.allclose(ours[0], theirs[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layers", [
    "[{conv: 4}, {concat: [[batchnorm], identity]}]",  # the convolution is read twice
    "{a: {conv: 4}, n: batchnorm, b: {share: a}}",  # its weights are used again
    "[relu, batchnorm, {conv: 4}]",
    "[{conv: 4}, {batchnorm: {track: false}}]",
    "[{conv: {channels: 4, standardize: 0.001}}, batchnorm]",
])  # fmt: skip
def test_what_cannot_be_folded(layers: str) -> None:
    graph = archc.loads(f"input: [4, 8, 8]\nlayers: {layers}\n")
    assert fold_batchnorm(graph).folds == []
    assert len(fold_batchnorm(graph).graph.nodes) == len(graph.nodes)


def test_in_place_spares_what_is_read_later() -> None:
    graph = archc.loads("""
input: [4, 8, 8]
layers:
  first: relu                       # not over the input of the network
  a: {conv: 4}
  b: relu                           # a is read by the sum
  s: {from: [a, b], add: }          # neither may be written over twice: b is free
  v: {tokens: }
  w: {linear: 4}
  x: silu
outputs: [x, w]                     # so not over w
""")
    made_ = in_place(graph).graph
    assert [node.name for node in made_.nodes if node.args.get("inplace")] == ["s"]
    assert made_["s"].inputs[0].node is made_["a"]
