"""Weights tied across kinds of layers: counted once, gradients added up, both names in the state_dict, the tie in the source."""

from __future__ import annotations

from typing import Any

import pytest

import archc
from archc.analysis.memory.timeline import Options
from archc.elaborate.compiler import compile_text
from archc.graph.write_spec import resolve_text

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import Tensor, nn

from tests.analysis.memory.test_timeline import agrees, evaluates, one_thread

__all__ = ["one_thread"]

GPT = """
input: [12]
layers:
  transformer:
    layers:
      wte: {embedding: {entries: 40, features: 16}}
      embed: {add: {x: identity, wpe: {parameter: {shape: [12, 16], start: normal, std: 0.02}}}}
      mlp:
        repeat: 2
        layers:
          body: {layers: {ln: layernorm, c_fc: {linear: 64}, act: {gelu: tanh}, c_proj: {linear: 16}}}
          sum: {from: [body, chain_input], add: }
      ln_f: layernorm
  lm_head: {linear: {features: 40, bias: false}, tie: transformer.wte}
init: {linear: {normal: 0.02}, embedding: {normal: 0.02}}
"""


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleDict(dict(ln=nn.LayerNorm(16), c_fc=nn.Linear(16, 64), c_proj=nn.Linear(64, 16)))

    def forward(self, x: Tensor) -> Any:
        return x + self.body["c_proj"](F.gelu(self.body["c_fc"](self.body["ln"](x)), approximate="tanh"))


class Gpt(nn.Module):
    """The embedding and the head of GPT-2, with two of its dense parts between them."""

    def __init__(self) -> None:
        super().__init__()
        parts = dict(wte=nn.Embedding(40, 16), mlp=nn.ModuleList([Mlp(), Mlp()]), ln_f=nn.LayerNorm(16))
        self.transformer = nn.ModuleDict(parts)
        self.transformer.register_parameter("wpe", nn.Parameter(torch.randn(12, 16) * 0.02))
        self.lm_head = nn.Linear(16, 40, bias=False)
        self.lm_head.weight = self.transformer["wte"].weight

    def forward(self, tokens: Tensor) -> Any:
        x = self.transformer["wte"](tokens) + self.transformer.get_parameter("wpe")
        for part in self.transformer["mlp"]:
            x = part(x)
        return self.lm_head(self.transformer["ln_f"](x))


def test_gpt_2_with_a_tied_head() -> None:
    """Outputs, gradients, the state_dict, counts and memory of a module written by hand; in its source, the tie is one line."""
    graph = archc.loads(GPT)
    hand, ours = Gpt(), archc.build(graph)
    assert "self.lm_head.weight = self.transformer" in archc.source(graph)
    assert ours.lm_head.weight is ours.get_parameter("transformer.wte.weight")
    assert 0.015 < ours.lm_head.weight.std() < 0.025
    assert set(ours.state_dict()) == set(hand.state_dict()) >= {"lm_head.weight", "transformer.wte.weight", "transformer.wpe"}
    ours.load_state_dict(hand.state_dict())
    tokens = torch.randint(0, 40, (3, 12))
    for module in (ours, hand):
        module(tokens).square().mean().backward()
    torch.testing.assert_close(ours(tokens), hand(tokens))
    theirs = dict(hand.named_parameters())
    assert dict(ours.named_parameters()).keys() == theirs.keys()
    for name, tensor in ours.named_parameters():
        torch.testing.assert_close(tensor.grad, theirs[name].grad)
    report = archc.analyze(graph)
    assert report.parameters == sum(tensor.numel() for tensor in hand.parameters())
    assert report.macs == 12 * 16 * (40 + 4 * 64)
    for batch in (1, 3):
        agrees(graph, Options(batch, optimizer="adam"))
        evaluates(graph, batch)


FORMS = {
    "an autoencoder": "{input: [20], layers: {enc: {layers: {a: {linear: 12}, r: relu, b: {linear: 5}}}, "
    "dec: {layers: {b: {linear: 12, tie: enc.b}, r: relu, a: {linear: {features: 20, bias: false}, tie: enc.a}}}}}",
    "a convolution and its transpose": "{input: [3, 8, 8], layers: {c: {conv: {channels: 4, kernel: 4, stride: 2, padding: 1}}, r: relu, "
    "t: {conv_transpose: {channels: 3, kernel: 4, stride: 2, padding: 1}, tie: c}}}",
    "a bias": "{input: [6], layers: {a: {linear: 6}, r: tanh, b: {linear: 6, tie: {bias: a}}, c: {linear: 6, tie: {weight: b, bias: b}}}}",
    "a square, transposed": "{input: [6], layers: {a: {linear: 6}, b: {linear: 6, tie: {weight: a, transposed: true}}}}",
    "a table that is a tensor": "{input: [4, 6], layers: {t: {parameter: {shape: [9, 6], start: normal}}, "
    "h: {from: input, linear: {features: 9, bias: false}, tie: t}, s: {from: t, linear: 2}}, outputs: [h, s]}",
    "a tied layer applied twice": "{input: [6], layers: {a: {linear: 6}, b: {linear: 6, tie: a}, r: relu, c: {share: b}}}",
    "a part applied twice": "{input: [6], layers: {p: {layers: {a: {linear: 8}, r: relu, b: {linear: 6, tie: a}}}, q: {share: p}}}",
    "tokens": "{input: [5, 6], layers: {a: {linear: 8}, r: relu, b: {linear: 6, tie: a}}}",
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    """Parameters as PyTorch lists them, memory to the byte, and the spec as elaborated is the same network."""
    graph = archc.loads(FORMS[form])
    module = archc.build(graph)
    assert archc.analyze(graph).parameters == sum(tensor.numel() for tensor in module.parameters())
    for batch in (2, 3):
        agrees(graph, Options(batch, optimizer="adam"))
        evaluates(graph, batch)
    model = compile_text(FORMS[form])
    assert model.spec is not None and model.graph is not None
    again = archc.loads(resolve_text(model.graph, model.spec, {}))
    assert archc.analyze(again).parameters == archc.analyze(graph).parameters
    assert list(archc.build(again).state_dict()) == list(module.state_dict())


def test_a_tie_is_kept_by_passes() -> None:
    text = "{input: [3, 8, 8], layers: {c: {conv: 4}, n: batchnorm, d: {dropout: 0.5}, t: {conv_transpose: 3, tie: c}}}"
    for optimize in ("inference", "train"):
        source = archc.source(archc.loads(text), optimize=optimize)
        assert "self.t.weight = self.c.weight" in source
    assert "BatchNorm" in archc.source(archc.loads(text), optimize="inference")
