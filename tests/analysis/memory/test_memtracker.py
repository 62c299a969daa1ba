"""The peak of a training step, byte for byte, against torch.distributed's MemTracker, on large networks at the batches of practice.

Both are on paper: MemTracker follows fake tensors, which have no memory. It tells the tensors that are alive after each operator, so
that what one operator allocates and frees is in neither. They differ by two rules, which the simulation is run with here:

- While a dispatch mode is on, autograd adds nothing in place: gradients that meet are added into a new tensor
  (can_accumulate_inplace in torch/csrc/autograd/input_buffer.cpp).
- A mean-square loss is one number in a storage as large as the output; as a fake tensor it is a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import archc
from archc.analysis.memory.timeline import Options, Timeline, simulate, training
from archc.analysis.memory.timeline.allocator import Pool
from archc.analysis.memory.timeline.backward import Backward, Grad
from archc.graph import Graph, Node, Value

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

from archc.catalog.optimizers import OPTIMIZERS
from archc.runtime.build.optimizers import class_of

from .test_timeline import HOW

QUICK: list[tuple[str, int, str]] = [  # name, images, optimizer
    ("resnet18", 4, "momentum"),
    ("resnet18", 64, "adamw"),
    ("resnet50", 64, "momentum"),
    ("vgg16", 64, "adamw"),
    ("alexnet", 256, "momentum"),
]
LARGE: list[tuple[str, int]] = [
    ("resnet50", 2),
    ("resnet50", 64),
    ("resnet152", 32),
    ("preact_resnet50", 2),
    ("densenet121", 64),
    ("densenet201", 32),
    ("vgg16", 64),
    ("efficientnet_b0", 64),
    ("efficientnet_b7", 8),
    ("mobilenet_v2", 96),
    ("vit_b16", 64),
    ("inception_v3", 32),
    ("googlenet", 128),
    ("unet", 4),
]
INPUTS = {"unet": [1, 572, 572]}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Apart(Backward):
    """Backward under a dispatch mode: gradients that meet are added into a new tensor, always."""

    def met(self, value: Value, old: Grad, grad: Grad, node: Node) -> Grad:
        return super().met(value, old._replace(own=False), grad, node)


def fake(module: nn.Module, device: str = "cpu") -> nn.Module:
    """A module on `meta` with fake weights, within a FakeTensorMode."""
    made: dict[Tensor, Tensor] = {}
    for part in module.modules():
        owned: list[tuple[dict[str, Any], Any]] = [(part._parameters, nn.Parameter), (part._buffers, Tensor.detach)]
        for own, kind in owned:
            for name, one in own.items():
                if one is not None:
                    own[name] = made.setdefault(one, kind(torch.empty(one.shape, dtype=one.dtype, device=device)))
    return module


class Step:
    """A training step of fake tensors; names hold what a loop's names hold."""

    def __init__(self, module: nn.Module, graph: Graph, options: Options) -> None:
        self.module = fake(module)
        settings = OPTIMIZERS[options.optimizer].fixed
        self.optimizer = class_of(options.optimizer)(self.module.parameters(), **settings, **HOW[options.how or "loop"])
        self.inputs = [torch.empty(options.batch, *value.shape) for value in graph.inputs.values()]
        outputs = [*graph.outputs.values(), *graph.heads.values()]
        shapes = [(options.batch, *value.shape) for value in outputs]
        self.targets = [torch.zeros(s[:1], dtype=torch.int64) if len(s) == 2 else torch.zeros(s) for s in shapes]
        self.names: dict[str, Any] = {}

    def __call__(self) -> None:
        self.names["out"] = self.module(*self.inputs)
        self.names["loss"] = self._loss()
        self.names["loss"].backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def outputs(self) -> list[Tensor]:
        out = self.names["out"]
        return list(out.values()) if isinstance(out, dict) else [out]

    def _loss(self) -> Tensor:
        pairs = zip(self.outputs(), self.targets, strict=True)
        losses = [F.cross_entropy(o, t) if t.dtype == torch.int64 else F.mse_loss(o, t) for o, t in pairs]
        return sum(losses[1:], losses[0])


def tracked(graph: Graph, options: Options) -> dict[str, int]:
    """MemTracker's peak of the second step, by its kinds."""
    module = archc.build(graph, device="meta")
    with FakeTensorMode():
        step = Step(module, graph, options)
        step()
        tracker = MemTracker()
        tracker.track_external(step.module, step.optimizer, *step.inputs, *step.targets, *step.outputs(), step.names["loss"])
        with tracker:
            step()
    (found,) = tracker.get_tracker_snapshot("peak").values()
    return {getattr(kind, "value", kind): size for kind, size in found.items()}


def under_a_mode(graph: Graph, options: Options, monkeypatch: pytest.MonkeyPatch) -> Timeline:
    with monkeypatch.context() as changed:
        changed.setattr(simulate, "Backward", Apart)
        changed.setattr(simulate._Training, "_scalar", lambda run, value: run.item)
        return training(graph, options)


def agrees(name: str, options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peak, and what it is made of."""
    graph = archc.load(name, input=INPUTS.get(name))
    found, theirs = under_a_mode(graph, options, monkeypatch), tracked(graph, options)
    assert found.peak_bytes == theirs["Total"], f"{found.peak_at}: {found.by_kind()}, not {theirs}"
    ours = found.by_kind()
    for mine, other in (("parameters", "Parameter"), ("buffers", "Buffer"), ("optimizer state", "Optstate")):
        assert ours.get(mine, 0) == theirs[other], mine
    assert ours.get("gradients", 0) - theirs["Gradient"] in (0, fresh(found)), "a gradient is called one when its layer is through"


def fresh(found: Timeline) -> int:
    """The gradients of the weights of the layer at which the peak is: to the tracker temporary, until they are accumulated."""
    node = found.peak_mark.layer
    return 0 if node is None else 4 * sum(weight.values for weight in node.facts.owned if weight.role != "buffer")


@pytest.mark.parametrize(("name", "batch", "optimizer"), QUICK)
def test_against_the_tracker(name: str, batch: int, optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    agrees(name, Options(batch, optimizer=optimizer), monkeypatch)


def test_what_the_rule_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where gradients meet, the tracker has one tensor more, of the value that they are for; elsewhere no more."""
    options = Options(4, optimizer="momentum")
    graph = archc.load("resnet18")
    plain, apart = training(graph, options), under_a_mode(graph, options, monkeypatch)
    node = apart.peak_mark.layer
    assert node is not None and node.name == "layer3.0.conv1", "one of two layers that read the same value"
    assert 0 < apart.peak_bytes - plain.peak_bytes <= 4 * 4 * node.inputs[0].shape.values
    assert training(graph, replace(options, batch=64)).peak_bytes == under_a_mode(graph, replace(options, batch=64), monkeypatch).peak_bytes


def test_what_it_rounds_on_cuda() -> None:
    """To 512 bytes, as the caching allocator does. It does not know of the rest of a segment that is too small to be split off."""
    module = archc.build("resnet18", device="meta")
    with FakeTensorMode():
        fake(module, "cuda")
        tracker = MemTracker()
        tracker.track_external(module)
    (found,) = tracker.get_tracker_snapshot().values()
    sizes = [one.untyped_storage().nbytes() for one in (*module.parameters(), *module.buffers())]
    pools = [Pool() for _ in sizes]
    for size, pool in zip(sizes, pools, strict=True):
        pool.take(size)
    assert found["Total"] == sum(-(-size // 512) * 512 for size in sizes)
    over = sum(pool.allocated for pool in pools) - found["Total"]
    assert 0 <= over <= 2**20 * len(pools)


@pytest.mark.heavy
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
@pytest.mark.parametrize(("name", "batch"), LARGE)
def test_large_networks_against_the_tracker(name: str, batch: int, optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    agrees(name, Options(batch, optimizer=optimizer), monkeypatch)


@pytest.mark.heavy
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(("name", "images"), [("resnet50", 64), ("vgg16", 64), ("mobilenet_v2", 96)])
def test_foreach_against_the_tracker(name: str, images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    agrees(name, Options(images, optimizer="adamw", how="foreach"), monkeypatch)
