"""Model files in Ultralytics' form, written from the architectures."""

from __future__ import annotations

_DEPTHS = {"n": 0.33, "s": 0.33, "m": 0.67, "l": 1.0, "x": 1.33}
_WIDTHS = {"n": 0.25, "s": 0.5, "m": 0.75, "l": 1.0, "x": 1.25}
_ANCHORS = "[[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]]"


def yolov5(scale: str) -> str:
    rows = ["[-1, 1, Conv, [64, 6, 2, 2]]"]
    for channels, count in ((128, 3), (256, 6), (512, 9), (1024, 3)):
        rows += [f"[-1, 1, Conv, [{channels}, 3, 2]]", f"[-1, {count}, C3, [{channels}]]"]
    rows.append("[-1, 1, SPPF, [1024, 5]]")
    head = []
    for channels, skip in ((512, 6), (256, 4)):
        head += [f"[-1, 1, Conv, [{channels}, 1, 1]]", '[-1, 1, nn.Upsample, [None, 2, "nearest"]]']
        head += [f"[[-1, {skip}], 1, Concat, [1]]", f"[-1, 3, C3, [{channels}, False]]"]
    for channels, skip in ((256, 14), (512, 10)):
        head += [f"[-1, 1, Conv, [{channels}, 3, 2]]", f"[[-1, {skip}], 1, Concat, [1]]", f"[-1, 3, C3, [{2 * channels}, False]]"]
    head.append("[[17, 20, 23], 1, Detect, [nc, anchors]]")
    start = [f"nc: 80\ndepth_multiple: {_DEPTHS[scale]}\nwidth_multiple: {_WIDTHS[scale]}\nanchors: {_ANCHORS}"]
    return _file(start, rows, head)


def _file(start: list[str], backbone: list[str], head: list[str]) -> str:
    return "\n".join([*start, "backbone:", *(f"  - {row}" for row in backbone), "head:", *(f"  - {row}" for row in head), ""])


def yolov8(task: str = "detect") -> str:
    scales = "\n".join(
        f"  {name}: [{_DEPTHS[name]}, {_WIDTHS[name]}, {most}]" for name, most in zip("nsmlx", (1024, 1024, 768, 512, 512), strict=True)
    )
    scales = scales.replace("l: [1.0, 1.0", "l: [1.00, 1.00").replace("x: [1.33, 1.25", "x: [1.00, 1.25")
    rows = ["[-1, 1, Conv, [64, 3, 2]]"]
    for channels, count in ((128, 3), (256, 6), (512, 6), (1024, 3)):
        rows += [f"[-1, 1, Conv, [{channels}, 3, 2]]", f"[-1, {count}, C2f, [{channels}, True]]"]
    start = [f"nc: {1000 if task == 'classify' else 80}\nscales:\n{scales}"]
    if task == "classify":
        return _file(start, rows, ["[-1, 1, Classify, [nc]]"])
    rows.append("[-1, 1, SPPF, [1024, 5]]")
    head = []
    for channels, skip in ((512, 6), (256, 4)):
        head += ['[-1, 1, nn.Upsample, [None, 2, "nearest"]]', f"[[-1, {skip}], 1, Concat, [1]]", f"[-1, 3, C2f, [{channels}]]"]
    for channels, skip in ((256, 12), (512, 9)):
        head += [f"[-1, 1, Conv, [{channels}, 3, 2]]", f"[[-1, {skip}], 1, Concat, [1]]", f"[-1, 3, C2f, [{2 * channels}]]"]
    head.append("[[15, 18, 21], 1, Detect, [nc]]" if task == "detect" else "[[15, 18, 21], 1, Segment, [nc, 32, 256]]")
    return _file(start, rows, head)


def yolo11() -> str:
    scales = "\n".join(f"  {name}: {row}" for name, row in {"n": [0.5, 0.25, 1024], "s": [0.5, 0.5, 1024], "m": [0.5, 1.0, 512]}.items())
    rows = ["[-1, 1, Conv, [64, 3, 2]]", "[-1, 1, Conv, [128, 3, 2]]", "[-1, 2, C3k2, [256, False, 0.25]]", "[-1, 1, Conv, [256, 3, 2]]"]
    rows += ["[-1, 2, C3k2, [512, False, 0.25]]", "[-1, 1, Conv, [512, 3, 2]]", "[-1, 2, C3k2, [512, True]]", "[-1, 1, Conv, [1024, 3, 2]]"]
    rows += ["[-1, 2, C3k2, [1024, True]]", "[-1, 1, SPPF, [1024, 5]]", "[-1, 2, C2PSA, [1024]]"]
    head = []
    for channels, skip in ((512, 6), (256, 4)):
        head += ['[-1, 1, nn.Upsample, [None, 2, "nearest"]]', f"[[-1, {skip}], 1, Concat, [1]]", f"[-1, 2, C3k2, [{channels}, False]]"]
    head += ["[-1, 1, Conv, [256, 3, 2]]", "[[-1, 13], 1, Concat, [1]]", "[-1, 2, C3k2, [512, False]]"]
    head += ["[-1, 1, Conv, [512, 3, 2]]", "[[-1, 10], 1, Concat, [1]]", "[-1, 2, C3k2, [1024, True]]"]
    return _file([f"nc: 80\nscales:\n{scales}"], rows, [*head, "[[16, 19, 22], 1, Detect, [nc]]"])
