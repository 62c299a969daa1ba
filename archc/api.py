"""The Python interface: load, analyze, check."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from archc.analysis import check as checks
from archc.analysis import cost
from archc.compiler import Model, compile_spec, compile_text, value_as_text
from archc.graph import Graph
from archc.text.diagnostics import Diagnostic, SpecError

if TYPE_CHECKING:
    from torch import nn

Input = Sequence[int] | dict[str, Sequence[int]] | None


def load(spec: str | PathLike[str], *, input: Input = None, **params: Any) -> Graph:
    """The network of a spec: a file, or the name of one that ships. Shapes have no batch axis.

    `params` change the spec's parameters, `input` the shape of its input (a dict for several).
    Raises SpecError, whose text is the drawn diagnostics.
    """
    return _graph(compile_spec(fspath(spec), *_changes(input, params)))


def loads(text: str, *, input: Input = None, **params: Any) -> Graph:
    """The network of a spec that is a text. As `load`."""
    return _graph(compile_text(text, *_changes(input, params)))


def analyze(net: Graph | str | PathLike[str], *, batch: int = 1, dtype: str = "float32", optimizer: str | None = None) -> cost.Report:
    """The cost of a network as it is deployed, without what is there in training alone.

    Counts are for one image; `batch`, `dtype` and `optimizer` bear on `report.memory`.
    """
    graph = net if isinstance(net, Graph) else load(net)
    return cost.analyze(graph.deployed(), batch, dtype, optimizer)


def source(net: Graph | str | PathLike[str]) -> str:
    """The PyTorch source of a network: a Python module that needs torch alone."""
    from archc.lowering import lower

    return lower(net if isinstance(net, Graph) else load(net)).source.text


def build(net: Graph | str | PathLike[str], *, device: str = "cpu") -> nn.Module:
    """The network as a torch.nn.Module, made from its source."""
    from archc.runtime.building import build

    return build(net if isinstance(net, Graph) else load(net), device)


def check(net: Graph | str | PathLike[str]) -> list[Diagnostic]:
    """The promises of the spec's `expect` that are not kept; an empty list where all are."""
    return checks.check(net if isinstance(net, Graph) else load(net))


def _changes(input: Input, params: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    shapes = {"": input} if input is not None and not isinstance(input, dict) else input or {}
    return {name: value_as_text(value) for name, value in params.items()}, {name: str(list(shape)) for name, shape in shapes.items()}


def _graph(model: Model) -> Graph:
    if model.graph is None:
        raise SpecError(model.diagnostics)
    return model.graph
