"""The decoder of captions against one written by hand: names, scores and gradients."""

from __future__ import annotations

import pytest

import archc

torch = pytest.importorskip("torch")

from torch import Tensor, nn

SPEC = """
input: {features: [12], words: [5]}
layers:
  decoder: {from: [features, words], captioning_decoder: {entries: 9, width: 6, hidden: 7}}
"""


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Linear(12, 6)
        self.embedding = nn.Embedding(9, 6)
        self.lstm = nn.LSTM(6, 7, batch_first=True)
        self.scores = nn.Linear(7, 9)

    def forward(self, features: Tensor, words: Tensor) -> Tensor:
        sequence = torch.cat([self.image(features)[:, None], self.embedding(words)], 1)
        return self.scores(self.lstm(sequence)[0])


def test_the_decoder_of_captions() -> None:
    torch.manual_seed(0)
    theirs, ours = nn.ModuleDict({"decoder": Decoder()}), archc.build(archc.loads(SPEC))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    given = torch.randn(3, 12), torch.randint(0, 9, (3, 5))
    made, wanted = ours(*given), theirs["decoder"](*given)
    assert made.shape == (3, 6, 9) and torch.equal(made, wanted)
    for out in (made, wanted):
        out.square().sum().backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.grad is not None and torch.equal(mine.grad, other.grad)
