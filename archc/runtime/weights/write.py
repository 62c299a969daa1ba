"""Files of weights, written whole or not at all."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from archc.runtime.weights.files import safetensors_library
from archc.runtime.weights.renaming import WeightsError, shown
from archc.text import atomic
from archc.text.diagnostics import printable


class Sink:
    """A file that keeps its first error: PyTorch's writer ends the whole process where a disk is full."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            if self.error is None:
                self.file.write(data)
        except OSError as error:
            self.error = error
        return len(data)

    def flush(self) -> None:
        pass


def write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> int:
    """Writes a file, whole or not at all; its size in bytes. The suffix tells the format.

    What is not safetensors is a plain `state_dict`, as load_state_dict takes it: it has no place for metadata.
    """
    if path.suffix not in (".safetensors", ".pth", ".pt", ".bin"):
        raise WeightsError(f"{shown(str(path), 80)} has no ending that tells the format: write a name that ends in .safetensors or .pth")
    caught: tuple[type[Exception], ...] = (OSError,)
    if path.suffix == ".safetensors":
        library = safetensors_library()
        put = partial(library.torch.save_file, tensors, metadata=metadata or None)
        caught = (OSError, library.SafetensorError, UnicodeError)
    elif metadata:
        raise WeightsError(f"{printable(str(path))} is a plain state_dict, which holds no metadata: write .safetensors, or leave it out")
    else:
        put = partial(_pickle, tensors)
    try:
        return atomic.write(path, put)
    except caught as error:
        problem = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise WeightsError(f"{printable(str(path))} cannot be written: {shown(problem.partition(' at path')[0], 120)}") from None


def _pickle(held: object, beside: Path) -> None:
    with beside.open("wb") as file:
        sink = Sink(file)
        torch.save(held, cast(Any, sink))
        if sink.error:
            raise sink.error
