"""Dense layers as convolutions: the same scores, a score for each window of a larger image, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import archc
from archc.cli.main import main
from archc.codegen.lowering import lower
from archc.errors import ArgumentError

torch = pytest.importorskip("torch")

from archc.runtime.build.build import after_passes, build
from tests.helpers.zoo import some_of

from .seen import randomize

VGG = """
input: [3, 12, 12]
layers:
  - {conv: {channels: 4, kernel: 3, padding: 1}}
  - {maxpool: {kernel: 2}}
  - {adaptive_avgpool: 3}
  - flatten
  - {linear: 8}
  - batchnorm
  - relu
  - {dropout: 0.5}
  - {linear: {features: 5, bias: false}}
  - softmax
"""


def test_each_window_of_a_larger_image_has_its_score() -> None:
    """The map of scores is that of the plain network on each crop; the convolution before sees its border in none of the compared."""
    graph = archc.loads(VGG.replace("padding: 1", "padding: 0").replace("[3, 12, 12]", "[3, 14, 14]"))
    plain = randomize(build(graph)).eval().double()
    sliding = after_passes(plain, lower(graph, convolutional=True))
    x = torch.randn(2, 3, 22, 26, dtype=torch.float64)
    with torch.no_grad():
        scores = sliding(x)
        assert scores.shape == (2, 5, 3, 4)
        for row in range(3):
            for column in range(4):  # a step of the pools is four pixels
                crop = x[:, :, 4 * row : 4 * row + 14, 4 * column : 4 * column + 14]
                assert torch.allclose(scores[:, :, row, column], plain(crop), rtol=1e-10)
    assert [name for name, one in sliding.named_modules() if isinstance(one, torch.nn.Conv2d)] == ["0", "4", "8"]


@some_of("lenet5 resnet18", "alexnet googlenet")
def test_known_networks(name: str) -> None:
    graph = archc.load(name, **({"input": (3, 64, 64)} if name in ("resnet18", "googlenet") else {}))
    plain = build(graph).eval()
    sliding = after_passes(plain, lower(graph, convolutional=True))
    (value,) = graph.inputs.values()
    x = torch.randn(2, *value.shape)
    with torch.no_grad():
        ours, theirs = sliding(x), plain(x)
    assert ours.shape == (*theirs.shape, 1, 1)
    assert (ours.flatten() - theirs.flatten()).abs().max() <= 1e-5 * theirs.abs().max()


def test_weights_of_the_plain_network_load(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(VGG)
    plain = archc.build(str(tmp_path / "net.yaml"))
    torch.save(plain.state_dict(), tmp_path / "w.pth")
    command = [
        "build",
        str(tmp_path / "net.yaml"),
        "--convolutional",
        "--weights",
        str(tmp_path / "w.pth"),
        "-o",
        str(tmp_path / "fcn.pth"),
    ]
    assert main(command) == 0
    made = torch.load(tmp_path / "fcn.pth")
    assert made["4.weight"].shape == (8, 4, 3, 3)
    assert torch.equal(made["4.weight"].flatten(), plain.state_dict()["4.weight"].flatten())


def test_a_squeeze_excite_of_dense_layers_stays() -> None:
    graph = archc.loads("""
input: [4, 8, 8]
layers:
  a: {conv: {channels: 4, kernel: 3, padding: 1}}
  g: global_avgpool
  f: flatten
  l: {linear: 4}
  s: sigmoid
  r: {reshape: [4, 1, 1]}
  m: {from: [a, r], mul: }
  p: global_avgpool
  q: flatten
  o: {linear: 3}
""")
    lowered = lower(graph, convolutional=True)
    assert lowered.result.said == ["made 1 dense layer convolutional", "freed 1 pool of its fixed size"]
    assert [lowered.graph[name].kind for name in ("g", "l", "p", "o")] == ["global_avgpool", "linear", "avgpool", "conv"]


@pytest.mark.parametrize(("text", "said"), [
    ("input: [784]\nlayers: [{linear: 10}]\n", "nothing to make convolutional"),
    ("input: [6, 8]\nlayers: {a: {attention: 2}, c: {select: 0}, l: {linear: 3}}\n", "nothing to make convolutional"),
    ("input: [4, 7, 7]\nlayers: [{conv: 4}, {adaptive_avgpool: 3}, flatten, {linear: 3}]\n", "3x3 bins of unequal sizes of a map of 7x7"),
    ("input: [4, 8, 8]\nlayers: {a: {conv: 4}, p: {maxpool: 2}, f: flatten, b: {from: a, maxpool: 4}, g: flatten, "
     "c: {from: [f, g], concat: }, l: {linear: 3}}\n", "c has no form over a map"),
])  # fmt: skip
def test_what_cannot_be_convolutional(text: str, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        lower(archc.loads(text), convolutional=True)


def test_layers_keep_running_on_what_is_turned() -> None:
    """The values of a map that was turned are in another order: such a dense layer is left."""
    with pytest.raises(ArgumentError, match="nothing to make"):
        lower(archc.loads("input: [4, 8, 8]\nlayers: [{conv: 4}, {permute: [1, 2, 0]}, flatten, {linear: 3}]\n"), convolutional=True)
