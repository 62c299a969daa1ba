"""Tensors of one's own: learned queries, masks and positions, in networks as one would write them by hand."""

from __future__ import annotations

import math

import pytest

import archc
from archc.analysis.memory.timeline import Options, training

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from tests.analysis.memory.test_timeline import agrees, evaluates, one_thread

__all__ = ["one_thread"]

DETR = """
input: [3, 32, 32]
layers:
  backbone: {conv: {channels: 16, kernel: 8, stride: 8}}
  tokens: tokens
  pos: {parameter: {shape: [16, 16], start: normal, batch_axis: true}}
  src: {from: [tokens, pos], add: }
  enc: {attention: {heads: 2}}
  memory: {from: [src, enc], add: }
  query_pos: {parameter: {shape: [5, 16], start: normal}}
  cross: {from: [query_pos, memory], attention: {heads: 2}}
  target: {from: [query_pos, cross], add: }
  norm: layernorm
  class_embed: {from: norm, linear: 4}
  bbox_embed: {from: norm, linear: 4}
outputs: {logits: class_embed, boxes: bbox_embed}
"""


class Detr(nn.Module):
    """Carion et al., 2020: positions on the tokens, queries that are learned, one layer each."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 16, 8, stride=8)
        self.pos = nn.Parameter(torch.randn(1, 16, 16))
        self.enc = nn.MultiheadAttention(16, 2, batch_first=True)
        self.query_pos = nn.Parameter(torch.randn(5, 16))
        self.cross = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm = nn.LayerNorm(16)
        self.class_embed = nn.Linear(16, 4)
        self.bbox_embed = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        src = self.backbone(x).flatten(2).transpose(1, 2) + self.pos
        memory = src + self.enc(src, src, src, need_weights=False)[0]
        queries = self.query_pos.unsqueeze(0).repeat(len(x), 1, 1)
        target = self.norm(queries + self.cross(queries, memory, memory, need_weights=False)[0])
        return {"logits": self.class_embed(target), "boxes": self.bbox_embed(target)}


def test_the_queries_of_detr() -> None:
    """Outputs and gradients of a module written by hand, whose state_dict fits; memory to the byte."""
    graph = archc.loads(DETR)
    hand = Detr()
    ours = archc.build(graph)
    ours.load_state_dict(hand.state_dict())
    x = torch.randn(3, 3, 32, 32)
    results = [module(x) for module in (ours, hand)]
    for name in ("logits", "boxes"):
        torch.testing.assert_close(results[0][name], results[1][name])
    for result in results:
        (result["logits"].square().mean() + result["boxes"].abs().mean()).backward()
    for (name, a), (other, b) in zip(ours.named_parameters(), hand.named_parameters(), strict=True):
        assert name == other
        torch.testing.assert_close(a.grad, b.grad)
    assert archc.analyze(graph).parameters == sum(tensor.numel() for tensor in hand.parameters())
    for batch in (1, 3):
        agrees(graph, Options(batch, optimizer="adam"))
        evaluates(graph, batch)


def test_sinusoidal_positions_are_those_of_vaswani() -> None:
    built = archc.build(archc.loads("{input: [300, 7], layers: {pos: {constant: {values: sinusoidal, shape: [300, 7]}}}}"))
    table = built(torch.zeros(2, 300, 7))[1]
    for t in (0, 1, 17, 299):
        for i in range(7):
            angle = t / 10000 ** ((i - i % 2) / 7)
            assert table[t, i].item() == pytest.approx(math.cos(angle) if i % 2 else math.sin(angle), abs=1e-7)
    assert built.state_dict() == {}


@pytest.mark.parametrize(
    "entry, expected",
    [
        ("{constant: [[1, 2], [3, 4.5]]}", [[1.0, 2.0], [3.0, 4.5]]),
        ("{constant: {values: [true, false], dtype: bool}}", [True, False]),
        ("{constant: {values: range, shape: [4], dtype: int64}}", [0, 1, 2, 3]),
        ("{constant: {values: grid, shape: [2, 2, 3]}}", [[[0.0] * 3, [1.0] * 3], [[0.0, 1.0, 2.0]] * 2]),
        ("{constant: {values: causal, shape: [2, 2], dtype: bool}}", [[True, False], [True, True]]),
        ('{constant: "${linspace(0, 1, 3)}"}', [0.0, 0.5, 1.0]),
        ("{buffer: {shape: [2], start: 7, dtype: int64}}", [7, 7]),
        ("{parameter: {shape: [2], start: [1, 2]}}", [1.0, 2.0]),
    ],
)
def test_values(entry: str, expected: object) -> None:
    """In the module, for each image of a batch; the spec as elaborated reads back as the same."""
    graph = archc.loads(f"{{input: [3], layers: {{t: {entry}}}}}")
    out = archc.build(graph)(torch.zeros(2, 3))
    assert out.tolist() == [expected, expected]
    assert out.dtype == {bool: torch.bool, int: torch.int64}.get(type(out.flatten()[0].item()), torch.float32)


def test_a_constant_in_copies_of_a_block() -> None:
    """Parts with tensors of their own are one class, with what differs as a parameter; those of numbered chains are reached too."""
    text = """
input: [4, 8]
blocks:
  adds:
    params: {std: float}
    layers: {pos: {parameter: {shape: [4, 8], start: normal, std: $std}}, sum: {from: [input, pos], add: }, rest: [{buffer: [4, 8]}, relu]}
layers: [{adds: 0.1}, {adds: 0.2}, {add: [identity, {parameter: [4, 8]}]}, {add: {x: identity, p: {buffer: {shape: [4, 8], start: 1}}}}]
"""
    source = archc.source(archc.loads(text))
    assert source.count("class Adds(") == 1
    built = archc.build(archc.loads(text))
    assert sorted(built.state_dict()) == ["0.pos", "0.rest.0", "1.pos", "1.rest.0", "2.0", "p"]
    assert built(torch.zeros(1, 4, 8)).eq(1).all()


def test_nothing_is_written_over_a_tensor_that_every_image_sees() -> None:
    graph = archc.loads("{input: [4], layers: {p: {parameter: [4]}, r: relu, s: {from: [p, r], add: }}}")
    assert "inplace" not in archc.source(graph, optimize="inference") + archc.source(graph, optimize="train").replace("add_", "")
    for optimize in ("inference", "train"):
        archc.build(graph, optimize=optimize)(torch.zeros(2, 4))


def test_tensors_stay_wide_under_autocast() -> None:
    """Autocast casts no parameter that is added: the sum is in float32, as after a learned position embedding."""
    tails = ("p: {parameter: [6, 8]}, s: {from: [a, p], add: }", "s: position_embedding")
    ours, theirs = (
        training(
            archc.loads(f"{{input: [6, 8], layers: {{a: {{linear: 8}}, {tail}, b: {{linear: 8}}}}}}"),
            Options(64, amp="bfloat16", device="cuda"),
        )
        for tail in tails
    )
    assert ours.peak_bytes == theirs.peak_bytes
