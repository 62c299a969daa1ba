"""Networks written by hand in plain PyTorch that segment, read and route, beside specs of the same: nothing here comes from archc."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from tests.helpers.reference_parts import Reference

# Badrinarayanan et al., SegNet, 2015: maxima go back to where they were found


class SegNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enc1 = self.part(3, 8)
        self.enc2 = self.part(8, 12)
        self.dec2 = self.part(12, 8)
        self.dec1 = nn.Conv2d(8, 4, 3, padding=1)
        self.pool1 = nn.MaxPool2d(2, return_indices=True)
        self.pool2 = nn.MaxPool2d(3, stride=2, padding=1, return_indices=True)
        self.up2 = nn.MaxUnpool2d(3, stride=2, padding=1)
        self.up1 = nn.MaxUnpool2d(2)

    @staticmethod
    def part(inputs: int, channels: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        first, places1 = self.pool1(self.enc1(x))
        second, places2 = self.pool2(self.enc2(first))
        x = self.up2(second, places2, first.shape[2:])
        x = self.up1(self.dec2(x), places1, (17, 15))
        return self.dec1(x)


SEGNET = """
input: [3, 17, 15]
layers:
  enc1: [{conv: {channels: 8, kernel: 3, padding: 1}}, batchnorm, relu]
  pool1: {maxpool: {kernel: 2, indices: true}}
  enc2: {from: pool1.0, layers: [{conv: {channels: 12, kernel: 3, padding: 1}}, batchnorm, relu]}
  pool2: {maxpool: {kernel: 3, stride: 2, padding: 1, indices: true}}
  up2: {from: [pool2.0, pool2.1, pool1.0], max_unpool: {kernel: 3, stride: 2, padding: 1}}
  dec2: [{conv: {channels: 8, kernel: 3, padding: 1}}, batchnorm, relu]
  up1: {from: [dec2, pool1.1], max_unpool: {kernel: 2, size: [17, 15]}}
  dec1: {conv: {channels: 4, kernel: 3, padding: 1}}
"""


# Shi et al., CRNN, 2017: the columns of a map are read both ways


class CRNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 12, 3, padding=1)
        self.lstm = nn.LSTM(48, 10, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(20, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), (2, 1))
        x = x.flatten(1, 2).transpose(1, 2)
        return self.head(self.lstm(x)[0])


CRNN_SPEC = """
input: [1, 16, 20]
layers:
  conv1: {conv: {channels: 8, kernel: 3, padding: 1}}
  relu1: relu
  pool1: {maxpool: {kernel: 2}}
  conv2: {conv: {channels: 12, kernel: 3, padding: 1}}
  relu2: relu
  pool2: {maxpool: {kernel: [2, 1]}}
  columns: {reshape: [48, 10]}
  sequence: {transpose: [0, 1]}
  lstm: {lstm: {hidden: 10, layers: 2, bidirectional: true}}
  head: {linear: 7}
"""


# Cho et al., Learning Phrase Representations, 2014: a sentence is read, its last state starts the one that is written


class Translator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.reader = nn.GRU(6, 9, batch_first=True)
        self.writer = nn.GRU(6, 9, batch_first=True)
        self.head = nn.Linear(9, 5)

    def forward(self, x: Tensor) -> Tensor:
        state = self.reader(x)[1]
        return self.head(self.writer(x, state)[0])


TRANSLATOR = """
input: [7, 6]
layers:
  reader: {gru: {hidden: 9, states: true}}
  writer: {from: [input, reader.1], gru: 9}
  head: {linear: 5}
"""


# Liu et al., SSD, 2016: a shallow map is brought to learned lengths before its head


class ShallowHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.Parameter(torch.full((8, 1, 1), 20.0))
        self.head = nn.Conv2d(8, 4 * 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        x = F.normalize(x, dim=1) * self.norm
        return self.head(x)


SHALLOW_HEAD = """
input: [3, 9, 9]
layers:
  conv: {conv: {channels: 8, kernel: 3, padding: 1}}
  act: relu
  norm: {normalize: {start: 20}}
  head: {conv: {channels: 16, kernel: 3, padding: 1}}
"""


# Jiang et al., Mixtral of Experts, 2024: each token asks two of four experts


class Mixture(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.randn(4, 24, 16) / 4)
        self.down = nn.Parameter(torch.randn(4, 16, 12) / 4)
        self.router = nn.Linear(16, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, 16)
        best, which = torch.topk(self.router(rows), 2, dim=1)
        shares, total = torch.softmax(best, dim=1), torch.zeros_like(rows)
        for number, (up, down) in enumerate(zip(self.up, self.down, strict=True)):
            at, choice = (which == number).nonzero().unbind(1)
            gate, value = F.linear(rows[at], up).split(12, 1)
            total.index_add_(0, at, F.linear(F.silu(gate) * value, down) * shares[at, choice].unsqueeze(1))
        return total.reshape(x.shape)


class MixtureBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.mixture = Mixture()
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x + self.mixture(self.norm(x)))


MIXTURE = """
input: [9, 16]
layers:
  norm: layernorm
  mixture: {experts: {count: 4, hidden: 12, top: 2}}
  sum: {from: [input, mixture], add: }
  head: {linear: 5}
"""


# Miyato et al., 2018, and Salimans & Kingma, 2016: filters with a singular value of 1, and with learned lengths


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(3, 8, 3, padding=1))
        self.conv2 = weight_norm(nn.Conv2d(8, 6, 3, stride=2, bias=False))
        self.up = weight_norm(nn.ConvTranspose2d(6, 4, 2, stride=2))
        self.head = spectral_norm(nn.Linear(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.head(F.adaptive_avg_pool2d(self.up(x), 1).flatten(1))


NORMED = """
input: [3, 9, 9]
layers:
  conv1: {conv: {channels: 8, kernel: 3, padding: 1, parametrize: spectral_norm}}
  act1: relu
  conv2: {conv: {channels: 6, kernel: 3, stride: 2, bias: false, parametrize: weight_norm}}
  act2: relu
  up: {conv_transpose: {channels: 4, kernel: 2, stride: 2, parametrize: weight_norm}}
  pool: global_avgpool
  flat: flatten
  head: {linear: {features: 3, parametrize: spectral_norm}}
"""


# Kingma & Welling, Auto-Encoding Variational Bayes, 2013: what is drawn is an input, behind the image


class Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Linear(20, 16)
        self.mean = nn.Linear(16, 4)
        self.spread = nn.Linear(16, 4)
        self.dec = nn.Linear(4, 16)
        self.out = nn.Linear(16, 20)

    def forward(self, x: Tensor) -> Tensor:
        image, noise = x.split([20, 4], 1)
        hidden = torch.tanh(self.enc(image))
        mean, spread = self.mean(hidden), self.spread(hidden)
        z = mean + torch.exp(spread * 0.5) * noise
        made = torch.sigmoid(self.out(torch.tanh(self.dec(z))))
        return torch.cat([made, mean, spread], 1)


VAE = """
input: [24]
layers:
  parts: {split: {sizes: [20, 4]}}
  enc: {from: parts.0, linear: 16}
  hidden: tanh
  mean: {from: hidden, linear: 4}
  spread: {from: hidden, linear: 4}
  halved: {scale: 0.5}
  deviation: exp
  drawn: {from: [deviation, parts.1], mul: }
  z: {from: [mean, drawn], add: }
  dec: {linear: 16}
  act: tanh
  out: {linear: 20}
  made: sigmoid
  all: {from: [made, mean, spread], concat: }
"""


FURTHER = [
    Reference("vae", VAE, Vae, (24,)),
    Reference("segnet", SEGNET, SegNet, (3, 17, 15)),
    Reference("ssd_head", SHALLOW_HEAD, ShallowHead, (3, 9, 9)),
    Reference("mixture", MIXTURE, MixtureBlock, (9, 16)),
    Reference("normed", NORMED, Normed, (3, 9, 9)),
    Reference("crnn", CRNN_SPEC, CRNN, (1, 16, 20)),
    Reference("translator", TRANSLATOR, Translator, (7, 6)),
]
