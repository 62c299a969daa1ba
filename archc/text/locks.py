"""Locks on files and folders, which end with the process that holds them, however that ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked
    fcntl = None  # type: ignore[assignment]


class Held(OSError):
    """Another process holds the lock."""


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """The lock of a folder that is no link. Raises Held at once where another holds it; file systems without locks hold none."""
    handle = _open_lock(folder)
    try:
        if handle is not None:
            _lock(handle, folder)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _open_lock(folder: Path) -> int | None:
    if fcntl is None:
        return None
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Held(error.errno, "another process is using it", str(folder)) from None
    except OSError:  # a file system without locks
        return
    with contextlib.suppress(OSError):
        found, own = folder.lstat(), os.fstat(handle)
        if (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino):
            return
    raise Held(0, "it was removed in the meantime", str(folder))
