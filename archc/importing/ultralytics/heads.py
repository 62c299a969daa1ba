"""Ultralytics' heads of detection and segmentation, with boxes in pixels as they come out in inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archc.importing.draft import Refused, Wire
from archc.importing.ultralytics.parts import Maker

BINS = 16  # of a box's side, of whose softmax the mean is the distance


def detect(maker: Maker, name: str, xs: Sequence[Wire], classes: int, *, depthwise: bool, size: int) -> Wire:
    """Detect since YOLOv8: [4 + classes, positions], boxes by their centre and size. With `depthwise`, classes as in YOLO11."""
    first = xs[0].shape.channels
    wide, wide_classes = max(16, first // 4, 4 * BINS), max(first, min(classes, 100))
    boxes, scores = [], []
    for at, x in enumerate(xs):
        place, tokens = f"{name}.cv2.{at}", [4 * BINS, x.shape.values // x.shape.channels]
        out = maker.conv(f"{place}.1", maker.conv(f"{place}.0", x, wide, 3), wide, 3)
        out = maker.add(f"{place}.2", "conv", out, channels=4 * BINS)
        boxes.append(maker.add(f"{name}.boxes{at}", "reshape", out, shape=tokens))
        out = _classes(maker, f"{name}.cv3.{at}", x, wide_classes, classes, depthwise)
        scores.append(maker.add(f"{name}.classes{at}", "reshape", out, shape=[classes, tokens[1]]))
    sides = _sides(maker, name, maker.add(f"{name}.boxes", "concat", *boxes, axis=1))
    box = _boxes(maker, name, sides, xs, size)
    score = maker.add(f"{name}.sigmoid", "sigmoid", maker.add(f"{name}.classes", "concat", *scores, axis=1))
    return maker.add(f"{name}.found", "concat", box, score)


def _classes(maker: Maker, place: str, x: Wire, wide: int, classes: int, depthwise: bool) -> Wire:
    for step in range(2):
        if depthwise:
            x = maker.depthwise(f"{place}.{step}.0", x, x.shape.channels, 3)
            x = maker.conv(f"{place}.{step}.1", x, wide)
        else:
            x = maker.conv(f"{place}.{step}", x, wide, 3)
    return maker.add(f"{place}.2", "conv", x, channels=classes)


def _sides(maker: Maker, name: str, boxes: Wire) -> Wire:
    """DFL: the mean of the bins of each side. Its weight counts the bins, and does not learn."""
    tokens = boxes.shape[1]
    rows = maker.add(f"{name}.dfl.sides", "reshape", boxes, shape=[4, BINS, tokens])
    rows = maker.add(f"{name}.dfl.softmax", "softmax", maker.add(f"{name}.dfl.bins", "transpose", rows, axes=[0, 1]), axis=0)
    bins = [[[[number]] for number in range(BINS)]]
    weight = maker.add(f"{name}.dfl.conv.weight", "parameter", rows, shape=[1, BINS, 1, 1], start=bins)
    flat = maker.add(f"{name}.dfl.flat", "reshape", weight, shape=[BINS])
    return maker.add(f"{name}.dfl.mean", "einsum", flat, rows, equation="b,bsp->sp")


def _boxes(maker: Maker, name: str, sides: Wire, xs: Sequence[Wire], size: int) -> Wire:
    """Centre and size of boxes from the distances of their sides to the middle of a position, times its stride."""
    middles, strides = [], []
    for at, x in enumerate(xs):
        step, tokens = stride_of(maker, x, size), x.shape.values // x.shape.channels
        middles.append(maker.add(f"{name}.middles{at}", "reshape", _grid(maker, f"{name}.grid{at}", x, 0.5), shape=[2, tokens]))
        strides.append(maker.add(f"{name}.stride{at}", "constant", x, values=step, shape=[1, tokens]))
    middle = maker.add(f"{name}.middles", "concat", *middles, axis=1)
    stride = maker.add(f"{name}.strides", "concat", *strides, axis=1)
    before, after = maker.draft.add_several(f"{name}.ends", "split", [sides], maker.span, parts=2)
    low, high = maker.add(f"{name}.low", "sub", middle, before), maker.add(f"{name}.high", "add", middle, after)
    centre = maker.add(f"{name}.centre", "scale", maker.add(f"{name}.sum", "add", low, high), factor=0.5)
    box = maker.add(f"{name}.box", "concat", centre, maker.add(f"{name}.size", "sub", high, low))
    return maker.add(f"{name}.pixels", "mul", box, stride)


def stride_of(maker: Maker, x: Wire, size: int) -> int:
    if len(x.shape) != 3:
        raise Refused(maker.span, f"a head needs maps; this has shape {list(x.shape)}", None, "A501")
    if size % x.shape[1]:
        raise Refused(maker.span, f"a map of {x.shape[1]} rows is no whole part of an image of {size}", "use a multiple of 32", "A501")
    return size // x.shape[1]


def _grid(maker: Maker, name: str, x: Wire, shift: float) -> Wire:
    """x and y of each position: [2, H, W]."""
    grid = maker.add(f"{name}.rows", "constant", x, values="grid", shape=[2, *x.shape.space])
    turned = maker.add(f"{name}.xy", "index", grid, indices=[1, 0])
    return maker.add(f"{name}.moved", "add", turned, value=shift)


def segment(maker: Maker, name: str, xs: Sequence[Wire], numbers: Sequence[int], *, depthwise: bool, size: int) -> tuple[Wire, Wire]:
    """As detect, with a factor for each of `numbers[1]` masks, and the masks."""
    classes, masks, hidden = numbers
    protos = maker.proto(f"{name}.proto", xs[0], hidden, masks)
    found = detect(maker, name, xs, classes, depthwise=depthwise, size=size)
    wide, factors = max(xs[0].shape.channels // 4, masks), []
    for at, x in enumerate(xs):
        place = f"{name}.cv4.{at}"
        out = maker.conv(f"{place}.1", maker.conv(f"{place}.0", x, wide, 3), wide, 3)
        out = maker.add(f"{place}.2", "conv", out, channels=masks)
        factors.append(maker.add(f"{name}.factors{at}", "reshape", out, shape=[masks, x.shape.values // x.shape.channels]))
    return maker.add(f"{name}.joined", "concat", found, maker.add(f"{name}.factors", "concat", *factors, axis=1)), protos


def detect_anchors(maker: Maker, name: str, xs: Sequence[Wire], classes: int, anchors: Sequence[Sequence[float]], size: int) -> Wire:
    """Detect of YOLOv5's repository: [positions, 5 + classes], boxes of each anchor by their centre and size."""
    count, numbers = len(anchors[0]) // 2, classes + 5
    strides = [stride_of(maker, x, size) for x in xs]
    pairs: list[Any] = [
        [[row[2 * at] / stride, row[2 * at + 1] / stride] for at in range(count)] for row, stride in zip(anchors, strides, strict=True)
    ]
    held = maker.add(f"{name}.anchors", "buffer", xs[0], shape=[len(xs), count, 2], start=pairs)
    found = []
    for at, (x, stride) in enumerate(zip(xs, strides, strict=True)):
        height, width = x.shape.space
        part = f"{name}.level{at}"
        out = maker.add(f"{name}.m.{at}", "conv", x, channels=count * numbers)
        out = maker.add(f"{part}.anchors", "reshape", out, shape=[count, numbers, height, width])
        out = maker.add(f"{part}.sigmoid", "sigmoid", maker.add(f"{part}.last", "permute", out, order=[0, 2, 3, 1]))
        xy, wh, rest = maker.draft.add_several(f"{part}.parts", "split", [out], maker.span, parts=3, axis=3, sizes=[2, 2, numbers - 4])
        grid = maker.add(f"{part}.grid.last", "permute", _grid(maker, f"{part}.grid", x, -0.5), order=[1, 2, 0])
        grid = maker.add(f"{part}.grid.all", "reshape", grid, shape=[1, height, width, 2])
        xy = maker.add(f"{part}.xy.moved", "add", maker.add(f"{part}.xy.twice", "scale", xy, factor=2), grid, broadcast=True)
        xy = maker.add(f"{part}.xy.pixels", "scale", xy, factor=stride)
        sizes = maker.add(f"{part}.sizes.own", "select", held, index=at)
        sizes = maker.add(f"{part}.sizes.pixels", "scale", sizes, factor=stride)
        sizes = maker.add(f"{part}.sizes.all", "reshape", sizes, shape=[count, 1, 1, 2])
        wh = maker.add(f"{part}.wh.square", "square", maker.add(f"{part}.wh.twice", "scale", wh, factor=2))
        wh = maker.add(f"{part}.wh.pixels", "mul", wh, sizes)
        out = maker.add(f"{part}.joined", "concat", xy, wh, rest, axis=3)
        found.append(maker.add(f"{part}.boxes", "reshape", out, shape=[count * height * width, numbers]))
    return maker.add(f"{name}.found", "concat", *found, axis=0)
