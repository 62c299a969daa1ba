"""Caffe: a prototxt, with the caffemodel that belongs to it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from archc.importing.caffe.layers import Reading
from archc.importing.caffe.model import read_model
from archc.importing.caffe.net import DATA, input_sizes, labels, layers_of
from archc.importing.caffe.plain import LAYERS, LOSSES, refuse
from archc.importing.caffe.prototxt import Message, parse
from archc.importing.draft import Draft, Refused, Wire
from archc.importing.imported import Imported
from archc.text.source import Source, Span

MOST_BLOBS = 1_000  # that a layer takes, or gives


def read_caffe(source: Source, name: str, weights: Path | None = None) -> Imported:
    """The network of a prototxt, as it is where it is tested. Raises Refused, and ImportedError for the weights."""
    net = parse(source)
    layers = layers_of(net)
    called = labels([one for one, _, _ in layers])
    reading = Reading(Draft(net.text("name") or name))
    fed = [len(layer.literals("top")) for _, kind, layer in layers if kind in ("Input", "MemoryData")]
    reading.several = len(net.literals("input")) + sum(fed) > 1
    blobs: dict[str, Wire | None] = _inputs(reading, net)
    uses = Counter(bottom.text for _, _, layer in layers for bottom in layer.literals("bottom"))
    reading.once = {blob for blob, count in uses.items() if count == 1}
    waiting = dict.fromkeys(blobs)
    for one, kind, layer in layers:
        reading.name, reading.label = one, called[one]
        if len(layer.literals("bottom")) > MOST_BLOBS or len(layer.literals("top")) > MOST_BLOBS:
            raise Refused(layer.place("bottom", "top"), f"a layer of more than {MOST_BLOBS:,} inputs or outputs", None, "A601")
        wires = [_blob(blobs, bottom.text, bottom.span) for bottom in layer.literals("bottom")]
        tops = [top.text for top in layer.literals("top")]
        for bottom in layer.literals("bottom"):
            if kind not in LOSSES:
                waiting.pop(bottom.text, None)
        outputs = _layer(reading, kind, layer, wires)
        if len(outputs) < len(tops):
            raise Refused(layer.place("top"), f"{kind} gives {len(outputs)} values, and {len(tops)} are named", None, "A502")
        blobs.update(zip(tops, outputs, strict=False))
        waiting.update(dict.fromkeys(tops if kind not in LOSSES else ()))
    return _imported(reading, blobs, waiting, layers[-1][2], weights)


def _imported(reading: Reading, blobs: dict[str, Wire | None], waiting: dict[str, None], last: Message, weights: Path | None) -> Imported:
    draft = reading.draft
    returned = {blob: wire for blob in waiting if (wire := blobs[blob]) is not None and wire.reference.lstrip(".") not in draft.inputs}
    if not draft.entries or not returned:
        raise Refused(last.span, "no layer of this network gives an output", None, "A204")
    for blob, wire in returned.items():
        draft.outputs[draft.free_output(blob)] = wire
    tensors = read_model(weights, reading.stored) if weights is not None else {}
    return Imported(draft.name, draft.text(), tuple(reading.notes), tensors)


def _inputs(reading: Reading, net: Message) -> dict[str, Wire | None]:
    """The inputs that stand before the layers."""
    names = net.literals("input")
    if not names:
        return {}
    shapes = [(input_sizes(shape), shape.span) for shape in net.messages("input_shape")]
    if dims := net.literals("input_dim"):
        sizes = net.wholes("input_dim", least=1)
        if len(sizes) != 4 * len(names):
            raise Refused(dims[0].span, f"{len(sizes)} input_dim for {len(names)} inputs", "write four for each, the batch first", "A402")
        shapes = [(sizes[at + 1 : at + 4], dims[at].span) for at in range(0, len(sizes), 4)]
    if len(shapes) != len(names):
        raise Refused(
            names[0].span, f"{len(shapes)} shapes for {len(names)} inputs", "write input_shape { dim: 1 dim: 3 … } for each", "A204"
        )
    one = not reading.several
    return {
        name.text: reading.draft.input(sizes, span, "input" if one else reading.draft.free_input(name.text))
        for name, (sizes, span) in zip(names, shapes, strict=True)
    }


def _blob(blobs: dict[str, Wire | None], name: str, span: Span) -> Wire | None:
    if name not in blobs:
        raise Refused(span, f"{name[:60]} is the top of no layer before", "each bottom is a top, or an input", "A304")
    return blobs[name]


def _layer(reading: Reading, kind: str, layer: Message, wires: list[Wire | None]) -> tuple[Wire | None, ...]:
    if kind in LOSSES:
        reading.notes.append(f"{kind} on line {layer.span.line} is no layer here")
        return (None,) * len(layer.literals("top"))
    if kind == "Input":
        shapes = layer.message("input_param").messages("shape")
        tops = layer.literals("top")
        if len(shapes) not in (1, len(tops)) or not tops:
            raise Refused(layer.span, "an Input without a shape for its top", "input_param { shape { dim: 1 dim: 3 … } }", "A204")
        several = reading.several
        return tuple(
            reading.draft.input(input_sizes(shape), shape.span, reading.draft.free_input(top.text) if several else "input")
            for top, shape in zip(tops, shapes * len(tops) if len(shapes) == 1 else shapes, strict=False)
        )
    if kind == "MemoryData":
        params = layer.message("memory_data_param")
        sizes = [params.whole(size, 0) for size in ("channels", "height", "width")]
        name = reading.draft.free_input(layer.text("top", "data")) if reading.several else "input"
        return reading.draft.input(sizes, params.span, name), *(None,) * (len(layer.literals("top")) - 1)
    if kind in DATA and not wires:
        raise Refused(
            layer.place("type"), f"{kind} does not say the shape of its images", "use the deploy.prototxt, or a layer Input", "A303"
        )
    if kind not in LAYERS:
        raise refuse(kind, layer.place("type"))
    given = [wire for wire in wires if wire is not None]
    if len(given) < len(wires):
        raise Refused(layer.place("bottom"), f"{kind} takes labels, or what a loss gives", "leave the layer out", "A304")
    outputs = LAYERS[kind](reading, layer, given)
    return (outputs,) if isinstance(outputs, Wire) else outputs
