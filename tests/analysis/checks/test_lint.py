"""The rules of `archc lint`: each has a spec that triggers it and one that does not, and what it says it costs is measured with PyTorch."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings

import archc
from archc.analysis.checks.lint import CODES, LEVELS, RULES, lint
from archc.analysis.checks.lint.net import Net, rewritten
from archc.cli.main import main
from archc.elaborate.compiler import compile_text
from archc.graph import Graph
from tests.helpers.paths import ROOT
from tests.helpers.random_networks import networks
from tests.helpers.zoo import every_spec, shipped

MAP, WIDE, VECTOR, TOKENS = "[16, 12, 12]", "[16, 13, 13]", "[16]", "[9, 16]"

# code, input, layers with the fault, the same with the remedy: what is measured is the difference between the two.
MEASURED = [
    (
        "L101",
        MAP,
        "{c: {conv: 16}, b: batchnorm, a: {relu6: {inplace: true}}, d: {conv: 8}}",
        "{c: {conv: 16}, b: batchnorm, a: relu6, d: {conv: 8}}",
    ),
    ("L101", MAP, "{c: {conv: 16}, a: {silu: {inplace: true}}, d: {conv: 8}}", "{c: {conv: 16}, a: silu, d: {conv: 8}}"),
    ("L101", MAP, "{c: {conv: 16}, a: {hardswish: {inplace: true}}, d: {conv: 8}}", "{c: {conv: 16}, a: hardswish, d: {conv: 8}}"),
    ("L103", MAP, "{c: {conv: 16}, a: leaky_relu, d: {conv: 8}}", "{c: {conv: 16}, a: {leaky_relu: {inplace: true}}, d: {conv: 8}}"),
    (
        "L103",
        MAP,
        "{c: {conv: 16}, b: batchnorm, a: elu, d: {conv: 8}}",
        "{c: {conv: 16}, b: batchnorm, a: {elu: {inplace: true}}, d: {conv: 8}}",
    ),
    ("L105", MAP, "{c: {conv: 16}, n: {lrn: 5}, d: {conv: 8}}", "{c: {conv: 16}, d: {conv: 8}}"),
    (
        "L106",
        TOKENS,
        "{l: {linear: 16}, a: {attention: 2}, s: {select: 0}, h: {linear: 4}}",
        "{l: {linear: 16}, a: {attention: 2}, s: {select: 0}, k: {scale: 1}, h: {linear: 4}}",
    ),
    (
        "L107",
        MAP,
        "{c: {conv: {channels: 8, kernel: 3}}, b: batchnorm}",
        "{c: {conv: {channels: 8, kernel: 3, bias: false}}, b: batchnorm}",
    ),
    ("L107", VECTOR, "{c: {linear: 8}, b: batchnorm}", "{c: {linear: {features: 8, bias: false}}, b: batchnorm}"),
    ("L107", MAP, "{c: {conv_transpose: {channels: 8, kernel: 2}}, b: instancenorm}",
     "{c: {conv_transpose: {channels: 8, kernel: 2, bias: false}}, b: instancenorm}"),
    ("L109", MAP, "{c: {conv: 8}, s: {from: c, conv: 24}, t: {relu: }, d: {from: c, conv: 8}}", "{c: {conv: 8}, d: {from: c, conv: 8}}"),
    ("L110", MAP, "{c: {conv: {channels: 8, kernel: 3}}, p: {avgpool: 10}, f: flatten, d: {linear: 8}}",
     "{c: {conv: {channels: 8, kernel: 3}}, p: global_avgpool, f: flatten, d: {linear: 8}}"),
    ("L111", MAP, "{c: {conv: 8}, p: {avgpool: 2}, r: relu}", "{p: {avgpool: 2}, c: {conv: 8}, r: relu}"),
    ("L112", MAP, "{c: {conv: {channels: 8, bias: false}}, b: batchnorm, b2: batchnorm, d: {conv: 8}}",
     "{c: {conv: {channels: 8, bias: false}}, b: batchnorm, d: {conv: 8}}"),
    (
        "L113",
        MAP,
        "{c: {conv: 8}, a: relu, p: {maxpool: 2}, r: relu, d: {conv: 8}}",
        "{c: {conv: 8}, a: relu, p: {maxpool: 2}, d: {conv: 8}}",
    ),
    ("L113", MAP, "{c: {conv: 8}, a: sigmoid, r: relu6, d: {conv: 8}}", "{c: {conv: 8}, a: sigmoid, d: {conv: 8}}"),
    ("L114", MAP, "{c: {conv: 8}, a: relu, p: {maxpool: 2}, d: {conv: 8}}", "{c: {conv: 8}, p: {maxpool: 2}, a: relu, d: {conv: 8}}"),
    (
        "L114",
        MAP,
        "{c: {conv: 8}, a: {leaky_relu: 0.2}, p: {maxpool: 3}, d: {conv: 8}}",
        "{c: {conv: 8}, p: {maxpool: 3}, a: {leaky_relu: 0.2}, d: {conv: 8}}",
    ),
]  # fmt: skip
# The remedy leaves a smaller fault of the same kind.
LESS = [
    (
        "L106",
        TOKENS,
        "{l: {linear: 16}, n: layernorm, s: {select: 0}, h: {linear: 4}}",
        "{l: {linear: 16}, s: {select: 0}, n: layernorm, h: {linear: 4}}",
    ),
]
# code, input, layers with the fault, layers without: nothing to measure.
TOLD = [
    ("L102", MAP, "[{conv: 8}, sigmoid, {relu: {inplace: true}}]", "[{conv: 8}, batchnorm, {relu: {inplace: true}}]"),
    ("L104", MAP, "[{conv: 8}, {dropout: {p: 0.5, inplace: true}}, {conv: 8}]", "[{conv: 8}, {dropout: 0.5}, {conv: 8}]"),
    ("L108", MAP, "[{conv: 12}, {conv: 8}]", "[{conv: 16}, {conv: 10}]"),
    ("L115", MAP, "[{conv: 8}, dropout, {conv: 8}, batchnorm]", "[{conv: 8}, batchnorm, relu, dropout, {conv: 8}]"),
    ("L116", VECTOR, "[{linear: 10}, softmax]", "[{linear: 10}, log_softmax]"),
    ("L117", MAP, "[{conv: {channels: 8, stride: 2}}]", "[{conv: {channels: 8, kernel: 2, stride: 2}}]"),
    ("L117", MAP, "[{maxpool: {kernel: 2, stride: 3}}]", "[{maxpool: {kernel: 3, stride: 3}}]"),
    ("L118", WIDE, "[{maxpool: 2}]", "[{maxpool: {kernel: 2, ceil: true}}]"),
    ("L118", MAP, "[{conv: {channels: 8, kernel: 3, stride: 2}}]", "[{conv: {channels: 8, kernel: 3, stride: 2, padding: 1}}]"),
    ("L119", MAP, "[{conv: 8}, relu, sigmoid]", "[{conv: 8}, relu, {conv: 8}, sigmoid]"),
    ("L120", VECTOR, "[{linear: 8}, batchnorm]", "[{linear: 8}, layernorm]"),
]
# What looks like a fault and is none.
QUIET = [
    ("L101", MAP, "[{conv: 8}, {relu: {inplace: true}}]"),
    ("L103", MAP, "[{conv: 8}, {leaky_relu: -0.1}]"),  # PyTorch has no gradient in place
    ("L103", MAP, "{c: {conv: 8}, a: leaky_relu, s: {from: [a, c], add: }}"),  # the input is used again
    ("L103", MAP, "{c: {conv: 8}, t: tanh, a: leaky_relu}"),  # tanh keeps what would be written over
    ("L106", TOKENS, "{l: {linear: 16}, s: {select: 0}, k: {from: l, linear: 4}, h: {from: s, linear: 4}}"),  # the linear keeps all anyway
    ("L107", "[4, 12]", "[{linear: 8}, batchnorm]"),  # a channel is a token here, a bias is for a feature
    ("L107", MAP, "{c: {conv: 8}, b: batchnorm, s: {from: [b, c], add: }}"),
    ("L107", MAP, "{c: {conv: 16}, b: batchnorm, d: {share: c}}"),
    ("L107", MAP, "[{conv: 8}, {groupnorm: 2}]"),
    ("L108", "[3, 12, 12]", "[{conv: 8}, {conv: {channels: 16, groups: 4}}, {conv: 10}, relu, global_avgpool, flatten]"),
    ("L109", MAP, "{s: {split: 2}, c: {from: s.0, conv: 8}}"),
    ("L110", MAP, "[{conv: {channels: 8, kernel: 3}}, relu, {avgpool: 2}]"),  # relu keeps it as well
    ("L111", MAP, "[{conv: 8}, {avgpool: {kernel: 3, stride: 2, padding: 1}}]"),  # the border would have no bias
    ("L111", MAP, "[{conv: {channels: 8, kernel: 3}}, {avgpool: 2}]"),
    ("L113", MAP, "[{conv: 8}, leaky_relu, {maxpool: 2}, relu]"),
    ("L113", MAP, "[{conv: 8}, relu, {conv: 8}, relu]"),
    ("L114", MAP, "[{conv: 8}, gelu, {maxpool: 2}]"),  # falls before it rises
    ("L114", MAP, "[{conv: 8}, relu, {avgpool: 2}]"),
    ("L114", MAP, "[{conv: 8}, {leaky_relu: -0.1}, {maxpool: 2}]"),
    ("L115", MAP, "[{conv: 8}, {dropout: 0}, batchnorm]"),
    ("L117", MAP, "[{avgpool: {kernel: 1, stride: 2}}]"),  # there to skip
    ("L118", MAP, "[{conv: {channels: 8, stride: 2}}]"),  # L117 says it
]


def loaded(shape: str, layers: str) -> Graph:
    graph = compile_text(f"input: {shape}\nlayers: {layers}\n").graph
    assert graph is not None
    return graph


def codes(shape: str, layers: str) -> set[str]:
    return {one.code for one in lint(loaded(shape, layers))}


@pytest.mark.parametrize(("code", "shape", "faulty", "right"), [*MEASURED, *TOLD])
def test_each_rule_is_triggered_and_is_not(code: str, shape: str, faulty: str, right: str) -> None:
    assert code in codes(shape, faulty)
    assert code not in codes(shape, right)


@pytest.mark.parametrize(("code", "shape", "layers"), QUIET)
def test_no_false_alarm(code: str, shape: str, layers: str) -> None:
    assert code not in codes(shape, layers)


def test_every_rule_is_tested_and_documented() -> None:
    assert {row[0] for row in (*MEASURED, *TOLD)} == set(CODES) - {"L121"}  # which no operator of archc's own has
    page = (ROOT / "docs" / "lint.md").read_text()
    assert dict(re.findall(r"^\| (L\d{3}) \| (?:warning|note) \| ([^|]*) \|", page, re.MULTILINE)) == CODES
    assert dict(re.findall(r"^\| (L\d{3}) \| (warning|note) \|", page, re.MULTILINE)) == LEVELS


def test_what_is_unknown_is_told_and_no_advice_rests_on_it() -> None:
    """A layer that does not say what it keeps may keep all that it reads and makes."""
    plain = loaded(MAP, "{c: {conv: 16}, t: {conv: 16}, a: leaky_relu, p: {avgpool: 10}, f: flatten, d: {linear: 8}}")
    assert {"L103", "L110"} & {one.code for one in lint(plain)}
    for name in ("t", "p"):
        graph = loaded(MAP, "{c: {conv: 16}, t: {conv: 16}, a: leaky_relu, p: {avgpool: 10}, f: flatten, d: {linear: 8}}")
        (node,) = [node for node in graph.nodes if node.name == name]
        node.facts = replace(node.facts, keeps=None)
        found = [one for one in lint(graph) if one.code in ("L103", "L110", "L121")]
        assert [(one.code, [layer.name for layer in one.layers]) for one in found if one.code != "L110"] == [("L121", [name])]


@pytest.mark.parametrize(("code", "shape", "faulty", "right"), [*MEASURED, *LESS])
@pytest.mark.parametrize("batch", [2, 5])
def test_costs_are_what_pytorch_measures(code: str, shape: str, faulty: str, right: str, batch: int) -> None:
    """Bytes that autograd keeps, and learned values, of the network with the fault and of the one with the remedy."""
    pytest.importorskip("torch")
    found = [one for one in lint(loaded(shape, faulty), batch) if one.code == code]
    kept, parameters = (measured(shape, faulty, batch)[i] - measured(shape, right, batch)[i] for i in (0, 1))
    assert (sum(one.cost.kept for one in found), sum(one.cost.parameters for one in found)) == (kept, parameters)
    if code not in ("L101", "L107", "L113", "L114"):
        assert kept > 0


def measured(shape: str, layers: str, batch: int) -> tuple[int, int]:
    import torch

    from tests.helpers.autograd import trained

    torch.set_num_threads(1)
    graph = loaded(shape, layers)
    module = archc.build(graph, device="meta")
    return sum(trained(graph, batch).by_node().values()), sum(one.numel() for one in module.parameters())


@pytest.mark.parametrize(
    ("code", "shape", "faulty", "right"),
    [row for row in (*MEASURED, *LESS) if row[0] in ("L101", "L103", "L106", "L110", "L111", "L113", "L114")],
)
def test_remedies_change_no_result(code: str, shape: str, faulty: str, right: str) -> None:
    """Outputs and the gradients of all parameters, with the same weights."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    torch.manual_seed(1)
    nets = [archc.build(loaded(shape, layers), dtype="float64") for layers in (faulty, right)]
    nets[1].load_state_dict(nets[0].state_dict())
    image = torch.randn(4, *json.loads(shape), dtype=torch.float64)
    outputs = [net(image) for net in nets]
    torch.testing.assert_close(*outputs)
    weights = torch.randn_like(outputs[0])
    for output in outputs:
        (output * weights).sum().backward()
    ours, theirs = ({name: one.grad for name, one in net.named_parameters()} for net in nets)
    torch.testing.assert_close(ours, theirs)


def test_a_bias_before_normalization_is_dead() -> None:
    """L107: outputs in training do not depend on it, and its gradient is zero."""
    torch = pytest.importorskip("torch")
    net = archc.build(loaded(MAP, "{c: {conv: {channels: 8, kernel: 3}}, b: batchnorm}"), dtype="float64")
    image = torch.randn(4, 16, 12, 12, dtype=torch.float64)
    before = net(image)
    before.square().mul(torch.randn_like(before)).sum().backward()
    biases = [one for name, one in net.named_parameters() if name == "c.bias"]
    torch.testing.assert_close(biases[0].grad, torch.zeros(8, dtype=torch.float64))
    with torch.no_grad():
        biases[0].add_(3)
    torch.testing.assert_close(net(image), before)


def test_clashes_are_those_that_pytorch_refuses() -> None:
    torch = pytest.importorskip("torch")
    net = archc.build(loaded(MAP, TOLD[0][2]))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        net(torch.randn(2, 16, 12, 12)).sum().backward()


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"), [(13, 2, 2, 0), (12, 3, 2, 0), (12, 3, 2, 1), (12, 1, 2, 0), (14, 2, 4, 0), (11, 3, 3, 1)]
)
def test_unread_positions_are_those_without_gradient(size: int, kernel: int, stride: int, padding: int) -> None:
    """L117, L118: a position that no window reads has no gradient."""
    torch = pytest.importorskip("torch")
    image = torch.ones(1, 1, size, size, requires_grad=True)
    torch.nn.functional.conv2d(image, torch.ones(1, 1, kernel, kernel), stride=stride, padding=padding).sum().backward()
    assert image.grad is not None
    read = image.grad[0, 0].ne(0).any(0)
    behind = size - 1 - int(read.nonzero().max())
    told = {
        one.code: one.message
        for one in lint(
            loaded(f"[1, {size}, {size}]", f"[{{conv: {{channels: 8, kernel: {kernel}, stride: {stride}, padding: {padding}}}}}]")
        )
    }
    gaps = not bool(read[: int(read.nonzero().max()) + 1].all())
    assert ("L117" in told) == gaps
    assert ("L118" in told) == (behind > 0 and not gaps)
    if "L118" in told:
        assert told["L118"].startswith(f"the last {behind} of {size} ")


def test_tensor_cores_pad_to_eights() -> None:
    """12 filters become 16: of the first layer a third more, of the second 16 for 12 too."""
    found = [one for one in lint(loaded("[16, 10, 10]", "[{conv: 12}, {conv: 8}, {conv: 24}]"), 3) if one.code == "L108"]
    assert [(one.layers[0].name, one.cost.macs) for one in found] == [("0", 3 * 100 * 16 * 4), ("1", 3 * 100 * 4 * 8)]


def test_a_mask_of_floats_is_four_times_one_of_bytes() -> None:
    (found,) = [one for one in lint(loaded(MAP, TOLD[1][2]), 2) if one.code == "L104"]
    assert found.cost.cuda == 2 * 8 * 12 * 12 * (4 - 1)


def test_response_normalization_keeps_four_maps() -> None:
    """Its input, the squares with a border of channels, the sum that is raised to a power, and that power."""
    (found,) = [one for one in lint(loaded(MAP, "[{conv: 16}, {lrn: 5}, {conv: 8}]"), 2) if one.code == "L105"]
    assert found.cost.kept == 2 * 12 * 12 * 4 * (16 + (16 + 5 - 1) + 16 + 16)


def test_repeats_are_one_finding() -> None:
    chain = "{c: {conv: {channels: 8, kernel: 3, padding: 1}}, b: batchnorm, a: {silu: {inplace: true}}}"
    text = f"input: [8, 16, 16]\nlayers:\n  s:\n    repeat: 16\n    layers: {chain}\n"
    graph = compile_text(text).graph
    assert graph is not None
    found = {one.code: one for one in lint(graph)}
    assert {code: len(one.layers) for code, one in found.items()} == {"L101": 16, "L107": 16}
    assert found["L107"].cost.parameters == 16 * 8 and found["L101"].cost.copied == 16 * 8 * 16 * 16 * 4
    assert found["L107"].diagnostic().message.startswith("s.{0-15}.c (×16): the bias of conv")
    assert (found["L107"].span.line, found["L101"].span.text) == (5, "true")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_any_network_can_be_linted(text: str) -> None:
    """Each hit's plan makes a network of the same outputs, which keeps no more than what is said."""
    graph = compile_text(text).graph
    assume(graph is not None)
    assert graph is not None
    net = Net(graph, 2)
    for hit in (hit for rule in RULES for hit in rule(net)):
        planned = rewritten(graph, hit.plan)
        assert {name: value.shape for name, value in planned.outputs.items()} == {name: v.shape for name, v in graph.outputs.items()}
        assert hit.code in CODES
    assert all(one.cost.kept >= 0 and one.cost.parameters >= 0 and one.cost.macs >= 0 for one in lint(graph, 2))


@pytest.mark.parametrize("seed", range(40))
def test_any_layers_can_be_linted(seed: int) -> None:
    """Graphs made in Python, of all operators, in place and shared: nobody wrote their layers, and defaults are left out."""
    pytest.importorskip("torch")
    from tests.helpers.random_layers import drawn

    for one in lint(drawn(Random(seed), 12), 2):
        assert one.diagnostic().severity == LEVELS[one.code]


def test_what_two_dead_ends_share_is_charged_to_neither() -> None:
    layers = "{a: {conv: 8}, b: {from: input, conv: 8}, r: {from: b, relu: }, t: {from: b, tanh: }, d: {from: a, conv: 8}}"
    found = [one for one in lint(loaded(MAP, layers)) if one.code == "L109"]
    assert [(one.layers[0].name, one.cost.parameters) for one in found] == [("r", 0), ("t", 0)]


EXPECTED = {
    "resnet18": {"L114", "L117"},
    "resnet50": {"L114", "L117"},
    "vgg16": {"L114"},
    "vgg16_bn": {"L107", "L114"},
    "mobilenet_v2": set(),
    "alexnet": {"L114"},
    "zfnet": {"L105"},
    "vit_b16": set(),
    "efficientnet_b0": set(),
    "googlenet": {"L114"},
    "densenet121": {"L111", "L114"},
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_said_of_known_networks(name: str) -> None:
    assert {one.code for one in lint(archc.load(name))} >= EXPECTED[name]
    assert {one.code for one in lint(archc.load(name))} - EXPECTED[name] <= {"L114"}


@every_spec
def test_the_zoo_has_few_findings(name: str) -> None:
    """Networks that ship are trained all over the world: what is said of most of them would be noise."""
    found = lint(shipped(name))
    assert len(found) <= 8
    assert {one.code for one in found if LEVELS[one.code] == "warning"} <= {"L107"}


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "vgg16_bn", "--batch", "8"]) == 0
    told = capsys.readouterr().out
    assert "warning[L107]" in told and "4,224 parameters" in told and "1 spec: 1 warning" in told
    assert main(["lint", "vgg16_bn", "--strict"]) == 1
    assert main(["lint", "vgg16_bn", "--strict", "--ignore", "l107,L114"]) == 0
    assert "nothing to say" in capsys.readouterr().out
    assert main(["lint", "vgg16_bn", "--ignore", "L999"]) == 2
    assert "no rule is called 'L999'" in capsys.readouterr().err


def test_the_command_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "vgg16_bn", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["findings"]
    bias = next(row for row in rows if row["code"] == "L107")
    assert bias["cost"]["parameters"] == 4224 and len(bias["layers"]) == 13 and bias["severity"] == "warning"
    assert main(["lint", "resnet50", "--format", "sarif"]) == 0
    assert {one["level"] for one in json.loads(capsys.readouterr().out)["runs"][0]["results"]} == {"note"}


def test_a_wrong_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text("input: [3, 8, 8]\nlayers: [cnov]\n")
    assert main(["lint", str(tmp_path / "a.yaml")]) == 2
    told = capsys.readouterr()
    assert "A301" in told.err and told.out == "1 spec: 1 wrong\n"


def test_a_narrow_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are folded, lines of a spec are not."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["lint", "vgg16_bn", "--batch", "8"]) == 0
    folded = [line for line in capsys.readouterr().out.split("\n") if "|" not in line]
    assert max(map(len, folded)) <= 80 and folded[1].startswith("    ")
