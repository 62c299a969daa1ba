"""Networks written by hand from their papers, in plain PyTorch, beside specs of the same: nothing here comes from archc."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.helpers.reference_parts import (
    BottleneckStage,
    InceptionPair,
    Reference,
    SEStage,
    SqueezeExcite,
)

# Huang et al., Densely Connected Convolutional Networks, CVPR 2017: DenseNet-BC, growth 12


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        return torch.cat([x, y], dim=1)


class Transition(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, inputs // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2)


class DenseStage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.denseblock1 = nn.Sequential()
        for i in range(4):
            self.denseblock1.add_module(f"denselayer{i + 1}", DenseLayer(24 + 12 * i, 12))
        self.transition1 = Transition(72)

    def forward(self, x: Tensor) -> Tensor:
        return self.transition1(self.denseblock1(x))


# Sandler et al., MobileNetV2, CVPR 2018, figure 4d


def conv_bn_act(inputs: int, channels: int, kernel: int, stride: int, groups: int, act: type[nn.Module]) -> nn.Sequential:
    conv = nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), act())


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, channels: int, expand: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expand
        layers: list[nn.Module] = [conv_bn_act(inputs, wide, 1, 1, 1, nn.ReLU6)] if expand != 1 else []
        layers += [conv_bn_act(wide, wide, 3, stride, wide, nn.ReLU6), nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)]
        self.conv = nn.Sequential(*layers)
        self.skips = stride == 1 and inputs == channels

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + x if self.skips else self.conv(x)


class InvertedResiduals(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            InvertedResidual(8, 12, expand=1, stride=1), InvertedResidual(12, 16, expand=6, stride=2), InvertedResidual(16, 16, 6, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)


# Tan & Le, EfficientNet, ICML 2019: the squeeze is a quarter of the block's input, not of its width; SiLU throughout


class MBConv(nn.Module):
    def __init__(self, inputs: int, channels: int, kernel: int, expand: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expand
        layers: list[nn.Module] = [conv_bn_act(inputs, wide, 1, 1, 1, nn.SiLU)] if expand != 1 else []
        layers.append(conv_bn_act(wide, wide, kernel, stride, wide, nn.SiLU))
        layers.append(SqueezeExcite(wide, inputs // 4, nn.SiLU))
        layers.append(nn.Sequential(nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)))
        self.block = nn.Sequential(*layers)
        self.skips = stride == 1 and inputs == channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        return y + x if self.skips else y


class MBConvs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            MBConv(8, 16, kernel=3, expand=1, stride=1), MBConv(16, 24, kernel=5, expand=6, stride=2), MBConv(24, 24, 5, 6, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)


# Vaswani et al., Attention Is All You Need, 2017, as Dosovitskiy et al., ICLR 2021, arrange it: normalization first


class EncoderBlock(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(dim, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(0.0), nn.Linear(hidden, dim), nn.Dropout(0.0))

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        y, _ = self.self_attention(y, y, y, need_weights=False)
        y = y + x
        return self.mlp(self.ln_2(y)) + y


class VisionTransformer(nn.Module):
    """Patches of 8x8, two blocks, and a linear head on the class token."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, 32, 8, stride=8)
        self.class_token = nn.Parameter(torch.zeros(1, 1, 32))
        self.encoder = nn.Module()
        self.encoder.pos_embedding = nn.Parameter(torch.zeros(1, 17, 32))
        self.encoder.layers = nn.Sequential()
        for i in range(2):
            self.encoder.layers.add_module(f"encoder_layer_{i}", EncoderBlock(32, 4, 128))
        self.encoder.ln = nn.LayerNorm(32, eps=1e-6)
        self.heads = nn.Sequential()
        self.heads.add_module("head", nn.Linear(32, 10))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.conv_proj(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], dim=1)
        tokens = self.encoder.ln(self.encoder.layers(tokens + self.encoder.pos_embedding))
        return self.heads(tokens[:, 0])


# Ronneberger et al., U-Net, MICCAI 2015: no padding, so that skips are cropped


def double_conv(inputs: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, channels, 3), nn.ReLU(), nn.Conv2d(channels, channels, 3), nn.ReLU())


class Encoder(nn.Module):
    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv = double_conv(inputs, channels)


class Decoder(nn.Module):
    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, channels, 2, stride=2)
        self.conv = double_conv(2 * channels, channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        top, left = (skip.shape[2] - x.shape[2]) // 2, (skip.shape[3] - x.shape[3]) // 2
        skip = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
        return self.conv(torch.cat([skip, x], dim=1))


class UNet(nn.Module):
    """Two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.enc1 = Encoder(1, 6)
        self.enc2 = Encoder(6, 12)
        self.mid = double_conv(12, 24)
        self.dec2 = Decoder(24, 12)
        self.dec1 = Decoder(12, 6)
        self.out = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        high = self.enc1.conv(x)
        low = self.enc2.conv(F.max_pool2d(high, 2))
        x = self.mid(F.max_pool2d(low, 2))
        return self.out(self.dec1(self.dec2(x, low), high))


BOTTLENECKS = """
input: [16, 14, 14]
layers:
  layer1: {repeat: 3, bottleneck: {mid: 8, channels: 32, stride: "${2 if first else 1}"}}
"""


SE_BLOCKS = """
input: [8, 14, 14]
layers:
  layer1: {repeat: 2, basic_block: {channels: 16, stride: "${2 if first else 1}", se: 4}}
"""


INCEPTIONS = """
input: [24, 9, 9]
defaults: {batchnorm: {eps: 0.001}}
layers:
  inception3a: {inception: {n1: 8, r3: 6, n3: 12, r5: 4, n5: 6, pool: 5}}
  inception3b: {inception: {n1: 6, r3: 8, n3: 10, r5: 3, n5: 4, pool: 7}}
"""


DENSE_BLOCK = """
input: [24, 10, 10]
layers:
  denseblock1: {layers: {"denselayer${index + 1}": {repeat: 4, dense_layer: {growth: 12}}}}
  transition1: dense_transition
"""


INVERTED_RESIDUALS = """
input: [8, 14, 14]
layers:
  features:
    - inverted_residual: {channels: 12, expand: 1}
    - inverted_residual: {channels: 16, stride: 2}
    - inverted_residual: {channels: 16}
"""


MBCONVS = """
input: [8, 14, 14]
layers:
  features:
    - mbconv: {channels: 16, expand: 1}
    - mbconv: {channels: 24, kernel: 5, stride: 2}
    - mbconv: {channels: 24, kernel: 5}
"""


TRANSFORMER = """
extends: vit_h14
input: [3, 32, 32]
params: {classes: 10, patch: 8, dim: 32, depth: 2, heads: 4}
expect: null
"""


UNET = """
input: [1, 60, 60]
blocks:
  double_conv:
    params: {channels: int}
    layers: [{conv: {channels: $channels, kernel: 3}}, relu, {conv: {channels: $channels, kernel: 3}}, relu]
layers:
  enc${i}:
    for: {i: [1, 2], c: [6, 12]}
    layers:
      conv: {double_conv: $c}
      pool: {maxpool: {kernel: 2}}
  mid: {double_conv: 24}
  dec${i}:
    for: {i: [2, 1], c: [12, 6]}
    layers:
      up: {conv_transpose: {channels: $c, kernel: 2, stride: 2}}
      skip: {from: ["enc${i}.conv", up], center_crop: }
      cat: {from: [skip, up], concat: }
      conv: {double_conv: $c}
  out: {conv: {channels: 2, kernel: 1}}
"""


REFERENCES = [
    Reference("bottlenecks", BOTTLENECKS, BottleneckStage, (16, 14, 14)),
    Reference("se_blocks", SE_BLOCKS, SEStage, (8, 14, 14)),
    Reference("inceptions", INCEPTIONS, InceptionPair, (24, 9, 9)),
    Reference("dense_block", DENSE_BLOCK, DenseStage, (24, 10, 10)),
    Reference("inverted_residuals", INVERTED_RESIDUALS, InvertedResiduals, (8, 14, 14)),
    Reference("mbconvs", MBCONVS, MBConvs, (8, 14, 14)),
    Reference("transformer", TRANSFORMER, VisionTransformer, (3, 32, 32)),
    Reference("unet", UNET, UNet, (1, 60, 60)),
]
