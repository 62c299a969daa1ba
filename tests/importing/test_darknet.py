"""Networks of darknet: published figures, and a forward pass as darknet's C code does it, loop by loop."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

import archc
from archc.importing.darknet import read_darknet
from archc.importing.draft import Refused
from archc.importing.imported import Imported, ImportedError
from archc.text.source import Source
from tests.importing import darknet_cfgs as cfgs


def read(text: str, weights: Path | None = None) -> Imported:
    return read_darknet(Source("net.cfg", text), "net", weights)


# The parameters of YOLOv3 are those that its PyTorch ports print; of each, the size of the authors' .weights in bytes, and the billions
# of operations that darknet prints, two for a multiplication with its addition.
PUBLISHED = {
    "yolov3": (61_949_149, 248_007_048, 65.86),
    "yolov3_tiny": (8_852_366, 35_434_956, 5.56),
    "yolov2": (50_962_889, 203_934_260, 29.46),
    "darknet19_classifier": (20_842_376, None, 7.29),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures(name: str) -> None:
    parameters, size, operations = PUBLISHED[name]
    graph = archc.loads(read(getattr(cfgs, name)()).text)
    report = archc.analyze(graph)
    assert report.parameters == parameters
    assert round(2 * report.macs / 1e9, 2) == operations
    statistics = sum(weight.shape[0] for node in graph.nodes for weight in node.facts.owned if weight.name.startswith("running_"))
    assert size is None or size - 4 * (parameters + statistics) in (16, 20)  # the head of the file


SMALL = "\n".join(
    [
        cfgs.section("net", width=13, height=10, channels=3),
        cfgs.conv(8, 3),  # 0
        cfgs.section("maxpool", size=2, stride=2),  # 1: a partial window over 13
        cfgs.conv(8, 3, activation="mish"),  # 2
        cfgs.section("shortcut", from_=-2, activation="leaky"),  # 3
        cfgs.section("maxpool", size=5, stride=1),  # 4
        cfgs.section("maxpool", size=2, stride=1),  # 5
        cfgs.section("route", layers="-1,3"),  # 6
        cfgs.section("route", layers="-1", groups=2, group_id=1),  # 7
        cfgs.section("convolutional", filters=8, size=3, stride=1, padding=0, groups=4, activation="logistic"),  # 8
        cfgs.section("upsample", stride=2),  # 9
        cfgs.conv(4, 3, 2, norm=0, activation="relu"),  # 10
        cfgs.section("route", layers="-2"),  # 11
        cfgs.conv(16, 1),  # 12: 16 x 6 x 10
        cfgs.section("reorg", stride=2),  # 13
        cfgs.section("convolutional", filters=18, size=1, activation="linear"),  # 14
        cfgs.section("yolo", mask="0,1", num=2, classes=4, scale_x_y=1.2),  # 15
        cfgs.section("connected", output=7, batch_normalize=1, activation="tanh"),  # 16
        cfgs.section("softmax"),  # 17
    ]
)


class Darknet:
    """The layers of SMALL as loops over arrays. Each number that darknet would read next from its file is drawn, and kept."""

    def __init__(self) -> None:
        self.draw = np.random.default_rng(0)
        self.row: list[np.ndarray] = []

    def take(self, *shape: int) -> np.ndarray:
        self.row.append(self.draw.normal(0, 0.3, shape).astype(np.float32))
        return self.row[-1].astype(np.float64)

    def variance(self, n: int) -> np.ndarray:
        self.take(n)
        self.row[-1] = np.abs(self.row[-1]) + 0.1
        return self.row[-1].astype(np.float64)

    def conv(self, x: np.ndarray, n: int, k: int, stride: int, pad: int, *, norm: bool, groups: int = 1) -> np.ndarray:
        c, h, w = x.shape
        bias = self.take(n)
        scale, mean, variance = (self.take(n), self.take(n), self.variance(n)) if norm else (np.ones(n), np.zeros(n), np.ones(n) - 1e-5)
        weights = self.take(n, c // groups, k, k)
        out = np.zeros((n, (h + 2 * pad - k) // stride + 1, (w + 2 * pad - k) // stride + 1))
        padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
        for f in range(n):
            first = f // (n // groups) * (c // groups)
            for i in range(out.shape[1]):
                for j in range(out.shape[2]):
                    part = padded[first : first + c // groups, i * stride : i * stride + k, j * stride : j * stride + k]
                    out[f, i, j] = (part * weights[f]).sum()
        return (out - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None] * scale[:, None, None] + bias[:, None, None]

    def connected(self, x: np.ndarray, n: int) -> np.ndarray:
        bias, weights = self.take(n), self.take(n, x.size)
        scale, mean, variance = self.take(n), self.take(n), self.variance(n)
        return (weights @ x.ravel() - mean) / np.sqrt(variance + 1e-5) * scale + bias


def maxpool(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    c, h, w = x.shape
    pad = size - 1
    out = np.full((c, (h + pad - size) // stride + 1, (w + pad - size) // stride + 1), -np.inf)
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            for n in range(size):
                for m in range(size):
                    y, z = i * stride + n - pad // 2, j * stride + m - pad // 2
                    if 0 <= y < h and 0 <= z < w:
                        out[:, i, j] = np.maximum(out[:, i, j], x[:, y, z])
    return out


def reorg(x: np.ndarray, stride: int) -> np.ndarray:
    c, h, w = x.shape
    flat, out, out_c = x.ravel(), np.zeros(x.size), c // (stride * stride)
    for k in range(c):
        for j in range(h):
            for i in range(w):
                offset = k // out_c
                w2, h2 = i * stride + offset % stride, j * stride + offset // stride
                out[i + w * (j + h * k)] = flat[w2 + w * stride * (h2 + h * stride * (k % out_c))]
    return out.reshape(c * stride * stride, h // stride, w // stride)


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.1 * x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, bytes]:
    """The map of the detection layer, the classes, and the numbers of the file."""
    net = Darknet()
    l1 = maxpool(leaky(net.conv(x, 8, 3, 1, 1, norm=True)), 2, 2)
    x = net.conv(l1, 8, 3, 1, 1, norm=True)
    l3 = leaky(x * np.tanh(np.log1p(np.exp(x))) + l1)
    x = np.concatenate([maxpool(maxpool(l3, 5, 1), 2, 1), l3])[8:]
    l9 = sigmoid(net.conv(x, 8, 3, 1, 0, norm=False, groups=4)).repeat(2, 1).repeat(2, 2)
    net.conv(l9, 4, 3, 2, 1, norm=False)  # leads nowhere
    x = net.conv(reorg(leaky(net.conv(l9, 16, 1, 1, 0, norm=True)), 2), 18, 1, 1, 0, norm=False)
    boxes = x.reshape(2, 9, *x.shape[1:]).copy()
    boxes[:, :2] = sigmoid(boxes[:, :2]) * 1.2 - 0.5 * (1.2 - 1)
    boxes[:, 4:] = sigmoid(boxes[:, 4:])
    yolo = boxes.reshape(x.shape)
    scores = np.exp(np.tanh(net.connected(yolo, 7)))
    return yolo, scores / scores.sum(), b"".join(part.tobytes() for part in net.row)


@pytest.fixture(scope="module")
def known() -> tuple[np.ndarray, np.ndarray, np.ndarray, bytes]:
    x = np.random.default_rng(1).normal(size=(3, 10, 13)).astype(np.float32)
    return x, *forward(x)


@pytest.mark.parametrize("head", [struct.pack("<3iq", 0, 2, 5, 1_000), struct.pack("<4i", 0, 1, 0, 1_000)], ids=["new", "old"])
def test_weights_and_layers_are_those_of_darknet(
    head: bytes, known: tuple[np.ndarray, np.ndarray, np.ndarray, bytes], tmp_path: Path
) -> None:
    x, yolo, classes, numbers = known
    file = tmp_path / "net.weights"
    file.write_bytes(head + numbers)
    imported = read(SMALL, file)
    graph = archc.loads(imported.text)
    assert list(graph.outputs) == ["yolo15", "output"]
    module = archc.build(graph).eval()
    keys = module.load_state_dict({name: torch.tensor(np.array(one)) for name, one in imported.tensors.items()}, strict=False)
    assert not keys.unexpected_keys and all(name.endswith("num_batches_tracked") for name in keys.missing_keys)
    with torch.no_grad():
        found = module(torch.tensor(x)[None])
    np.testing.assert_allclose(found["yolo15"][0].numpy(), yolo, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["output"][0].numpy(), classes, rtol=1e-4, atol=1e-6)


def test_weights_of_another_network_are_refused(known: tuple[np.ndarray, np.ndarray, np.ndarray, bytes], tmp_path: Path) -> None:
    file = tmp_path / "net.weights"
    for held, said in (
        (struct.pack("<3iq", 0, 2, 5, 0) + known[3] + b"1234", "and this network has"),
        (struct.pack("<3iq", 0, 2, 5, 0) + known[3][:-2], "cut short"),
        (b"\0\0", "too short"),
        (b"\xff" * 40, "does not begin with a version"),
    ):
        file.write_bytes(held)
        with pytest.raises(ImportedError, match=said):
            read(SMALL, file)
    with pytest.raises(ImportedError, match="cannot be read"):
        read(SMALL, tmp_path / "absent.weights")


NET = "[net]\nwidth=8\nheight=8\nchannels=3\n"
WRONG = {
    "[convolutional]\nfilters=3\n": (1, "begins with [net]"),
    NET + "[convolutionl]\nfilters=3\n": (5, "is not read"),
    NET + "[convolutional]\nfilters=three\n": (6, "a whole number"),
    NET + "[convolutional]\nfilters=3\nsize=99999999999999999999\n": (7, "a whole number"),
    NET + "[convolutional]\nfilters=3\nsize=9\n": (6, "does not fit"),
    NET + "[convolutional]\nfilters=999999999\nsize=7\npad=1\ngroups=2\n": (6, "groups"),
    NET + "[maxpool]\nsize=12\npadding=1\n": (6, "does not fit"),
    NET + "[route]\n": (5, "without layers"),
    NET + "[route]\nlayers=4\n": (6, "not before"),
    NET + "[maxpool]\nsize=2\nstride=2\n[shortcut]\nfrom=-9\n": (9, "not before"),
    NET + "[dropout]\n[rnn]\n": (6, "is not read"),
    NET + "[convolutional]\nfilters=10\nactivation=linear\n[yolo]\nclasses=2\nmask=0,1\n": (9, "filters=14"),
    NET + "[convolutional]\nbinary=1\n": (6, "binary=0 is read"),
    NET + "[upsample]\nstride=2\nstride=4\n": (7, "was 2 on line 6"),
    NET + "filters\n[softmax]\n": (5, "neither"),
    "[net]\nwidth=8\n[softmax]\n": (1, "without width"),
    NET + "[upsample]\nstride=900000000\n": (6, "counted"),
    NET: (1, "no layer follows"),
    "": (1, "begins with [net]"),
    "x=3": (1, "before any section"),
    "[n\u0000t]": (1, "no head"),
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_refused_is_named_with_its_line(text: str) -> None:
    line, said = WRONG[text]
    with pytest.raises(Refused) as refused:
        read(text)
    found = refused.value.found
    assert found.span.line == line and said in f"{found.message} {found.hint}", found


def test_options_without_a_meaning_are_told() -> None:
    assert read(NET + "[maxpool]\nsize=2\nstride=2\ncolour=1\n").notes == ("[maxpool] on line 5: not read were colour",)
