"""An Inception block with its sibling 1x1 convolutions apart, and merged into one whose channels are split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Size:
    """Channels that come in; of the 1x1 alone, before and behind the 3x3 and the 5x5, behind the pool; height and width of the map."""

    inputs: int
    one: int
    before3: int
    three: int
    before5: int
    five: int
    pool: int
    side: int


GOOGLENET = {  # Szegedy et al., Going Deeper with Convolutions, CVPR 2015, table 1
    "3a": Size(192, 64, 96, 128, 16, 32, 32, 28),
    "4e": Size(528, 256, 160, 320, 32, 128, 128, 14),
    "5b": Size(832, 256, 160, 320, 32, 128, 128, 7),
}


def conv(inputs: int, channels: int, kernel: int = 1) -> nn.Sequential:
    """As in inference: the normalization is folded into the bias, and the activation is in place."""
    return nn.Sequential(nn.Conv2d(inputs, channels, kernel, padding=kernel // 2), nn.ReLU(inplace=True))


class Apart(nn.Module):
    """`whole` is False for the sibling convolutions alone: what follows them is the same in both forms."""

    def __init__(self, size: Size, whole: bool = True) -> None:
        super().__init__()
        self.whole = whole
        self.siblings = nn.ModuleList(conv(size.inputs, channels) for channels in (size.one, size.before3, size.before5))
        self.three, self.five = conv(size.before3, size.three, 3), conv(size.before5, size.five, 5)
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv(size.inputs, size.pool))

    def heads(self, x: Tensor) -> list[Tensor]:
        return [sibling(x) for sibling in self.siblings]

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        heads = self.heads(x)
        if not self.whole:
            return heads
        return torch.cat([heads[0], self.three(heads[1]), self.five(heads[2]), self.pool(x)], 1)


class Merged(Apart):
    """The same function with the weights of another: the filters of all siblings in one convolution."""

    def __init__(self, size: Size, apart: Apart) -> None:
        super().__init__(size, apart.whole)
        self.load_state_dict(apart.state_dict())
        self.split = [size.one, size.before3, size.before5]
        self.merged = conv(size.inputs, sum(self.split))
        for name, value in self.merged.named_parameters():
            value.data = torch.cat([sibling.get_parameter(name) for sibling in self.siblings]).data
        del self.siblings

    def heads(self, x: Tensor) -> list[Tensor]:
        return list(self.merged(x).split(self.split, 1))
