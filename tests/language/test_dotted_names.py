"""Names with dashes and dots: levels of the state_dict whose layers run in another order."""

from __future__ import annotations

import pytest

import archc
from archc.analysis.memory.timeline import Options
from archc.elaborate.compiler import compile_text
from archc.graph.write_spec import resolve_text

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from archc.analysis.recompute import READY
from tests.analysis.memory.test_timeline import agrees, evaluates, one_thread

__all__ = ["one_thread"]

NET = """
input: [3, 16, 16]
layers:
  stem-1: {conv: {channels: 8, kernel: 3, padding: 1}}
  down.0: {conv: {channels: 8, kernel: 2, stride: 2}}
  enc.0: {layers: {conv: {conv: {channels: 8, kernel: 3, padding: 1}}, act: relu}}
  down.1: {conv: {channels: 8, kernel: 2, stride: 2}}
  enc.1: {layers: {conv: {conv: {channels: 8, kernel: 3, padding: 1}}, act: relu}}
  up.0: {conv_transpose: {channels: 8, kernel: 2, stride: 2}}
  dec.0: {from: [up.0, enc.0], concat: }
  up.1.conv: {conv_transpose: {channels: 8, kernel: 2, stride: 2}}
  dec.1: {from: [up.1, stem-1], concat: }
  head: {from: dec, conv: 2}
"""


class Hand(nn.Module):
    """The same, as it would be written with lists of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("stem-1", nn.Conv2d(3, 8, 3, padding=1))
        self.down = nn.ModuleList([nn.Conv2d(8, 8, 2, stride=2) for _ in range(2)])
        self.enc = nn.ModuleList([nn.ModuleDict({"conv": nn.Conv2d(8, 8, 3, padding=1)}) for _ in range(2)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(8, 8, 2, stride=2), nn.ModuleDict({"conv": nn.ConvTranspose2d(16, 8, 2, stride=2)})])
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.get_submodule("stem-1")(x)]
        for i in range(2):
            skips.append(self.get_submodule(f"enc.{i}.conv")(self.down[i](skips[-1])).relu())
        x = torch.cat([self.up[0](skips[2]), skips[1]], 1)
        return self.head(torch.cat([self.get_submodule("up.1.conv")(x), skips[0]], 1))


def test_levels_whose_layers_run_in_another_order() -> None:
    """A state_dict with these names fits; outputs are equal, memory is exact, and the spec as elaborated reads back."""
    model = compile_text(NET)
    assert model.graph is not None and model.spec is not None
    hand, x = Hand(), torch.randn(2, 3, 16, 16)
    for graph in (model.graph, archc.loads(resolve_text(model.graph, model.spec, {}))):
        built = archc.build(graph)
        built.load_state_dict(hand.state_dict())
        torch.testing.assert_close(built(x), hand(x))
    agrees(model.graph, Options(2, optimizer="adam"))
    agrees(model.graph, Options(2, optimizer="adam"), READY["blocks"](model.graph))
    evaluates(model.graph, 2)


def test_a_level_is_opened_again_within_blocks_and_copies() -> None:
    text = """
input: [4, 8, 8]
blocks:
  pair:
    layers: {conv.a: {conv: 4}, norm.a: batchnorm, conv.b: {conv: 4}, norm.b: batchnorm, sum: {from: [conv, chain_input], add: }}
layers:
  pairs: {repeat: 2, pair: }
  up.${i}: {for: {i: [0, 1]}, conv: 4}
  up.more: {repeat: 2, conv: 4}
  body: {layers: {x: {conv: 4}}}
  body.y: relu
"""
    built = archc.build(archc.loads(text))
    names = [name.removesuffix(".weight") for name in built.state_dict() if name.endswith(".weight")]
    assert names[:4] == ["pairs.0.conv.a", "pairs.0.conv.b", "pairs.0.norm.a", "pairs.0.norm.b"]
    assert names[8:] == ["up.0", "up.1", "up.more.0", "up.more.1", "body.x"]
    assert built(torch.zeros(1, 4, 8, 8)).shape == (1, 4, 8, 8)
    assert archc.source(archc.loads(text)).count("class Pair") == 1
