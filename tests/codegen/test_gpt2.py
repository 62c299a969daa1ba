"""GPT-2, its causal blocks and its tied head, against a module written by hand: outputs, gradients, and the memory of a step."""

from __future__ import annotations

import pytest

import archc
from archc.analysis.memory.timeline import Options

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import Tensor, nn

from tests.analysis.memory.test_timeline import agrees as peaks_as_said
from tests.codegen.test_transformers import Gpt2

WORDS, CONTEXT, WIDTH, DEPTH, HEADS, TOKENS = 97, 16, 24, 2, 3, 12
NAMES = {"c_attn": "attn.qkv", "c_proj": "attn.proj", "up": "mlp.c_fc", "down": "mlp.c_proj"}


class ByHand(nn.Module):
    """The head multiplies with the table of words itself."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Parameter(torch.randn(CONTEXT, WIDTH))
        self.blocks = nn.Sequential(*(Gpt2(WIDTH, HEADS) for _ in range(DEPTH)))
        self.last = nn.LayerNorm(WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) + self.places[: tokens.shape[1]]
        return F.linear(self.last(self.blocks(x)), self.words.weight)


def ours_of(name: str) -> str:
    """The name in the spec of a tensor of the module by hand."""
    first, _, rest = name.partition(".")
    if first == "blocks":
        at, part, tensor = rest.split(".")
        return f"transformer.h.{at}.{NAMES.get(part, part)}.{tensor}"
    return {"words": "transformer.wte.weight", "places": "transformer.wpe.weight", "last": f"transformer.ln_f.{rest}"}[first]


def small() -> archc.Graph:
    return archc.load("gpt2", input=(TOKENS,), vocabulary=WORDS, context=CONTEXT, width=WIDTH, depth=DEPTH, heads=HEADS, dropout=0)


def test_outputs_and_gradients() -> None:
    torch.manual_seed(0)
    theirs, ours = ByHand(), archc.build(small())
    with torch.no_grad():
        for one in theirs.parameters():
            one.add_(0.1 * torch.randn_like(one))
    state = {ours_of(name): tensor for name, tensor in theirs.state_dict().items()}
    ours.load_state_dict(state | {"lm_head.weight": state["transformer.wte.weight"]})
    tokens = torch.randint(WORDS, (3, TOKENS))
    found, expected = ours(tokens), theirs(tokens)
    assert torch.allclose(found, expected, atol=1e-4) and expected.std() > 1
    assert not torch.allclose(found, ours(tokens.flip(1)), atol=1e-2)
    for made in (found, expected):
        F.cross_entropy(made.flatten(0, 1), tokens.roll(-1, 1).flatten()).backward()
    own = dict(ours.named_parameters())
    assert len(own) == len(list(theirs.parameters()))  # the head is no tensor of its own
    for name, one in theirs.named_parameters():
        assert one.grad is not None and torch.allclose(own[ours_of(name)].grad, one.grad, atol=1e-5), name


@pytest.mark.parametrize("batch", [1, 3])
def test_the_memory_of_a_step(batch: int) -> None:
    peaks_as_said(small(), Options(batch, optimizer="adam"))
