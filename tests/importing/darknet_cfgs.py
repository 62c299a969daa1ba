"""Cfgs of darknet's networks, written from their architectures."""

from __future__ import annotations


def section(kind: str, **options: object) -> str:
    return "\n".join([f"[{kind}]", *(f"{name.rstrip('_')}={value}" for name, value in options.items()), ""])


def net(size: int = 416, channels: int = 3) -> str:
    return section("net", batch=1, width=size, height=size, channels=channels, momentum=0.9, learning_rate=0.001)


def conv(filters: int, size: int, stride: int = 1, norm: int = 1, activation: str = "leaky") -> str:
    first = {"batch_normalize": 1} if norm else {}
    return section("convolutional", **first, filters=filters, size=size, stride=stride, pad=1, activation=activation)


def yolo(mask: str, classes: int = 80, **more: object) -> str:
    return section("yolo", mask=mask, anchors="10,14, 23,27, 37,58, 81,82, 135,169, 344,319", classes=classes, num=6, **more)


def yolov3_tiny(size: int = 416) -> str:
    parts = [net(size)]
    for filters, stride in ((16, 2), (32, 2), (64, 2), (128, 2), (256, 2), (512, 1)):
        parts += [conv(filters, 3), section("maxpool", size=2, stride=stride)]
    parts += [conv(1024, 3), conv(256, 1), conv(512, 3), conv(255, 1, norm=0, activation="linear"), yolo("3,4,5")]
    parts += [section("route", layers="-4"), conv(128, 1), section("upsample", stride=2), section("route", layers="-1, 8")]
    parts += [conv(256, 3), conv(255, 1, norm=0, activation="linear"), yolo("0,1,2")]
    return "\n".join(parts)


def darknet53() -> list[str]:
    parts = [conv(32, 3)]
    for filters, count in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        parts.append(conv(filters, 3, 2))
        for _ in range(count):
            parts += [conv(filters // 2, 1), conv(filters, 3), section("shortcut", from_=-3, activation="linear")]
    return parts


def _detector(filters: int) -> list[str]:
    three = [one for _ in range(3) for one in (conv(filters, 1), conv(2 * filters, 3))]
    return [*three, conv(255, 1, norm=0, activation="linear"), yolo("0,1,2")]


def yolov3(size: int = 416) -> str:
    parts = [net(size), *darknet53(), *_detector(512)]
    for filters, skip in ((256, 61), (128, 36)):
        parts += [section("route", layers="-4"), conv(filters, 1), section("upsample", stride=2), section("route", layers=f"-1, {skip}")]
        parts += _detector(filters)
    return "\n".join(parts)


def darknet19() -> list[str]:
    """The layers before the classifier; a pool is a 0."""
    rows = [(32, 3), 0, (64, 3), 0, (128, 3), (64, 1), (128, 3), 0, (256, 3), (128, 1), (256, 3), 0]
    rows += [(512, 3), (256, 1), (512, 3), (256, 1), (512, 3), 0, (1024, 3), (512, 1), (1024, 3), (512, 1), (1024, 3)]
    return [section("maxpool", size=2, stride=2) if row == 0 else conv(*row) for row in rows]


def darknet19_classifier() -> str:
    last = [conv(1000, 1, norm=0, activation="linear"), section("avgpool"), section("softmax", groups=1), section("cost", type="sse")]
    return "\n".join([net(256), *darknet19(), *last])


def yolov2(size: int = 416) -> str:
    parts = [net(size), *darknet19(), conv(1024, 3), conv(1024, 3), section("route", layers="-9"), conv(64, 1)]
    parts += [section("reorg", stride=2), section("route", layers="-1,-4"), conv(1024, 3)]
    parts += [conv(425, 1, norm=0, activation="linear"), section("region", anchors="1,1", classes=80, coords=4, num=5, softmax=1)]
    return "\n".join(parts)
