"""CIFAR-10 and CIFAR-100 in their binary version: records of a label (two in CIFAR-100: coarse, fine) and 3 x 32 x 32 bytes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from archc.data.class_names import read_names, within
from archc.data.dataset import DataError, Images, Labels
from archc.text.files import open_regular

PIXELS = 3 * 32 * 32
MOST_BYTES = 1 << 32
FOLDERS = ("cifar-10-batches-bin", "cifar-100-binary")  # as the downloads unpack
PICKLED = ("cifar-10-batches-py", "cifar-100-python")
TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def folder_of(path: Path) -> Path:
    """The folder that the download unpacks to, where only its parent was named."""
    return next((path / name for name in (*FOLDERS, *PICKLED) if (path / name).is_dir()), path)


def is_cifar(folder: Path) -> bool:
    """Whether it is CIFAR. Raises DataError for the version that is pickled."""
    names = {file.name for file in folder.iterdir()}
    if "batches.meta" in names or ({"meta", "train", "test"} <= names and (folder / "train").is_file()):
        hundred = "batches.meta" not in names
        raise DataError(
            f"{folder} has the python version of CIFAR, which is pickled: opening it would run whatever it holds",
            f"download the binary version instead: {'cifar-100-binary.tar.gz' if hundred else 'cifar-10-binary.tar.gz'}",
        )
    return "test_batch.bin" in names or "data_batch_1.bin" in names or {"train.bin", "test.bin"} <= names


def load_cifar(folder: Path) -> tuple[tuple[Images, Labels], tuple[Images, Labels] | None, tuple[str, ...]]:
    """Training images [N, 3, 32, 32] with labels, test images, names of the classes. Raises DataError."""
    hundred = (folder / "train.bin").exists()
    names = folder / ("fine_label_names.txt" if hundred else "batches.meta.txt")
    classes = read_names(within(names, folder)) if names.exists() else tuple(map(str, range(100))) if hundred else TEN
    training = [within(file, folder) for file in ([folder / "train.bin"] if hundred else sorted(folder.glob("data_batch_[0-9].bin")))]
    if not training:
        raise DataError(f"{folder} has no data_batch_1.bin … data_batch_5.bin", "put all files of the download there")
    test = folder / ("test.bin" if hundred else "test_batch.bin")
    head = 2 if hundred else 1
    batches = [_batch(file, head, classes) for file in training]
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    return (images, labels), _batch(within(test, folder), head, classes) if test.exists() else None, classes


def _batch(file: Path, head: int, classes: tuple[str, ...]) -> tuple[Images, Labels]:
    record = head + PIXELS
    with open_regular(file) as stored:
        size = os.fstat(stored.fileno()).st_size
        values = np.fromfile(stored, np.uint8) if size <= MOST_BYTES else np.empty(0, np.uint8)
    if not size or size % record or size > MOST_BYTES:
        raise DataError(
            f"{file} has {size:,} bytes, which is not a whole number of images of {record:,} bytes",
            "it was cut off, or is not CIFAR: download it again",
        )
    values = values[:size].reshape(-1, record)
    labels = values[:, head - 1].astype(np.int64)
    if labels.max() >= len(classes):
        at = int(np.argmax(labels >= len(classes)))
        raise DataError(f"{file}: image {at} has the label {labels[at]}, and there are {len(classes)} classes", "is it damaged?")
    return values[:, head:].reshape(-1, 3, 32, 32), labels
