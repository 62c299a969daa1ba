"""ONNX: a file with its weights, of any exporter. Needs the package onnx, and no torch."""

from __future__ import annotations

from pathlib import Path

from archc.importing.draft import Refused
from archc.importing.imported import Imported, ImportedError
from archc.importing.onnx.file import load
from archc.importing.onnx.reading import Reading
from archc.importing.onnx.running import runner
from archc.text.diagnostics import printable


def read_onnx(path: Path, name: str, weights: Path | None = None) -> Imported:
    """The network of a file, as it is in evaluation. Raises ImportedError, which names the node."""
    if weights is not None:
        raise ImportedError(f"{printable(str(path))} holds its weights: leave out --weights")
    model = load(path)
    reading = Reading(model, name)
    try:
        reading.read()
    except Refused as refused:
        raise ImportedError(f"{printable(str(path))}: {refused.found.message}") from None
    text = reading.draft.text()
    missing = reading.draft.weights.keys() - reading.tensors.keys()
    tensors = reading.tensors if not [one for one in missing if not one.endswith("num_batches_tracked")] else {}
    return Imported(
        reading.draft.name,
        text,
        tuple(reading.notes),
        tensors,
        run=runner(path, list(reading.draft.inputs), [one.name for one in model.inputs], model.batch),
        files=(path, *model.beside),
    )
