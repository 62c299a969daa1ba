"""Blocks of detectors and classifiers written by hand in plain PyTorch, beside specs that use archc's: nothing here comes from archc."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.helpers.reference_parts import Reference


class Unit(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.bn(self.conv(x)))


# Jocher et al., YOLOv8, 2023


class YoloBottleneck(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cv1 = Unit(channels, channels, 3)
        self.cv2 = Unit(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.cv2(self.cv1(x)) + x


class C2f(nn.Module):
    def __init__(self, inputs: int, outputs: int, count: int) -> None:
        super().__init__()
        self.cv1 = Unit(inputs, outputs)
        self.m = nn.ModuleList(YoloBottleneck(outputs // 2) for _ in range(count))
        self.cv2 = Unit((2 + count) * (outputs // 2), outputs)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.cv1(x).chunk(2, 1))
        for bottleneck in self.m:
            parts.append(bottleneck(parts[-1]))
        return self.cv2(torch.cat(parts, 1))


class Sppf(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.cv1 = Unit(inputs, inputs // 2)
        self.cv2 = Unit(2 * inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.cv1(x)]
        for _ in range(3):
            maps.append(F.max_pool2d(maps[-1], 5, 1, 2))
        return self.cv2(torch.cat(maps, 1))


class Yolo(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(C2f(3, 8, 2), Sppf(8, 6))


YOLO = "{input: [3, 10, 9], layers: [{c2f: {channels: 8, count: 2, shortcut: true}}, {sppf: {channels: 6}}]}"

# Lin et al., Feature Pyramid Networks, CVPR 2017; Tan et al., EfficientDet, CVPR 2020


class Fpn(nn.Module):
    def __init__(self, inputs: list[int], channels: int) -> None:
        super().__init__()
        for level in (5, 4, 3, 2):
            self.add_module(f"lateral{level}", nn.Conv2d(inputs[level - 2], channels, 1))
        for level in (2, 3, 4, 5):
            self.add_module(f"smooth{level}", nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        found = [self.get_submodule("lateral5")(maps[3])]
        for level in (4, 3, 2):
            coarse = F.interpolate(found[0], maps[level - 2].shape[2:])
            found.insert(0, self.get_submodule(f"lateral{level}")(maps[level - 2]) + coarse)
        return [self.get_submodule(f"smooth{level}")(found[level - 2]) for level in (2, 3, 4, 5)]


class Meeting(nn.Module):
    def __init__(self, count: int, channels: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(count, 1, 1))
        self.conv = nn.ModuleDict({
            "depthwise": nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            "pointwise": nn.Conv2d(channels, channels, 1),
            "bn": nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01),
        })  # fmt: skip

    def forward(self, *maps: Tensor) -> Tensor:
        shares = F.relu(self.weights.expand(len(maps[0]), -1, -1, -1)).chunk(len(maps), 1)
        weighted = [one * shares[at] for at, one in enumerate(maps)]
        total, whole = weighted[0], shares[0]
        for one, share in zip(weighted[1:], shares[1:], strict=True):
            total, whole = total + one, whole + share
        x = F.silu(total / (whole + 1e-4))
        for part in self.conv.values():
            x = part(x)
        return x


class Bifpn(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("mid6", "mid5", "mid4", "out3", "out4", "out5", "out6", "out7"):
            self.add_module(name, Meeting(3 if name in ("out4", "out5", "out6") else 2, channels))

    def forward(self, p3: Tensor, p4: Tensor, p5: Tensor, p6: Tensor, p7: Tensor) -> list[Tensor]:
        meet = self.get_submodule
        mid6 = meet("mid6")(p6, F.interpolate(p7, p6.shape[2:]))
        mid5 = meet("mid5")(p5, F.interpolate(mid6, p5.shape[2:]))
        mid4 = meet("mid4")(p4, F.interpolate(mid5, p4.shape[2:]))
        out3 = meet("out3")(p3, F.interpolate(mid4, p3.shape[2:]))
        out4 = meet("out4")(p4, mid4, F.max_pool2d(out3, 3, 2, 1))
        out5 = meet("out5")(p5, mid5, F.max_pool2d(out4, 3, 2, 1))
        out6 = meet("out6")(p6, mid6, F.max_pool2d(out5, 3, 2, 1))
        return [out3, out4, out5, out6, meet("out7")(p7, F.max_pool2d(out6, 3, 2, 1))]


class Pyramid(nn.Module):
    """A pyramid over a stem, its maps brought to one size."""

    def __init__(self) -> None:
        super().__init__()
        widths = [3, 4, 5, 6, 7]
        for at in range(4):
            self.add_module(f"c{at + 2}", nn.Conv2d(widths[at], widths[at + 1], 3, 2, 1))
        self.neck = Fpn(widths[1:], 6)
        self.fuse = Bifpn(6)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.c2(x)]
        for name in ("c3", "c4", "c5"):
            maps.append(self.get_submodule(name)(maps[-1]))
        p = self.neck(maps)
        found = self.fuse(*p, F.max_pool2d(p[3], 1, 2))
        return torch.cat([found[0], *(F.interpolate(one, found[0].shape[2:]) for one in found[1:])], 1)


PYRAMID = """
input: [3, 36, 40]
layers:
  c2: {conv: {channels: 4, kernel: 3, stride: 2, padding: 1}}
  c3: {conv: {channels: 5, kernel: 3, stride: 2, padding: 1}}
  c4: {conv: {channels: 6, kernel: 3, stride: 2, padding: 1}}
  c5: {conv: {channels: 7, kernel: 3, stride: 2, padding: 1}}
  neck: {from: [c2, c3, c4, c5], fpn: 6}
  p6: {from: neck.p5, maxpool: {kernel: 1, stride: 2}}
  fuse: {from: [neck.p2, neck.p3, neck.p4, neck.p5, p6], bifpn: }
  up4: {from: [fuse.p4, fuse.p3], upsample: }
  up5: {from: [fuse.p5, fuse.p3], upsample: }
  up6: {from: [fuse.p6, fuse.p3], upsample: }
  up7: {from: [fuse.p7, fuse.p3], upsample: }
  all: {from: [fuse.p3, up4, up5, up6, up7], concat: }
"""

# Goodfellow et al., Maxout Networks, ICML 2013; He et al., CVPR 2016; Huang et al., CVPR 2017


class MaxoutConv(nn.Module):
    def __init__(self, inputs: int, features: int, pieces: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, features * pieces, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.conv(x).chunk(3, 1)
        for other in others:
            first = torch.maximum(first, other)
        return first


class Maxout(nn.Module):
    def __init__(self, inputs: int, features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 2 * features)

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(*self.linear(x).chunk(2, -1))


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        grown = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(grown)))], 1)


class DenseBlock(nn.Sequential):
    def __init__(self, inputs: int, depth: int, growth: int) -> None:
        super().__init__()
        for at in range(depth):
            self.add_module(f"denselayer{at + 1}", DenseLayer(inputs + at * growth, growth))


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + x)


class Mixed(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(MaxoutConv(3, 4, 3), DenseBlock(4, 2, 3), Residual(10), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Maxout(10, 5))


MIXED = """
input: [3, 8, 7]
layers:
  - {maxout: {features: 4, pieces: 3, kernel: 3}}
  - {dense_block: {depth: 2, growth: 3}}
  - {residual: {body: [{conv: {channels: 10, kernel: 3, padding: 1}}, batchnorm], act: relu}}
  - global_avgpool
  - flatten
  - {maxout: 5}
"""

# Law and Deng, CornerNet, ECCV 2018


class Corner(nn.Module):
    """The largest values towards one corner, position by position."""

    def __init__(self) -> None:
        super().__init__()
        self.p1 = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.p2 = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.after = nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        vertical, horizontal = self.p1(x), self.p2(x)
        top = vertical.flip(2).cummax(2).values.flip(2) + horizontal.flip(3).cummax(3).values.flip(3)
        bottom = vertical.cummax(2).values + horizontal.cummax(3).values
        return self.after(torch.cat([top, bottom], 1))


CORNER = """
input: [3, 8, 9]
layers:
  p1: [{conv: {channels: 4, kernel: 3, padding: 1, bias: false}}, batchnorm, relu]
  p2: {from: input, layers: [{conv: {channels: 4, kernel: 3, padding: 1, bias: false}}, batchnorm, relu]}
  top: {from: [p1, p2], corner_pool: }
  bottom: {from: [p1, p2], corner_pool: {bottom_right: true}}
  both: {from: [top, bottom], concat: }
  after: {conv: {channels: 2, kernel: 3, padding: 1}}
"""

# Ding et al., RepVGG, CVPR 2021


class RepVgg(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.rbr_dense = nn.ModuleDict({"conv": nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), "bn": nn.BatchNorm2d(outputs)})
        self.rbr_1x1 = nn.ModuleDict({"conv": nn.Conv2d(inputs, outputs, 1, stride, bias=False), "bn": nn.BatchNorm2d(outputs)})
        self.rbr_identity = nn.BatchNorm2d(outputs) if stride == 1 and inputs == outputs else None

    def forward(self, x: Tensor) -> Tensor:
        dense, flat = (branch["bn"](branch["conv"](x)) for branch in (self.rbr_dense, self.rbr_1x1))
        summed = dense + flat
        return F.relu(summed if self.rbr_identity is None else summed + self.rbr_identity(x))


class RepVggs(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(RepVgg(3, 4, 2), RepVgg(4, 4, 1), RepVgg(4, 4, 1))


REPVGG = """
input: [3, 9, 8]
layers: [{repvgg_block: {channels: 4, stride: 2}}, {repvgg_block: {channels: 4}}, {repvgg_block: {channels: 4}}]
"""

# Liu et al., SSD, ECCV 2016; the learned lengths of Liu et al., ParseNet, 2015


class SsdHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv4 = nn.Conv2d(3, 6, 3, padding=1)
        self.length = nn.Parameter(torch.full((6, 1, 1), 20.0))
        self.conv5 = nn.Conv2d(6, 5, 3, 2, 1)
        self.box4, self.score4 = nn.Conv2d(6, 8, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.box5, self.score5 = nn.Conv2d(5, 8, 3, padding=1), nn.Conv2d(5, 6, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv4(x))
        long = F.normalize(x, dim=1) * self.length
        deep = F.relu(self.conv5(x))
        found = [self.box4(long), self.score4(long), self.box5(deep), self.score5(deep)]
        return torch.cat([one.permute(0, 2, 3, 1).flatten(1) for one in found], 1)


SSD = """
input: [3, 8, 7]
layers:
  conv4: {conv: {channels: 6, kernel: 3, padding: 1}}
  relu4: relu
  length: {normalize: {start: 20.0}}
  conv5: {from: relu4, conv: {channels: 5, kernel: 3, stride: 2, padding: 1}}
  relu5: relu
  box4: {from: length, conv: {channels: 8, kernel: 3, padding: 1}}
  score4: {from: length, conv: {channels: 6, kernel: 3, padding: 1}}
  box5: {from: relu5, conv: {channels: 8, kernel: 3, padding: 1}}
  score5: {from: relu5, conv: {channels: 6, kernel: 3, padding: 1}}
  flat_${head}:
    for: {head: [box4, score4, box5, score5]}
    from: $head
    parallel: true
    layers: [{permute: [1, 2, 0]}, flatten]
  all: concat
"""

BLOCKS = [
    Reference("yolo", YOLO, Yolo, (3, 10, 9)),
    Reference("pyramid", PYRAMID, Pyramid, (3, 36, 40)),
    Reference("mixed", MIXED, Mixed, (3, 8, 7)),
    Reference("cornernet", CORNER, Corner, (3, 8, 9)),
    Reference("repvgg", REPVGG, RepVggs, (3, 9, 8)),
    Reference("ssd head", SSD, SsdHead, (3, 8, 7)),
]
