"""The original, run by onnxruntime where that is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from archc.importing.imported import numbers
from archc.importing.onnx.file import ANY_BATCH

Run = Callable[[Mapping[str, Any]], list[Any]]


def runner(path: Path, names: Sequence[str], originals: Sequence[str], batch: int) -> Run | None:
    """A function of inputs by the spec's names; None without onnxruntime. A file of one batch size is run image by image."""
    if find_spec("onnxruntime") is None or batch not in (1, ANY_BATCH):
        return None

    def run(inputs: Mapping[str, Any]) -> list[Any]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        given = {theirs: numbers().asarray(inputs[ours]) for ours, theirs in zip(names, originals, strict=True)}
        if batch != 1:
            return list(session.run(None, given))
        count = len(next(iter(given.values())))
        rows = [session.run(None, {name: array[at : at + 1] for name, array in given.items()}) for at in range(count)]
        return [numbers().concatenate(parts) for parts in zip(*rows, strict=True)]

    return run
