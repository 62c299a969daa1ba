"""Files with the names of classes: one a line."""

from __future__ import annotations

from pathlib import Path

from archc.data.dataset import DataError
from archc.text.files import read_regular
from archc.text.quantity import counted

MOST_BYTES = 1 << 24
MOST_CLASSES = 100_000
BESIDE = "classes.txt"


def read_names(file: Path) -> tuple[str, ...]:
    """Names in the order of labels; empty lines are skipped. Raises DataError."""
    try:
        text = read_regular(file, MOST_BYTES).decode("utf-8")
        names = tuple(line.strip() for line in text.splitlines() if line.strip())
    except UnicodeDecodeError:
        raise DataError(f"{file} is not UTF-8 text") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None
    twice = {name for name in names if names.count(name) > 1} if len(names) < 10_000 else set()
    if twice:
        raise DataError(f"{file} names {sorted(twice)[0]!r} twice")
    if not names or len(names) > MOST_CLASSES:
        raise DataError(f"{file} names {counted(len(names), 'class', 'classes')}")
    return names


def names_beside(folder: Path) -> tuple[str, ...] | None:
    """Those of classes.txt in the folder, where there is one. Raises DataError."""
    file = folder / BESIDE
    return read_names(within(file, folder)) if file.exists() or file.is_symlink() else None


def within(file: Path, folder: Path) -> Path:
    """A file of a set, unless it is a link that leaves the set's folder. Raises DataError."""
    if file.is_symlink() and not file.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{file} is a link that leaves {folder}", "copy the file into the folder")
    return file
