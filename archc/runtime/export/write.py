"""Writes what torch.export traced, as its own format and as ONNX."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch

from archc.runtime.export.check import ExportError, explain_errors
from archc.runtime.export.layers import blame_layer
from archc.runtime.weights.write import Sink
from archc.text import atomic
from archc.text.extras import how_to_install

_ONE_FILE = 1536 << 20  # bytes of weights; the format ends at 2 GiB


_PLACES = ("stack_trace", "nn_module_stack_trace", "source_fn_stack_trace")


def write_program(program: torch.export.ExportedProgram, file: Path) -> None:
    _forget_places(program)
    with file.open("wb") as opened:
        sink = Sink(opened)
        torch.export.save(program, cast(Any, sink))
    if sink.error:
        raise sink.error


def _forget_places(program: torch.export.ExportedProgram) -> None:
    """Where on this machine the lines lay that made a node: that is for nobody who gets the file."""
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            for key in _PLACES:
                node.meta.pop(key, None)


def write_onnx(
    program: torch.export.ExportedProgram, inputs: tuple[str, ...], outputs: tuple[str, ...], file: Path, opset: int | None
) -> tuple[int, int]:
    """The opset and the number of nodes of what was written."""
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ExportError(f"{missing[0]} is not installed, and ONNX files need it: {how_to_install('onnx', *missing)}")
    _forget_places(program)
    try:
        made = torch.onnx.export(program, dynamo=True, verbose=False, opset_version=opset)
    except Exception as error:
        layer = blame_layer(program, error)
        with explain_errors(f"{layer}, which ONNX cannot express" if layer else "ONNX cannot express it"):
            raise
    assert made is not None
    graph, written = made.model.graph, int(made.model.opset_imports[""])
    if opset not in (None, written):
        raise ExportError(f"the exporter cannot write opset {opset} of this module, it wrote {written}: leave it out, or write {written}")
    _rename(graph, inputs, outputs)
    weights = sum(initializer.const_value.nbytes for initializer in graph.initializers.values() if initializer.const_value is not None)
    made.save(file, external_data=weights > _ONE_FILE)
    return written, sum(1 for _ in graph)


def _rename(graph: Any, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    """Names the inputs and outputs. The exporter's own `output_names` makes an invalid file where an inner value has the name."""
    ends = [*graph.inputs, *graph.outputs]
    names = (*inputs, *outputs)
    inner = [*graph.initializers.values(), *(output for node in graph.all_nodes() for output in node.outputs)]
    taken = {value.name for value in (*ends, *inner)} | set(names)
    for value in (*ends, *inner):
        if value.name in names:
            number = next(i for i in range(1, len(taken) + 2) if f"{value.name}_{i}" not in taken)
            value.name = f"{value.name}_{number}"
            taken.add(value.name)
    for value, name in zip(ends, names, strict=True):
        value.name = name
    _name_batch(graph.inputs[0].shape[0], [value.shape for value in (*ends, *inner) if value.shape is not None])


def _name_batch(batch: Any, shapes: list[Any]) -> None:
    """The axis of the batch is called batch, and not s47, wherever it comes in."""
    if isinstance(batch, int):
        return
    symbol = re.compile(rf"\b{re.escape(str(batch.value))}\b")
    for shape in shapes:
        for axis, size in enumerate(shape):
            if not isinstance(size, int) and size.value is not None:
                shape[axis] = symbol.sub("batch", str(size.value))


def move_into_place(file: Path, target: Path) -> tuple[Path, ...]:
    """Puts the file in its place, its weights before it. Where that fails, older weights come back."""
    data, beside, older = file.with_name(file.name + ".data"), target.with_name(target.name + ".data"), file.with_name("older")
    if not data.exists():
        atomic.write(target, file.replace)
        return (target,)
    if atomic.is_stream(target):
        raise ExportError("its weights take a second file, and that is none beside a device or pipe: write to a file")
    before = beside.exists()
    if before:
        shutil.copyfile(beside, older)
    try:
        atomic.write(beside, data.replace)
        atomic.write(target, file.replace)
    except OSError:
        if before:
            atomic.write(beside, older.replace)
        else:
            beside.unlink(missing_ok=True)
        raise
    return beside, target
