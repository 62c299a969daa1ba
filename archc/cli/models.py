"""A PyTorch model in the place of a spec: `model.py:make_net`, `package.module:Net`, `torchvision:NAME`, `timm:NAME`. It is run."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from traceback import TracebackException

from archc.cli.common import name_input
from archc.cli.console import complain
from archc.elaborate.compiler import Model
from archc.errors import ArchcError, ArgumentError, MissingPackage
from archc.graph import Graph
from archc.graph.captured import CaptureError, ValuesNeeded
from archc.ops.shape import read_sizes
from archc.text.diagnostics import Diagnostics

OURS = f"{Path(__file__).parent.parent}{os.sep}"  # with the separator, as torchvision lies beside torch
RUNS_THEIRS = frozenset({"_step", "apply", "watched", "run", "<lambda>"})  # functions of archc that call the model's code


def capture_model(args: argparse.Namespace, named: str) -> Model:
    """The network of a model that is named, under --input and --leaf. An error in its code is shown, and ends the command."""
    if args.set:
        raise ArgumentError(f"--set changes parameters of a spec, and {named} is a model: change what makes it")
    if find_spec("torch") is None:
        raise MissingPackage(f"{named} is a PyTorch model, and torch is not installed: pip install torch")
    with their_code(named, args.input):
        graph, file = _captured(named, args.input, args.leaf)
    assert graph.captured is not None
    for sentence in graph.captured.sentences():
        complain(f"note: {sentence}")
    return Model(None, graph, Diagnostics(), files=[file] if file is not None else [])


@contextmanager
def their_code(named: str, given: Sequence[str]) -> Iterator[None]:
    """Where a model's code runs: what it prints goes to standard error, and an error of its own is shown, and ends the command."""
    try:
        with redirect_stdout(sys.stderr):  # what the model's code prints is no part of the output
            yield
    except ValuesNeeded:
        raise CaptureError(
            f"{named} decides by the values of a tensor, and the command line gives shapes alone; "
            "in Python, archc.capture takes a tensor with a batch as the input"
        ) from None
    except ArchcError:
        raise
    except (Exception, SystemExit) as error:
        if _is_ours(error):
            raise
        _show(error)
        on = f" on --input {' '.join(given)}" if given else ""
        complain(f"{named} raised this{on}{_hint(given, error)}")
        raise SystemExit(2) from None


def _captured(named: str, given: list[str], leaves: list[str]) -> tuple[Graph, Path | None]:
    from archc.ops.plugins import without_bytecode
    from archc.tracing import capture
    from archc.tracing.inputs import input_of
    from archc.tracing.source import load_model

    loaded = load_model(named)
    with without_bytecode():
        graph = capture(loaded.module, input_of(loaded.module, named, given, loaded.input), name=loaded.name, leaves=leaves)
    assert graph.captured is not None
    graph.captured = replace(graph.captured, source=named)
    return graph, loaded.file


def _is_ours(error: BaseException) -> bool:
    """Whether archc's own code failed, and not that of the model which it ran."""
    trace, last = error.__traceback__, None
    while trace is not None:
        last, trace = trace.tb_frame.f_code, trace.tb_next
    return last is not None and last.co_filename.startswith(OURS) and last.co_name not in RUNS_THEIRS


def _show(error: BaseException) -> None:
    """The traceback of the model's code, without the frames of archc, torch and Python's own."""
    told = TracebackException.from_exception(error)
    parts: list[TracebackException | None] = [told]
    hidden = (OURS, f"{Path(str(sys.modules['torch'].__file__)).parent}{os.sep}", "<frozen ", contextlib.__file__)
    while parts:
        part = parts.pop()
        if part is not None:
            part.stack[:] = [frame for frame in part.stack if not frame.filename.startswith(hidden) and "importlib" not in frame.filename]
            parts += [part.__cause__, part.__context__]
    print("".join(told.format()), file=sys.stderr, end="")


def _hint(given: Sequence[str], error: BaseException) -> str:
    """What may have been meant: an input without its batch, a file that belongs to a package."""
    if isinstance(error, ImportError) and "relative import" in str(error):
        return "; a file of a package is named by its module: package.module:NAME"
    for text in given:
        name, shape = name_input(text)
        sizes = read_sizes(shape.partition(":")[0])
        if len(sizes) > 3 or (len(sizes) > 1 and sizes[0] == 1):
            return f"; shapes are without the batch: --input {name}{'=' * bool(name)}{'x'.join(map(str, sizes[1:]))}"
    return ""
