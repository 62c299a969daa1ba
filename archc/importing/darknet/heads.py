"""Darknet's layers of detection, as far as their forward pass goes: activations of parts of a map, before boxes are drawn."""

from __future__ import annotations

from archc.importing.darknet.config import Section
from archc.importing.darknet.layers import Reading
from archc.importing.draft import Refused, Wire

HEADS = ("yolo", "region", "detection")
_TRAINING = """anchors mask num classes ignore_thresh truth_thresh random jitter map absolute thresh rescore bias_match object_scale
    noobject_scale class_scale coord_scale max iou_normalizer cls_normalizer obj_normalizer delta_normalizer iou_loss iou_thresh
    iou_thresh_kind nms_kind beta_nms label_smooth_eps focal_loss max_delta resize log softmax coords background tree joint
    counters_per_class     scale_x_y new_coords objectness_smooth forced side sqrt show_details
    track_history_size sim_thresh embedding_layer""".split()  # noqa: SIM905


def head(reading: Reading, section: Section, wire: Wire) -> Wire:
    """What a layer of detection makes of its map."""
    section.read.update(_TRAINING)
    if "tree" in section.options:
        raise Refused(section.place("tree"), "a tree of classes has no operator here", "remove tree=", "A303")
    if section.kind == "detection":
        section.only("softmax", 0, "archc reads a detection without softmax alone")
        return wire
    out = yolo(reading, section, wire) if section.kind == "yolo" else region(reading, section, wire)
    reading.notes.append(f"[{section.kind}] on line {section.span.line} gives its map after the activations; boxes are drawn outside of it")
    return out


def yolo(reading: Reading, section: Section, wire: Wire) -> Wire:
    """Of each anchor, the sigmoid of x, y, of the objectness and of the classes."""
    scale = section.number("scale_x_y", 1)
    section.only("new_coords", 0, "archc reads the coordinates of YOLOv3 and v4 alone")
    count = len(section.wholes("mask")) if "mask" in section.options else section.whole("num", 1, 1)
    classes = section.whole("classes", 20, 1)
    return _parts(reading, section, wire, count, sizes=(2, 2, 1 + classes), scale=scale)


def region(reading: Reading, section: Section, wire: Wire) -> Wire:
    """As yolo, with a softmax over the classes where it says so."""
    section.only("background", 0, "archc reads a region without background alone")
    count, classes, coords = section.whole("num", 1, 1), section.whole("classes", 20, 1), section.whole("coords", 4, 2)
    if section.whole("softmax", 0):
        return _parts(reading, section, wire, count, sizes=(2, coords - 2, 1, classes), scale=1)
    return _parts(reading, section, wire, count, sizes=(2, coords - 2, 1 + classes), scale=1)


def _parts(reading: Reading, section: Section, wire: Wire, count: int, *, sizes: tuple[int, ...], scale: float) -> Wire:
    wanted, span = count * sum(sizes), section.place("classes", "mask", "num")
    if len(wire.shape) != 3 or wire.shape.channels != wanted:
        message = f"{count} anchors of {sum(sizes)} numbers make {wanted} channels, and the map has shape {list(wire.shape)}"
        raise Refused(span, message, f"write filters={wanted} in the layer before", "A501")
    add, name = reading.draft.add, reading.name
    boxes = add(name("anchors"), "reshape", [wire], span, shape=[count, sum(sizes), *wire.shape.space])
    taken = [size for size in sizes if size]
    parts = list(reading.draft.add_several(name("parts"), "split", [boxes], span, parts=len(taken), axis=1, sizes=taken))
    parts[0] = add(name("xy"), "sigmoid", [parts[0]], span)
    if scale != 1:
        parts[0] = add(name("scale"), "scale", [parts[0]], section.place("scale_x_y"), factor=scale)
        parts[0] = add(name("shift"), "sub", [parts[0]], section.place("scale_x_y"), value=0.5 * (scale - 1))
    at = len(taken) - (2 if len(sizes) == 4 else 1)
    parts[at] = add(name("scores"), "sigmoid", [parts[at]], span)
    if len(sizes) == 4:
        parts[-1] = add(name("classes"), "softmax", [parts[-1]], span, axis=1)
    joined = add(name("joined"), "concat", parts, span, axis=1)
    return add(name("map"), "reshape", [joined], span, shape=list(wire.shape))
