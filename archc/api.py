"""The Python interface: load, analyze, check, source, build."""

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
    from torch.optim import Optimizer

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


def source(net: Graph | str | PathLike[str], *, optimize: str = "", input: Input = None, **params: Any) -> str:
    """The PyTorch source of a network: a Python module that needs torch alone. `optimize` as in `build`."""
    from archc.lowering import lower

    return lower(_loaded(net, input, params), optimize).source.text


def build(
    net: Graph | str | PathLike[str],
    *,
    device: str | None = None,
    dtype: str | None = None,
    memory_format: str | None = None,
    weights: str | PathLike[str] | None = None,
    rename: Sequence[str] = (),
    partial: bool = False,
    deployed: bool = False,
    optimize: str = "",
    autocast: str = "",
    compile: bool = False,
    input: Input = None,
    **params: Any,
) -> nn.Module:
    """The network as a torch.nn.Module, made from its source, in training mode as modules are born.

    device: cpu, cuda, cuda:1, mps, meta, or auto for the best there is; dtype: of its floats, as float32 or bf16
    memory_format: contiguous, channels_last or auto
    weights: a .safetensors or .pth file, loaded by name after the `s/…/…/` of `rename`; `partial` takes what fits
    deployed: without what is there in training alone
    optimize: "inference" (batch normalization folded, dead layers dropped, in place, channels_last; in eval mode) or "train"
        (in place where autograd allows, channels_last)
    autocast: a dtype, as bf16: each forward runs under torch.autocast; compile: through torch.compile

    Raises SpecError, WeightsError, PlaceError, ValueError.
    """
    from archc.runtime.building import Wishes
    from archc.runtime.building import build as built

    wishes = Wishes(device, dtype, memory_format, weights, tuple(rename), partial, deployed, optimize, autocast, compile)
    return built(_loaded(net, input, params), wishes)


def optimizer(module: nn.Module, name: str, **options: Any) -> Optimizer:
    """A torch.optim optimizer by name (sgd, momentum, nesterov, adam, adamw, adagrad, rmsprop, adafactor), fused where it can be."""
    from archc.runtime.optimizers import optimizer as made

    return made(module, name, **options)


def check(net: Graph | str | PathLike[str]) -> list[Diagnostic]:
    """The promises of the spec's `expect` that are not kept; an empty list where all are."""
    return checks.check(net if isinstance(net, Graph) else load(net))


def _loaded(net: Graph | str | PathLike[str], input: Input, params: dict[str, Any]) -> Graph:
    if not isinstance(net, Graph):
        return load(net, input=input, **params)
    if input is not None or params:
        raise TypeError("a network that is loaded has its input and parameters; give them to archc.load")
    return net


def _changes(input: Input, params: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    shapes = {"": input} if input is not None and not isinstance(input, dict) else input or {}
    return {name: value_as_text(value) for name, value in params.items()}, {name: str(list(shape)) for name, shape in shapes.items()}


def _graph(model: Model) -> Graph:
    if model.graph is None:
        raise SpecError(model.diagnostics)
    return model.graph
