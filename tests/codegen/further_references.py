"""Networks written by hand in plain PyTorch that segment, read and route, beside specs of the same: nothing here comes from archc."""

from __future__ import annotations

from torch import Tensor, nn

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


FURTHER = [
    Reference("segnet", SEGNET, SegNet, (3, 17, 15)),
]
