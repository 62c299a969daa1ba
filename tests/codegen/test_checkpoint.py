"""Networks with regions that run again in backward: equal to the plain ones bit for bit, in less memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import archc
from archc.analysis.recompute import READY, CheckpointPlan, Region, blocks, mistakes, norm_act_conv
from archc.codegen.lowering import lower
from archc.elaborate.compiler import compile_text
from archc.graph import Graph

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode

from archc.runtime.build.build import make_module
from tests.helpers.random_networks import networks
from tests.helpers.zoo import some_of

from .seen import inputs_of, randomize

RELAXED = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=3000, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))
NAMES = ["resnet18", "mobilenet_v2", "densenet121", "googlenet", "efficientnet_b0", "preact_resnet164"]
DROPPING = """
name: dropping
input: [4, 8, 8]
blocks:
  unit:
    layers:
      body: [{conv: {channels: 8, kernel: 3, padding: 1}}, batchnorm, relu, {dropout: 0.3}, {conv: 4}, batchnorm]
      path: {drop_path: 0.5}
      add: {from: [path, input], add: }
      norm: batchnorm
layers: [unit, {spatial_dropout: 0.2}, unit, silu, {conv: 3}, batchnorm, gelu, flatten, {dropout: {p: 0.5, inplace: true}}, {linear: 5}]
"""
PLANS = sorted(READY)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def steps(module: Any, inputs: list[Any], count: int = 2) -> list[Any]:
    """All that training steps give: outputs, gradients of inputs and parameters, and the state after each."""
    found: list[Any] = []
    torch.manual_seed(7)
    module.train()
    for _ in range(count):
        given_ = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
        out = module(*given_)
        values = list(out.values()) if isinstance(out, dict) else [out]
        grown = [value for value in values if value.requires_grad]
        if grown:
            sum((value * torch.linspace(-1, 1, value.numel()).reshape(value.shape)).sum() for value in grown).backward()
        found += [value.detach() for value in values]
        found += [x.grad for x in given_] + [one.grad for one in module.parameters()]
        with torch.no_grad():
            for one in module.parameters():
                if one.grad is not None:
                    one -= 0.01 * one.grad
                    one.grad = None
        found += [value.clone() for value in module.state_dict().values()]
        found.append(torch.rand(3))  # the generator stands where it would
    return found


def same(plain: list[Any], other: list[Any]) -> bool:
    pairs = zip(plain, other, strict=True)
    return all((a is None and b is None) or ((a is not None and b is not None and a.equal(b)) or _nan(a, b)) for a, b in pairs)


def _nan(a: Any, b: Any) -> bool:
    return bool(torch.equal(a.isnan(), b.isnan()) and torch.equal(a.nan_to_num(), b.nan_to_num()))


def both(graph: Graph, plan: Any, optimize: str = "") -> tuple[Any, Any]:
    """The plain module and one under a plan, with the same weights."""
    plain, planned = make_module(lower(graph, optimize).source), make_module(lower(graph, optimize, plan).source)
    randomize(plain)
    assert list(plain.state_dict()) == list(planned.state_dict())
    planned.load_state_dict(plain.state_dict())
    return plain, planned


def agree(graph: Graph, plan: Any, optimize: str = "") -> None:
    plain, planned = both(graph, plan, optimize)
    inputs = inputs_of(graph)
    assert same(steps(plain, inputs), steps(planned, inputs))
    plain.eval(), planned.eval()
    out, again = plain(*inputs), planned(*inputs)
    assert same(list(out.values()) if isinstance(out, dict) else [out], list(again.values()) if isinstance(again, dict) else [again])


def small(name: str) -> Graph:
    side = 64 if name == "googlenet" else 32
    return archc.load(name, input=(3, side, side))


@pytest.mark.parametrize("plan", PLANS)
@some_of("resnet18 mobilenet_v2 googlenet", "densenet121 efficientnet_b0 preact_resnet164")
def test_training_is_equal(name: str, plan: str) -> None:
    agree(small(name), plan)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("text", [DROPPING], ids=["dropping"])
def test_noise_is_equal(text: str, plan: str) -> None:
    graph = archc.loads(text)
    assert "noise=True" in lower(graph, "", plan).source.text
    agree(graph, plan)


@pytest.mark.parametrize("plan", PLANS)
def test_transformers_are_equal(plan: str) -> None:
    graph = archc.load("vit_b16", input=(3, 32, 32), patch=8, dim=48, depth=3, heads=3, classes=10)
    assert len(READY[plan](graph).regions) == (3 if plan == "blocks" else 0)
    agree(graph, plan)


@st.composite
def plans(draw: st.DrawFn, graph: Graph) -> CheckpointPlan:
    """A legal plan: parts, ranges, ready candidates, one in another."""
    names = [node.name for node in graph.nodes]
    parts = [one.name for one in _scopes(graph.root)]
    chosen: list[Region] = []
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["part", "range", "ready"] if parts else ["range", "ready"]))
        ready = [*norm_act_conv(graph), *blocks(graph)]
        if kind == "part":
            region = Region(draw(st.sampled_from(parts)))
        elif kind == "ready" and ready:
            region = draw(st.sampled_from(ready))
        else:
            first = draw(st.integers(0, len(names) - 1))
            region = Region(names[first], names[draw(st.integers(first, min(first + 5, len(names) - 1)))])
        if not mistakes(graph, CheckpointPlan((*chosen, region))):
            chosen.append(region)
    return CheckpointPlan(tuple(chosen))


def _scopes(scope: Any) -> Any:
    for child in scope.children:
        if hasattr(child, "children"):
            yield child
            yield from _scopes(child)


def drawn_agree(text: str, data: st.DataObject) -> None:
    graph = compile_text(text).graph
    assume(graph is not None)
    assert graph is not None
    plan = data.draw(plans(graph))
    assume(plan.regions)
    plain = randomize(make_module(lower(graph).source))
    try:
        steps(plain, inputs_of(graph))
    except (RuntimeError, ValueError):  # a normalization of single values: the plain network cannot be trained
        assume(False)
    agree(graph, plan)


@RELAXED
@given(networks(), st.data())
def test_random_plans(text: str, data: st.DataObject) -> None:
    drawn_agree(text, data)


@pytest.mark.heavy
@pytest.mark.timeout(6000)
@LONG
@given(networks(), st.data())
def test_random_plans_at_length(text: str, data: st.DataObject) -> None:
    drawn_agree(text, data)


class Kernels(TorchDispatchMode):
    """Counts the kernels that run, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func.__name__] = self.counts.get(func.__name__, 0) + 1
        return func(*args, **(kwargs or {}))


def kernels(module: Any, graph: Graph) -> dict[str, int]:
    with Kernels() as mode:
        module.train()(*inputs_of(graph)).sum().backward()
    return mode.counts


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121"])
def test_no_convolution_runs_twice_under_norms(name: str) -> None:
    graph = small(name)
    plain, planned = (kernels(one, graph) for one in both(graph, "norms"))
    assert planned["convolution.default"] == plain["convolution.default"]
    again = planned["native_batch_norm.default"] - plain["native_batch_norm.default"]
    assert again == len(norm_act_conv(graph)) > 0


def test_blocks_run_twice() -> None:
    graph = small("resnet18")
    plain, planned = (kernels(one, graph)["convolution.default"] for one in both(graph, "blocks"))
    assert plain == 20
    assert planned > 30


def peak(module: Any, inputs: list[Any]) -> int:
    """The most bytes that a training step has allocated at a time, beyond what was there before it, as the profiler saw."""
    module.train()
    for _ in range(2):  # gradients are there from the second step on
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as seen:
            module(*inputs).sum().backward()
    now = most = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


@pytest.mark.parametrize(("name", "least"), [("mobilenet_v2", 2.2), pytest.param("densenet121", 1.9, marks=pytest.mark.heavy)])
def test_norms_lower_the_peak(name: str, least: float) -> None:
    graph = archc.load(name, input=(3, 64, 64))
    plain, planned = both(graph, "norms")
    inputs = inputs_of(graph, batch=16)
    assert peak(plain, inputs) > least * peak(planned, inputs)


def test_without_training_nothing_is_kept_back() -> None:
    graph = small("resnet18")
    plain, planned = both(graph, "blocks")
    inputs = inputs_of(graph)
    plain.eval(), planned.eval()
    kernels_of = [kernels_in_eval(one, inputs) for one in (plain, planned)]
    assert kernels_of[0] == kernels_of[1]
    planned.train()
    with torch.no_grad():
        before = planned.bn1.num_batches_tracked.item()
        planned(*inputs)
    assert planned.layer1[0].bn1.num_batches_tracked.item() == before + 1


def kernels_in_eval(module: Any, inputs: list[Any]) -> dict[str, int]:
    with Kernels() as mode:
        module(*inputs).sum().backward()
    return mode.counts


def test_backward_twice() -> None:
    """A graph that is retained runs again each time, and statistics stay."""
    graph = small("resnet18")
    plain, planned = both(graph, "norms")
    inputs = inputs_of(graph)
    for module in (plain.train(), planned.train()):
        out = module(*inputs).sum()
        out.backward(retain_graph=True)
        out.backward()
    assert same([one.grad for one in plain.parameters()], [one.grad for one in planned.parameters()])
    assert same(list(plain.state_dict().values()), list(planned.state_dict().values()))
    assert all(one.momentum == 0.1 for one in planned.modules() if isinstance(one, torch.nn.BatchNorm2d))


def test_one_region_in_another() -> None:
    graph = small("resnet18")
    plan = CheckpointPlan((Region("layer1"), Region("layer1.0"), Region("layer1.0.bn1", "layer1.0.conv2"), Region("layer2.0.relu1")))
    agree(graph, plan)
    assert sum(line.count("checkpoint(self") for line in lower(graph, "", plan).source.text.splitlines()) == 4


@pytest.mark.parametrize("plan", PLANS)
@some_of("resnet18 mobilenet_v2", "densenet121")
def test_with_results_in_place(name: str, plan: str) -> None:
    agree(small(name), plan, "train")


def test_inference_is_refused() -> None:
    with pytest.raises(ValueError, match="for training"):
        archc.source("resnet18", optimize="inference", checkpoint="norms")


@pytest.mark.parametrize("plan", PLANS)
def test_compiled(plan: str) -> None:
    graph = small("resnet18")
    plain, planned = both(graph, plan)
    fast = torch.compile(planned, backend="eager", fullgraph=True)
    inputs = inputs_of(graph)
    assert same(steps(plain, inputs, 1), [*steps_of_compiled(fast, planned, inputs)])


def steps_of_compiled(fast: Any, module: Any, inputs: list[Any]) -> list[Any]:
    fast.state_dict = module.state_dict
    return steps(fast, inputs, 1)


@pytest.mark.parametrize("train", [False, True])
def test_exported(train: bool) -> None:
    graph = small("resnet18")
    plain, planned = both(graph, "blocks")
    inputs = inputs_of(graph)
    program = torch.export.export(planned.train(train), tuple(inputs))
    assert program.module()(*inputs).allclose(plain.train(train)(*inputs), atol=1e-5)


def test_pickled_and_copied() -> None:
    import copy
    import pickle

    graph = archc.loads(DROPPING)
    net = archc.build(graph, checkpoint="norms", autocast="bfloat16")
    inputs = [torch.randn(2, 4, 8, 8)]
    first = steps(copy.deepcopy(net), inputs)
    assert same(first, steps(pickle.loads(pickle.dumps(net)), inputs))
    plain = archc.build(graph, autocast="bfloat16")
    plain.load_state_dict(net.state_dict())
    assert same(first, steps(plain, inputs))


def test_sources_are_formatted(tmp_path: Path) -> None:
    ruff = Path(sys.executable).parent / "ruff"
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    for name in ("googlenet", "densenet121", "vit_b16", "unet"):
        for plan in PLANS:
            (tmp_path / f"{name}_{plan}.py").write_text(archc.source(name, checkpoint=plan))
    checked = subprocess.run(
        [ruff, "check", "--isolated", "--select", "E,F,W,I,B,UP,PIE", "--ignore", "E501", tmp_path], capture_output=True
    )
    assert checked.returncode == 0, checked.stdout.decode()[-2000:]
    formatted = subprocess.run([ruff, "format", "--isolated", "--diff", tmp_path], capture_output=True)
    assert formatted.returncode == 0, formatted.stdout.decode()[:3000]


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_adds_nothing_but_calls(name: str) -> None:
    """Parts are made as in the plain source: every line of a constructor is there."""
    plain, planned = archc.source(name), archc.source(name, checkpoint="blocks")
    made_ = [line for line in plain.splitlines() if "nn.Conv2d(" in line or "nn.BatchNorm2d(" in line]
    assert made_ == [line for line in planned.splitlines() if "nn.Conv2d(" in line or "nn.BatchNorm2d(" in line]
