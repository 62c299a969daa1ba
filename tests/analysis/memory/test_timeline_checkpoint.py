"""Training with regions that run again in backward, byte for byte against PyTorch's eager mode as its profiler records it.

Not the peak alone: every rise and fall of the step, wherever the plain network's are exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import archc
from archc.analysis.memory.timeline import Options, Timeline, training
from archc.analysis.recompute import READY, CheckpointPlan, Region, blocks, mistakes, norm_act_conv
from archc.elaborate.compiler import compile_text
from archc.graph import Graph, Node, Scope

torch = pytest.importorskip("torch")

from tests.helpers.allocations import turns
from tests.helpers.random_networks import networks
from tests.helpers.zoo import SPECS

from .test_saved import LARGE, smaller
from .test_timeline import agrees, one_thread, trained

__all__ = ["one_thread"]

RELAXED = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=1000, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))
NETWORKS: dict[str, tuple[int, ...]] = {
    "resnet20_cifar": (3, 16, 16),
    "mobilenet_v2": (3, 32, 32),
    "densenet_bc_100_12": (3, 8, 8),
    "googlenet": (3, 64, 64),
}
WIDE: dict[str, tuple[int, ...]] = {
    **NETWORKS,
    "resnet18": (3, 64, 64),
    "resnet50": (3, 64, 64),
    "densenet121": (3, 64, 64),
    "preact_resnet50": (3, 64, 64),
    "resnext50_32x4d": (3, 32, 32),
    "bn_inception": (3, 64, 64),
    "inception_v4": (3, 96, 96),
    "googlenet_caffe": (3, 96, 96),
    "efficientnet_b0": (3, 64, 64),
    "fractalnet20": (3, 32, 32),
    "bit_resnet50x1": (3, 64, 64),
    "lambda_resnet26t": (3, 32, 32),
    "nasnet_a_mobile": (3, 64, 64),
    "alexnet": (3, 96, 96),
    "unet": (1, 188, 188),
}


def loaded(name: str) -> Graph:
    return archc.load(name, input=WIDE[name])


def transformer() -> Graph:
    return archc.load("vit_b16", input=[3, 32, 32], dim=48, depth=3, heads=3)


def scopes(scope: Scope) -> Iterator[str]:
    for child in scope.children:
        if isinstance(child, Scope):
            yield child.name
            yield from scopes(child)


def drawn(graph: Graph, seed: int) -> CheckpointPlan:
    """A legal plan: parts, ranges, ready candidates, one in another."""
    random = Random(seed)
    names, parts, ready = [node.name for node in graph.nodes], list(scopes(graph.root)), [*norm_act_conv(graph), *blocks(graph)]
    chosen: list[Region] = []
    for _ in range(random.randint(2, 9)):
        first = random.randrange(len(names))
        region = Region(names[first], names[min(first + random.randint(0, random.choice([3, 8, 20])), len(names) - 1)])
        kind = random.choice(["part", "range", "range", "ready"])
        if kind == "part" and parts:
            region = Region(random.choice(parts))
        elif kind == "ready" and ready:
            region = random.choice(ready)
        if not mistakes(graph, CheckpointPlan((*chosen, region))):
            chosen.append(region)
    return CheckpointPlan(tuple(chosen))


def curve(found: Timeline) -> list[int]:
    begin, live, total = found.events[0].event, [], 0
    for event, (block, made) in enumerate(found.tape.events):
        total += block.bytes if made else -block.bytes
        if event >= begin:
            live.append(total)
    return live


def compared(graph: Graph, plan: CheckpointPlan | None, batch: int) -> tuple[bool, bool]:
    """Whether the peak is exact, and every turn of the curve."""
    found = training(graph, Options(batch), plan)
    run, real = trained(graph, Options(batch), plan)
    base = run.base()
    return found.peak_bytes == base + real.peak, turns(curve(found)) == turns([base + live for live in real.live[real.last :]])


@pytest.mark.parametrize("word", READY)
@pytest.mark.parametrize("name", NETWORKS)
def test_ready_plans(name: str, word: str) -> None:
    graph = loaded(name)
    assert compared(graph, READY[word](graph), 3) == (True, True)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["resnet20_cifar", "mobilenet_v2"])
def test_drawn_plans(name: str, seed: int) -> None:
    graph = loaded(name)
    assert compared(graph, drawn(graph, seed), 2) == (True, True)


@pytest.mark.parametrize("seed", range(3))
def test_attention(seed: int) -> None:
    graph = transformer()
    agrees(graph, Options(2 + seed), drawn(graph, seed))
    agrees(graph, Options(2), READY["blocks"](graph))


@pytest.mark.parametrize("how", ["loop", "foreach", "fused"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
def test_optimizers(optimizer: str, how: str) -> None:
    graph = loaded("resnet20_cifar")
    agrees(graph, Options(8, optimizer=optimizer, how=how), READY["blocks"](graph))


FORMS = {  # a network, and regions that nest
    "noise": (
        "{a: {conv: 4}, b: {layers: [{conv: 4}, {dropout: 0.3}, {drop_path: 0.5}, relu, {conv: 4}]}, "
        "c: {conv: 4}, d: {spatial_dropout: 0.2}, e: {conv: 4}}",
        [["b"], ["b.1", "b.3"], ["d", "e"]],
    ),
    "three deep": (
        "{a: {conv: 4}, b: {layers: [{conv: 4}, {layers: [{conv: 4}, batchnorm, {layers: [relu, {conv: 4}, tanh]}]}, {conv: 4}]}, "
        "c: {conv: 4}}",
        [["b"], ["b.1"], ["b.1.2"]],
    ),
    "one in another at its end": (
        "{a: {conv: 4}, b: {layers: [{conv: 4}, batchnorm, {layers: [relu, {conv: 4}, sigmoid]}]}, c: {conv: 4}}",
        [["b"], ["b.2"]],
    ),
    "shared parts": (
        "{a: {conv: 4}, b: {layers: [{conv: 4}, batchnorm, relu, {conv: 4}]}, c: tanh, again: {share: b}, d: {conv: 4}}",
        [["b"], ["b.1", "b.3"]],
    ),
    "gates": (
        "{a: {conv: 4}, g: global_avgpool, l: {conv: 4}, s: sigmoid, m: {from: [a, s], mul: {}}, n: layer_scale, e: {conv: 4}}",
        [["g", "n"], ["m", "n"]],
    ),
    "several in and out": (
        "{a: {conv: 4}, b: {from: a, conv: 6}, p: {layers: {c: {from: [b, a], concat: {}}, d: {conv: 4}, e: tanh}}, "
        "f: {from: [p.d, a, p], concat: {}}, g: {conv: 4}}",
        [["p"], ["p.d"]],
    ),
    "numbers": (
        "{a: {conv: 4}, b: {layers: [{scale: 0.5}, {lrn: 3}, {conv: 4}]}, s: {from: [a, b, a], average: {}}, e: {conv: 4}}",
        [["b"]],
    ),
    "constants": (
        "{a: {conv: 4}, b: {layers: [{add: 0.5}, {conv: 4}, {sub: 0.5}, {div: {value: 1, reverse: true}}]}, "
        "c: {layers: [{div: {value: 1, reverse: true}}, {conv: 4}, {div: 2}]}, e: {conv: 4}}",
        [["b"], ["c"]],
    ),
    "mirrored borders": (
        "{a: {conv: 4}, b: {layers: [{conv: {channels: 4, kernel: 3, padding: 1, padding_mode: reflect}}, relu, {conv: 4}]}, e: {conv: 4}}",
        [["b"]],
    ),
    "nothing that is kept": ("{a: {conv: 4}, b: {from: [a, a], add: {}}, c: {conv: 4}}", [["b"]]),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    layers, regions = FORMS[form]
    graph = archc.loads(f"input: [3, 12, 12]\nlayers: {layers}\n")
    plan = CheckpointPlan(tuple(Region(*names) for names in regions))
    assert not mistakes(graph, plan)
    for batch in (2, 3):
        agrees(graph, Options(batch), plan)
    for one in plan.regions:
        agrees(graph, Options(2), CheckpointPlan((one,)))


def any_network(text: str, seed: int) -> None:
    """Where each turn of a network's memory is exact, so is it under any plan."""
    graph = compile_text(text).graph
    assume(graph is not None)
    assert graph is not None
    assume(not any(node.kind == "mul" and len(node.inputs) > 2 for node in graph.nodes))
    assume(not any(node.kind == "lrn" and len(node.inputs[0].shape) < 3 for node in graph.nodes))  # PyTorch goes another way there
    assume(all(node in live(graph) for node in graph.nodes))
    assume(any(weight.role != "buffer" for node in graph.nodes for weight in node.facts.owned))
    try:
        peak, course = compared(graph, None, 2)
    except (RuntimeError, ValueError):  # a normalization of single values: the plain network cannot be trained
        assume(False)
    plan = drawn(graph, seed)
    assume(peak and course and plan.regions)
    assert compared(graph, plan, 2) == (True, True), plan.text()


def live(graph: Graph) -> set[Node]:
    """The layers from which what comes out follows."""
    found = {value.node for value in (*graph.outputs.values(), *graph.heads.values()) if value.node is not None}
    for node in reversed(graph.nodes):
        if node in found:
            found |= {value.node for value in node.inputs if value.node is not None}
    return found


@RELAXED
@given(networks(), st.integers(0, 10**6))
def test_any_network_under_any_plan(text: str, seed: int) -> None:
    any_network(text, seed)


@pytest.mark.heavy
@pytest.mark.timeout(6000)
@LONG
@given(networks(), st.integers(0, 10**6))
def test_any_network_under_any_plan_at_length(text: str, seed: int) -> None:
    any_network(text, seed)


@pytest.mark.heavy
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", WIDE)
def test_families_under_drawn_plans(name: str) -> None:
    graph = loaded(name)
    course = compared(graph, None, 2)
    assert course[0]
    for plan in (*(ready(graph) for ready in READY.values()), *(drawn(graph, seed) for seed in range(5))):
        same_peak, same_course = compared(graph, plan, 2)
        assert same_peak and (same_course or not course[1]), plan.text()


@pytest.mark.heavy
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", [name for name in SPECS if name not in LARGE])
def test_networks_that_ship(name: str) -> None:
    graph = smaller(name)
    if sum(weight.values for node in graph.nodes for weight in node.facts.owned) > 9e7:
        pytest.skip("more than 90 million weights")
    for plan in (*(ready(graph) for ready in READY.values()), drawn(graph, 1)):
        agrees(graph, Options(2), plan)


def test_an_empty_plan_is_none() -> None:
    graph = loaded("resnet20_cifar")
    plain, empty = training(graph, Options(4)), training(graph, Options(4), CheckpointPlan(()))
    assert curve(plain) == curve(empty)


def test_what_runs_again_is_told() -> None:
    graph = archc.load("resnet50")
    plan = READY["blocks"](graph)
    found = training(graph, Options(8), plan)
    again = [mark.layer.name for mark in found.events if mark.phase == "recompute" and mark.layer is not None]
    convolutions = [node.name for node in graph.nodes if node.kind == "conv" and node.name.startswith("layer")]
    assert len(again) == len(set(again)) and [name for name in again if name in convolutions]
    assert sum(found.by_kind().values()) == found.peak_bytes
    assert found.by_kind()["recomputed activations"] > 0
    assert found.events[0].live == found.events[-1].live, "a step ends as it began"
    kept, plain = sum(found.kept_by_layer().values()), sum(training(graph, Options(8)).kept_by_layer().values())
    assert kept < plain / 2
    told = json.loads(json.dumps(found.to_dict()))
    assert told["checkpoint"] == [str(region) for region in plan.regions]
    assert {event["phase"] for event in told["events"]} == {"start", "forward", "loss", "backward", "recompute", "optimizer", "end"}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("amp", ["", "bfloat16"])
def test_any_device_and_autocast_end_as_they_began(device: str, amp: str) -> None:
    for graph in (loaded("mobilenet_v2"), transformer()):
        plan = READY["blocks"](graph)
        options = Options(256, device=device, amp=amp, optimizer="adamw")
        found = training(graph, options, plan)
        assert found.events[0].live == found.events[-1].live
        assert found.peak_bytes < training(graph, options).peak_bytes


def test_python_interface() -> None:
    found = archc.memory("resnet18", batch=8, checkpoint="blocks", device="cpu")
    graph = archc.load("resnet18")
    assert found.peak_bytes == training(graph, Options(8), READY["blocks"](graph)).peak_bytes < archc.memory("resnet18", batch=8).peak_bytes
    with pytest.raises(ValueError, match="for training"):
        archc.memory("resnet18", inference=True, checkpoint="blocks")
    with pytest.raises(ValueError, match="no checkpoint plan is called"):
        archc.memory("resnet18", checkpoint="block")
