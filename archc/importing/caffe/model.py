"""A caffemodel: protobuf's binary format, of which the names, shapes and numbers of layers are read."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archc.importing.caffe.layers import Stored
from archc.importing.imported import ImportedError, numbers
from archc.text.diagnostics import printable
from archc.text.files import open_regular

if TYPE_CHECKING:
    import numpy

MOST_BLOBS = 100_000
_LAYERS = {100: (1, 7), 2: (4, 6)}  # of a network: today's layers and V1's, each with the fields of its name and of its blobs
_FLOATS, _DOUBLES, _SHAPE = 5, 8, 7  # of a blob
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5  # wire types


class Blob(NamedTuple):
    """Numbers of a layer where they lie in the file: bytes `begin` to `end`, of four or eight each."""

    begin: int
    end: int
    size: int
    shape: tuple[int, ...]


class _Damaged(Exception):
    """The bytes are not of this format."""


def read_model(path: Path, layers: Sequence[Stored]) -> dict[str, numpy.ndarray]:
    """The tensors of a file by archc's names. Raises ImportedError where it does not have those of this network."""
    shown = printable(str(path))
    try:
        with open_regular(path) as file:
            data: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ImportedError(f"{shown} cannot be read: {getattr(error, 'strerror', None) or 'it is empty'}") from None
    try:
        blobs = _blobs(data)
    except _Damaged:
        raise ImportedError(f"{shown} is not a caffemodel, or is cut short") from None
    found: dict[str, numpy.ndarray] = {}
    for layer in layers:
        held = blobs.get(layer.layer)
        if held is None:
            raise ImportedError(f'{shown} has no weights of the layer "{printable(layer.layer)}"')
        if len(held) != len(layer.names):
            told = f"{shown}: {printable(layer.layer)} has {len(held)} tensors there, and {len(layer.names)} in this network"
            raise ImportedError(told)
        found |= _tensors(data, layer, held, shown)
    return found


def _tensors(data: Any, layer: Stored, held: Sequence[Blob], shown: str) -> dict[str, numpy.ndarray]:
    """A layer's tensors in PyTorch's layout."""
    library = numbers()
    parts = []
    for blob, shape in zip(held, layer.shapes, strict=True):
        count = (blob.end - blob.begin) // blob.size
        if count != math.prod(shape):
            told = f"{shown}: {printable(layer.layer)} has {list(blob.shape)} there, {count:,} numbers, and {list(shape)} in this network"
            raise ImportedError(told)
        parts.append(library.frombuffer(data, dtype=f"<f{blob.size}", count=count, offset=blob.begin).astype("<f4").reshape(shape))
    if layer.how == "transpose":
        parts[0] = parts[0].T
    if layer.how == "norm":  # sums of statistics, with what to divide them by
        by = 1 / float(parts[2][0]) if parts[2][0] else 0.0
        parts = [part * library.float32(by) for part in parts[:2]]
    return {name: part for name, part in zip(layer.names, parts, strict=False) if name}


def _blobs(data: Any) -> dict[str, list[Blob]]:
    """The tensors of each layer that has any, by its name."""
    found: dict[str, list[Blob]] = {}
    count = 0
    for number, kind, begin, end in _fields(data, 0, len(data)):
        if number not in _LAYERS or kind != _LENGTH:
            continue
        called, held = _LAYERS[number]
        name, blobs = "", []
        for inner, wire, start, stop in _fields(data, begin, end):
            if inner == called and wire == _LENGTH and stop - start < 1_000:
                name = data[start:stop].decode("utf-8", "replace")
            elif inner == held and wire == _LENGTH:
                blobs.append(_blob(data, start, stop))
                count += 1
        if count > MOST_BLOBS:
            raise _Damaged
        if blobs:
            found[name] = blobs
    return found


def _blob(data: Any, begin: int, end: int) -> Blob:
    shape: list[int] = []
    place, size = (begin, begin), 4
    for number, kind, start, stop in _fields(data, begin, end):
        if number in (_FLOATS, _DOUBLES) and kind == _LENGTH:
            place, size = (start, stop), 4 if number == _FLOATS else 8
        elif number in (1, 2, 3, 4) and kind == _VARINT:
            shape.append(start)
        elif number == _SHAPE and kind == _LENGTH:
            shape = list(_whole_numbers(data, start, stop))
    if (place[1] - place[0]) % size:
        raise _Damaged
    return Blob(*place, size, tuple(shape))


def _whole_numbers(data: Any, begin: int, end: int) -> Iterator[int]:
    """The sizes of a shape, packed or one by one."""
    for number, kind, start, stop in _fields(data, begin, end):
        if number == 1 and kind == _VARINT:
            yield start
        while number == 1 and kind == _LENGTH and start < stop:
            value, start = _varint(data, start, stop)
            yield value


def _fields(data: Any, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type and place of each field; of a varint, its value in the place of where it begins."""
    while begin < end:
        key, begin = _varint(data, begin, end)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, begin = _varint(data, begin, end)
            yield number, kind, value, begin
            continue
        if kind == _LENGTH:
            size, begin = _varint(data, begin, end)
        elif kind in (_EIGHT, _FOUR):
            size = 8 if kind == _EIGHT else 4
        else:
            raise _Damaged
        if size > end - begin or number == 0:
            raise _Damaged
        yield number, kind, begin, begin + size
        begin += size


def _varint(data: Any, begin: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while begin < end and shift < 70:
        byte = data[begin]
        begin += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, begin
        shift += 7
    raise _Damaged
