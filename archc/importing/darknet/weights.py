"""Darknet's .weights: one row of float32, without names, in the order of the layers."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archc.importing.darknet.layers import Stored
from archc.importing.draft import product
from archc.importing.imported import ImportedError, numbers
from archc.text.diagnostics import printable
from archc.text.files import open_regular

if TYPE_CHECKING:
    import numpy


def read_weights(path: Path, layers: Sequence[Stored]) -> dict[str, numpy.ndarray]:
    """The tensors of a file by archc's names. Raises ImportedError where it is not of this network."""
    library = numbers()
    shown = printable(str(path))
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            file.seek(0)
            head = file.read(20)
    except OSError as error:
        raise ImportedError(f"{shown} cannot be read: {error.strerror or error}") from None
    if len(head) < 16:
        raise ImportedError(f"{shown} is too short for weights of darknet")
    major, minor, _ = struct.unpack("<3i", head[:12])
    if major < 0 or minor < 0:
        raise ImportedError(f"{shown} is not a file of darknet's weights: it does not begin with a version")
    begin = 20 if major * 10 + minor >= 2 and major < 1000 and minor < 1000 else 16
    wanted = sum(math.prod(shape) for layer in layers for _, shape in tensors(layer))
    held = (size - begin) // 4
    if held != wanted or (size - begin) % 4:
        told = f"{shown} holds {held:,} numbers, and this network has {wanted:,}"
        raise ImportedError(f"{told}: it is of another cfg, cut short, or was cut on purpose (as yolov3.conv.74, a backbone)")
    values = library.memmap(path, dtype="<f4", mode="r", offset=begin, shape=(wanted,)) if wanted else library.zeros(0, "<f4")
    found: dict[str, numpy.ndarray] = {}
    at = 0
    for layer in layers:
        turned = layer.dense and (major > 1000 or minor > 1000)
        for name, shape in tensors(layer):
            part = values[at : at + product(shape)]
            at += product(shape)
            weight = turned and len(shape) == 2
            found[name] = part.reshape(shape[::-1]).T if weight else part.reshape(shape)
    return found


def tensors(layer: Stored) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A layer's tensors as they lie: the bias (of the normalization, where there is one), then its scale and statistics, then weights.

    In a dense layer, the weights lie right after the bias.
    """
    wide = layer.shape[:1]
    weight = (f"{layer.name}.weight", layer.shape)
    yield f"{layer.norm or layer.name}.bias", wide
    if layer.dense:
        yield weight
    if layer.norm:
        yield f"{layer.norm}.weight", wide
        yield f"{layer.norm}.running_mean", wide
        yield f"{layer.norm}.running_var", wide
    if not layer.dense:
        yield weight
