"""Images read by index: out of an array, or out of files that several processes decode; few images stay in memory."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from hashlib import sha256
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import numpy as np
import numpy.typing as npt

from archc.data.dataset import Corrupt, DataError, Images, Shape
from archc.data.pixels import Unreadable, decode, fit_images

_AT_ONCE = 1 << 12  # images
_SIZES = 20_000  # files
IN_MEMORY = 1 << 29  # bytes of a set, as the network takes it
Rows = npt.NDArray[np.int64]


def small(count: int, shape: Shape) -> bool:
    """Whether so many images are kept in memory."""
    return count * shape[0] * shape[1] * shape[2] <= IN_MEMORY


class Arrays:
    """Images of an array [N, C, H, W], fitted once where that is small, and as they are read otherwise."""

    def __init__(self, name: str, images: Images, shape: Shape) -> None:
        self._name = name
        self._shape = shape
        self._images = fit_images(images, shape) if small(len(images), shape) else images

    def read(self, rows: Rows) -> tuple[Images, Rows]:
        return fit_images(self._images[rows], self._shape), np.arange(len(rows))

    def name(self, row: int) -> str:
        return f"{self._name}[{row}]"

    def key(self, row: int) -> str:
        return str(row)

    def digest(self, rows: Rows) -> str:
        """Of all values: an array is at hand."""
        found = sha256(f"{self._shape} {self._images.shape[1:]}".encode())
        for start in range(0, len(rows), _AT_ONCE):
            found.update(np.ascontiguousarray(self._images[rows[start : start + _AT_ONCE]]).data)
        return found.hexdigest()


class Files:
    """Images of files under `root`, decoded as they are read. `corrupt` takes those that are skipped; `white` as in decode."""

    def __init__(
        self,
        *,
        root: Path,
        paths: Sequence[str],
        shape: Shape,
        skip: bool,
        workers: int,
        corrupt: list[Corrupt],
        white: int | None = None,
    ) -> None:
        self._root = root
        self._paths = paths
        self._shape = shape
        self._skip = skip
        self._workers = workers
        self._white = white
        self._corrupt = corrupt
        self._bad: set[int] = set()
        self._kept = np.empty((len(paths), *shape), np.uint8) if small(len(paths), shape) else None
        self._known = np.zeros(len(paths), bool)

    def read(self, rows: Rows) -> tuple[Images, Rows]:
        missing = [int(row) for row in dict.fromkeys(rows.tolist()) if not self._known[row] and row not in self._bad]
        fresh = dict(zip(missing, self._decoded(missing), strict=True))
        for row, found in fresh.items():
            self._note(row, found)
        kept = np.array([i for i, row in enumerate(rows.tolist()) if row not in self._bad], np.int64)
        if self._kept is not None:
            return self._kept[rows[kept]], kept
        images = [found for row in rows[kept] if not isinstance(found := fresh[int(row)], str)]
        return (np.stack(images) if images else np.empty((0, *self._shape), np.uint8)), kept

    def name(self, row: int) -> str:
        return str(self._root / self._paths[row])

    def key(self, row: int) -> str:
        return self._paths[row]

    def digest(self, rows: Rows) -> str:
        """Of all names, and the sizes of at most so many files as are looked at in a few seconds."""
        found = sha256()
        every = -(-len(rows) // _SIZES)
        for at, row in enumerate(rows.tolist()):
            found.update(self._paths[row].encode("utf-8", "surrogateescape"))
            if at % every == 0:
                with contextlib.suppress(OSError):
                    found.update(f" {(self._root / self._paths[row]).stat().st_size}".encode())
            found.update(b"\n")
        return found.hexdigest()

    def _decoded(self, rows: list[int]) -> list[Images | str]:
        return decode_all([self._root / self._paths[row] for row in rows], self._shape, self._workers, self._white)

    def _note(self, row: int, found: Images | str) -> None:
        if not isinstance(found, str):
            if self._kept is not None:
                self._kept[row] = found
                self._known[row] = True
            return
        if not self._skip:
            raise DataError(f"{self.name(row)} is not a readable image: {found}", "write `corrupt: skip` in `data` to leave it out")
        if row not in self._bad:
            self._bad.add(row)
            self._corrupt.append(Corrupt(self.name(row), found))


FEW = 4  # files that are not worth a second process


def decode_all(files: Sequence[Path], shape: Shape, workers: int, white: int | None = None) -> list[Images | str]:
    """Each file's image [C, H, W], or why it has none."""
    work = partial(_decode, shape=shape, white=white)
    if workers < 1 or len(files) < FEW:
        return [work(file) for file in files]
    try:
        return list(_pool(os.getpid(), workers).map(work, files, chunksize=max(1, len(files) // (4 * workers))))
    except BrokenProcessPool:
        _pool.cache_clear()
        raise DataError("a process that reads images was killed", "is memory full? fewer `workers` need less") from None


def _decode(file: Path, shape: Shape, white: int | None) -> Images | str:
    try:
        return decode(file, shape, white)
    except Unreadable as error:
        return str(error)


@lru_cache(maxsize=2)
def _pool(owner: int, workers: int) -> ProcessPoolExecutor:
    """Processes of this process: one that was forked from it starts its own. They are not forked, since CUDA and threads forbid it."""
    return ProcessPoolExecutor(workers, get_context("spawn"), _begin)


def _begin() -> None:
    """A worker leaves Ctrl-C to its parent, and ends when the parent does, even where that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
