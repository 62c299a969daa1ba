"""Files with the names of classes: one a line."""

from __future__ import annotations

from pathlib import Path

from archc.data.dataset import DataError

MOST_BYTES = 1 << 24
MOST_CLASSES = 100_000
BESIDE = "classes.txt"


def read_names(file: Path) -> tuple[str, ...]:
    """Names in the order of labels; empty lines are passed over. Raises DataError."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DataError(f"{file} is too large for names of classes")
        names = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    except UnicodeDecodeError:
        raise DataError(f"{file} is no text in UTF-8") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None
    twice = {name for name in names if names.count(name) > 1} if len(names) < 10_000 else set()
    if twice:
        raise DataError(f"{file} names {sorted(twice)[0]!r} twice")
    if not names or len(names) > MOST_CLASSES:
        raise DataError(f"{file} names {len(names):,} classes")
    return names


def names_beside(folder: Path) -> tuple[str, ...] | None:
    """Those of classes.txt in the folder, where there is one."""
    return read_names(folder / BESIDE) if (folder / BESIDE).is_file() else None
