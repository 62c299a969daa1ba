"""The modules of Ultralytics' models as operators, under the names of their state_dict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

from archc.importing.draft import Draft, Wire
from archc.text.source import Span

EPS, MOMENTUM = 1e-3, 0.03  # what initialize_weights gives every BatchNorm2d


@dataclass(frozen=True, slots=True)
class Maker:
    """Modules at one place of the file. `act` is the activation that Conv has, unless a module says otherwise."""

    draft: Draft
    span: Span
    act: tuple[str, dict[str, Any]]
    older: bool  # YOLOv5's own repository, whose Bottleneck begins with a 1x1

    def add(self, name: str, kind: str, *wires: Wire, **given: Any) -> Wire:
        return self.draft.add(name, kind, wires, self.span, **given)

    def conv(
        self, name: str, x: Wire, channels: int, kernel: int = 1, stride: int = 1, *, padding: int | None = None, groups: int = 1,
        dilation: int = 1, act: bool = True
    ) -> Wire:  # fmt: skip
        """Conv: without bias, normalized, padded so that stride 1 keeps the size."""
        extent = dilation * (kernel - 1) + 1
        border = extent // 2 if padding is None else padding
        options = {"kernel": kernel, "stride": stride, "padding": border, "dilation": dilation, "groups": groups}
        x = self.add(f"{name}.conv", "conv", x, channels=channels, bias=False, **options)
        x = self.add(f"{name}.bn", "batchnorm", x, eps=EPS, momentum=MOMENTUM)
        return self.add(f"{name}.act", self.act[0], x, **self.act[1]) if act else x

    def depthwise(self, name: str, x: Wire, channels: int, kernel: int = 1, stride: int = 1) -> Wire:
        return self.conv(name, x, channels, kernel, stride, groups=gcd(x.shape.channels, channels))

    def focus(self, name: str, x: Wire, channels: int, kernel: int = 1) -> Wire:
        """Every second pixel, four times, as channels; then a convolution."""
        parts = []
        for at, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
            rows = self.add(f"{name}.rows{at}", "slice", x, start=row, step=2, axis=1)
            parts.append(self.add(f"{name}.part{at}", "slice", rows, start=column, step=2, axis=2))
        return self.conv(f"{name}.conv", self.add(f"{name}.concat", "concat", *parts), channels, kernel)

    def bottleneck(
        self,
        name: str,
        x: Wire,
        channels: int,
        shortcut: bool = True,
        *,
        groups: int = 1,
        kernels: tuple[int, int] = (3, 3),
        e: float = 0.5,
    ) -> Wire:
        hidden = self.conv(f"{name}.cv1", x, int(channels * e), kernels[0])
        out = self.conv(f"{name}.cv2", hidden, channels, kernels[1], groups=groups)
        return self.add(f"{name}.add", "add", x, out) if shortcut and x.shape.channels == channels else out

    def c3(
        self, name: str, x: Wire, channels: int, count: int = 1, shortcut: bool = True, *, groups: int = 1, e: float = 0.5, kernel: int = 1
    ) -> Wire:
        """C3, and with a kernel of 3 in the bottlenecks' first convolution C3k."""
        wide = int(channels * e)
        inner = self.conv(f"{name}.cv1", x, wide)
        for at in range(count):
            inner = self.bottleneck(f"{name}.m.{at}", inner, wide, shortcut, groups=groups, kernels=(kernel, 3), e=1.0)
        other = self.conv(f"{name}.cv2", x, wide)
        return self.conv(f"{name}.cv3", self.add(f"{name}.concat", "concat", inner, other), channels)

    def c2f(
        self, name: str, x: Wire, channels: int, count: int = 1, shortcut: bool = False, *, groups: int = 1, e: float = 0.5, inner: str = ""
    ) -> Wire:
        """C2f; C3k2 where `inner` says what it holds: c3k, or a bottleneck of half the width."""
        wide = int(channels * e)
        x = self.conv(f"{name}.cv1", x, 2 * wide)
        values = list(self.draft.add_several(f"{name}.part", "split", [x], self.span, parts=2))
        for at in range(count):
            place, last = f"{name}.m.{at}", values[-1]
            if inner == "c3k":
                values.append(self.c3(place, last, wide, 2, shortcut, groups=groups, kernel=3))
            else:
                values.append(self.bottleneck(place, last, wide, shortcut, groups=groups, e=0.5 if inner else 1.0))
        return self.conv(f"{name}.cv2", self.add(f"{name}.concat", "concat", *values), channels)

    def sppf(self, name: str, x: Wire, channels: int, kernel: int = 5) -> Wire:
        values = [self.conv(f"{name}.cv1", x, x.shape.channels // 2)]
        for at in range(3):
            values.append(self.add(f"{name}.pool{at}", "maxpool", values[-1], kernel=kernel, stride=1, padding=kernel // 2))
        return self.conv(f"{name}.cv2", self.add(f"{name}.concat", "concat", *values), channels)

    def spp(self, name: str, x: Wire, channels: int, kernels: Sequence[int] = (5, 9, 13)) -> Wire:
        x = self.conv(f"{name}.cv1", x, x.shape.channels // 2)
        values = [self.add(f"{name}.m.{at}", "maxpool", x, kernel=k, stride=1, padding=k // 2) for at, k in enumerate(kernels)]
        return self.conv(f"{name}.cv2", self.add(f"{name}.concat", "concat", x, *values), channels)

    def c2psa(self, name: str, x: Wire, channels: int, count: int = 1, e: float = 0.5) -> Wire:
        """Half of the channels through blocks of attention over all positions."""
        wide = int(channels * e)
        out = self.conv(f"{name}.cv1", x, 2 * wide)
        first, second = self.draft.add_several(f"{name}.part", "split", [out], self.span, parts=2)
        for at in range(count):
            block = f"{name}.m.{at}"
            second = self.add(f"{block}.add1", "add", second, self.attention(f"{block}.attn", second, heads=wide // 64))
            inner = self.conv(f"{block}.ffn.1", self.conv(f"{block}.ffn.0", second, 2 * wide), wide, act=False)
            second = self.add(f"{block}.add2", "add", second, inner)
        return self.conv(f"{name}.cv2", self.add(f"{name}.concat", "concat", first, second), channels)

    def attention(self, name: str, x: Wire, heads: int, ratio: float = 0.5) -> Wire:
        """Attention, with a depthwise convolution of the values as their positions."""
        wide, tokens = x.shape.channels, x.shape.values // x.shape.channels
        size = wide // heads
        key = int(size * ratio)
        qkv = self.conv(f"{name}.qkv", x, wide + 2 * key * heads, act=False)
        rows = self.add(f"{name}.heads", "reshape", qkv, shape=[heads, 2 * key + size, tokens])
        q, k, v = self.draft.add_several(f"{name}.parts", "split", [rows], self.span, parts=3, axis=1, sizes=[key, key, size])
        scores = self.add(f"{name}.scores", "matmul", self.add(f"{name}.q", "transpose", q, axes=[1, 2]), k)
        scores = self.add(f"{name}.scaled", "scale", scores, factor=key**-0.5)
        turned = self.add(f"{name}.turned", "transpose", self.add(f"{name}.softmax", "softmax", scores, axis=-1), axes=[1, 2])
        joined = self.add(f"{name}.joined", "reshape", self.add(f"{name}.values", "matmul", v, turned), shape=list(x.shape))
        place = self.add(f"{name}.map", "reshape", v, shape=list(x.shape))
        place = self.conv(f"{name}.pe", place, wide, 3, groups=wide, act=False)
        return self.conv(f"{name}.proj", self.add(f"{name}.add", "add", joined, place), wide, act=False)

    def classify(self, name: str, x: Wire, classes: int, kernel: int = 1, stride: int = 1) -> Wire:
        x = self.add(f"{name}.pool", "global_avgpool", self.conv(f"{name}.conv", x, 1280, kernel, stride))
        return self.add(f"{name}.linear", "linear", self.add(f"{name}.flatten", "flatten", x), features=classes)

    def proto(self, name: str, x: Wire, hidden: int, channels: int) -> Wire:
        """The masks of a segmentation, twice as large as the map."""
        x = self.conv(f"{name}.cv1", x, hidden, 3)
        x = self.add(f"{name}.upsample", "conv_transpose", x, channels=hidden, kernel=2, stride=2)
        return self.conv(f"{name}.cv3", self.conv(f"{name}.cv2", x, hidden, 3), channels)
