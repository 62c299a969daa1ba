"""Parallel branches as one convolution: the same outputs in float64 as modules written by hand, and what must be left alone."""

from __future__ import annotations

import pytest

import archc
from archc.codegen.lowering import lower
from archc.codegen.passes.branches import merge_branches

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from archc.runtime.build.build import after_passes, build

from .seen import inputs_of, randomize


class RepVgg(nn.Module):
    """A block as its authors train it."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        self.rbr_dense = nn.Sequential()
        self.rbr_dense.add_module("conv", nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups, bias=False))
        self.rbr_dense.add_module("bn", nn.BatchNorm2d(outputs))
        self.rbr_1x1 = nn.Sequential()
        self.rbr_1x1.add_module("conv", nn.Conv2d(inputs, outputs, 1, stride, groups=groups, bias=False))
        self.rbr_1x1.add_module("bn", nn.BatchNorm2d(outputs))
        self.rbr_identity = nn.BatchNorm2d(outputs) if stride == 1 and inputs == outputs else None

    def forward(self, x: Tensor) -> Tensor:
        summed = self.rbr_dense(x) + self.rbr_1x1(x)
        return torch.relu(summed if self.rbr_identity is None else summed + self.rbr_identity(x))


@pytest.mark.parametrize("stride, groups", [(1, 1), (2, 1), (1, 3)])
def test_a_block_of_repvgg(stride: int, groups: int) -> None:
    graph = archc.loads(f"input: [6, 9, 8]\nlayers: {{'0': {{repvgg_block: {{channels: 6, stride: {stride}, groups: {groups}}}}}}}\n")
    ours, theirs = build(graph).double(), randomize(nn.Sequential(RepVgg(6, 6, stride, groups)).double())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 6, 9, 8, dtype=torch.float64, requires_grad=True)
    wanted = theirs(x)
    assert torch.allclose(ours(x), wanted)
    assert torch.allclose(torch.autograd.grad(ours(x).sum(), x)[0], torch.autograd.grad(wanted.sum(), x)[0])
    ours.load_state_dict(theirs.state_dict())  # the statistics have moved
    lowered = lower(graph, "inference")
    fast = after_passes(ours, lowered)
    assert [node.kind for node in lowered.graph.nodes] == ["conv", "relu"]
    assert [type(one).__name__ for one in fast.modules() if not list(one.children())] == ["Conv2d", "ReLU"]
    with torch.no_grad():
        assert (fast(x.detach()) - theirs.eval()(x)).abs().max() < 1e-12


MERGED = {
    "the input itself, added twice": ("{a: {conv: {channels: 4, kernel: 3, padding: 1}}, s: {from: [a, input, input], add: }}", 2),
    "kernels of several shapes": (
        "{a: {conv: {channels: 5, kernel: [3, 5], padding: [1, 2], stride: 2, bias: false}}, "
        "b: {from: input, conv: {channels: 5, kernel: [3, 1], padding: [1, 0], stride: 2}}, "
        "c: {from: input, conv: {channels: 5, kernel: [1, 3], padding: [0, 1], stride: 2}}, s: {from: [b, a, c], add: }}",
        2,
    ),
    "taps that lie apart": (
        "{a: {conv: {channels: 4, kernel: 3, padding: 2, dilation: 2}}, b: {from: input, conv: {channels: 4, kernel: 1}}, "
        "n: {from: input, frozen_batchnorm: }, s: {from: [a, b, n], add: }}",
        2,
    ),
    "some of what is added": (
        "{p: relu, a: {from: input, conv: {channels: 4, kernel: 3, padding: 1}}, n: {from: input, batchnorm: {affine: false}}, "
        "s: {from: [a, p, n], add: }}",
        1,
    ),
    "an even kernel, padded on its own": (
        "{a: {conv: {channels: 4, kernel: 4, padding: 2}}, b: {from: input, conv: {channels: 4, kernel: 2, padding: 1}}, "
        "s: {from: [a, b], add: }}",
        1,
    ),
}


@pytest.mark.parametrize("form", MERGED)
def test_branches_that_are_merged(form: str) -> None:
    layers, count = MERGED[form]
    graph = archc.loads(f"input: [4, 9, 8]\nlayers: {layers}\n")
    plain = randomize(build(graph)).eval().double()
    result = merge_branches(graph)
    assert sum(len(one.branches) for one in result.folds) == count  # type: ignore[union-attr]
    fast = after_passes(plain, lower(graph, "inference"))
    inputs = [one.double() for one in inputs_of(graph)]
    with torch.no_grad():
        wanted = plain(*inputs)
        assert (fast(*inputs) - wanted).abs().max() <= 1e-12 * wanted.abs().max()


@pytest.mark.parametrize("layers", [
    "{a: {conv: {channels: 4, kernel: 3, padding: 1}}, r: relu, s: {from: [r, input], add: }}",  # an activation stands between
    "{a: {conv: {channels: 4, kernel: 3, padding: 1}}, b: {from: input, share: a}, s: {from: [a, b], add: }}",
    "{a: {conv: {channels: 4, kernel: 3, padding: 1}}, s: {from: [a, input], add: }, t: {from: [s, a], concat: }}",  # it is read twice
    "{a: {conv: {channels: 4, kernel: 3, padding: 1, padding_mode: reflect}}, s: {from: [a, input], add: }}",
    "{a: {conv: {channels: 4, kernel: 3, padding: 1, standardize: 0.001}}, s: {from: [a, input], add: }}",
    "{a: {conv: {channels: 4, kernel: 3, padding: same_upper, stride: 2}}, b: {from: input, conv: {channels: 4, kernel: 1, stride: 2}}, "
    "s: {from: [a, b], add: }}",  # one-sided
    "{a: {conv: {channels: 4, kernel: 3, padding: 1}}, b: {from: input, conv: {channels: 4, kernel: 1, groups: 2}}, "
    "s: {from: [a, b], add: }}",
    "{a: {conv: {channels: 4, kernel: 3, padding: 2, dilation: 2}}, b: {from: input, conv: {channels: 4, kernel: 3, padding: 1}}, "
    "s: {from: [a, b], add: }}",
    "{n: {batchnorm: {track: false}}, a: {from: input, conv: {channels: 4, kernel: 1}}, s: {from: [n, a], add: }}",
    "{n: batchnorm, m: {from: input, batchnorm: }, s: {from: [n, m], add: }}",  # no convolution
])  # fmt: skip
def test_branches_that_are_left_alone(layers: str) -> None:
    graph = archc.loads(f"input: [4, 8, 8]\nlayers: {layers}\n")
    result = merge_branches(graph)
    assert (result.folds, result.said, result.graph) == ([], [], graph)
