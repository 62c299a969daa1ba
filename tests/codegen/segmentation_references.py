"""Blocks of segmenters written by hand in plain PyTorch, beside specs that use archc's: nothing here comes from archc."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.helpers.reference_parts import Reference

# Zhao et al., PSPNet, CVPR 2017


class Stage(nn.Module):
    def __init__(self, inputs: int, outputs: int, bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.relu(self.bn(self.conv(F.adaptive_avg_pool2d(x, self.bins))))
        return F.interpolate(pooled, x.shape[2:], mode="bilinear", align_corners=True)


class Pooling(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        for bins in (1, 2, 3, 6):
            self.add_module(f"stage{bins}", Stage(inputs, inputs // 4, bins))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, *(stage(x) for stage in self.children())], 1)


class PspHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, 2, 1)
        self.pyramid = Pooling(8)
        self.final = nn.Sequential(nn.Conv2d(16, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout2d(0.0))
        self.classes = nn.Conv2d(6, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.classes(self.final(self.pyramid(F.relu(self.body(x)))))
        return F.interpolate(scores, x.shape[2:], mode="bilinear", align_corners=True)


PSP = """
input: [3, 24, 20]
layers:
  body: {conv: {channels: 8, kernel: 3, stride: 2, padding: 1}}
  relu: relu
  pyramid: {pyramid_pooling: {align_corners: true}}
  final: [{conv: {channels: 6, kernel: 3, padding: 1, bias: false}}, batchnorm, relu, {spatial_dropout: 0.0}]
  classes: {conv: 4}
  up: {upsample: {size: [24, 20], mode: linear, align_corners: true}}
"""


# Ronneberger et al., U-Net, MICCAI 2015


class DoubleConv(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class Level(nn.Module):
    def __init__(self, inputs: int, widths: list[int]) -> None:
        super().__init__()
        self.down = DoubleConv(inputs, widths[0])
        self.inner = Level(widths[0], widths[1:]) if len(widths) > 2 else DoubleConv(widths[0], widths[1])
        self.up = nn.ConvTranspose2d(widths[1], widths[0], 2, 2)
        self.conv = DoubleConv(2 * widths[0], widths[0])

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return self.conv(torch.cat([x, self.up(self.inner(F.max_pool2d(x, 2)))], 1))


class Unet(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(Level(3, [4, 6, 8]), nn.Conv2d(4, 2, 1))


UNET = """
input: [3, 16, 12]
layers:
  - unet_level:
      channels: 4
      norm: batchnorm
      inner: {unet_level: {channels: 6, norm: batchnorm, inner: {double_conv: {channels: 8, norm: batchnorm}}}}
  - {conv: 2}
"""

SEGMENTERS = [
    Reference("psp head", PSP, PspHead, (3, 24, 20)),
    Reference("unet", UNET, Unet, (3, 16, 12)),
]
