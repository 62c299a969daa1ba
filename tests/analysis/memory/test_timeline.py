"""The peak of a training step and of inference, byte for byte, against PyTorch's eager mode as its profiler records it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import archc
from archc.analysis.memory.timeline import Options, Timeline, inference, training
from archc.analysis.memory.timeline.allocator import MIDDLE_SEGMENT, SMALL_SEGMENT, OutOfMemory, Pool
from archc.analysis.recompute import READY, CheckpointPlan
from archc.catalog.optimizers import OPTIMIZERS
from archc.graph import Graph, Value
from archc.graph.dtypes import input_items

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import nn

from archc.runtime.build.optimizers import class_of
from tests.helpers.allocations import Recorded, recorded
from tests.helpers.zoo import SPECS

from .test_saved import LARGE, smaller

FAMILIES: dict[str, tuple[int, int]] = {  # side of the image, images
    "resnet18": (64, 2),
    "resnet50": (64, 8),
    "preact_resnet50": (64, 2),
    "mobilenet_v2": (64, 4),
    "densenet121": (64, 2),
    "googlenet": (64, 2),
    "googlenet_caffe": (96, 2),
    "efficientnet_b0": (64, 3),
    "unet": (188, 2),
    "resnext50_32x4d": (32, 2),
    "fractalnet20": (32, 2),
    "bit_resnet50x1": (64, 2),
}
every_family = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.heavy] if name.endswith(("50", "50x1", "32x4d")) else []) for name in FAMILIES]
)
HOW = {"loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Run:
    """A network in training, as built or as written by hand, with the loss that the simulation takes; names hold what a loop's do."""

    def __init__(self, graph: Graph, options: Options, plan: CheckpointPlan | None = None, module: nn.Module | None = None) -> None:
        torch.manual_seed(0)
        self.passes, batch = options.accumulate, options.images
        self.module = archc.build(graph, checkpoint=plan) if module is None else module
        settings = {**OPTIMIZERS[options.optimizer].fixed, **options.arguments}
        self.optimizer = class_of(options.optimizer)(self.module.parameters(), **settings, **HOW[options.how or "loop"])
        self.ready = sum(value.nbytes for state in self.optimizer.state.values() for value in state.values())  # Adagrad's
        self.inputs = [images(graph, value, batch) for value in graph.inputs.values()]
        outputs = [*graph.outputs.values(), *graph.heads.values()]
        classes = [torch.zeros(batch, dtype=torch.int64) for _ in outputs]
        self.targets = [c if len(v.shape) == 1 else torch.zeros(batch, *v.shape) for v, c in zip(outputs, classes, strict=True)]
        self.names: dict[str, Any] = {}

    def base(self) -> int:
        """Bytes that are there before the first step."""
        tensors = [*self.module.parameters(), *self.module.buffers(), *self.inputs, *self.targets]
        return sum(tensor.untyped_storage().nbytes() for tensor in tensors) + self.ready

    def step(self) -> None:
        for one in self.inputs:  # a layer in place over an image has made it part of the step before
            one.detach_()
        for _ in range(self.passes):
            self.names["out"] = self.module(*self.inputs)
            self.names["loss"] = self.loss(self.names["out"]) / self.passes if self.passes > 1 else self.loss(self.names["out"])
            self.names["loss"].backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def loss(self, out: Any) -> Any:
        outputs = list(out.values()) if isinstance(out, dict) else [out]
        pairs = zip(outputs, self.targets, strict=True)
        losses = [F.cross_entropy(o, t) if t.dtype == torch.int64 else F.mse_loss(o, t) for o, t in pairs]
        return sum(losses[1:], losses[0])


def images(graph: Graph, value: Value, batch: int) -> Any:
    """The values of an input; of one that an embedding looks up, whole numbers."""
    shape = (batch, *value.shape)
    whole = input_items(graph, 4)[value] == 8
    return torch.zeros(shape, dtype=torch.int64) if whole else torch.randn(shape)


def trained(graph: Graph, options: Options, plan: CheckpointPlan | None = None, module: nn.Module | None = None) -> tuple[Run, Recorded]:
    run = Run(graph, options, plan, module)
    return run, recorded(run.step, 8 if options.optimizer == "radam" else 2)  # whose first steps are other ones


def agrees(graph: Graph, options: Options, plan: CheckpointPlan | None = None) -> None:
    found = training(graph, options, plan)
    run, real = trained(graph, options, plan)
    assert found.peak_bytes == run.base() + real.peak, f"{graph.name}: {found.peak_at}, not {real.at}"


def evaluates(graph: Graph, batch: int) -> None:
    found = inference(graph, Options(batch))
    run = Run(graph, Options(batch))
    module: nn.Module = run.module.eval()

    def forward() -> None:
        with torch.no_grad():
            module(*run.inputs)

    real = recorded(forward)
    owned = [*module.parameters(), *module.buffers(), *run.inputs]
    assert found.peak_bytes == sum(one.untyped_storage().nbytes() for one in owned) + real.peak, f"{found.peak_at}, not {real.at}"


def small(name: str) -> Graph:
    side = FAMILIES[name][0]
    return archc.load(name, input=[1 if name == "unet" else 3, side, side])


@every_family
def test_a_training_step(name: str) -> None:
    agrees(small(name), Options(FAMILIES[name][1]))


@every_family
def test_inference(name: str) -> None:
    evaluates(small(name), FAMILIES[name][1])


@pytest.mark.parametrize("batch", [2, 3])
def test_attention(batch: int) -> None:
    graph = archc.load("vit_b16", input=[3, 32, 32], dim=96, depth=3, heads=3)
    agrees(graph, Options(batch))
    agrees(graph, Options(batch, optimizer="adamw"))
    evaluates(graph, batch)


WIDE = "input: [3, 16, 16]\nlayers: [{conv: 16}, batchnorm, relu, flatten, {linear: 40}, relu, {linear: 10}]\n"


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers(optimizer: str, how: str) -> None:
    """A network whose weights are more than its values, so that the optimizer's step decides."""
    options, graph = Options(2, optimizer=optimizer, how=how), archc.loads(WIDE)
    one = OPTIMIZERS[optimizer]
    if (how == "fused" and not one.fused) or (how == "foreach" and one.foreach is None):
        with pytest.raises(ValueError, match=f"no {how} {optimizer}|a {how} {optimizer} is not modelled"):
            training(graph, options)
    elif optimizer == "adafactor":
        assert "adafactor is an estimate" in training(graph, options).bound.text
    else:
        agrees(graph, options)


@pytest.mark.parametrize("how", ["loop", "foreach"])
@pytest.mark.parametrize(
    ("optimizer", "arguments"),
    [("rmsprop", {"momentum": 0.9, "centered": True}), ("adam", {"amsgrad": True, "weight_decay": 0.1}), ("nadam", {"weight_decay": 0.1})],
)
def test_what_an_optimizers_arguments_take(optimizer: str, arguments: dict[str, Any], how: str) -> None:
    agrees(archc.loads(WIDE), Options(2, optimizer=optimizer, how=how, arguments=arguments))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
def test_optimizers_of_a_residual_network(optimizer: str, how: str) -> None:
    agrees(archc.load("resnet18", input=[3, 64, 64]), Options(2, optimizer=optimizer, how=how))


FORMS = {
    "a value that is summed with itself": "{a: {conv: 4}, s: {from: [a, a], add: {}}, c: {conv: 4}}",
    "a sum of three": "{a: {conv: 4}, b: {from: input, conv: 4}, c: {from: input, conv: 4}, s: {from: [a, b, c], add: {}}, e: {conv: 4}}",
    "a mean of three": "{a: {conv: 4}, b: {from: a, conv: 4}, s: {from: [a, b, a], average: {}}, e: {conv: 4}}",
    "a product of two maps": "{a: {conv: 4}, b: {from: a, conv: 4}, m: {from: [a, b], mul: {}}, e: {conv: 4}}",
    "matrices": "{a: {conv: 4}, b: {from: input, conv: 4}, m: {from: [a, b], matmul: {}}, e: {conv: 4}}",
    "matrices that are stretched": "{a: {conv: 4}, b: {from: input, conv: 1}, m: {from: [a, b], matmul: {}}, "
    "n: {from: [b, m], matmul: {}}, r: relu, e: {conv: 4}}",
    "images that are stretched": "{b: {conv: 1}, m: {from: [b, input], matmul: {}}, e: {conv: 4}}",
    "a gate": "{a: {conv: 4}, g: global_avgpool, s: sigmoid, m: {from: [a, s], mul: {}}, e: {conv: 4}}",
    "parts joined again": "{a: {conv: 4}, s: {split: 2}, r: {from: s.0, relu: {}}, j: {from: [r, s.1], concat: {}}, e: {conv: 4}}",
    "a part that nobody reads": "{a: {conv: 4}, s: {split: 2}, r: {from: s.0, relu: {}}, e: {conv: 4}}",
    "a value read four times": "{a: {conv: 4}, b: {from: a, relu: {}}, c: {from: a, sigmoid: {}}, d: {from: a, tanh: {}}, "
    "s: {from: [b, c], add: {}}, t: {from: [s, d], add: {}}, u: {from: [t, a], add: {}}, e: {conv: 4}}",
    "a skip that is cut": "{a: {conv: 4}, b: {maxpool: {kernel: 2}}, c: {upsample: {scale: 2}}, p: {from: a, crop: {sides: [1, 1, 1, 1]}}, "
    "q: {from: c, crop: {sides: [1, 1, 1, 1]}}, s: {from: [p, q], concat: {}}, e: {conv: 4}}",
    "one-sided padding": "[{conv: 4}, {conv: {channels: 4, kernel: 3, stride: 2, padding: same_upper}}, relu, {conv: 4}]",
    "learned factors": "[{conv: 4}, layer_scale, relu, {conv: 4}]",
    "stochastic depth": "{a: {conv: 4}, b: {conv: 4}, d: {drop_path: {p: 0.5}}, s: {from: [a, d], add: {}}, e: {conv: 4}}",
    "in place": "[{conv: 4}, batchnorm, {relu: {inplace: true}}, {conv: 4}, {leaky_relu: {inplace: true}}, {conv: 4}]",
    "a mirrored border": "[{conv: 4}, {pad: {sides: [1, 1, 1, 1], mode: reflect}}, {conv: {channels: 4, kernel: 3}}, relu, {conv: 4}]",
    "response normalization": "[{conv: 4}, {lrn: {size: 3}}, relu, {conv: 4}]",
    "a number": "[{conv: 4}, {scale: {factor: 0.5}}, relu, {conv: 4}]",
    "tokens": "[{conv: 4}, tokens, class_token, position_embedding, layernorm, {linear: 8}, gelu, {linear: 4}, {select: {index: 0}}]",
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    graph = archc.loads(f"input: [3, 12, 12]\nlayers: {FORMS[form]}\n")
    for batch in (2, 3):
        agrees(graph, Options(batch))
        evaluates(graph, batch)


SHARED = {
    "vectors": "{input: [8], layers: {a: {linear: 8}, r: relu, b: {share: a}, s: {share: a}, c: {linear: 3}}}",
    "two inputs": "{input: {x: [9], y: [9]}, layers: {a: {from: x, linear: {features: 9, bias: false}}, b: {from: y, share: a}, "
    "c: {from: [b, a], add: }}}",
    "maps": "{input: [4, 6, 6], layers: {a: {conv: 4}, b: {share: a}, n: batchnorm, m: {share: n}, p: prelu, q: {share: p}, "
    "s: layer_scale, t: {share: s}, u: {share: s}, f: flatten, c: {linear: 3}}}",
    "tokens": "{input: [5, 4], layers: {a: {attention: 2}, b: {share: a}, l: layernorm, m: {share: l}, p: position_embedding, "
    "q: {share: p}, r: rmsnorm, s: {share: r}, t: {share: a}}}",
}


@pytest.mark.parametrize("passes", [1, 4])
@pytest.mark.parametrize("form", SHARED)
def test_weights_that_layers_share(form: str, passes: int) -> None:
    graph = archc.loads(SHARED[form])
    for optimizer in ("sgd", "momentum", "adam"):
        agrees(graph, Options(2 * passes, optimizer=optimizer, accumulate=passes))


@pytest.mark.parametrize("passes", [2, 5])
def test_gradients_stay_over_the_passes_of_a_step(passes: int) -> None:
    """With momentum, the peak of the second pass and of all later ones, and not that of the first."""
    graph = archc.loads("{input: [1, 28, 28], layers: [flatten, {linear: 256}, relu, {linear: 256}, relu, {linear: 10}]}")
    options = Options(2 * passes, optimizer="momentum", accumulate=passes, device="cpu")
    agrees(graph, options)
    alone = training(graph, replace(options, batch=2, accumulate=1))
    assert training(graph, options).peak_bytes > 1.2 * alone.peak_bytes
    agrees(archc.load("resnet18", input=[3, 32, 32]), options)
    agrees(archc.load("resnet18", input=[3, 32, 32]), options, READY["norms"](archc.load("resnet18", input=[3, 32, 32])))


def test_more_passes_than_images_are_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 2 cannot be divided into 3 passes; write from 1 to 2"):
        archc.memory("lenet5", batch=2, accumulate=3)
    with pytest.raises(ValueError, match="only in training"):
        archc.memory("lenet5", batch=2, accumulate=2, inference=True)


@pytest.mark.heavy
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", [name for name in SPECS if name not in LARGE])
def test_networks_that_ship(name: str) -> None:
    graph = smaller(name)
    if sum(weight.values for node in graph.nodes for weight in node.facts.owned) > 9e7:
        pytest.skip("more than 90 million weights")
    agrees(graph, Options(2))
    evaluates(graph, 2)


def test_what_the_peak_is_made_of_adds_up() -> None:
    found = training(archc.load("resnet50"), Options(4, optimizer="adam", device="cuda"))
    assert sum(found.by_kind().values()) == found.peak_bytes == sum(block.bytes for block in found.at_peak())
    assert found.by_kind()["parameters"] == 25_557_032 * 4
    assert found.by_kind()["optimizer state"] == 2 * 25_557_032 * 4
    assert found.events[0].live == found.events[-1].live, "a step ends as it began"


def test_half_the_values_under_autocast() -> None:
    graph = archc.load("resnet50")
    full, half = (training(graph, Options(16, amp=amp, device="cuda")) for amp in ("", "bfloat16"))
    kept, less = full.by_kind()["kept activations"], half.by_kind()["kept activations"]
    assert 0.5 * kept < less < 0.56 * kept
    assert half.by_kind()["parameters"] == full.by_kind()["parameters"]


def test_the_published_replay_of_a_pool() -> None:
    """PyTorch's pull request 88825 prints 74.5 MiB on a real device for 24.5 MiB of values and 49 MiB of indices: of a segment of
    26 MiB, 1.5 MiB are split off; of one of 50 MiB, the last MiB is too little for that."""
    pool = Pool()
    pool.take(int(24.5 * 2**20))
    pool.take(49 * 2**20)
    assert (pool.allocated, pool.reserved) == (74.5 * 2**20, 76 * 2**20)


def test_a_pool_gives_its_segments_back_before_it_fails() -> None:
    pool = Pool(limit=SMALL_SEGMENT + MIDDLE_SEGMENT)
    small_piece, large_piece = pool.take(512), pool.take(2 * 2**20)
    assert pool.reserved == SMALL_SEGMENT + MIDDLE_SEGMENT
    with pytest.raises(OutOfMemory):
        pool.take(21 * 2**20)
    pool.give(large_piece)
    pool.take(20 * 2**20)
    pool.give(small_piece)
    assert pool.reserved == SMALL_SEGMENT + 20 * 2**20


def test_no_torch_options_are_guessed() -> None:
    graph = archc.load("lenet5")
    for wrong in ({"optimizer": "adma"}, {"dtype": "int8"}, {"device": "tpu"}, {"batch": 0}, {"loss": "hinge"}, {"how": "fast"}):
        with pytest.raises(ValueError, match=r"there are|1 image"):
            training(graph, replace(Options(), **wrong))  # type: ignore[arg-type]


def test_python_interface() -> None:
    found = archc.memory("resnet18", batch=8, optimizer="adam")
    assert isinstance(found, Timeline)
    assert found.peak_bytes == training(archc.load("resnet18"), Options(8, optimizer="adam", device="cuda")).peak_bytes


def test_values_end_before_a_part_that_some_copies_have() -> None:
    """Both branches are gone when the third, which one block lacks, begins."""
    blocks = "{a: {repvgg_block: {channels: 4, stride: 2}}, b: {repvgg_block: 4}, c: {repvgg_block: 4}}"
    agrees(archc.loads(f"input: [3, 9, 8]\nlayers: {blocks}"), Options(3))
