"""MNIST's files: idx, plain or .gz, as LeCun, Cortes and Burges distribute it; also Fashion-MNIST, KMNIST, EMNIST.

A file has a magic number (0x08, the type: unsigned bytes; the number of axes), the length of each axis as 4 bytes, most
significant first, then the values.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from archc.data.class_names import within
from archc.data.dataset import DataError, Images, Labels
from archc.text.files import open_regular
from archc.text.quantity import counted

MOST_VALUES = 1 << 32
MOST_RATIO, ALWAYS_UNPACKED = 100, 1 << 26  # of a .gz: how much larger it may become (MNIST: 5), and bytes that it may in any case
IMAGES, LABELS = "images", "labels"
KINDS = {IMAGES: "idx3-ubyte", LABELS: "idx1-ubyte"}
PARTS = {"train": ("train",), "test": ("t10k", "test")}
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
FASHION_BEGINS = (9, 0, 0, 3, 0, 2, 7, 2, 5, 5, 0, 9)  # the labels of its first training images tell it from MNIST


def find(folder: Path, part: str, kind: str) -> Path | None:
    """The file of a part (train or test), under the names in use: train-images-idx3-ubyte.gz, t10k-labels.idx1-ubyte …"""
    for file in sorted(folder.iterdir()):
        name = file.name.removesuffix(".gz")
        stem, mark, rest = name.rpartition(f"-{kind}")
        if mark and rest in (f"-{KINDS[kind]}", f".{KINDS[kind]}") and stem.rpartition("-")[2] in PARTS[part]:
            return within(file, folder)
    return None


def is_idx(folder: Path) -> bool:
    return any(find(folder, part, kind) for part in PARTS for kind in KINDS)


def load_part(folder: Path, part: str) -> tuple[Images, Labels] | None:
    """Images [N, 1, H, W] and their labels; None where there are neither. Raises DataError."""
    files = {kind: find(folder, part, kind) for kind in KINDS}
    if not any(files.values()):
        return None
    for kind, file in files.items():
        if file is None:
            name = next(known.name for known in files.values() if known)
            raise DataError(f"{folder} has {name}, but no {part}-{kind}-{KINDS[kind]}", "put both files of the download there")
    images, labels = read_idx(files[IMAGES], 3), read_idx(files[LABELS], 1)  # type: ignore[arg-type]
    if len(images) != len(labels):
        raise DataError(
            f"{files[IMAGES]} has {counted(len(images), 'image')}, {files[LABELS]} {counted(len(labels), 'label')}", "download both again"
        )
    if not images.size:
        raise DataError(f"{files[IMAGES]} has no images")
    return images[:, None], labels.astype(np.int64)


def read_idx(file: Path, axes: int) -> npt.NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes. Raises DataError where it is not one, too short or too long."""
    try:
        with open_regular(file) as stored:
            if file.suffix != ".gz":
                return _array(stored, file, axes, MOST_VALUES)
            packed = os.fstat(stored.fileno()).st_size
            with gzip.open(stored) as stream:
                return _array(stream, file, axes, max(ALWAYS_UNPACKED, MOST_RATIO * packed))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} cannot be read: {_plain(error)}", "download it again") from None


def _plain(error: Exception) -> str:
    if isinstance(error, gzip.BadGzipFile):
        return "it is not a gzip file"
    if isinstance(error, EOFError | zlib.error):
        return "it is damaged or was cut off"
    return getattr(error, "strerror", None) or str(error)


def _array(stream: BinaryIO | gzip.GzipFile, file: Path, axes: int, most: int) -> npt.NDArray[np.uint8]:
    """`most` is how many values can be in earnest."""
    head = stream.read(4 + 4 * axes)
    magic = int.from_bytes(head[:4], "big")
    if len(head) < 4 or magic != 0x0800 + axes:
        also = "; it is compressed: give it the ending .gz" if head[:2] == b"\x1f\x8b" else ""
        raise DataError(f"{file} begins with 0x{head[:4].hex()}, not 0x{0x0800 + axes:08x}: it is not an idx file with {axes} axes{also}")
    shape = tuple(int.from_bytes(head[4 * i : 4 * i + 4], "big") for i in range(1, axes + 1))
    wanted = int(np.prod(shape, dtype=object))
    if len(head) < 4 + 4 * axes or wanted > MOST_VALUES:
        raise DataError(f"{file} announces {counted(wanted, 'value')}" if wanted > MOST_VALUES else f"{file} ends within its head")
    if wanted > most:
        raise DataError(f"{file} would unpack to {wanted:,} bytes, more than {MOST_RATIO} times its own", "images are not packed like that")
    values = _read(stream, wanted + 1)
    if len(values) != wanted:
        says = f"{' x '.join(map(str, shape))} = {wanted:,} bytes"
        has = f"{len(values):,}" if len(values) < wanted else "more"
        raise DataError(f"{file} announces {says} and has {has}", "it was cut off: download it again" if len(values) < wanted else "")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read(stream: BinaryIO | gzip.GzipFile, most: int) -> bytearray:
    """At most so many bytes; memory grows with what is there, not with what was announced."""
    found = bytearray()
    while len(found) < most and (part := stream.read(min(1 << 24, most - len(found)))):
        found += part
    return found


def class_names(labels: Labels) -> tuple[str, ...]:
    """Of training labels: Fashion-MNIST's where it is that, else numbers."""
    if tuple(labels[: len(FASHION_BEGINS)].tolist()) == FASHION_BEGINS and labels.max() == 9:
        return FASHION
    return tuple(map(str, range(int(labels.max()) + 1)))
