"""Ultralytics' model files: YAML of YOLOv5's repository and of the package since YOLOv8."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archc.importing.document import Part, parse
from archc.importing.draft import Draft, Refused, Wire
from archc.importing.imported import Imported
from archc.importing.tensors import read_tensors
from archc.importing.ultralytics.heads import detect, detect_anchors, segment
from archc.importing.ultralytics.parts import Maker
from archc.text.source import Source
from archc.text.suggest import did_you_mean

SIZE, CLASSIFIED = 640, 224  # of an image, where the file says nothing of it
MOST_COPIES = 1_000
_REPEATED = ("C3", "C2f", "C3k2", "C2PSA")  # modules that take the number of copies, rather than standing several times
_WIDE = (*_REPEATED, "Conv", "DWConv", "Focus", "Bottleneck", "SPPF", "SPP", "Classify")  # whose first argument is scaled
_PLAIN = ("nn.Upsample", "Concat", "nn.MaxPool2d", "nn.ZeroPad2d", "nn.Identity", "Detect", "Segment")
_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "SiLU": ("silu", {}), "ReLU": ("relu", {}), "ReLU6": ("relu6", {}), "Hardswish": ("hardswish", {}), "Mish": ("mish", {}),
    "LeakyReLU": ("leaky_relu", {}), "GELU": ("gelu", {}),
}  # fmt: skip


@dataclass(slots=True)
class _Model:
    """A model in the making. `values` has the output of each module, as `from` counts them."""

    root: Part
    draft: Draft
    scale: str
    depth: float
    width: float
    most: float
    classes: int
    anchors: list[list[float]]
    size: int
    act: tuple[str, dict[str, Any]]
    values: list[tuple[Wire, ...]] = field(default_factory=list)
    newer: bool = False  # has C3k2, as YOLO11

    def wide(self, channels: int) -> int:
        """Channels as the width scales them: the next multiple of 8."""
        return math.ceil(min(channels, self.most) * self.width / 8) * 8


def is_ultralytics(head: bytes) -> bool:
    """Whether a file of YAML begins as a model file does."""
    return b"backbone:" in head and b"head:" in head


def read_ultralytics(source: Source, name: str, weights: Path | None = None, *, scale: str = "", size: int = 0) -> Imported:
    """The network of a model file. Raises Refused, and ImportedError for the weights.

    weights: the state_dict as .safetensors; a .pt of Ultralytics is a pickled model, and not opened
    scale: one of the file's `scales`; by default that of the file's name, as yolov8n has it, else the first
    size: rows and columns of an image; 640, or 224 for a classifier, unless given
    """
    root = parse(source, "the model")
    rows = [Part(row.tree, "a module") for key in ("backbone", "head") for row in root.need(key).items()]
    if not rows:
        raise Refused(root.place("backbone"), "no module stands here", "write [from, number, module, args]", "A204")
    notes: list[str] = []
    model = _model(root, rows, name, scale, size, notes)
    wire = model.draft.input([root.get_whole("ch", 3, 1), model.size, model.size], root.place("ch"))
    model.values.append((wire,))
    for index, row in enumerate(rows):
        model.values.append(_module(model, index, row))
    model.draft.outputs = dict(zip(("output", "masks"), model.values[-1], strict=False))
    tensors = read_tensors(weights) if weights is not None else {}
    return Imported(model.draft.name, model.draft.text(), tuple(notes), tensors)


def _model(root: Part, rows: list[Part], name: str, scale: str, size: int, notes: list[str]) -> _Model:
    depth, width, most = root.get_number("depth_multiple", 1), root.get_number("width_multiple", 1), math.inf
    scales = root.get("scales")
    if scales is not None:
        named = re.search(r"yolo(?:e-)?v?\d+([nsmlx])", name)
        known = scales.keys()
        if scale and scale not in known:
            raise Refused(
                scales.span, f"no scale is called {scale[:40]}", did_you_mean(scale, known) or f"there are {', '.join(known)}", "A303"
            )
        if not scale:
            scale = named[1] if named and named[1] in known else known[0] if known else ""
            notes.append(f"the scale is {scale}: {'that of its name' if named and named[1] == scale else 'the first'}")
        depth, width, most = (one.number() for one in _three(scales.need(scale)))
    if not 0 < width <= 100 or not 0 < depth <= 100:
        raise Refused(root.place("width_multiple", "depth_multiple", "scales"), "a scale of 0, or beyond 100", None, "A404")
    classifies = rows[-1].items()[2:3] and rows[-1].items()[2].value == "Classify"
    if not size:
        size = CLASSIFIED if classifies else SIZE
        notes.append(f"images are {size} x {size}: the file does not say it")
    anchors = [[one.number() for one in row.items()] for row in found.items()] if (found := root.get("anchors")) and found.is_list else []
    classes = root.get_whole("nc", 80, 1)
    act = _activation(root)
    draft = Draft(name)
    return _Model(root, draft, scale, depth=depth, width=width, most=most, classes=classes, anchors=anchors, size=size, act=act)


def _three(part: Part) -> list[Part]:
    found = part.items()
    if len(found) != 3:
        raise part.wrong("[depth, width, most channels]")
    return found


def _activation(root: Part) -> tuple[str, dict[str, Any]]:
    """What `activation` names, which Ultralytics evaluates as Python and archc looks up."""
    found = root.get("activation", "act")
    if found is None:
        return _ACTIVATIONS["SiLU"]
    match = re.fullmatch(r"(?:torch\.)?nn\.(\w+)\(([\d.]*)(?:,? ?inplace=\w+)?\)", found.text())
    if match is None or match[1] not in _ACTIVATIONS or (match[2] and match[1] != "LeakyReLU"):
        raise Refused(found.span, f"the activation {found.text()[:40]} is not read", f"nn.SiLU() is, and {', '.join(_ACTIVATIONS)}", "A303")
    kind, given = _ACTIVATIONS[match[1]]
    return kind, {"slope": float(match[2])} if match[2] else given


def _module(model: _Model, index: int, row: Part) -> tuple[Wire, ...]:
    """One row: [from, number, module, args]."""
    found = row.items()
    if len(found) != 4:
        raise row.wrong("[from, number, module, args]")
    kind = found[2].text()
    if kind not in (*_WIDE, *_PLAIN):
        hint = did_you_mean(kind, (*_WIDE, *_PLAIN)) or f"read are {', '.join((*_WIDE, *_PLAIN))}"
        raise Refused(found[2].span, f"the module {kind[:40]} is not read", hint, "A301")
    xs = [_value(model, index, one) for one in (found[0].items() if found[0].is_list else [found[0]])]
    if not xs or len(xs) > MOST_COPIES:
        raise Refused(found[0].span, f"a module of {len(xs):,} inputs", f"-1 is the one before; at most {MOST_COPIES:,} are read", "A502")
    count = found[1].whole(1)
    copies = max(round(count * model.depth), 1) if count > 1 else count
    if copies > MOST_COPIES:
        raise Refused(found[1].span, f"{copies:,} copies", f"at most {MOST_COPIES:,} are read", "A601")
    maker = Maker(model.draft, found[2].span, model.act, older=bool(model.anchors))
    args = [_argument(model, one) for one in found[3].items()]
    name = f"model.{index}"
    if kind not in _WIDE:
        return _plain(model, maker, name, kind, xs=xs, args=args, place=found[3])
    if len(xs) != 1:
        raise Refused(found[0].span, f"{kind} takes 1 input, but is given {len(xs)}", None, "A502")
    channels = _whole(args, 0, found[3], None)
    channels = channels if channels == model.classes and not model.anchors else model.wide(channels)
    x = xs[0]
    if kind in _REPEATED:
        return (_wide(model, maker, name, kind, x=x, args=[channels, copies, *args[1:]], place=found[3]),)
    for copy in range(copies):
        place = f"{name}.{copy}" if copies > 1 else name
        x = _wide(model, maker, place, kind, x=x, args=[channels, *args[1:]], place=found[3])
    return (x,)


def _value(model: _Model, index: int, part: Part) -> Wire:
    """A value by its number: -1 is the one before, others count modules from 0."""
    number = part.whole(-(10**6))
    place = index + number if number < 0 else number
    if not -1 <= place < index or (place == -1 and number != -1):
        raise Refused(part.span, f"module {number} is not before this one, which is module {index}", None, "A304")
    return model.values[place + 1][0]


def _argument(model: _Model, part: Part) -> Any:
    """An argument; names are those of the file, and nothing is evaluated."""
    if part.is_list:
        return [one.number() if isinstance(one.value, float) else one.whole(-(10**6)) for one in part.items()]
    value = part.value
    known = {"nc": model.classes, "anchors": model.anchors, "None": None, "True": True, "False": False}
    return known.get(value, value) if isinstance(value, str) else value


def _whole(args: Sequence[Any], at: int, place: Part, default: int | None) -> int:
    """An argument that is a whole number, by its place."""
    value = args[at] if at < len(args) else default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise Refused(place.span, f"argument {at} is {str(value)[:40]}, not a whole number", None, "A402")
    return value


def _wide(model: _Model, maker: Maker, name: str, kind: str, *, x: Wire, args: list[Any], place: Part) -> Wire:
    """A module whose first argument are its channels. `args` are those of its class, without the channels that come in."""
    channels = args[0]

    def whole(at: int, default: int) -> int:
        return _whole(args, at, place, default)

    def rest(*defaults: Any) -> list[Any]:
        """The further arguments, by their places."""
        given = args[2 if kind in _REPEATED else 1 :]
        if len(given) > len(defaults):
            raise Refused(place.span, f"{kind} with {len(given) + 1} arguments is not read", f"at most {len(defaults) + 1} are", "A402")
        for one, default in zip(given, defaults, strict=False):
            if default is not None and not isinstance(one, int | float if isinstance(default, float) else type(default)):
                raise Refused(place.span, f"{kind}: {str(one)[:40]} is not like {default}", None, "A402")
            if isinstance(one, int | float) and abs(one) >= 2**31:
                raise Refused(place.span, f"{kind}: {str(one)[:40]} is too large", None, "A404")
        return [*given, *defaults[len(given) :]]

    if kind == "Conv":
        kernel, stride, padding, groups, dilation = rest(1, 1, None, 1, 1)
        border = None if padding is None else whole(3, 0)
        return maker.conv(name, x, channels, kernel, stride, padding=border, groups=groups, dilation=dilation)
    if kind == "DWConv":
        return maker.depthwise(name, x, channels, *rest(1, 1))
    if kind == "Focus":
        return maker.focus(name, x, channels, *rest(1))
    if kind == "Bottleneck":
        return maker.bottleneck(name, x, channels, *rest(True), kernels=(1 if maker.older else 3, 3))
    if kind == "C3":
        shortcut, groups, e = rest(True, 1, 0.5)
        return maker.c3(name, x, channels, args[1], shortcut, groups=groups, e=e)
    if kind == "C2f":
        shortcut, groups, e = rest(False, 1, 0.5)
        return maker.c2f(name, x, channels, args[1], shortcut, groups=groups, e=e)
    if kind == "C3k2":
        model.newer = True
        c3k, e, groups, shortcut = rest(False, 0.5, 1, True)
        inner = "c3k" if c3k or model.scale in ("m", "l", "x") else "bottleneck"
        return maker.c2f(name, x, channels, args[1], shortcut, groups=groups, e=e, inner=inner)
    if kind == "C2PSA":
        (e,) = rest(0.5)
        if x.shape.channels != channels or int(channels * e) < 64:
            raise Refused(place.span, f"C2PSA keeps its channels, at least 128: {x.shape.channels} come in for {channels}", None, "A501")
        return maker.c2psa(name, x, channels, args[1], e)
    if kind == "SPPF":
        return maker.sppf(name, x, channels, *rest(5))
    if kind == "SPP":
        (kernels,) = rest([5, 9, 13])
        return maker.spp(name, x, channels, kernels)
    return maker.classify(name, x, channels, *rest(1, 1))


def _plain(model: _Model, maker: Maker, name: str, kind: str, *, xs: list[Wire], args: list[Any], place: Part) -> tuple[Wire, ...]:
    """A module whose channels are those that come in, or a head."""
    x = xs[0]
    if kind == "Concat":
        if args not in ([], [1]):
            raise Refused(place.span, "Concat along another axis is not read", "[1] is, the channels", "A303")
        return (maker.add(name, "concat", *xs),)
    if kind == "nn.Upsample":
        if len(args) != 3 or args[0] is not None or args[2] != "nearest":
            raise Refused(place.span, "this Upsample is not read", '[None, 2, "nearest"] is', "A303")
        return (maker.add(name, "upsample", x, scale=args[1]),)
    if kind == "nn.MaxPool2d":
        kernel = _whole(args, 0, place, None)
        return (maker.add(name, "maxpool", x, kernel=kernel, stride=_whole(args, 1, place, kernel), padding=_whole(args, 2, place, 0)),)
    if kind == "nn.ZeroPad2d":
        sides = args[0] if args and isinstance(args[0], list) and len(args[0]) == 4 else [_whole(args, 0, place, None)] * 4
        return (maker.add(name, "pad", x, sides=[*sides[2:], *sides[:2]]),)
    if kind == "nn.Identity":
        return (x,)
    classes = _whole(args, 0, place, model.classes)
    if kind == "Segment" and not model.anchors:
        numbers = [classes, _whole(args, 1, place, 32), model.wide(_whole(args, 2, place, 256))]
        return segment(maker, name, xs, numbers, depthwise=model.newer, size=model.size)
    if kind == "Segment":
        raise Refused(maker.span, "the Segment of YOLOv5's repository is not read", "Detect is", "A301")
    if not model.anchors:
        return (detect(maker, name, xs, classes, depthwise=model.newer, size=model.size),)
    sizes = {len(row) for row in model.anchors}
    if len(model.anchors) != len(xs) or len(sizes) != 1 or sizes & {0} or min(sizes) % 2:
        raise Refused(model.root.place("anchors"), f"anchors for {len(xs)} maps are expected", "a list of pairs for each map", "A402")
    return (detect_anchors(maker, name, xs, classes, model.anchors, model.size),)
