"""Files decoded by several processes. Their results come in the order of the files, whatever the processes do."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

from archc.data.dataset import DataError, Images, Shape
from archc.data.pixels import Unreadable, decode

FEW = 4  # files that are not worth a second process


def decode_all(files: Sequence[Path], shape: Shape, workers: int, white: int | None = None) -> list[Images | str]:
    """Each file's image [C, H, W], or why it has none."""
    work = partial(_decoded, shape=shape, white=white)
    if workers < 1 or len(files) < FEW:
        return [work(file) for file in files]
    try:
        return list(_pool(os.getpid(), workers).map(work, files, chunksize=max(1, len(files) // (4 * workers))))
    except BrokenProcessPool:
        _pool.cache_clear()
        raise DataError("a process that reads images was ended from outside", "is memory full? fewer `workers` need less") from None


def _decoded(file: Path, shape: Shape, white: int | None) -> Images | str:
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
