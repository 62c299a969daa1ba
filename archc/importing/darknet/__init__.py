"""Darknet: a cfg, with the .weights that belong to it."""

from __future__ import annotations

from pathlib import Path

from archc.importing.darknet.config import Section, sections
from archc.importing.darknet.heads import HEADS, head
from archc.importing.darknet.layers import LAYERS, Reading, unread
from archc.importing.darknet.weights import read_weights
from archc.importing.draft import Draft, Refused, Wire
from archc.importing.imported import Imported
from archc.text.source import Source
from archc.text.suggest import did_you_mean

_SILENT = {"stopbackward", "train_only_bn", "onlyforward", "dontload", "dontsave", "learning_rate", "param", "burnin_update"}


def read_darknet(source: Source, name: str, weights: Path | None = None) -> Imported:
    """The network of a cfg. Raises Refused, and ImportedError for the weights."""
    net, *layers = sections(source)
    reading = Reading(Draft(name))
    wire = _input(reading, net)
    if not layers:
        raise Refused(net.span, "no layer follows", "a cfg lists its layers below [net]", "A204")
    heads: dict[str, Wire] = {}
    for section in layers:
        index = reading.index
        if section.kind in HEADS:
            wire = head(reading, section, wire)
            heads[f"{section.kind}{index}"] = wire
        elif section.kind in LAYERS:
            wire = LAYERS[section.kind](reading, section, wire)
        else:
            hint = did_you_mean(section.kind, (*LAYERS, *HEADS)) or "archc has no operator for it; leave it out, or write the spec by hand"
            raise Refused(section.span, f"[{section.kind}] is not read", hint, "A301")
        reading.values.append(wire)
        if left := sorted(set(unread(section)) - _SILENT):
            reading.notes.append(f"[{section.kind}] on line {section.span.line}: not read were {', '.join(left)}")
    if not reading.draft.entries:
        raise Refused(layers[-1].span, "no layer of this network computes anything", None, "A204")
    reading.draft.outputs = heads if layers[-1].kind in HEADS else heads | {"output": wire}
    tensors = read_weights(weights, reading.stored) if weights is not None else {}
    return Imported(name, reading.draft.text(), tuple(reading.notes), tensors)


def _input(reading: Reading, net: Section) -> Wire:
    sizes = [net.whole(name, 0) for name in ("channels", "height", "width")]
    if all(sizes):
        return reading.draft.input(sizes, net.place("channels", "height", "width"))
    if inputs := net.whole("inputs", 0):
        return reading.draft.input([inputs], net.place("inputs"))
    raise Refused(net.span, "[net] without width, height and channels", "write all three, or inputs= for a vector", "A204")
