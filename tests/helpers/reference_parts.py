"""Parts of reference networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Reference(NamedTuple):
    """`input_shape` has no batch axis."""

    name: str
    spec_text: str
    module_factory: Callable[[], nn.Module]
    input_shape: tuple[int, ...]


# He et al., Deep Residual Learning, CVPR 2016; the stride is on the 3x3


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, mid: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, mid, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(mid)
        self.conv2 = nn.Conv2d(mid, mid, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(mid)
        self.conv3 = nn.Conv2d(mid, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != channels:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(y + shortcut)


class BottleneckStage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(Bottleneck(16, 8, 32, stride=2), Bottleneck(32, 8, 32, stride=1), Bottleneck(32, 8, 32, stride=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer1(x)


# He et al., CVPR 2016, with Hu et al., Squeeze-and-Excitation Networks, CVPR 2018, section 4: before the sum


class SqueezeExcite(nn.Module):
    """The two fully-connected layers as 1x1 convolutions. ReLU between them and a sigmoid behind, or as told."""

    def __init__(self, channels: int, reduced: int, act: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, reduced, 1)
        self.act = act()
        self.fc2 = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = F.adaptive_avg_pool2d(x, 1)
        gate = self.fc2(self.act(self.fc1(gate)))
        return x * torch.sigmoid(gate)


class SEBasicBlock(nn.Module):
    def __init__(self, inputs: int, channels: int, stride: int, reduction: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.se_module = SqueezeExcite(channels, channels // reduction)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != channels:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.se_module(self.bn2(self.conv2(y)))
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(y + shortcut)


class SEStage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(SEBasicBlock(8, 16, stride=2, reduction=4), SEBasicBlock(16, 16, stride=1, reduction=4))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer1(x)


# Szegedy et al., Going Deeper with Convolutions, CVPR 2015, figure 2b, with the batch normalization of 2015


class ConvUnit(nn.Module):
    def __init__(self, inputs: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    def __init__(self, inputs: int, n1: int, r3: int, n3: int, r5: int, n5: int, pool: int) -> None:
        super().__init__()
        self.branch1 = ConvUnit(inputs, n1, 1)
        self.branch2 = nn.Sequential(ConvUnit(inputs, r3, 1), ConvUnit(r3, n3, 3))
        self.branch3 = nn.Sequential(ConvUnit(inputs, r5, 1), ConvUnit(r5, n5, 5))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), ConvUnit(inputs, pool, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)


class InceptionPair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inception3a = Inception(24, 8, 6, 12, 4, 6, 5)
        self.inception3b = Inception(31, 6, 8, 10, 3, 4, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.inception3b(self.inception3a(x))
