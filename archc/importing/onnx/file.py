"""An ONNX file as plain data: its steps in order, its tensors as arrays that are made when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archc.importing.draft import MOST_VALUES
from archc.importing.imported import ImportedError, numbers
from archc.text.diagnostics import printable
from archc.text.extras import how_to_install
from archc.text.files import read_regular
from archc.text.quantity import bytes_text

MOST_BYTES = 2 * 2**30  # protobuf's own limit
MOST_BESIDE = 64 * 2**30
ANY_BATCH = 7919  # stands for a batch size that is free, where shapes are computed; a prime, so that no size is a multiple by chance


@dataclass(frozen=True, slots=True)
class Step:
    """A node: `place` is what errors call it, `scopes` the names and classes of the modules in which torch's exporter saw it."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    args: dict[str, Any]
    scopes: tuple[tuple[str, str], ...] = ()

    @property
    def place(self) -> str:
        return printable(f"node {self.name or self.outputs[0]} ({self.op})")[:150]


@dataclass(frozen=True, slots=True)
class Input:
    """An input of the network; the first of `sizes` is the batch, None where it is free."""

    name: str
    sizes: tuple[int | None, ...]
    whole: bool


@dataclass
class Model:
    """A file. `opset` is that of the operators without a domain; `beside` are the files that hold tensors."""

    name: str
    opset: int
    steps: list[Step]
    inputs: list[Input]
    outputs: list[str]
    tensors: dict[str, Any]
    producer: str
    folder: Path
    beside: list[Path] = field(default_factory=list)

    @property
    def batch(self) -> int:
        sizes = [one.sizes[0] for one in self.inputs if one.sizes]
        return next((size for size in sizes if size is not None), ANY_BATCH) if sizes else ANY_BATCH

    def array(self, name: str) -> Any:
        """An initializer's values. Raises ImportedError."""
        held = self.tensors[name]
        if not hasattr(held, "dims"):
            return held
        from onnx import numpy_helper

        if math.prod(held.dims) > MOST_VALUES or any(size < 0 for size in held.dims):
            raise ImportedError(f"the tensor {printable(name)} has sizes {list(held.dims)[:8]}")
        try:
            array = self._external(held) if held.data_location == 1 else numpy_helper.to_array(held)
        except (ValueError, TypeError, OSError, KeyError) as error:
            raise ImportedError(f"the tensor {printable(name)} cannot be read: {printable(str(error))[:200]}") from None
        self.tensors[name] = array
        return array

    def _external(self, held: Any) -> Any:
        """Of a file beside, within the folder of the model and within its own bounds."""
        from onnx.helper import tensor_dtype_to_np_dtype

        entries = {one.key: one.value for one in held.external_data}
        location = entries.get("location", "")
        path = (self.folder / location).resolve()
        if not location or not path.is_relative_to(self.folder.resolve()) or not path.is_file():
            raise ImportedError(f"the tensors of this file are in {printable(location)[:100]}, which is not beside it")
        if path not in self.beside:
            self.beside.append(path)
        dtype = numbers().dtype(tensor_dtype_to_np_dtype(held.data_type))
        offset, count = int(entries.get("offset", 0)), math.prod(held.dims)
        if offset < 0 or offset + count * dtype.itemsize > min(path.stat().st_size, MOST_BESIDE):
            raise ImportedError(f"{printable(path.name)} is shorter than the tensors in it: it was cut, or is of another model")
        return numbers().memmap(path, dtype, "r", offset, tuple(held.dims)) if count else numbers().zeros(tuple(held.dims), dtype)


def load(path: Path) -> Model:
    """Reads a file. Raises ImportedError where it is none, or damaged, or too large."""
    shown = printable(str(path))
    try:
        import onnx
    except ImportError:
        raise ImportedError(f"onnx is not installed: {how_to_install('onnx', 'onnx')}") from None
    try:
        content = read_regular(path, MOST_BYTES)
    except OSError as error:
        most = f", and at most {bytes_text(MOST_BYTES)} are read; large models keep their tensors in a file beside" * (error.errno == 27)
        raise ImportedError(f"{shown} cannot be read: {error.strerror or error}{most}") from None
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf raises its own, and others
        raise ImportedError(f"{shown} is no ONNX file, or is damaged ({type(error).__name__})") from None
    if not model.graph.node or not model.graph.output or not model.opset_import:
        raise ImportedError(f"{shown} is no ONNX file with a network in it: it has no nodes, outputs or opset")
    opset = next((int(one.version) for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if not opset:
        raise ImportedError(f"{shown} uses none of ONNX's own operators")
    graph = model.graph
    tensors = {one.name: one for one in graph.initializer}
    if graph.sparse_initializer:
        raise ImportedError(f"{shown} has sparse tensors, which are not read")
    inputs = [_input(one) for one in graph.input if one.name not in tensors]
    steps = [_step(one, shown) for one in graph.node]
    name = graph.name if graph.name not in ("main_graph", "torch_jit", "torch-jit-export", "") else ""
    producer = f"{model.producer_name} {model.producer_version}".strip()
    return Model(
        name=name,
        opset=opset,
        steps=steps,
        inputs=inputs,
        outputs=[one.name for one in graph.output],
        tensors=tensors,
        producer=producer,
        folder=path.parent,
    )


def _input(held: Any) -> Input:
    kind = held.type.tensor_type
    if not held.type.HasField("tensor_type") or not kind.HasField("shape"):
        raise ImportedError(f"the input {printable(held.name)} has no shape in the file")
    sizes = tuple(int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in kind.shape.dim)
    if not sizes:
        raise ImportedError(f"the input {printable(held.name)} is a single number")
    if None in sizes[1:]:
        raise ImportedError(f"the input {printable(held.name)} has free sizes beside the batch: fix them where the file is exported")
    return Input(held.name, sizes, kind.elem_type in (5, 6, 7))


def _step(node: Any, shown: str) -> Step:
    from onnx import helper

    if node.domain not in ("", "ai.onnx"):
        raise ImportedError(
            f"{shown}: node {printable(node.name)} ({printable(node.op_type)}) is of the domain {printable(node.domain)}, which is not read"
        )
    args = {one.name: _value(helper.get_attribute_value(one)) for one in node.attribute}
    return Step(node.name, node.op_type, tuple(node.input), tuple(node.output), args, tuple(_scopes(node)))


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return [_value(one) for one in value] if isinstance(value, list | tuple) else value


def _scopes(node: Any) -> Iterator[tuple[str, str]]:
    """Module names and classes, of torch's exporter."""
    import ast

    held = {one.key: one.value for one in node.metadata_props}
    try:
        names = ast.literal_eval(held["pkg.torch.onnx.name_scopes"][:10_000])
        classes = ast.literal_eval(held["pkg.torch.onnx.class_hierarchy"][:10_000])
    except (KeyError, ValueError, SyntaxError, MemoryError, RecursionError):
        return
    if isinstance(names, list) and isinstance(classes, list):
        yield from zip(map(str, names), map(str, classes), strict=False)
