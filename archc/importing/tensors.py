"""Files of weights in safetensors as arrays, each mapped from the disk; of several files, by their index."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.importing.imported import ImportedError, numbers
from archc.text.diagnostics import printable
from archc.text.files import open_regular, read_regular

if TYPE_CHECKING:
    import numpy

MOST_HEADER = 100 << 20  # bytes, safetensors' own limit
MOST_FILES = 1_000
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}


class Tensors(Mapping[str, "numpy.ndarray"]):
    """Tensors by name, read when they are asked for. bfloat16, which numpy lacks, comes as float32 with the same values."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[Path, str, tuple[int, ...], int]] = {}

    def add(self, path: Path) -> None:
        """Takes up a file. Raises ImportedError."""
        shown = printable(str(path))
        try:
            with open_regular(path) as file:
                size = file.seek(0, 2)
                file.seek(0)
                length = int.from_bytes(file.read(8), "little")
                header = file.read(length) if length <= min(MOST_HEADER, size - 8) else b""
        except OSError as error:
            raise ImportedError(f"{shown} cannot be read: {error.strerror or error}") from None
        try:
            entries = json.loads(header)
            for name, entry in entries.items():
                if name != "__metadata__":
                    self._places[name] = (path, *_place(entry, 8 + length, size))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ImportedError(f"{shown} is not safetensors, or is damaged; pickled weights (.pt, .bin) are not opened") from None

    def __getitem__(self, name: str) -> numpy.ndarray:
        path, dtype, shape, begin = self._places[name]
        library = numbers()
        if not math.prod(shape):
            return library.zeros(shape, "<f4")  # type: ignore[no-any-return]
        if dtype == "BF16":
            halves = library.memmap(path, dtype="<u2", mode="r", offset=begin, shape=shape)
            return (halves.astype("<u4") << 16).view("<f4")  # type: ignore[no-any-return]
        return library.memmap(path, dtype=_DTYPES[dtype], mode="r", offset=begin, shape=shape)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._places[name][2]


def _place(entry: Any, start: int, size: int) -> tuple[str, tuple[int, ...], int]:
    """Dtype, shape and first byte of a tensor. Raises ValueError where its bytes are not those of its shape, or not in the file."""
    dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if not all(isinstance(number, int) and number >= 0 for number in (*shape, begin, end)) or (dtype != "BF16" and dtype not in _DTYPES):
        raise ValueError
    wide = 2 if dtype == "BF16" else numbers().dtype(_DTYPES[dtype]).itemsize
    if end - begin != math.prod(shape) * wide or start + end > size:
        raise ValueError
    return dtype, shape, start + begin


def read_tensors(path: Path) -> Tensors:
    """The tensors of a file, or of those that an index beside them lists. Raises ImportedError."""
    found = Tensors()
    for file in _files(path):
        found.add(file)
    return found


def _files(path: Path) -> list[Path]:
    if not path.name.endswith(".index.json"):
        return [path]
    shown = printable(str(path))
    try:
        places = json.loads(read_regular(path, MOST_HEADER))["weight_map"]
        files = sorted(set(places.values()))
    except OSError as error:
        raise ImportedError(f"{shown} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ImportedError(f"{shown} is no index of safetensors") from None
    if len(files) > MOST_FILES or not all(re.fullmatch(r"\w[\w.+-]*\.safetensors", file) for file in files):
        raise ImportedError(f"{shown} names files that are no .safetensors beside it")
    return [path.with_name(file) for file in files]
