"""Model files of Ultralytics: published parameters, and the forward pass written again with torch's functions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import archc
from archc.importing.draft import Refused
from archc.importing.imported import Imported
from archc.importing.ultralytics import read_ultralytics
from archc.text.source import Source
from tests.importing import yolo_files as files


def read(text: str, name: str = "net", size: int = 0, scale: str = "") -> Imported:
    return read_ultralytics(Source(f"{name}.yaml", text), name, scale=scale, size=size)


# As the authors' programs print them for the networks before layers are fused.
PUBLISHED = {
    "yolov5n": 1_872_157, "yolov5s": 7_235_389, "yolov5m": 21_190_557, "yolov5l": 46_563_709, "yolov5x": 86_749_405,
    "yolov8n": 3_157_200, "yolov8s": 11_166_560, "yolov8m": 25_902_640, "yolov8l": 43_691_520, "yolov8x": 68_229_648,
    "yolov8n-seg": 3_409_968, "yolov8n-cls": 2_719_288, "yolo11n": 2_624_080, "yolo11s": 9_458_752, "yolo11m": 20_114_688,
}  # fmt: skip
TASKS = {"yolov8n-seg": "segment", "yolov8n-cls": "classify"}


def text_of(name: str) -> str:
    if name.startswith("yolov5"):
        return files.yolov5(name[-1])
    return files.yolo11() if name.startswith("yolo11") else files.yolov8(TASKS.get(name, "detect"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters(name: str) -> None:
    assert archc.analyze(archc.loads(read(text_of(name), name).text)).parameters == PUBLISHED[name]


@pytest.mark.parametrize(("name", "operations"), [("yolov8n", 8.7), ("yolov5s", 16.4), ("yolov8n-cls", 0.4), ("yolo11n", 6.5)])
def test_published_operations(name: str, operations: float) -> None:
    """In billions, two for a multiplication with its addition, of the networks as they are used: convolutions alone."""
    report = archc.analyze(archc.loads(read(text_of(name), name).text))
    assert 2 * report.macs / 1e9 == pytest.approx(operations, rel=0.015)


class Weights:
    """A state_dict, and Ultralytics' modules as functions of it."""

    def __init__(self, held: dict[str, Tensor]) -> None:
        self.held = held

    def conv(self, name: str, x: Tensor, stride: int = 1, padding: int | None = None, groups: int = 1, act: bool = True) -> Tensor:
        weight = self.held[f"{name}.conv.weight"]
        x = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2 if padding is None else padding, 1, groups)
        mean, var, gain, bias = (self.held[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        x = F.batch_norm(x, mean, var, gain, bias, False, 0.03, 1e-3)
        return F.silu(x) if act else x

    def plain(self, name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, self.held[f"{name}.weight"], self.held[f"{name}.bias"])

    def bottleneck(self, name: str, x: Tensor, add: bool) -> Tensor:
        y = self.conv(f"{name}.cv2", self.conv(f"{name}.cv1", x))
        return x + y if add else y

    def count(self, name: str) -> int:
        return len({key.removeprefix(f"{name}.").split(".")[0] for key in self.held if key.startswith(f"{name}.")})

    def c2f(self, name: str, x: Tensor, add: bool) -> Tensor:
        parts = list(self.conv(f"{name}.cv1", x).chunk(2, 1))
        for at in range(self.count(f"{name}.m")):
            parts.append(self.bottleneck(f"{name}.m.{at}", parts[-1], add))
        return self.conv(f"{name}.cv2", torch.cat(parts, 1))

    def c3(self, name: str, x: Tensor, add: bool) -> Tensor:
        y = self.conv(f"{name}.cv1", x)
        for at in range(self.count(f"{name}.m")):
            y = self.bottleneck(f"{name}.m.{at}", y, add)
        return self.conv(f"{name}.cv3", torch.cat([y, self.conv(f"{name}.cv2", x)], 1))

    def sppf(self, name: str, x: Tensor) -> Tensor:
        x = self.conv(f"{name}.cv1", x)
        a = F.max_pool2d(x, 5, 1, 2)
        b = F.max_pool2d(a, 5, 1, 2)
        return self.conv(f"{name}.cv2", torch.cat([x, a, b, F.max_pool2d(b, 5, 1, 2)], 1))

    def c2psa(self, name: str, x: Tensor) -> Tensor:
        a, b = self.conv(f"{name}.cv1", x).chunk(2, 1)
        for at in range(self.count(f"{name}.m")):
            b = b + self.attention(f"{name}.m.{at}.attn", b)
            b = b + self.conv(f"{name}.m.{at}.ffn.1", self.conv(f"{name}.m.{at}.ffn.0", b), act=False)
        return self.conv(f"{name}.cv2", torch.cat([a, b], 1))

    def attention(self, name: str, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        heads = c // 64
        qkv = self.conv(f"{name}.qkv", x, act=False).view(n, heads, -1, h * w)
        q, k, v = qkv.split([32, 32, 64], 2)
        scores = ((q.transpose(-2, -1) @ k) * 32**-0.5).softmax(-1)
        y = (v @ scores.transpose(-2, -1)).view(n, c, h, w) + self.conv(f"{name}.pe", v.reshape(n, c, h, w), groups=c, act=False)
        return self.conv(f"{name}.proj", y, act=False)

    def c3k2(self, name: str, x: Tensor, c3k: bool) -> Tensor:
        parts = list(self.conv(f"{name}.cv1", x).chunk(2, 1))
        for at in range(self.count(f"{name}.m")):
            inner = f"{name}.m.{at}"
            parts.append(self.c3(inner, parts[-1], True) if c3k else self.bottleneck(inner, parts[-1], True))
        return self.conv(f"{name}.cv2", torch.cat(parts, 1))

    def detect(self, name: str, xs: list[Tensor], size: int, newer: bool) -> Tensor:
        rows, middles, strides = [], [], []
        for at, x in enumerate(xs):
            box = self.plain(f"{name}.cv2.{at}.2", self.conv(f"{name}.cv2.{at}.1", self.conv(f"{name}.cv2.{at}.0", x)))
            y = x
            for step in (0, 1):
                place = f"{name}.cv3.{at}.{step}"
                y = self.conv(f"{place}.1", self.conv(f"{place}.0", y, groups=y.shape[1])) if newer else self.conv(place, y)
            rows.append(torch.cat([box, self.plain(f"{name}.cv3.{at}.2", y)], 1).flatten(2))
            h, w = x.shape[2:]
            ys, xs_ = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
            middles.append(torch.stack([xs_, ys], -1).view(-1, 2))
            strides.append(torch.full((h * w, 1), size / h))
        box, classes = torch.cat(rows, 2).split([64, rows[0].shape[1] - 64], 1)
        n, _, a = box.shape
        sides = F.conv2d(box.view(n, 4, 16, a).transpose(2, 1).softmax(1), self.held[f"{name}.dfl.conv.weight"]).view(n, 4, a)
        before, after = sides.chunk(2, 1)
        middle = torch.cat(middles).T[None]
        low, high = middle - before, middle + after
        return torch.cat([torch.cat([(low + high) / 2, high - low], 1) * torch.cat(strides).T, classes.sigmoid()], 1)

    def detect_anchors(self, name: str, xs: list[Tensor], size: int) -> Tensor:
        found = []
        for at, x in enumerate(xs):
            n, _, h, w = x.shape
            y = self.plain(f"{name}.m.{at}", x).view(n, 3, 85, h, w).permute(0, 1, 3, 4, 2).sigmoid()
            ys, xs_ = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            grid, stride = torch.stack((xs_, ys), 2).expand(1, 3, h, w, 2) - 0.5, size / h
            sizes = (self.held[f"{name}.anchors"][at] * stride).view(1, 3, 1, 1, 2)
            xy, wh, rest = y.split((2, 2, 81), 4)
            found.append(torch.cat(((xy * 2 + grid) * stride, (wh * 2) ** 2 * sizes, rest), 4).view(n, 3 * h * w, 85))
        return torch.cat(found, 1)


def up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def yolov8(w: Weights, x: Tensor) -> Tensor:
    kept = {}
    x = w.conv("model.0", x, 2)
    for at in (1, 3, 5, 7):
        x = kept[at + 1] = w.c2f(f"model.{at + 1}", w.conv(f"model.{at}", x, 2), True)
    x9 = w.sppf("model.9", x)
    x12 = w.c2f("model.12", torch.cat([up(x9), kept[6]], 1), False)
    x15 = w.c2f("model.15", torch.cat([up(x12), kept[4]], 1), False)
    x18 = w.c2f("model.18", torch.cat([w.conv("model.16", x15, 2), x12], 1), False)
    x21 = w.c2f("model.21", torch.cat([w.conv("model.19", x18, 2), x9], 1), False)
    return w.detect("model.22", [x15, x18, x21], 64, False)


def yolo11(w: Weights, x: Tensor) -> Tensor:
    x = w.conv("model.1", w.conv("model.0", x, 2), 2)
    x = w.c3k2("model.2", x, False)
    x4 = w.c3k2("model.4", w.conv("model.3", x, 2), False)
    x6 = w.c3k2("model.6", w.conv("model.5", x4, 2), True)
    x = w.c3k2("model.8", w.conv("model.7", x6, 2), True)
    x10 = w.c2psa("model.10", w.sppf("model.9", x))
    x13 = w.c3k2("model.13", torch.cat([up(x10), x6], 1), False)
    x16 = w.c3k2("model.16", torch.cat([up(x13), x4], 1), False)
    x19 = w.c3k2("model.19", torch.cat([w.conv("model.17", x16, 2), x13], 1), False)
    x22 = w.c3k2("model.22", torch.cat([w.conv("model.20", x19, 2), x10], 1), True)
    return w.detect("model.23", [x16, x19, x22], 64, True)


def yolov5(w: Weights, x: Tensor) -> Tensor:
    kept = {}
    x = w.conv("model.0", x, 2, 2)
    for at in (1, 3, 5, 7):
        x = kept[at + 1] = w.c3(f"model.{at + 1}", w.conv(f"model.{at}", x, 2), True)
    x10 = w.conv("model.10", w.sppf("model.9", x))
    x13 = w.c3("model.13", torch.cat([up(x10), kept[6]], 1), False)
    x14 = w.conv("model.14", x13)
    x17 = w.c3("model.17", torch.cat([up(x14), kept[4]], 1), False)
    x20 = w.c3("model.20", torch.cat([w.conv("model.18", x17, 2), x14], 1), False)
    x23 = w.c3("model.23", torch.cat([w.conv("model.21", x20, 2), x10], 1), False)
    return w.detect_anchors("model.24", [x17, x20, x23], 64)


@pytest.mark.parametrize(("name", "forward"), [("yolov8n", yolov8), ("yolov5n", yolov5), ("yolo11n", yolo11)])
def test_outputs_are_those_of_the_modules(name: str, forward: object) -> None:
    torch.manual_seed(0)
    module = archc.build(archc.loads(read(text_of(name), name, 64).text)).eval()
    held = module.state_dict()
    for key, value in held.items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif key.endswith(("running_mean", "bn.bias")):
            value.normal_(0, 0.3)
    x = torch.rand(1, 3, 64, 64)
    assert callable(forward)
    with torch.no_grad():
        torch.testing.assert_close(module(x), forward(Weights(held), x), rtol=1e-4, atol=1e-4)


START = "nc: 2\nbackbone:\n"
CONV = "  - [-1, 1, Conv, [8, 3, 2]]\n"
HEAD = "head:\n  - [-1, 1, nn.Identity, []]\n"
WRONG = {
    "": (1, "no mapping"),
    "nc: 2": (1, "no backbone"),
    "nc: two\n" + START[6:] + CONV + HEAD: (1, "whole number"),
    START + "  - [-1, 1, Conf, [8]]\n" + HEAD: (3, "Conv"),
    START + "  - [-1, 1, Conv]\n" + HEAD: (3, "[from, number, module, args]"),
    START + "  - [4, 1, Conv, [8]]\n" + HEAD: (3, "not before"),
    START + "  - [-1, 1, Conv, []]\n" + HEAD: (3, "argument 0"),
    START + "  - [-1, 1, Conv, [8, three]]\n" + HEAD: (3, "not like 1"),
    START + "  - [-1, 1, Conv, [8, 3, 2, 1, 1, 1, 1, 1]]\n" + HEAD: (3, "at most"),
    START + "  - [-1, 9000000, Conv, [8]]\n" + HEAD: (3, "copies"),
    START + CONV + "head:\n  - [-1, 1, Pose, [nc]]\n": (5, "read are"),
    "activation: __import__('os').system('x')\n" + START + CONV + HEAD: (1, "is not read"),
    "scales: {n: [1, 1]}\n" + START + CONV + HEAD: (1, "[depth, width, most channels]"),
    "a: &x [*x]\n" + START + CONV + HEAD: (1, "inside what it repeats"),
    START + "  - !!python/object/apply:os.system [x]\n": (3, "a tag"),
    "[" * 100: (1, ""),
    START + CONV + "head:\n  - [[], 1, Concat, [1]]\n": (5, "0 inputs"),
    START + CONV + "head:\n  - [-1, 1, C3, [8, True, 1, 1e308]]\n": (5, "too large"),
    "anchors: [[1, 2]]\n" + START + "  - [-1, 1, Classify, [3]]\nhead:\n  - [[-1], 1, Detect, [nc, anchors]]\n": (6, "a head needs maps"),
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_refused_is_named_with_its_line(text: str) -> None:
    line, said = WRONG[text]
    with pytest.raises(Refused) as refused:
        read(text)
    found = refused.value.found
    assert found.span.line == line and said in f"{found.message} {found.hint}", found


def test_the_scale_is_that_of_the_name_or_asked_for() -> None:
    assert read(files.yolov8(), "yolov8s").notes[0] == "the scale is s: that of its name"
    assert read(files.yolov8(), "mine").notes[0] == "the scale is n: the first"
    assert archc.analyze(archc.loads(read(files.yolov8(), "mine", scale="s").text)).parameters == PUBLISHED["yolov8s"]
    with pytest.raises(Refused, match="no scale is called q"):
        read(files.yolov8(), "mine", scale="q")
