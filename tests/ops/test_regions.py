"""Boxes and moved taps against plain loops over numbers, as the papers and torchvision's kernels define them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from archc.ops import Fault
from archc.ops.facts import Between

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

from tests.helpers.torch_form import Layer

from .cases import case

SPACE = (3, 9, 7)


def boxes_for(count: int, high: float = 12.0, seed: int = 0) -> Any:
    """Boxes over the map and over its border, some of no size."""
    draw = torch.Generator().manual_seed(seed)
    low = torch.rand(2, count, 2, generator=draw) * high - 3
    side = torch.rand(2, count, 2, generator=draw) * high / 2
    side[:, 0] = 0
    return torch.cat([low, low + side], 2)


def rounded(value: float) -> int:
    """To the nearest whole number, halves away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def pooled(x: Any, box: Any, size: tuple[int, int], scale: float) -> Any:
    out = np.zeros((len(x), *size))
    x1, y1, x2, y2 = (rounded(np.float32(side) * np.float32(scale)) for side in box)
    height, width = max(y2 - y1 + 1, 1) / size[0], max(x2 - x1 + 1, 1) / size[1]
    for i in range(size[0]):
        for j in range(size[1]):
            rows = [r for r in range(math.floor(i * height) + y1, math.ceil((i + 1) * height) + y1) if 0 <= r < x.shape[1]]
            columns = [c for c in range(math.floor(j * width) + x1, math.ceil((j + 1) * width) + x1) if 0 <= c < x.shape[2]]
            if rows and columns:
                out[:, i, j] = x[:, rows][:, :, columns].max((1, 2))
    return out


def value_at(x: Any, y: float, z: float) -> Any:
    """Bilinear between positions; what lies beyond the map is zero."""
    total = np.zeros(len(x))
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(z), math.floor(z) + 1):
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                total = total + x[:, row, column] * (1 - abs(y - row)) * (1 - abs(z - column))
    return total


def aligned(x: Any, box: Any, size: tuple[int, int], scale: float, sampling: int, half: bool) -> Any:
    out = np.zeros((len(x), *size))
    x1, y1, x2, y2 = (side * scale - 0.5 * half for side in box)
    height, width = y2 - y1, x2 - x1
    if not half:
        height, width = max(height, 1.0), max(width, 1.0)
    for i in range(size[0]):
        for j in range(size[1]):
            for a in range(sampling):
                for b in range(sampling):
                    y = y1 + (i + (a + 0.5) / sampling) * height / size[0]
                    z = x1 + (j + (b + 0.5) / sampling) * width / size[1]
                    if -1 <= y <= x.shape[1] and -1 <= z <= x.shape[2]:
                        out[:, i, j] += value_at(x, min(max(y, 0), x.shape[1] - 1), min(max(z, 0), x.shape[2] - 1))
    return out / sampling**2


@pytest.mark.parametrize(("size", "scale"), [((2, 3), 1.0), ((3, 3), 0.5), ((4, 1), 0.75)])
def test_roi_pool(size: tuple[int, int], scale: float) -> None:
    x, boxes = torch.randn(2, *SPACE), boxes_for(8)
    made = Layer(case("roi_pool", SPACE, (8, 4), size=size, scale=scale).facts())(x, boxes)
    for image in range(2):
        for k in range(8):
            assert np.array_equal(made[image, k].numpy(), pooled(x[image].numpy(), boxes[image, k].numpy(), size, scale).astype(np.float32))


@pytest.mark.parametrize(("size", "scale", "sampling", "half"), [((2, 3), 1.0, 2, False), ((3, 2), 0.5, 1, True), ((1, 4), 0.75, 3, True)])
def test_roi_align(size: tuple[int, int], scale: float, sampling: int, half: bool) -> None:
    x, boxes = torch.randn(2, *SPACE).double(), boxes_for(8).double()
    facts = case("roi_align", SPACE, (8, 4), size=size, scale=scale, sampling=sampling, aligned=half).facts()
    made = Layer(facts)(x, boxes)
    assert made.is_contiguous()
    for image in range(2):
        for k in range(8):
            wanted = aligned(x[image].numpy(), boxes[image, k].numpy(), size, scale, sampling, half)
            assert np.allclose(made[image, k].numpy(), wanted, atol=1e-10)
    values = x.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: Layer(facts)(v, boxes), (values,))


@pytest.mark.parametrize("most", [None, 3])
def test_nms(most: int | None) -> None:
    boxes = boxes_for(12, 4.0).round(decimals=1)
    scores = torch.tensor([[0.1 * (k % 5) for k in range(12)], [0.9 - 0.05 * k for k in range(12)]])
    facts = case("nms", (12, 4), (12,), most=most, threshold=0.3).facts()
    made = Layer(facts)(boxes, scores)
    assert made.dtype == torch.int64 and made.shape == (2, most or 12)
    for image in range(2):
        waiting = sorted(range(12), key=lambda k: (-scores[image, k].item(), k))
        kept: list[int] = []
        for k in waiting:
            if not any(overlap(boxes[image, k], boxes[image, other]) > 0.3 for other in kept):
                kept.append(k)
        kept = kept[:most]
        assert made[image].tolist() == kept + [-1] * (made.shape[1] - len(kept))
    assert isinstance(facts.work, Between) and facts.work.high == 13 * 66


def overlap(a: Any, b: Any) -> float:
    low, high = torch.maximum(a[:2], b[:2]), torch.minimum(a[2:], b[2:])
    common = (high - low).clamp(min=0).prod()
    return float(common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common))


@pytest.mark.parametrize(("args", "parts", "masked"), [
    ({"kernel": 3, "padding": 1}, 1, False),
    ({"kernel": (3, 2), "stride": 2, "padding": (1, 0), "groups": 2, "bias": False}, 2, True),
    ({"kernel": 2, "dilation": 2, "padding": 2}, 4, True),
])  # fmt: skip
def test_deform_conv(args: dict[str, Any], parts: int, masked: bool) -> None:
    """Each output by the definition: the sum over taps and channels of weight, mask and the value at the moved place."""
    plain = case("conv", (4, 7, 6), channels=4, **args).facts().outputs[0]
    kernel = args["kernel"] if isinstance(args["kernel"], tuple) else (args["kernel"],) * 2
    taps = kernel[0] * kernel[1]
    shapes = [(4, 7, 6), (2 * parts * taps, *plain[1:]), *([(parts * taps, *plain[1:])] if masked else [])]
    torch.manual_seed(0)
    facts = case("deform_conv", *shapes, channels=4, **args).facts()
    layer = Layer(facts).double()
    x, offsets, *mask = (2 * torch.randn(2, *shape).double() for shape in shapes)
    made = layer(x, offsets, *mask)
    owned = {name.removeprefix("own."): value.detach().numpy() for name, value in layer.named_parameters()}
    pair = {name: value if isinstance(value, tuple) else (value,) * 2 for name, value in args.items() if name != "bias"}
    stride, pads, holes = pair.get("stride", (1, 1)), pair.get("padding", (0, 0)), pair.get("dilation", (1, 1))
    width = 4 // args.get("groups", 1)
    for out in range(4):
        for r in range(plain[1]):
            for c in range(plain[2]):
                total = owned["bias"][out] if "bias" in owned else 0.0
                for channel in range(width):
                    own = out // width * width + channel
                    for tap in range(taps):
                        row = own // (4 // parts) * taps + tap
                        y = r * stride[0] - pads[0] + tap // kernel[1] * holes[0] + offsets[1, 2 * row, r, c].item()
                        z = c * stride[1] - pads[1] + tap % kernel[1] * holes[1] + offsets[1, 2 * row + 1, r, c].item()
                        share = mask[0][1, row, r, c].item() if masked else 1.0
                        found = value_at(x[1].numpy(), y, z)[own]
                        total += owned["weight"][out, channel, tap // kernel[1], tap % kernel[1]] * found * share
                assert made[1, out, r, c].item() == pytest.approx(total, abs=1e-9)


def test_offsets_of_zero_are_a_convolution() -> None:
    conv = torch.nn.Conv2d(4, 6, 3, padding=1, stride=2)
    layer = Layer(case("deform_conv", (4, 9, 8), (18, 5, 4), channels=6, kernel=3, padding=1, stride=2).facts())
    layer.own.load_state_dict(conv.state_dict())
    x = torch.randn(2, 4, 9, 8)
    assert torch.allclose(layer(x, torch.zeros(2, 18, 5, 4)), conv(x), atol=1e-6)


@pytest.mark.parametrize(("op", "shapes", "args", "said"), [
    ("roi_align", [(3, 9, 7), (5, 3)], {"size": 2}, "needs boxes \\[K, 4\\]"),
    ("roi_pool", [(3, 9), (5, 4)], {"size": 2}, "needs a feature map \\[C, H, W\\]"),
    ("nms", [(5, 4), (4,)], {}, "5 boxes needs scores of shape \\[5\\]"),
    ("nms", [(5, 4), (5,)], {"most": 6}, "there are 5 boxes"),
    ("deform_conv", [(4, 9, 7), (17, 9, 7)], {"channels": 4, "kernel": 3, "padding": 1}, "offsets of shape \\[18, 9, 7\\]"),
    ("deform_conv", [(4, 9, 7), (54, 9, 7)], {"channels": 4, "kernel": 3, "padding": 1}, "no offsets for parts of 4 channels"),
])  # fmt: skip
def test_what_does_not_fit(op: str, shapes: list[tuple[int, ...]], args: dict[str, Any], said: str) -> None:
    with pytest.raises(Fault, match=said):
        case(op, *shapes, **args).facts()
