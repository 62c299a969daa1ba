"""A module as a file for other programs: ONNX and torch.export. The file is run and compared with the module before it takes its place."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from archc.runtime.export.check import LIMIT, ExportDifference, ExportError, compare, explain_errors, quiet, runner_of
from archc.runtime.export.layers import sayable
from archc.runtime.export.write import move_into_place, write_onnx, write_program
from archc.text.atomic import workplace
from archc.text.diagnostics import printable
from archc.text.extras import how_to_install
from archc.text.quantity import bytes_text, counted

_SUFFIXES = (".onnx", ".pt2")
_DTYPES = {"float32": torch.float32, "int64": torch.int64, "int32": torch.int32, "uint8": torch.uint8, "bool": torch.bool}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written. `opset` and `nodes` are ONNX's; `difference` is None where nothing was compared, and `note` says why."""

    path: Path
    files: tuple[Path, ...]
    bytes: int
    batch: int | str
    opset: int | None = None
    nodes: int | None = None
    difference: ExportDifference | None = None
    note: str = ""

    def text(self) -> str:
        """What was written, where the weights are, and how the check went: a line each."""
        form = "torch.export" if self.opset is None else f"ONNX opset {self.opset}, {self.nodes:,} nodes"
        batch = "any batch" if self.batch == "dynamic" else f"batch {self.batch}"
        tail = f"  {bytes_text(self.bytes)}  {form}, {batch}"
        lines = [printable(str(self.path)) + tail]
        if len(self.files) > 1:
            lines.append(f"the weights are in {printable(self.files[0].name)}, to be kept beside")
        if self.difference is None:
            return "\n".join([*lines, self.note])
        absolute, relative, batches, by, constant = self.difference
        checked = f"checked with {by}, batch {' and '.join(map(str, batches))}: outputs differ by at most {absolute:.1e}"
        if constant:
            return "\n".join([*lines, f"{checked}; but {constant[0]} hardly depends on the input: this shows little"])
        return "\n".join([*lines, f"{checked}, {relative:.1e} of their spread (limit {LIMIT:.0e})"])


class _Input(NamedTuple):
    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    limit: int

    def random(self, batch: int, generator: torch.Generator) -> Tensor:
        shape = (batch, *self.shape)
        if self.dtype.is_floating_point:
            return torch.randn(shape, generator=generator)
        return torch.randint(self.limit, shape, generator=generator).to(self.dtype)


class _Task(NamedTuple):
    module: nn.Module
    inputs: tuple[_Input, ...]
    outputs: tuple[str, ...]
    path: Path
    batch: int | str
    opset: int | None

    def random(self, batch: int) -> tuple[Tensor, ...]:
        """The same inputs each time, and the caller's random numbers untouched."""
        generator = torch.Generator().manual_seed(batch)
        return tuple(given.random(batch, generator) for given in self.inputs)

    def named(self, made: Any) -> dict[str, Tensor]:
        """What the module returned, by name: as told, else the keys of its dict, else output, output_1, …"""
        leaves = pytree.tree_leaves(made)
        if not leaves or not all(isinstance(leaf, Tensor) for leaf in leaves):
            raise ExportError("the module must return a tensor, or a tuple or dict of tensors")
        keys = tuple(map(str, made)) if isinstance(made, dict) and len(made) == len(leaves) else ()
        names = self.outputs or keys or tuple(f"output_{i}" if i else "output" for i in range(len(leaves)))
        if len(names) != len(leaves):
            raise ExportError(
                f"the module has {counted(len(leaves), 'output')}, and {counted(len(names), 'name')} given: {', '.join(names)}"
            )
        taken = [name for name in names if names.count(name) > 1 or name in {given.name for given in self.inputs}]
        if taken:
            raise ExportError(f"two inputs or outputs are called {taken[0]}; give other names as `outputs`")
        return dict(zip(names, leaves, strict=True))


def export(
    module: nn.Module,
    shapes: Mapping[str, tuple[int, ...]],
    path: str | os.PathLike[str],
    *,
    outputs: tuple[str, ...] = (),
    batch: int | str = "dynamic",
    opset: int | None = None,
    dtypes: Mapping[str, str] | None = None,
    limits: Mapping[str, int] | None = None,
    check: bool = True,
) -> Exported:
    """Writes a float32 module, in eval mode, as ONNX (`.onnx`) or as torch.export's format (`.pt2`).

    shapes: the inputs in the order of `forward`, by name, without the batch axis
    outputs: names of the outputs; left out, the keys of the dict that the module returns, or output, output_1, …
    batch: `dynamic`, so that the file takes any batch, or the one that it takes
    opset: of ONNX; left out, the exporter's own
    dtypes: of inputs that are not float32: int64, int32, uint8, bool
    limits: of those inputs, the number that indices stay below; the check needs it

    The check loads the file again, by onnxruntime on the CPU or by torch.export, and compares outputs for random inputs,
    with batch 1 and 3, with the module's own. They may differ by 1e-4 of the spread of an output (its greatest value less
    its least, but not less than a hundredth of its greatest magnitude); float32 kernels that sum in another order were seen
    to differ by up to 1e-6 of it.

    ONNX weights above 1.5 GiB go to a second file, `PATH.data`. Nothing is written unless all is, and the check holds.
    The module is given back in the mode and on the device that it was in. Raises ExportError.
    """
    target = _target(Path(path), opset)
    _require_batch(batch)
    _require_float32(module)
    if not shapes:
        raise ExportError("no inputs: write shapes={'input': (3, 224, 224)}")
    inputs = tuple(_input(name, shape, dtypes or {}, limits or {}, check) for name, shape in shapes.items())
    _require_known("dtypes", dtypes or {}, shapes)
    _require_known("limits", limits or {}, shapes)
    with _eval_mode(module) as still, quiet():
        return _export_files(_Task(still, inputs, tuple(outputs), target, batch, opset), check)


def _export_files(task: _Task, check: bool) -> Exported:
    batches = (1, 3) if isinstance(task.batch, str) else (task.batch,)
    with explain_errors("the module does not run"), torch.no_grad():
        ours = [task.named(task.module(*task.random(batch))) for batch in batches]
    if task.path.suffix == ".onnx":
        with sayable(task.module) as said:
            program = _program(task._replace(module=said))
    else:
        program = _program(task)
    with explain_errors("cannot write"), workplace(task.path) as folder:
        file = folder / task.path.name
        opset, nodes = None, None
        if file.suffix == ".onnx":
            opset, nodes = write_onnx(program, tuple(given.name for given in task.inputs), tuple(ours[0]), file, task.opset)
        else:
            write_program(program, file)
        difference, note = _check_export(task, file, batches, ours) if check else (None, "not checked: check=False")
        size = sum(entry.stat().st_size for entry in folder.iterdir())
        files = move_into_place(file, task.path)
    return Exported(path=task.path, files=files, bytes=size, batch=task.batch, opset=opset, nodes=nodes, difference=difference, note=note)


def _program(task: _Task) -> torch.export.ExportedProgram:
    """The module as torch.export traces it. The shapes go by tensor, so that any signature of `forward` will do."""
    inputs = task.random(2 if isinstance(task.batch, str) else task.batch)
    collection: Any = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
    if task.batch == "dynamic":
        axis = torch.export.Dim("batch", min=1)
        for given in inputs:
            collection[given] = {0: axis}
    with explain_errors("torch.export cannot trace the module"):
        return torch.export.export(task.module, inputs, dynamic_shapes=collection, strict=False)


def _check_export(task: _Task, file: Path, batches: tuple[int, ...], ours: list[dict[str, Tensor]]) -> tuple[ExportDifference | None, str]:
    by = runner_of(file)
    if not by:
        return None, f"not checked: onnxruntime is not installed; {how_to_install('onnx', 'onnxruntime')}"
    names = [given.name for given in task.inputs]
    return compare(file, by, [dict(zip(names, task.random(batch), strict=True)) for batch in batches], ours), ""


def _target(path: Path, opset: int | None) -> Path:
    if path.suffix not in _SUFFIXES:
        raise ExportError(f"{printable(str(path))} has no ending that tells the format: write a name that ends in {' or '.join(_SUFFIXES)}")
    if not path.parent.is_dir():
        raise ExportError(f"there is no folder {printable(str(path.parent))}")
    if path.is_dir():
        raise ExportError(f"{printable(str(path))} is a folder")
    if opset is not None and path.suffix != ".onnx":
        raise ExportError("an opset is ONNX's: write a name that ends in .onnx, or leave opset out")
    return path


def _input(name: str, shape: tuple[int, ...], dtypes: Mapping[str, str], limits: Mapping[str, int], check: bool) -> _Input:
    dtype = dtypes.get(name, "float32")
    if dtype not in _DTYPES:
        raise ExportError(f"input {name} cannot be {dtype}: one of {', '.join(_DTYPES)}")
    if dtype != "float32" and name not in limits and check:
        raise ExportError(f"input {name} is {dtype}: the check must know which values are valid; limits={{{name!r}: 1000}} is 0 to 999")
    if any(size < 1 for size in shape):
        raise ExportError(f"input {name} has shape {list(shape)}: every size must be 1 or more, and the batch is left out")
    if limits.get(name, 1) < 1:
        raise ExportError(f"the limit of input {name} is {limits[name]}: at least 1, which leaves the index 0")
    return _Input(name, tuple(int(size) for size in shape), _DTYPES[dtype], limits.get(name, 1))


def _require_known(what: str, given: Mapping[str, Any], shapes: Mapping[str, Any]) -> None:
    unknown = next((name for name in given if name not in shapes), None)
    if unknown is not None:
        raise ExportError(f"{what} names {unknown}, and the inputs are {', '.join(shapes)}")


def _require_batch(batch: int | str) -> None:
    if batch != "dynamic" and (isinstance(batch, (str, bool)) or batch < 1):
        raise ExportError(f"batch is {batch!r}: write 'dynamic', or a number from 1")


def _require_float32(module: nn.Module) -> None:
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        if value.is_floating_point() and value.dtype != torch.float32:
            dtype = str(value.dtype).removeprefix("torch.")
            raise ExportError(f"{name} is {dtype}, and float32 is exported: call module.float() first")


@contextmanager
def _eval_mode(module: nn.Module) -> Iterator[nn.Module]:
    """The module in eval mode, on the CPU; each of its parts is put back in its own mode."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        yield _on_cpu(module.eval())
    finally:
        for part, training in modes:
            part.training = training


def _on_cpu(module: nn.Module) -> nn.Module:
    tensors = [*module.parameters(), *module.buffers()]
    return module if all(tensor.device.type == "cpu" for tensor in tensors) else _copy_to_cpu(module)


def _copy_to_cpu(module: nn.Module) -> nn.Module:
    """A copy on the CPU. Its tensors are given to deepcopy as if they had been copied, so the device holds no second set."""
    made: dict[int, Any] = {
        id(parameter): nn.Parameter(parameter.detach().to("cpu", copy=True), False) for parameter in module.parameters()
    }
    made |= {id(buffer): buffer.detach().to("cpu", copy=True) for buffer in module.buffers()}
    return copy.deepcopy(module, made)
