"""Darknet's layers as operators: what a section leaves out is what darknet's parser puts in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from archc.importing.darknet.config import Section
from archc.importing.draft import Draft, Refused, Wire
from archc.text.source import Span

MOMENTUM = 0.01  # darknet keeps 0.99 of the running statistics; its eps is PyTorch's
_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "linear": None,
    "leaky": ("leaky_relu", {"slope": 0.1}),
    "relie": ("leaky_relu", {"slope": 0.01}),
    "logistic": ("sigmoid", {}),
    "relu": ("relu", {}),
    "relu6": ("relu6", {}),
    "tanh": ("tanh", {}),
    "elu": ("elu", {}),
    "selu": ("selu", {}),
    "mish": ("mish", {}),
    "swish": ("silu", {}),
    "gelu": ("gelu", {"approximate": "tanh"}),
    "hardtan": ("hardtanh", {}),
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A layer whose weights lie in the .weights file: its names here, and what lies there in which order."""

    name: str
    norm: str
    shape: tuple[int, ...]
    bias: bool
    dense: bool
    span: Span


@dataclass(slots=True)
class Reading:
    """A network as far as it is read. `values` has the output of each section after [net], as routes count them."""

    draft: Draft
    values: list[Wire] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def index(self) -> int:
        return len(self.values)

    def name(self, part: str = "") -> str:
        """`layer3`, or `layer3.conv` for one of several."""
        return f"layer{self.index}.{part}" if part else f"layer{self.index}"

    def at(self, index: int, span: Span) -> Wire:
        """The output of a section, counted from 0 or, below 0, back from this one."""
        place = index + self.index if index < 0 else index
        if not 0 <= place < self.index:
            raise Refused(span, f"layer {index} is not before this one, which is layer {self.index}", "numbers count from 0", "A304")
        return self.values[place]

    def activated(self, section: Section, wire: Wire, default: str, part: str = "act") -> Wire:
        """What a section's activation makes of a value."""
        word = section.word("activation", default)
        if word not in _ACTIVATIONS:
            known = ", ".join(_ACTIVATIONS)
            raise Refused(section.place("activation"), f"the activation {word[:40]} has no operator here", f"read are {known}", "A303")
        found = _ACTIVATIONS[word]
        if found is None:
            return wire
        return self.draft.add(self.name(part), found[0], [wire], section.place("activation"), **found[1])


_NEVER = """binary xnor flipped share_index antialiasing assisted_excitation deform sway rotate stretch dontload
    dontloadscales""".split()  # noqa: SIM905
Layer = Callable[[Reading, Section, Wire], Wire]


def convolutional(reading: Reading, section: Section, wire: Wire) -> Wire:
    for name in _NEVER:
        section.only(name, 0, "archc has no such convolution")
    size, groups = section.whole("size", 1, 1), section.whole("groups", 1, 1)
    stride = _strides(section, 1)
    padding = size // 2 if section.whole("pad", 0) else section.whole("padding", 0)
    section.read.add("padding")
    dilation = section.whole("dilation", 1, 1) if size > 1 else 1
    section.read.add("dilation")
    if dilation > 1 and 2 * padding != size - 1:
        raise Refused(section.place("dilation"), "darknet sizes a dilated map as if it were not dilated", "write an odd size and pad=1")
    norm, filters = bool(section.whole("batch_normalize", 0)), section.whole("filters", 1, 1)
    options: dict[str, Any] = {"channels": filters, "kernel": size, "stride": stride, "padding": padding * dilation}
    wide = wire.shape.channels
    out = reading.draft.add(
        reading.name("conv"), "conv", [wire], section.place("filters"), **options, dilation=dilation, groups=groups, bias=not norm
    )
    return _stored(reading, section, out, norm, (filters, wide // groups, size, size))


def connected(reading: Reading, section: Section, wire: Wire) -> Wire:
    wire = flat(reading, wire, section.span)
    norm, features = bool(section.whole("batch_normalize", 0)), section.whole("output", 1, 1)
    inputs = wire.shape.values
    out = reading.draft.add(reading.name("fc"), "linear", [wire], section.place("output"), features=features, bias=not norm)
    return _stored(reading, section, out, norm, (features, inputs))


def _stored(reading: Reading, section: Section, wire: Wire, norm: bool, shape: tuple[int, ...]) -> Wire:
    """What follows weights: normalization, activation, and a note of where they lie."""
    name, bn = reading.draft.last, ""
    if norm:
        wire = reading.draft.add(reading.name("bn"), "batchnorm", [wire], section.place("batch_normalize"), momentum=MOMENTUM)
        bn = reading.draft.last
    reading.stored.append(Stored(name, bn, shape, not norm, len(shape) == 2, section.span))
    return reading.activated(section, wire, "logistic")


def flat(reading: Reading, wire: Wire, span: Span) -> Wire:
    """A vector of a map: where darknet counts inputs, their order is that of the memory."""
    return wire if len(wire.shape) == 1 else reading.draft.add(reading.name("flatten"), "flatten", [wire], span)


def _strides(section: Section, default: int) -> int | list[int]:
    stride = section.whole("stride", default, 1)
    both = [section.whole("stride_y", stride, 1), section.whole("stride_x", stride, 1)]
    return both if both[0] != both[1] else both[0]


def _window(section: Section, wire: Wire) -> dict[str, Any]:
    """A pool's window. The border is `padding` in all, size - 1 unless given. Half of it lies before the map."""
    stride = _strides(section, 1)
    pair = stride if isinstance(stride, list) else [stride, stride]
    size = section.whole("size", pair[0], 1)
    border = section.whole("padding", size - 1)
    sides: list[list[int]] = []
    for length, step in zip(wire.shape.space, pair, strict=True):
        if length + border < size:
            raise Refused(section.place("size"), f"a window of {size} does not fit a map of {length}", "write a smaller size", "A501")
        before = border // 2
        count = (length + border - size) // step + 1
        after = max((count - 1) * step + size - length - before, 0)
        sides.append([before, after])
    return {"kernel": size, "stride": stride, "padding": _short(sides)}


def _short(sides: list[list[int]]) -> int | list[Any]:
    each = [side[0] if side[0] == side[1] else side for side in sides]
    return each[0] if each[0] == each[1] and isinstance(each[0], int) else each


def maxpool(reading: Reading, section: Section, wire: Wire) -> Wire:
    for name in ("maxpool_depth", "antialiasing"):
        section.only(name, 0, "archc has no such pool")
    _map(section, wire)
    return reading.draft.add(reading.name(), "maxpool", [wire], section.place("size", "stride"), **_window(section, wire))


def local_avgpool(reading: Reading, section: Section, wire: Wire) -> Wire:
    _map(section, wire)
    window = _window(section, wire)
    return reading.draft.add(reading.name(), "avgpool", [wire], section.place("size", "stride"), **window, count_padding=False)


def avgpool(reading: Reading, section: Section, wire: Wire) -> Wire:
    _map(section, wire)
    return reading.draft.add(reading.name(), "global_avgpool", [wire], section.span)


def route(reading: Reading, section: Section, wire: Wire) -> Wire:
    span = section.place("layers")
    wires = [reading.at(index, span) for index in section.wholes("layers")]
    groups, chosen = section.whole("groups", 1, 1), section.whole("group_id", 0)
    if groups > 1:
        if chosen >= groups:
            raise Refused(section.place("group_id"), f"group {chosen} of {groups}", "groups count from 0", "A404")
        parts = [reading.name(f"part{at}" if len(wires) > 1 else "part") for at in range(len(wires))]
        wires = [_part(reading, section, one, groups, chosen, name) for one, name in zip(wires, parts, strict=True)]
    if len(wires) == 1:
        return wires[0]
    return reading.draft.add(reading.name("concat" if groups > 1 else ""), "concat", wires, span)


def _part(reading: Reading, section: Section, wire: Wire, groups: int, chosen: int, name: str) -> Wire:
    size = wire.shape.channels // groups
    if size * groups != wire.shape.channels:
        raise Refused(section.place("groups"), f"{wire.shape.channels} channels are not {groups} groups", None, "A501")
    return reading.draft.add(name, "slice", [wire], section.place("groups"), start=chosen * size, stop=(chosen + 1) * size)


def shortcut(reading: Reading, section: Section, wire: Wire) -> Wire:
    if section.word("weights_type", "none") != "none":
        raise Refused(section.place("weights_type"), "a weighted shortcut has no operator here", "weights_type=none is read", "A303")
    for name in ("alpha", "beta"):
        section.only(name, 1, "a scaled shortcut has no operator here")
    section.read.add("weights_normalization")
    span = section.place("from")
    wires = [wire, *(reading.at(index, span) for index in section.wholes("from"))]
    plain = section.word("activation", "linear") == "linear"
    out = reading.draft.add(reading.name("" if plain else "add"), "add", wires, span)
    return reading.activated(section, out, "linear")


def scale_channels(reading: Reading, section: Section, wire: Wire) -> Wire:
    section.only("scale_wh", 0, "archc has no such gate")
    return _gate(reading, section, wire)


def sam(reading: Reading, section: Section, wire: Wire) -> Wire:
    return _gate(reading, section, wire)


def _gate(reading: Reading, section: Section, wire: Wire) -> Wire:
    span = section.place("from")
    found = section.wholes("from")
    if len(found) != 1:
        raise Refused(span, "from names one layer here", None, "A402")
    plain = section.word("activation", "linear") == "linear"
    out = reading.draft.add(reading.name("" if plain else "mul"), "mul", [reading.at(found[0], span), wire], span)
    return reading.activated(section, out, "linear")


def upsample(reading: Reading, section: Section, wire: Wire) -> Wire:
    scale = section.number("scale", 1)
    name = reading.name("" if scale == 1 else "nearest")
    out = reading.draft.add(name, "upsample", [wire], section.place("stride"), scale=section.whole("stride", 2, 1))
    return out if scale == 1 else reading.draft.add(reading.name("scale"), "scale", [out], section.place("scale"), factor=scale)


def reorg(reading: Reading, section: Section, wire: Wire) -> Wire:
    """Darknet's own order: the map is read as one of C/s^2 channels that is s times as large, and its s x s pixels become channels."""
    for name in ("reverse", "flatten", "extra"):
        section.only(name, 0, "archc reads the plain reorg alone")
    _map(section, wire)
    s, span = section.whole("stride", 1, 1), section.place("stride")
    c, h, w = wire.shape.channels, *wire.shape.space
    if c % (s * s) or h % s or w % s:
        raise Refused(span, f"a map of {c} x {h} x {w} has no parts of {s} x {s}", "channels divide by stride^2, sizes by stride", "A501")
    wire = reading.draft.add(reading.name("larger"), "reshape", [wire], span, shape=[c // (s * s), h, s, w, s])
    wire = reading.draft.add(reading.name("pixels"), "permute", [wire], span, order=[2, 4, 0, 1, 3])
    return reading.draft.add(reading.name("map"), "reshape", [wire], span, shape=[c * s * s, h // s, w // s])


def dropout(reading: Reading, section: Section, wire: Wire) -> Wire:
    section.only("dropblock", 0, "archc has no DropBlock")
    return reading.draft.add(reading.name(), "dropout", [wire], section.place("probability"), p=section.number("probability", 0.5))


def activation(reading: Reading, section: Section, wire: Wire) -> Wire:
    return reading.activated(section, wire, "linear", "")


def crop(reading: Reading, section: Section, wire: Wire) -> Wire:
    """As in inference: the middle, and values from -1 to 1 unless `noadjust`."""
    _map(section, wire)
    h, w = section.whole("crop_height", 1, 1), section.whole("crop_width", 1, 1)
    plain, span = bool(section.whole("noadjust", 0)), section.place("crop_height", "crop_width")
    section.read |= {"flip", "angle", "saturation", "exposure", "shift"}
    top, left = wire.shape.space[0] - h, wire.shape.space[1] - w
    if top < 0 or left < 0:
        raise Refused(span, f"a crop of {h} x {w} is larger than the map", None, "A501")
    sides = [top // 2, top - top // 2, left // 2, left - left // 2]
    out = reading.draft.add(reading.name("" if plain else "crop"), "crop", [wire], span, sides=sides)
    if plain:
        return out
    out = reading.draft.add(reading.name("scale"), "scale", [out], span, factor=2.0)
    return reading.draft.add(reading.name("sub"), "sub", [out], span, value=1)


def softmax(reading: Reading, section: Section, wire: Wire) -> Wire:
    for name, value in (("groups", 1), ("temperature", 1), ("spatial", 0)):
        section.only(name, value, "archc reads the plain softmax alone")
    if "tree" in section.options:
        raise Refused(section.place("tree"), "a softmax over a tree of classes has no operator here", "remove tree=", "A303")
    plain = len(wire.shape) == 1
    wire = flat(reading, wire, section.span)
    return reading.draft.add(reading.name("" if plain else "softmax"), "softmax", [wire], section.span, axis=0)


def passed(reading: Reading, section: Section, wire: Wire) -> Wire:
    """A layer that works in training alone, or not at all."""
    section.read |= section.options.keys()
    if section.kind == "cost":
        reading.notes.append(f"[cost] on line {section.span.line} is a loss, and no layer here")
    return wire


def _map(section: Section, wire: Wire) -> None:
    if len(wire.shape) != 3:
        raise Refused(section.span, f"[{section.kind}] needs a map; this has shape {list(wire.shape)}", None, "A501")


LAYERS: dict[str, Layer] = {
    "convolutional": convolutional,
    "conv": convolutional,
    "connected": connected,
    "conn": connected,
    "maxpool": maxpool,
    "max": maxpool,
    "local_avgpool": local_avgpool,
    "avgpool": avgpool,
    "avg": avgpool,
    "route": route,
    "shortcut": shortcut,
    "scale_channels": scale_channels,
    "sam": sam,
    "upsample": upsample,
    "reorg": reorg,
    "dropout": dropout,
    "activation": activation,
    "crop": crop,
    "softmax": softmax,
    "soft": softmax,
    "cost": passed,
    "empty": passed,
    "silence": passed,
}


def unread(section: Section) -> Iterator[str]:
    """Options that darknet knows for other layers, or not at all."""
    return (name for name in section.options if name not in section.read)
