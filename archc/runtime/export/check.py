"""Runs an exported file and compares its outputs with the module's; tells in one line what an exporter's exception means."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from archc.errors import ArchcError
from archc.text.diagnostics import printable

LIMIT = 1e-4  # of the outputs' spread
Tensors = dict[str, Tensor]


class ExportError(ArchcError):
    """A module that cannot be exported, or a file that does not do what the module does."""


class ExportDifference(NamedTuple):
    """How far the file's outputs are from the module's: at most, and as a part of the spread of the output that is furthest off.

    `constant` names outputs that differ by less than the limit from image to image, as those of a deep network that has not
    been trained may: a file with other weights could pass.
    """

    absolute: float
    relative: float
    batches: tuple[int, ...]
    by: str
    constant: tuple[str, ...] = ()


def runner_of(file: Path) -> str:
    """The name and version of what runs the file; empty where it is not installed."""
    if file.suffix == ".pt2":
        return f"torch.export {torch.__version__}"
    try:
        import onnxruntime
    except ImportError:
        return ""
    return f"onnxruntime {onnxruntime.__version__}"


def compare(file: Path, by: str, inputs: list[Tensors], ours: list[Tensors]) -> ExportDifference:
    """How far the file's outputs are from `ours`, batch by batch. An ExportError where that is too far."""
    with explain_errors(f"{by} cannot run the file"), torch.no_grad():
        run = _session(file)
        theirs = [run(tensor) for tensor in inputs]
    absolute, relative = 0.0, 0.0
    for place, name in enumerate(ours[0]):
        pairs = [(mine[name], other[place]) for mine, other in zip(ours, theirs, strict=True)]
        here, part = _difference(name, pairs)
        if not part <= LIMIT:
            raise ExportError(
                f"output {name} of the file, run by {by}, differs from the module's by {here:.1e}, {part:.1e} of its spread;"
                f" {LIMIT:.0e} is allowed"
            )
        absolute, relative = max(absolute, here), max(relative, part)
    batches = tuple(next(iter(tensor.values())).shape[0] for tensor in inputs)
    constant = tuple(name for name in ours[0] if _constant([output[name] for output in ours]))
    return ExportDifference(absolute, relative, batches, by, constant)


def _session(file: Path) -> Callable[[Tensors], list[Tensor]]:
    """The file as a function of its inputs by name."""
    if file.suffix == ".pt2":
        loaded = torch.export.load(file).module()
        return lambda inputs: pytree.tree_leaves(loaded(*inputs.values()))
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda inputs: [torch.as_tensor(array) for array in session.run(None, {name: x.numpy() for name, x in inputs.items()})]


def _difference(name: str, pairs: list[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """The greatest difference of one output, and that as a part of its spread. What is not finite must be the same."""
    for ours, theirs in pairs:
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            raise ExportError(f"output {name} is {list(ours.shape)} {ours.dtype}, and {list(theirs.shape)} {theirs.dtype} in the file")
    ours, theirs = (torch.cat([pair[side].reshape(-1).double() for pair in pairs]) for side in (0, 1))
    finite = ours.isfinite()
    if not finite.any():
        raise ExportError(f"no value of output {name} is finite for random inputs, so the file cannot be checked")
    if not torch.equal(finite, theirs.isfinite()) or not torch.allclose(ours[~finite], theirs[~finite], equal_nan=True):
        return float("inf"), float("inf")
    ours, theirs = ours[finite], theirs[finite]
    absolute = float((ours - theirs).abs().max())
    spread = max(float(ours.max() - ours.min()), float(ours.abs().max()) / 100)
    return absolute, absolute / spread if spread else absolute and float("inf")


def _constant(outputs: list[Tensor]) -> bool:
    """Whether an output is nearly the same for all images; an output that has no batch axis is one for each batch."""
    alike = len(outputs) > 1 and len({output.shape for output in outputs}) == 1
    parts = [output.reshape(len(output) if output.dim() and not alike else 1, -1) for output in outputs if output.numel()]
    if len({part.shape[1] for part in parts}) != 1:
        return False
    rows = torch.cat(parts)
    rows = rows.double().nan_to_num(0, 0, 0)
    change, spread = (rows.amax(0) - rows.amin(0)).max(), rows.max() - rows.min()
    return len(rows) > 1 and bool(change <= LIMIT * spread)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what the exporters print and log; their exceptions still come."""
    roots = ("torch", "onnx", "onnxscript", "onnx_ir")
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in roots]
    levels = [(logger, logger.level) for logger in map(logging.getLogger, {*names, *roots})]
    for logger, _ in levels:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in levels:
            logger.setLevel(level)


@contextmanager
def explain_errors(what: str) -> Iterator[None]:
    """Any exception as an ExportError of one line."""
    try:
        yield
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"{what}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    """The innermost cause, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error)
    if "DataDependent" in type(error).__name__:
        return "its forward takes different paths for different input values, and a file holds only one"
    if "Constraints violated" in text or "Specializations unexpectedly" in text:
        return "its forward works only for some batch sizes; export it with batch=1"
    lines = [line.strip() for line in text.splitlines() if any(map(str.isalpha, line))]
    return cut(printable(lines[0]) if lines else type(error).__name__, 200, start=True)


def cut(text: str, width: int, start: bool = False) -> str:
    """At most `width` characters: the end of a path, or the start of a sentence."""
    if len(text) <= width:
        return text
    return text[: width - 1] + "…" if start else "…" + text[-max(width - 1, 1) :]
